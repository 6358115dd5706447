//! From a configuration's text to plain JSON: comments, macros, pools and imports from other files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::jsonm;
use super::node::ConfigError;

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

/// Reads a configuration whose file says `text`.
pub(crate) fn read(path: &Path, text: String, params: &Params) -> Result<Source, ConfigError> {
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
    Ok(Source { value, files })
}

#[cfg(test)]
mod tests {
    use super::{Source, params, read};
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
        let params = params("h7", None, &[("host".to_owned(), "10.0.0.1".to_owned())]);
        let source = read(&path, text.to_owned(), &params).expect("a good configuration");
        assert_eq!(
            source.value,
            json!({"pools": {"A": {"servers": ["10.0.0.1:1"]}}, "route": "PoolRoute|A"})
        );
        assert!(Source::unchanged(&source.files));
        write("pool.json", "{\"servers\": []}");
        assert!(!Source::unchanged(&source.files));
        std::fs::remove_file(folder.path().join("pool.json")).expect("removed");
        let error = read(&path, text.to_owned(), &params).expect_err("a file is gone");
        assert!(
            error.to_string().contains("pools.A: file:pool.json: cannot read"),
            "{error}"
        );
    }
}
