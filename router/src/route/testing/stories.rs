//! Stories of trees with several handles.

use super::{POOLS, Plan, Recording, tree};

#[test]
fn one_server_is_the_fast_way_through_any_number_of_handles() {
    let routes = tree(
        r#"{"type": "OperationSelectorRoute",
            "default_policy": {"type": "PrefixSelectorRoute",
                               "policies": {"a": "PoolRoute|A", "ab": "PoolRoute|B", "n": "NullRoute"}},
            "operation_policies": {"delete": "ErrorRoute|no deletes", "set": "AllSyncRoute|PoolRoute|A"}}"#,
    );
    for (line, goes) in [
        ("get a~", "a"),
        ("get abc~", "b"),
        ("mg abc v~", "b"),
        ("mg YWJj b v~", "b"),
        ("incr ac 1~", "a"),
        ("get n~", "nothing"),
        (
            "get zzz~",
            "SERVER_ERROR no route for this key: no prefix fits and there is no wildcard",
        ),
        ("delete a~", "SERVER_ERROR no deletes"),
        ("md a~", "SERVER_ERROR no deletes"),
        ("set zzz 0 0 1~x~", "a"),
    ] {
        assert_eq!(routes.fast(line), goes, "{line}");
    }
}

#[test]
fn a_failover_goes_on_after_failures_and_only_then() {
    let route = r#"{"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B"]}"#;
    assert_eq!(tree(route).fast("get k~"), "a?");
    assert_eq!(tree(route).fast("set k 0 0 1~x~"), "composite");
    for (line, says, story) in [
        ("get k~", [("a", "END~"), ("b", "END~")], "a: get k~\n=> END~"),
        (
            "get k~",
            [("a", "timeout"), ("b", "VALUE k 0 1~x~END~")],
            "a: get k~\nb: get k~\n=> VALUE k 0 1~x~END~",
        ),
        (
            "set k 0 0 1~x~",
            [("a", "SERVER_ERROR oops~"), ("b", "STORED~")],
            "a: set k 0 0 1~x~\nb: set k 0 0 1~x~\n=> STORED~",
        ),
        (
            "delete k~",
            [("a", "timeout"), ("b", "timeout")],
            "a: delete k~\nb: delete k~\n=> timeout",
        ),
    ] {
        let says = says.map(|(server, said)| (server, [said]));
        let says: Vec<(&str, &[&str])> = says
            .iter()
            .map(|(server, said)| (*server, said.as_slice()))
            .collect();
        assert_eq!(tree(route).play(line, &says), story);
    }
    let only_tko = r#"{"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B"],
                       "failover_errors": {"updates": ["tko"]}}"#;
    assert_eq!(
        tree(only_tko).play("set k 0 0 1~x~", &[("a", &["timeout"])]),
        "a: set k 0 0 1~x~\n=> timeout"
    );
}

#[test]
fn all_sync_answers_the_worst_when_all_have_answered() {
    let route = r#""AllSyncRoute|Pool|AB""#;
    for (first, second, answer) in [
        ("TOUCHED~", "NOT_FOUND~", "NOT_FOUND~"),
        ("timeout", "TOUCHED~", "timeout"),
        ("NOT_FOUND~", "timeout", "timeout"),
        ("TOUCHED~", "TOUCHED~", "TOUCHED~"),
    ] {
        assert_eq!(
            tree(route).play("touch k 1~", &[("a", &[first]), ("b", &[second])]),
            format!("a: touch k 1~\nb: touch k 1~\n=> {answer}")
        );
    }
}

/// The servers of pool R in the order of key `k`: which one leads is the hash's business.
fn order(tree: &Recording) -> Vec<String> {
    let mut found = Plan::default();
    let routing = crate::request::Routing {
        op: crate::request::Op::Get,
        key: b"k",
    };
    tree.root.destinations(routing, &mut found);
    let servers = found.servers().iter();
    servers.map(|destination| destination.name.clone()).collect()
}

#[test]
fn replicas_are_kept_alike_whatever_the_leader_decides() {
    let tree = tree(r#""ReplicatedPoolRoute|R""#);
    let order = order(&tree);
    let [l, f, g] = [&order[0], &order[1], &order[2]].map(String::as_str);
    assert_eq!(tree.fast("get k~"), format!("{l}?"));
    let play = |line: &str, says: [&[&str]; 3]| tree.play(line, &[(l, says[0]), (f, says[1]), (g, says[2])]);

    assert_eq!(
        play("get k~", [&["timeout"], &["END~"], &["END~"]]),
        format!("{l}: get k~\n{f}: get k~\n=> END~")
    );
    assert_eq!(
        play("delete k~", [&["NOT_FOUND~"], &["DELETED~"], &["NOT_FOUND~"]]),
        format!("{l}: delete k~\n{f}: delete k~\n{g}: delete k~\n=> DELETED~")
    );
    assert_eq!(
        play("delete k~", [&["DELETED~"], &["timeout"], &["DELETED~"]]),
        format!("{l}: delete k~\n{f}: delete k~\n{g}: delete k~\n{f} is owed k\n=> DELETED~"),
        "a delete that one replica did not hear of is owed to it"
    );
    assert!(
        play("delete k~", [&["timeout"], &["timeout"], &["timeout"]]).ends_with("=> NOT_FOUND~"),
        "owed to all is done as far as anybody can see"
    );
    assert_eq!(
        play("set k 0 0 1~x~", [&["timeout"], &["timeout"], &["timeout"]]),
        format!(
            "{l}: set k 0 0 1~x~\n{f}: set k 0 0 1~x~\n{g}: set k 0 0 1~x~\n\
             {l} is owed k\n{f} is owed k\n{g} is owed k\n=> timeout"
        ),
        "a set that may yet be carried out must not be found later"
    );
    assert_eq!(
        play("add k 0 0 1~x~", [&["timeout"], &["STORED~"], &["STORED~"]]),
        format!("{l}: add k 0 0 1~x~\n{f}: add k 0 0 1~x~\n{g}: set k 0 0 1~x~\n{l} is owed k\n=> STORED~"),
        "whoever failed to lead is owed what the next one did"
    );
    assert_eq!(
        play("md k C77~", [&["HD~"], &["DELETED~"], &["NOT_FOUND~"]]),
        format!("{l}: md k C77~\n{f}: delete k~\n{g}: delete k~\n=> HD~"),
        "a cas unique is the leader's alone"
    );
    assert_eq!(
        play("add k 0 0 1~x~", [&["NOT_STORED~"], &["STORED~"], &["STORED~"]]),
        format!("{l}: add k 0 0 1~x~\n=> NOT_STORED~"),
        "what the leader refuses nobody stores"
    );
    assert_eq!(
        play("cas k 1 2 1 77~x~", [&["STORED~"], &["STORED~"], &["STORED~"]]),
        format!("{l}: cas k 1 2 1 77~x~\n{f}: set k 1 2 1~x~\n{g}: set k 1 2 1~x~\n=> STORED~"),
        "what the leader stored all store"
    );
    assert_eq!(
        play("incr k 1~", [&["8~"], &["8~"], &["5~", "DELETED~"]]),
        format!("{l}: incr k 1~\n{f}: incr k 1~\n{g}: incr k 1~\n{g}: delete k~\n=> 8~"),
        "a replica that counts differently loses the key"
    );
    assert!(
        play("set k 0 0 1~x~", [&["STORED~"], &["timeout"], &["STORED~"]]).ends_with("=> STORED~"),
        "a set is done when a replica has it"
    );
    assert_eq!(
        play(
            "set k 0 0 1~x~",
            [
                &["STORED~", "DELETED~"],
                &["SERVER_ERROR object too large for cache~", "NOT_FOUND~"],
                &["STORED~", "DELETED~"]
            ]
        ),
        format!(
            "{l}: set k 0 0 1~x~\n{f}: set k 0 0 1~x~\n{g}: set k 0 0 1~x~\n\
             {l}: delete k~\n{f}: delete k~\n{g}: delete k~\n=> SERVER_ERROR object too large for cache~"
        ),
        "what one replica will not hold none keeps"
    );
}

#[test]
fn a_routing_prefix_is_for_the_router_and_comes_back_to_the_client() {
    let tree = Recording::of(&format!(
        r#"{{{POOLS}, "routes": [{{"aliases": ["/././"], "route": "PoolRoute|A"}},
                               {{"aliases": ["/b/b/"], "route": "PoolRoute|B"}}]}}"#
    ));
    assert_eq!(tree.fast("get k~"), "a");
    assert_eq!(
        tree.fast("get /x/y/k~"),
        "a",
        "no route has this prefix: it is part of the key"
    );
    assert_eq!(
        tree.play("get /b/b/k~", &[("b", &["VALUE k 0 1~x~END~"])]),
        "b: get k~\n=> VALUE /b/b/k 0 1~x~END~"
    );
    assert_eq!(
        tree.play("set /b/b/k 0 0 1~x~", &[("b", &["STORED~"])]),
        "b: set k 0 0 1~x~\n=> STORED~"
    );
}
