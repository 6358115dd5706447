//! Workloads somebody measured and published, by name: `preset = "twitter-c52"` fills in what `[workload]` does not say.
//!
//! Parameters and their sources stand in `presets.toml`. They describe shapes (skew, sizes, mix, TTLs), not scale:
//! `keys` and the rate stay yours.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Origin, Source, one_of};
use super::tree::{self, Node, Value};

const PRESETS: &str = include_str!("../../presets.toml");

fn read() -> Node {
    let source = Arc::new(Source {
        name: "presets.toml".to_owned(),
        text: PRESETS.to_owned(),
        has_lines: true,
    });
    tree::parse(&source).expect("presets.toml is checked by a test")
}

/// All names, in the order of the file.
#[must_use]
pub fn names() -> Vec<String> {
    match read().value {
        Value::Table(entries) => entries.into_iter().map(|entry| entry.key).collect(),
        _ => Vec::new(),
    }
}

/// `section` laid over the preset called `name`.
pub(super) fn under(section: Node, name: &str, place: &Origin) -> Result<Node, Diagnostic> {
    let all = match read().value {
        Value::Table(entries) => entries,
        _ => Vec::new(),
    };
    let Some(found) = all.iter().position(|entry| entry.key == name) else {
        let names: Vec<&str> = all.iter().map(|entry| entry.key.as_str()).collect();
        return Err(Diagnostic::new(
            place,
            format!("unknown preset `{name}`"),
            one_of(name, &names),
        ));
    };
    let mut base = all.into_iter().nth(found).map(|entry| entry.node);
    // A mix, TTL or distribution of the file's own replaces the preset's whole: half of each would be neither.
    let whole = |own: &tree::Entry| {
        let names_dist =
            matches!(&own.node.value, Value::Table(inner) if inner.iter().any(|entry| entry.key == "dist"));
        matches!(own.key.as_str(), "mix" | "ttl") || names_dist
    };
    if let (
        Some(Node {
            value: Value::Table(below),
            ..
        }),
        Value::Table(above),
    ) = (&mut base, &section.value)
    {
        below.retain(|entry| !above.iter().any(|own| own.key == entry.key && whole(own)));
    }
    Ok(match base {
        Some(base) => tree::merge(base, section),
        None => section,
    })
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::scenario::{Mix, Overrides, Popularity, from_text};

    fn with(preset: &str, rest: &str) -> String {
        format!(
            "name = \"t\"\n[[phase]]\nname = \"steady\"\nkind = \"baseline\"\nduration = \"30s\"\n\
             [workload]\npreset = \"{preset}\"\n{rest}"
        )
    }

    #[test]
    fn every_preset_is_a_workload() {
        let names = names();
        assert!(names.len() >= 20, "{names:?}");
        for name in names {
            let scenario = from_text("t.toml", &with(&name, ""), &Overrides::default())
                .unwrap_or_else(|diagnostic| panic!("{name}: {diagnostic}"));
            let again = from_text("t.toml", &scenario.to_toml(), &Overrides::default()).unwrap();
            assert_eq!(again.workload, scenario.workload, "{name}");
        }
    }

    #[test]
    fn what_the_file_says_itself_counts() {
        let text = with(
            "fb-etc",
            "keys = 777\nmix = { get = 1.0 }\npopularity = { alpha = 1.5 }\n",
        );
        let workload = from_text("t.toml", &text, &Overrides::default())
            .unwrap()
            .workload;
        assert_eq!(workload.keys, 777);
        assert_eq!(
            workload.mix,
            Mix {
                get: 1.0,
                set: 0.0,
                delete: 0.0
            }
        );
        assert_eq!(workload.popularity, Popularity::Zipf { alpha: 1.5 });
    }

    #[test]
    fn an_unknown_preset_names_the_nearest() {
        let error = from_text("t.toml", &with("fb-ect", ""), &Overrides::default()).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("unknown preset `fb-ect`") && told.contains("did you mean `fb-etc`?"),
            "{told}"
        );
    }
}
