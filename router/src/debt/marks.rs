//! Marks: how routers that share a replicated pool tell each other which replica is owed something. Sans-io.
//!
//! Each server of the pool holds one item, [`KEY`], with a line per router and marked replica: `ROUTER SERVER`. A router
//! changes only its own lines, and only by compare-and-swap; so the item says what all of them have to say.

/// The item's key on every server of a replicated pool.
pub(crate) const KEY: &str = "hearth.debts";

/// What an item of marks may grow to: more is no work of ours.
pub(crate) const VALUE_MAX_BYTES: usize = 64 * 1024;

/// Names are written without the bytes that separate them.
fn written(name: &str) -> String {
    name.replace([' ', '\r', '\n'], "_")
}

/// The servers that others than `router` have marked.
pub(crate) fn of_others<'a>(value: &'a str, router: &'a str) -> impl Iterator<Item = &'a str> {
    lines(value).filter_map(move |(by, server)| (by != router).then_some(server))
}

fn lines(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.lines().filter_map(|line| line.split_once(' '))
}

/// Whether `router` has marked `server`.
pub(crate) fn has(value: &str, router: &str, server: &str) -> bool {
    let server = written(server);
    lines(value).any(|line| line == (router, &server))
}

/// Whether a marked server's written name is that of `server`.
pub(crate) fn names(mark: &str, server: &str) -> bool {
    mark == written(server)
}

/// The item with `router`'s mark of each of `servers` set or taken away, as told; other lines stay. `None` if it says
/// that already.
pub(crate) fn changed(value: &str, router: &str, servers: &[(&str, bool)]) -> Option<String> {
    if servers
        .iter()
        .all(|(server, wanted)| has(value, router, server) == *wanted)
    {
        return None;
    }
    let mut changed = String::new();
    for (by, server) in lines(value) {
        let ours = by == router && servers.iter().any(|(name, _)| names(server, name));
        if !ours {
            changed.push_str(&format!("{by} {server}\n"));
        }
    }
    for (server, wanted) in servers {
        if *wanted {
            changed.push_str(&format!("{router} {}\n", written(server)));
        }
    }
    Some(changed)
}

/// The item without anybody's mark of `server`: for an operator who knows better.
pub(crate) fn cleared(value: &str, server: &str) -> Option<String> {
    let mut changed = String::new();
    let mut found = false;
    for (by, marked) in lines(value) {
        if names(marked, server) {
            found = true;
        } else {
            changed.push_str(&format!("{by} {marked}\n"));
        }
    }
    found.then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::{changed, cleared, has, of_others};

    #[test]
    fn a_router_changes_its_own_marks_and_nobody_elses() {
        let value = "r1 n0\nr2 n0\nr1 other\n";
        assert!(has(value, "r1", "n0") && !has(value, "r2", "other"));
        assert_eq!(of_others(value, "r1").collect::<Vec<_>>(), ["n0"]);
        let after = changed(value, "r1", &[("n0", false), ("n1", true), ("n2", false)]).expect("a change");
        assert_eq!(after, "r2 n0\nr1 other\nr1 n1\n");
        assert_eq!(
            changed(&after, "r1", &[("n0", false), ("n1", true), ("n2", false)]),
            None
        );
    }

    #[test]
    fn an_operator_clears_a_server_of_all_marks() {
        assert_eq!(cleared("r1 n0\nr2 n0\nr1 n1\n", "n0").as_deref(), Some("r1 n1\n"));
        assert_eq!(cleared("r1 n1\n", "n0"), None);
    }

    #[test]
    fn names_with_blanks_and_lines_that_are_none_do_no_harm() {
        let value = changed("\n\u{0}nonsense\n", "r1", &[("a b\n", true)]).expect("a change");
        assert!(has(&value, "r1", "a b\n"));
        assert_eq!(changed(&value, "r1", &[("a b\n", true)]), None);
    }
}
