//! mcrouter's runtime variables (`--runtime-vars-file`): numbers that operators change apart from the configuration. Here
//! they are written into the configuration before it is checked, and their file is watched like it.

use serde_json::{Map, Value, json};

use super::node::ConfigError;

/// Settings that may come from a variable of the name that another setting gives.
const RANGES: [(&str, &str); 2] = [
    ("key_fraction_range_rv", "key_fraction_range"),
    ("index_range_rv", "index_range"),
];
/// A hash whose weights are a variable, and what it is with the weights in place.
const WEIGHTED: (&str, &str) = ("WeightedCh3Rv", "WeightedCh3");
const WEIGHTS_RV: &str = "weights_rv";

/// Writes what `vars` say into all places of `config` that name a variable.
pub(super) fn write_into(config: &mut Value, vars: &Value) -> Result<(), ConfigError> {
    if !vars.is_object() {
        return Err(wrong("expected an object"));
    }
    write(config, vars)
}

fn wrong(message: impl Into<String>) -> ConfigError {
    ConfigError {
        path: "runtime variables".to_owned(),
        message: message.into(),
    }
}

fn write(value: &mut Value, vars: &Value) -> Result<(), ConfigError> {
    match value {
        Value::Array(list) => list.iter_mut().try_for_each(|value| write(value, vars)),
        Value::Object(fields) => {
            ranges(fields, vars)?;
            weights(fields, vars)?;
            fields.values_mut().try_for_each(|value| write(value, vars))
        }
        _ => Ok(()),
    }
}

/// A variable that is not there leaves the setting as it is.
fn ranges(fields: &mut Map<String, Value>, vars: &Value) -> Result<(), ConfigError> {
    for (named_by, setting) in RANGES {
        let Some(name) = fields.get(named_by).and_then(Value::as_str) else {
            continue;
        };
        // Shares of all keys may stand together, by a shorter name.
        let short = name.strip_prefix("key_fraction_range_").unwrap_or(name);
        let range = match vars
            .get("key_fractions")
            .filter(|_| setting == "key_fraction_range")
        {
            Some(shares) => shares.get(short).map(|share| json!([0.0, share])),
            None => vars.get(name).cloned(),
        };
        let Some(range) = range else { continue };
        let pair = range.as_array().filter(|pair| pair.len() == 2);
        if !pair.is_some_and(|pair| pair.iter().all(Value::is_number)) {
            return Err(wrong(format!("{name}: expected two numbers, [from, to]")));
        }
        fields.insert(setting.to_owned(), range);
    }
    Ok(())
}

/// A hash has to have its weights.
fn weights(fields: &mut Map<String, Value>, vars: &Value) -> Result<(), ConfigError> {
    if fields.get("hash_func").is_none_or(|name| name != WEIGHTED.0) {
        return Ok(());
    }
    let name = fields.shift_remove(WEIGHTS_RV);
    let name = name.as_ref().and_then(Value::as_str);
    let name = name.ok_or_else(|| wrong(format!("{}: needs {WEIGHTS_RV:?}", WEIGHTED.0)))?;
    let known = vars
        .get("hash_route_weights")
        .and_then(|weights| weights.get(name));
    let Some(weights @ Value::Array(_)) = known else {
        return Err(wrong(format!(
            "hash_route_weights.{name}: expected a list of weights"
        )));
    };
    fields.insert("weights".to_owned(), weights.clone());
    fields.insert("hash_func".to_owned(), json!(WEIGHTED.1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_into;
    use serde_json::json;

    #[test]
    fn what_names_a_variable_says_what_the_variable_says() {
        let mut config = json!({"shadows": [
            {"key_fraction_range_rv": "range", "key_fraction_range": [0, 1]},
            {"key_fraction_range_rv": "absent", "key_fraction_range": [0, 1]},
            {"index_range_rv": "places"}
        ], "hash": {"hash_func": "WeightedCh3Rv", "weights_rv": "pool"}});
        let vars = json!({"range": [0.25, 0.5], "places": [1, 2], "hash_route_weights": {"pool": [1, 0.5]}});
        write_into(&mut config, &vars).expect("good variables");
        assert_eq!(
            config,
            json!({"shadows": [
                {"key_fraction_range_rv": "range", "key_fraction_range": [0.25, 0.5]},
                {"key_fraction_range_rv": "absent", "key_fraction_range": [0, 1]},
                {"index_range_rv": "places", "index_range": [1, 2]}
            ], "hash": {"hash_func": "WeightedCh3", "weights": [1, 0.5]}})
        );
        let mut short = json!({"key_fraction_range_rv": "key_fraction_range_tier"});
        write_into(&mut short, &json!({"key_fractions": {"tier": 0.1}})).expect("good variables");
        assert_eq!(short["key_fraction_range"], json!([0.0, 0.1]));
    }

    #[test]
    fn a_variable_of_another_kind_is_refused_by_its_name() {
        for (config, vars, complaint) in [
            (json!({}), json!([]), "runtime variables: expected an object"),
            (
                json!({"key_fraction_range_rv": "r"}),
                json!({"r": 1}),
                "r: expected two numbers",
            ),
            (
                json!({"hash_func": "WeightedCh3Rv", "weights_rv": "w"}),
                json!({"hash_route_weights": {"w": 1}}),
                "hash_route_weights.w: expected a list",
            ),
            (
                json!({"hash_func": "WeightedCh3Rv"}),
                json!({}),
                "needs \"weights_rv\"",
            ),
        ] {
            let error = write_into(&mut config.clone(), &vars).expect_err(complaint);
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }
}
