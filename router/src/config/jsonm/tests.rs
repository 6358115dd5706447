//! Files with macros, and what comes out of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::expand;

fn check(source: Value) -> Result<Value, String> {
    let params = BTreeMap::from([("hostid".to_owned(), json!("h7"))]);
    let mut import = |path: &str| match path {
        "servers.json" => Ok("[\"a:1\", /* two */ \"b:2\",]".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    expand(source, &params, &mut import).map_err(|error| error.to_string())
}

#[test]
fn what_every_built_in_makes() {
    for (call, result) in [
        (json!("@int(5)"), json!(5)),
        (json!("@str(@int(5))"), json!("5")),
        (json!("@bool(true)"), json!(true)),
        (json!("@double(1.5)"), json!(1.5)),
        (json!("@add(@int(2),@mul(@int(3),@int(4)))"), json!(14)),
        (json!("@sub(@int(2),@int(3))"), json!(-1)),
        (json!("@div(@int(7),@int(2))"), json!(3)),
        (json!("@mod(@int(7),@int(2))"), json!(1)),
        (json!("@range(@int(1),@int(3))"), json!([1, 2, 3])),
        (json!("@split(a.b.c,.)"), json!(["a", "b", "c"])),
        (json!("@split(a.b,)"), json!(["a.b"])),
        (json!("@bitwiseLeftShift(@int(1),@int(63))"), json!(i64::MIN)),
        (json!("@bitwiseRightShift(@int(-1),@int(63))"), json!(1)),
        (
            json!({"type": "foreach", "from": {"a": "b"}, "use": []}),
            json!([]),
        ),
        (json!({"type": "foreach", "from": {}, "use": []}), json!({})),
        (json!("@size(abc)"), json!(3)),
        (json!("@contains(abc,b)"), json!(true)),
        (json!("@empty(@split(a,b))"), json!(false)),
        (json!("@equals(a,a)"), json!(true)),
        (json!("@less(@int(1),@int(2))"), json!(true)),
        (json!("@not(@bool(0))"), json!(true)),
        (json!("@and(@bool(1),@bool(0))"), json!(false)),
        (json!("@or(@bool(1),@fail(no))"), json!(true)),
        (json!("@if(@bool(1),yes,@fail(no))"), json!("yes")),
        (json!("@isString(a)"), json!(true)),
        (json!("@isInt(@int(1))"), json!(true)),
        (json!("@defined(hostid)"), json!(true)),
        (json!("@defined(other)"), json!(false)),
        (json!("@import(servers.json)"), json!(["a:1", "b:2"])),
        (json!("@import(none.json,other)"), json!("other")),
        (json!("@select(@split(a.b,.),@int(-1))"), json!("b")),
        (json!("@slice(abcd,@int(1),@int(2))"), json!("bc")),
        (
            json!({"type": "select", "dictionary": {"a": 1}, "key": "b", "default": 2}),
            json!(2),
        ),
        (
            json!({"type": "merge", "params": [{"a": 1, "b": 1}, {"b": 2}]}),
            json!({"a": 1, "b": 2}),
        ),
        (json!({"type": "merge", "params": [[1], [2]]}), json!([1, 2])),
        (
            json!({"type": "keys", "dictionary": {"a": 1, "b": 2}}),
            json!(["a", "b"]),
        ),
        (
            json!({"type": "values", "dictionary": {"a": 1, "b": 2}}),
            json!([1, 2]),
        ),
        (
            json!({"type": "sort", "dictionary": ["b", "a"]}),
            json!(["a", "b"]),
        ),
        (
            json!({"type": "set", "dictionary": {"a": 1}, "key": "b", "value": 2}),
            json!({"a": 1, "b": 2}),
        ),
        (
            json!({"type": "if", "condition": false, "is_true": 1, "is_false": 2}),
            json!(2),
        ),
        (
            json!({"type": "define", "vars": {"A": "%B%", "B": "x"}, "result": "%A%"}),
            json!("x"),
        ),
        (
            json!({"type": "transform", "dictionary": ["a", "b"], "itemTransform": "%item%:1"}),
            json!(["a:1", "b:1"]),
        ),
        (
            json!({"type": "transform", "dictionary": {"a": "x"}, "keyTransform": "%key%%item%", "itemTransform": "%key%"}),
            json!({"ax": "a"}),
        ),
        (
            json!({"type": "process", "dictionary": [1, 2, 3], "initialValue": 0, "transform": "@add(%item%,%value%)"}),
            json!(6),
        ),
        (
            json!({"type": "foreach", "from": {"a": 1, "b": 2, "c": 3}, "where": "@less(@int(1),%item%)", "use": ["%key%"], "top": 1}),
            json!(["b"]),
        ),
        (
            json!({"type": "foreach", "from": {"a": 1}, "where": "@bool(0)", "use": ["%key%"], "noMatchResult": ["none"]}),
            json!(["none"]),
        ),
    ] {
        assert_eq!(
            check(json!({"x": call.clone()})),
            Ok(json!({"x": result})),
            "{call}"
        );
    }
}

#[test]
fn macros_and_constants_make_a_configuration() {
    let made = check(json!({
        "macros": {
            "route": {"type": "macroDef", "params": ["pool", {"name": "gutter", "default": "spare"}],
                      "result": {"type": "FailoverRoute", "children": ["PoolRoute|%pool%", "PoolRoute|%gutter%"]}},
            "port": {"type": "constDef", "result": "11211"}
        },
        "pools": {"A": {"servers": {"type": "transform", "dictionary": ["h1", "h2"], "itemTransform": "%item%:%port%"}}},
        "route": {"type": "OperationSelectorRoute", "default_policy": "@route(A)",
                  "operation_policies": {"delete": {"type": "route", "pool": "A", "gutter": "B"}}}
    }));
    let failover = |gutter: &str| json!({"type": "FailoverRoute", "children": ["PoolRoute|A", format!("PoolRoute|{gutter}")]});
    assert_eq!(
        made,
        Ok(json!({
            "pools": {"A": {"servers": ["h1:11211", "h2:11211"]}},
            "route": {"type": "OperationSelectorRoute", "default_policy": failover("spare"),
                      "operation_policies": {"delete": failover("B")}}
        }))
    );
    assert_eq!(
        check(json!({"id": "%hostid%", "plain": "50\\% of a\\@b"})),
        Ok(json!({"id": "h7", "plain": "50% of a@b"}))
    );
}

#[test]
fn mistakes_name_their_place() {
    for (source, complaint) in [
        (
            json!({"route": {"a": ["@none(1)"]}}),
            "route.a[0]: unknown macro @none",
        ),
        (json!({"route": "%none%"}), "route: unknown parameter %none%"),
        (json!({"route": "a%b"}), "odd number of percent signs"),
        (
            json!({"route": "@hash(a)"}),
            "route.@hash: this built-in is not supported",
        ),
        (json!({"route": "@fail(stop here)"}), "route.@fail: stop here"),
        (json!({"route": "@add(@int(1)"}), "brackets"),
        (json!({"route": "@div(@int(1),@int(0))"}), "no number"),
        (json!({"route": "@import(none.json)"}), "none.json: no such file"),
        (json!({"route": "@range(@int(0),@int(99999999))"}), "more than"),
        (
            json!({"macros": {"a": {"type": "macroDef", "result": "@a"}}, "route": "@a"}),
            "too deeply",
        ),
        (
            json!({"macros": {"a": {"type": "macroDef", "params": ["b"], "result": "%b%"}}, "route": "@a"}),
            "needs its parameter \"b\"",
        ),
        (
            json!({"macros": {"a": {"type": "nonsense", "result": 1}}}),
            "macros.a: \"nonsense\" is neither",
        ),
    ] {
        let error = check(source.clone()).expect_err("a mistake");
        assert!(
            error.contains(complaint),
            "{source}\n said: {error}\n  for: {complaint}"
        );
    }
}

#[test]
fn blanks_names_and_definitions_are_what_they_are_written_to_be() {
    let expanded = check(json!({
        "macros": [
            {"same": {"type": "macroDef", "params": ["a"], "result": "<%a%>"},
             "\\@": {"type": "macroDef", "result": "at"}},
            // Put together first; what a definition holds is looked at where it is used.
            [{"type": "merge", "params": [{"late": {"type": "macroDef", "result": "%early%!"}},
                                          {"early": {"type": "constDef", "result": "later"}}]}]
        ],
        "trimmed": "@same(  a  )",
        "kept": "@same( a\\ )",
        "backslash": "@same(a\\\\ )",
        "at": "@\\@",
        "late": "@late"
    }));
    assert_eq!(
        expanded,
        Ok(json!({"trimmed": "<a>", "kept": "<a >", "backslash": "<a\\>", "at": "at", "late": "later!"}))
    );
}

#[test]
fn parameters_that_contradict_each_other_are_refused() {
    for (params, complaint) in [
        (json!(["p", "p"]), "\"p\" is given twice"),
        (json!([{"name": "p", "default": 1}, "q"]), "\"q\" has to be given"),
        (
            json!([{"name": "p", "default": 1, "optional": false}]),
            "\"p\" has a default, and has to be given",
        ),
    ] {
        let file = json!({"macros": {"m": {"type": "macroDef", "params": params, "result": ""}}});
        let error = check(file).expect_err(complaint);
        assert!(error.contains(complaint), "{error}");
    }
}
