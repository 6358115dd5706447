//! The JSON Schema of configurations, for editors: made from what the handles themselves say they know, so that it cannot
//! say anything else.

use serde_json::{Map, Value, json};

use crate::config;
use crate::config::check::REMARKS;
use crate::route::HANDLES;

/// Keys of a pool and of the file that have a type worth telling; the others take anything.
const TYPES: &[(&str, &str)] = &[
    ("children", "routes"),
    ("target", "route"),
    ("child", "route"),
    ("destination", "route"),
    ("warm", "route"),
    ("cold", "route"),
    ("staging", "route"),
    ("from", "route"),
    ("to", "route"),
    ("l1", "route"),
    ("l2", "route"),
    ("normal", "route"),
    ("failover", "routes"),
    ("fallback", "route"),
    ("default", "route"),
    ("default_policy", "route"),
    ("wildcard", "route"),
    ("blackhole_child", "route"),
    ("failoverTarget", "route"),
    ("operation_policies", "routesByName"),
    ("routing_group_policies", "routesByName"),
];

/// The schema, as it is published.
pub(crate) fn schema() -> String {
    let handles: Vec<Value> = HANDLES.iter().map(|(name, _)| handle(name)).collect();
    let names: Vec<&str> = HANDLES.iter().map(|(name, _)| *name).chain(["Pool"]).collect();
    let pool_keys =
        config::known_keys(&json!({"pools": {"A": {"servers": [], "\u{1}": 0}}, "route": "NullRoute"}));
    let mut pool = properties(&pool_keys);
    pool.insert(
        "servers".to_owned(),
        json!({"type": "array", "items": {"type": "string"}}),
    );
    pool.insert("inherit".to_owned(), json!({"type": "string"}));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "router configuration",
        "description": "mcrouter's configuration files, and ours: docs/router.md. Macros are expanded before this applies.",
        "type": "object",
        "properties": {
            "pools": {"type": "object", "additionalProperties": {"anyOf": [
                {"$ref": "#/$defs/pool"}, {"type": "string", "pattern": "^file:"}]}},
            "route": {"$ref": "#/$defs/route"},
            "routes": {"anyOf": [
                {"$ref": "#/$defs/routesByName"},
                {"type": "array", "items": {"type": "object", "required": ["aliases", "route"],
                    "properties": {"aliases": {"type": "array", "items": {"type": "string"}}, "route": {"$ref": "#/$defs/route"}}}}]},
            "named_handles": {"anyOf": [{"$ref": "#/$defs/routesByName"}, {"type": "array", "items": {"$ref": "#/$defs/route"}}]},
            "macros": true
        },
        "patternProperties": remarks(),
        "additionalProperties": false,
        "$defs": {
            "pool": {"type": "object", "properties": pool, "patternProperties": remarks(), "additionalProperties": false},
            "routes": {"anyOf": [{"$ref": "#/$defs/route"}, {"type": "array", "items": {"$ref": "#/$defs/routes"}}]},
            "routesByName": {"type": "object", "additionalProperties": {"$ref": "#/$defs/route"}},
            "route": {"anyOf": [
                {"type": "string", "description": "a named handle, a handle's type, or Type|argument"},
                {"type": "object", "required": ["type"], "properties": {"type": {"enum": names}},
                 "anyOf": handles}]}
        }
    });
    format!("{schema:#}\n")
}

fn handle(name: &str) -> Value {
    let probe = json!({"pools": {"A": {"servers": ["h:1"]}}, "route": {"type": name, "\u{1}": 0}});
    let mut known = properties(&config::known_keys(&probe));
    known.insert("type".to_owned(), json!({"const": name}));
    json!({"properties": known, "patternProperties": remarks(), "additionalProperties": false})
}

/// Keys that are remarks may stand anywhere.
fn remarks() -> Value {
    let pattern = format!("^({})", REMARKS.join("|"));
    json!({pattern: true})
}

fn properties(names: &[String]) -> Map<String, Value> {
    let typed = |name: &str| match TYPES.iter().find(|(known, _)| *known == name) {
        Some((_, kind)) => json!({"$ref": format!("#/$defs/{kind}")}),
        None if name == "name" => json!({"type": "string"}),
        None => json!(true),
    };
    names.iter().map(|name| (name.clone(), typed(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::{handle, schema};

    #[test]
    fn the_published_schema_is_what_this_router_reads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ops/config/router.schema.json");
        let published = std::fs::read_to_string(path).expect("a schema is published");
        assert_eq!(
            published,
            schema(),
            "run: router --schema > ops/config/router.schema.json"
        );
    }

    #[test]
    fn every_handle_tells_its_keys() {
        for (name, _) in crate::route::HANDLES {
            let told = handle(name).to_string();
            assert!(told.contains("\"name\"") && told.contains(name), "{name}: {told}");
        }
    }
}
