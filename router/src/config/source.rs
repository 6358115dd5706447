//! From a configuration's text to plain JSON: comments, macros, pools and imports from other files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::jsonm;
use super::node::ConfigError;
use super::runtime_vars;
use crate::stats::report::md5_of;

/// The prefix of a pool that is in a file of its own.
const FILE: &str = "file:";

/// What `%…%` may name in every file, by mcrouter's names.
pub(crate) type Params = BTreeMap<String, Value>;

/// The parameters of this process, and those of `--config-params`.
pub(crate) fn params(host_id: &str, route_prefix: Option<&str>, given: &[(String, String)]) -> Params {
    let prefix = route_prefix.unwrap_or(super::DEFAULT_PREFIX);
    let mut parts = prefix.split('/').skip(1);
    let own = [
        ("default-route", prefix),
        ("default-region", parts.next().unwrap_or(".")),
        ("default-cluster", parts.next().unwrap_or(".")),
        ("hostid", host_id),
        ("router-name", "router"),
        ("service-name", "router"),
    ];
    own.into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .chain(given.iter().map(|(name, value)| (name.clone(), json!(value))))
        .collect()
}

/// A configuration that was read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub value: Value,
    /// The files it was read from and their texts, its own first.
    pub files: Vec<(PathBuf, String)>,
}

impl Source {
    /// Whether all files still say the same.
    pub(crate) fn unchanged(files: &[(PathBuf, String)]) -> bool {
        files
            .iter()
            .all(|(path, text)| std::fs::read_to_string(path).is_ok_and(|now| now == *text))
    }
}

/// The files by name, and the MD5 of each.
pub(crate) fn digests(files: &[(PathBuf, String)]) -> Vec<(String, String)> {
    let digest = |(path, text): &(PathBuf, String)| (path.display().to_string(), md5_of(text));
    files.iter().map(digest).collect()
}

/// What is said of every configuration, outside of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    pub params: Params,
    /// mcrouter's runtime variables, if there is a file of them.
    pub runtime_vars: Option<PathBuf>,
}

/// Reads a configuration whose file says `text`.
pub(crate) fn read(path: &Path, text: String, outside: &Outside) -> Result<Source, ConfigError> {
    let params = &outside.params;
    let parsed = super::parse(&text)?;
    let mut files = vec![(path.to_owned(), text)];
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let mut open = |written: &str| {
        let path = folder.join(written.strip_prefix(FILE).unwrap_or(written));
        let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read: {error}"))?;
        files.push((path, text.clone()));
        Ok(text)
    };
    let mut value = jsonm::expand(parsed, params, &mut open)?;
    if let Some(pools) = value.get_mut("pools").and_then(Value::as_object_mut) {
        for (name, pool) in pools {
            let Some(written) = pool.as_str().filter(|written| written.starts_with(FILE)) else {
                continue;
            };
            let place = |message: String| ConfigError {
                path: format!("pools.{name}"),
                message: format!("{written}: {message}"),
            };
            let text = open(written).map_err(place)?;
            let inside = super::parse(&text).map_err(|error| place(error.to_string()))?;
            *pool = jsonm::expand(inside, params, &mut open).map_err(|error| place(error.to_string()))?;
        }
    }
    if let Some(vars) = &outside.runtime_vars {
        let place = |message: String| ConfigError {
            path: vars.display().to_string(),
            message,
        };
        let text = std::fs::read_to_string(vars).map_err(|error| place(format!("cannot read: {error}")))?;
        let inside = super::parse(&text).map_err(|error| place(error.to_string()))?;
        runtime_vars::write_into(&mut value, &inside)?;
        files.push((vars.clone(), text));
    }
    Ok(Source { value, files })
}

#[cfg(test)]
mod tests {
    use super::{Outside, Source, params, read};
    use serde_json::json;

    #[test]
    fn pools_and_imports_come_from_files_of_their_own_and_are_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("pool.json", "{\"servers\": [\"%host%:1\",]} // a pool");
        write("route.json", "\"PoolRoute|A\"");
        let text = r#"{"pools": {"A": "file:pool.json"}, "route": "@import(route.json)"}"#;
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).expect("written");
        write("vars.json", "{}");
        let outside = Outside {
            params: params("h7", None, &[("host".to_owned(), "10.0.0.1".to_owned())]),
            runtime_vars: Some(folder.path().join("vars.json")),
        };
        let source = read(&path, text.to_owned(), &outside).expect("a good configuration");
        assert_eq!(
            source.value,
            json!({"pools": {"A": {"servers": ["10.0.0.1:1"]}}, "route": "PoolRoute|A"})
        );
        assert!(Source::unchanged(&source.files));
        write("vars.json", "{\"range\": [0, 1]}");
        assert!(!Source::unchanged(&source.files));
        write("vars.json", "{}");
        assert!(Source::unchanged(&source.files));
        write("pool.json", "{\"servers\": []}");
        assert!(!Source::unchanged(&source.files));
        std::fs::remove_file(folder.path().join("pool.json")).expect("removed");
        let error = read(&path, text.to_owned(), &outside).expect_err("a file is gone");
        assert!(
            error.to_string().contains("pools.A: file:pool.json: cannot read"),
            "{error}"
        );
    }
}
