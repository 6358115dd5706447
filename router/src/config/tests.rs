//! Configurations that are read, and mistakes with the words they earn.

use super::check::Defaults;
use super::{Config, parse};

/// Reads and checks: the names of the pools, or the complaint.
fn check(text: &str) -> Result<String, String> {
    let source = parse(text).map_err(|error| error.to_string())?;
    let config = Config::check(source, &Defaults::default(), 1).map_err(|error| error.to_string())?;
    let pools: Vec<&str> = config.pools.iter().map(|view| view.pool.name.as_str()).collect();
    Ok(pools.join(" "))
}

#[test]
fn files_as_mcrouter_reads_them() {
    for (claim, text) in [
        (
            "comments and trailing commas",
            r#"{ /* pools */ "pools": {"A": {"servers": ["h:1", "h:2",],},}, // one
                "route": "PoolRoute|A", }"#,
        ),
        (
            "a route that is an object, with a hash in words and one in full",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "route": {"type": "PoolRoute", "pool": "A", "hash": {"hash_func": "Ch3", "salt": "s"}}}"#,
        ),
        (
            "a failover in shorthand, down to the ground",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "route": {"type": "FailoverRoute", "children": ["PoolRoute|A", "NullRoute"]}}"#,
        ),
        (
            "the children of a handle in one word",
            r#"{"pools": {"A": {"servers": ["h:1", "h:2"]}}, "route": "AllSyncRoute|Pool|A"}"#,
        ),
        (
            "an operation selector as in mcrouter's wiki",
            r#"{"pools": {"A": {"servers": ["h:1", "h:2"]}},
                "route": {"type": "OperationSelectorRoute",
                          "operation_policies": {"add": "AllSyncRoute|Pool|A", "delete": "AllSyncRoute|Pool|A",
                                                 "get": "LatestRoute|Pool|A", "set": "AllSyncRoute|Pool|A",
                                                 "lease-get": "NullRoute"}}}"#,
        ),
        (
            "prefixes, in a prefix",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "route": {"type": "PrefixSelectorRoute", "wildcard": "ErrorRoute|no",
                          "policies": {"a": {"type": "PrefixSelectorRoute", "policies": {"ab": "PoolRoute|A"}}}}}"#,
        ),
        (
            "named handles, whichever comes first",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "named_handles": [{"type": "FailoverRoute", "name": "safe", "children": ["plain"]},
                                  {"type": "PoolRoute", "name": "plain", "pool": "A"}],
                "route": "safe"}"#,
        ),
        (
            "remarks",
            r#"{"_comment": "x", "pools": {"A": {"servers": ["h:1"], "//": 1}}, "route": {"type": "PoolRoute", "pool": "A", "_why": []}}"#,
        ),
        (
            "what mcrouter reads and does nothing about",
            r#"{"pools": {"A": {"servers": ["h"], "port_override": 1, "qos": {"class": 1, "path": 2}, "hostnames": ["x"],
                              "pool_locality": "region", "enable_compression": true}},
                "route": {"type": "PoolRoute", "pool": "A", "protocol": "ascii"}}"#,
        ),
        (
            "routes with aliases",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "routes": [{"aliases": ["/a/a/", "/./././"], "route": "PoolRoute|A"}]}"#,
        ),
        (
            "a pool that inherits",
            r#"{"pools": {"A": {"inherit": "B", "server_timeout": 200}, "B": {"servers": ["h:1"], "get_errors": "error"}},
                "route": "PoolRoute|A"}"#,
        ),
        (
            "a server listed twice, which has two shares",
            r#"{"pools": {"A": {"servers": ["h:1", "h:1"]}}, "route": "PoolRoute|A"}"#,
        ),
        (
            "hashes by mcrouter's names",
            r#"{"pools": {"A": {"servers": ["h:1", "h:2"]}},
                "route": {"type": "AllSyncRoute", "children": [
                    {"type": "PoolRoute", "pool": "A", "hash": {"hash_func": "Rendezvous", "tags": ["a", "b"]}},
                    {"type": "PoolRoute", "pool": "A",
                     "hash": {"hash_func": "WeightedRendezvous", "tags": ["a", "b"], "weights": [1, 2]}},
                    {"type": "PoolRoute", "pool": "A", "hash": "ConstShard"},
                    {"type": "PoolRoute", "pool": "A", "hash": "Latest"},
                    {"type": "PoolRoute", "pool": "A", "hash": {"hash_func": "Latest", "failover_count": 2, "salt": "x"}},
                    {"type": "HashRoute", "children": "Pool|A", "hash_func": "Latest"},
                    {"type": "HashRoute", "children": "Pool|A", "hash_func": "LoadBalancer", "algorithm": "two-random-choices"}
                ]}}"#,
        ),
        (
            "a pool of one server where one handle stands",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "route": {"type": "ModifyExptimeRoute", "target": "Pool|A", "exptime": 0}}"#,
        ),
        (
            "a list of servers written among children",
            r#"{"pools": {"A": {"servers": ["h:1"]}},
                "route": {"type": "FailoverRoute", "children": ["PoolRoute|A", {"type": "Pool", "name": "B", "servers": ["h:2", "h:3"]}]}}"#,
        ),
        (
            "shadows of children by their place",
            r#"{"pools": {"A": {"servers": ["h:1", "h:2"]}, "B": {"servers": ["h:3"]}},
                "route": {"type": "AllSyncRoute", "children": {"type": "ShadowRoute", "children": "Pool|A",
                          "shadows": [{"target": "PoolRoute|B", "index_range": [0, 1], "key_fraction_range": [0, 0.1]}]}}}"#,
        ),
        (
            "handles over a pool that is empty",
            r#"{"pools": {"A": {"servers": []}}, "route": {"type": "AllSyncRoute", "children": [
                "HashRoute|Pool|A", "LatestRoute|Pool|A", "FailoverRoute|Pool|A", "PoolRoute|A", "RandomRoute|Pool|A"]}}"#,
        ),
        (
            "a pool defined where it is used",
            r#"{"route": {"type": "PoolRoute", "pool": {"name": "P", "servers": ["n=h:1"]}}}"#,
        ),
    ] {
        let text = text.replace("/./././", "/././");
        assert!(check(&text).is_ok(), "{claim}: {:?}", check(&text));
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_the_nearest_right_word() {
    let with_route =
        |route: &str| format!(r#"{{"pools": {{"A": {{"servers": ["h:1", "h:2"]}}}}, "route": {route}}}"#);
    for (text, complaint) in [
        (String::new(), "config: expected an object, found nothing"),
        ("{".to_owned(), "1:"),
        ("[]".to_owned(), "config: expected an object, found a list"),
        ("{}".to_owned(), "config: needs \"route\" or \"routes\""),
        (
            with_route("\"PoolRote|A\""),
            "route: unknown route handle \"PoolRote\"; did you mean \"PoolRoute\"?",
        ),
        (
            with_route("\"PoolRoute|B\""),
            "route: unknown pool \"B\"; known are A",
        ),
        (
            with_route(r#"{"type": "PoolRoute", "pol": "A"}"#),
            "route.pol: unknown key \"pol\"; did you mean \"pool\"?",
        ),
        (
            with_route(r#"{"type": "PoolRoute", "pool": "A", "axonlog": true}"#),
            "route.axonlog: this setting of mcrouter's is not supported",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1", "h:2"], "failure_domains": [1]}}, "route": "NullRoute"}"#
                .to_owned(),
            "pools.A.failure_domains: 1 for 2 servers",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h"], "port_override": 70000}}, "route": "NullRoute"}"#
                .to_owned(),
            "pools.A.port_override: a port is a number from 1 to 65535",
        ),
        (
            with_route(
                r#"{"type": "PoolRoute", "pool": "A", "hash": {"hash_func": "WeightedCh3Rv", "weights_rv": "w"}}"#,
            ),
            "there is no --runtime-vars-file",
        ),
        (
            with_route(r#"{"type": "FailoverRoute", "children": "Pool|A", "enable_lease_pairing": true}"#),
            "route.enable_lease_pairing: a failover that pairs leases needs a \"name\"",
        ),
        (
            with_route(r#"{"type": "FailoverRoute", "children": ["PoolRoute|A", {"type": "AlSyncRoute"}]}"#),
            "route.children[1].type: unknown route handle \"AlSyncRoute\"; did you mean \"AllSyncRoute\"?",
        ),
        (
            with_route("\"SRRoute|A\""),
            "route: SRRoute is not supported: it finds servers through a service of Facebook's",
        ),
        (
            with_route(r#"{"type": "OperationSelectorRoute", "operation_policies": {"delet": "NullRoute"}}"#),
            "route.operation_policies.delet: unknown operation \"delet\"; did you mean \"delete\"?",
        ),
        (
            with_route(r#"{"type": "PoolRoute", "pool": "A", "hash": "kitama"}"#),
            "route.hash: unknown hash \"kitama\"",
        ),
        (
            with_route(r#"{"type": "FailoverRoute", "children": [], "failover_errors": ["timout"]}"#),
            "route.failover_errors[0]: unknown error \"timout\"; did you mean \"timeout\"?",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1", "h"]}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.servers[1]: \"h\": expected HOST:PORT",
        ),
        (
            r#"{"pools": {"A": {"servers": ["x=h:1", "x=h:2"]}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.servers[1]: server name \"x\" is given twice in this pool",
        ),
        (
            r#"{"pools": {"A": {"servers": [], "sever_timeout": 1}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.sever_timeout: unknown key \"sever_timeout\"; did you mean \"server_timeout\"?",
        ),
        (
            r#"{"pools": {"A": {"servers": [], "server_timeout": "5"}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.server_timeout: \"5\" is not a time with its unit",
        ),
        (
            r#"{"pools": {"A": {"inherit": "B"}, "B": {"inherit": "A"}}, "route": "NullRoute"}"#.to_owned(),
            "circle",
        ),
        (
            r#"{"named_handles": {"a": "b", "b": "a"}, "route": "a"}"#.to_owned(),
            "circle",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1"], "connections_per_server": 65}}, "route": "NullRoute"}"#
                .to_owned(),
            "pools.A.connections_per_server: a worker has 1 to 64 connections to a server, not 65",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1"], "use_ssl": true}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.servers[0]: TLS to servers needs --tls-ca",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1", "h:1"]}}, "route": "ReplicatedPoolRoute|A"}"#.to_owned(),
            "route: server \"h:1\" cannot be two replicas",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1", "h:1"], "hash": "ketama"}}, "route": "PoolRoute|A"}"#
                .to_owned(),
            "server name \"h:1\" is given twice",
        ),
        (
            r#"{"pools": {"A": {"servers": [{"type": "ErrorRoute"}]}}, "route": "PoolRoute|A"}"#.to_owned(),
            "pools.A.servers[0]: expected a server, \"HOST:PORT\" (route handles can be the children of a HashRoute)",
        ),
        (
            with_route(r#"{"type": "ModifyExptimeRoute", "target": "Pool|A", "exptime": 0}"#),
            "route.target: Pool is a list, here of 2 servers",
        ),
        (
            with_route(r#"{"type": "PoolRoute", "pool": "A", "hash": "WeightedCh3Rv"}"#),
            "route.hash: WeightedCh3Rv has its weights in a runtime variable",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1"], "tls_cert": "/x"}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.tls_cert: \"tls_cert\" and \"tls_key\" go together",
        ),
        (
            r#"{"pools": {"A": {"servers": ["h:1"], "tls_ca": "/none.pem"}}, "route": "NullRoute"}"#
                .to_owned(),
            "pools.A.tls_ca: /none.pem: ",
        ),
        (
            r#"{"pools": {"A": {"servers": ["srv+x"], "weights": [1]}}, "route": "NullRoute"}"#.to_owned(),
            "pools.A.weights: names that stand for several servers",
        ),
    ] {
        let error = check(&text).expect_err(&text);
        assert!(
            error.contains(complaint),
            "{text}\n said: {error}\n  for: {complaint}"
        );
    }
}

#[test]
fn another_list_of_servers_changes_that_pool_and_nothing_else() {
    let source = parse(
        r#"{"pools": {"A": {"servers": ["h:1"], "hash": "ketama", "weights": [2]}, "B": {"servers": ["h:9"]}},
                          "route": "PoolRoute|A"}"#,
    )
    .expect("good");
    let config = Config::check(source, &Defaults::default(), 1).expect("good");
    let changed = config
        .with_servers("A", vec!["h:1".to_owned(), "n2=h:2".to_owned()], None, None)
        .expect("there is a pool A");
    let changed = Config::check(changed, &Defaults::default(), 2).expect("still good");
    let names: Vec<&str> = changed.pools[0]
        .pool
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(names, ["h:1", "n2"]);
    assert_ne!(changed.checksum(), config.checksum());
    let error = config
        .with_servers("C", Vec::new(), None, None)
        .expect_err("there is no pool C");
    assert_eq!(error.to_string(), "pool: unknown pool \"C\"; known are A, B");
}

/// The server that owns each of some keys.
fn owners(text: &str) -> Vec<String> {
    let config = Config::check(parse(text).expect("JSON"), &Defaults::default(), 1).expect("good");
    let owner = |key: usize| {
        let told = crate::explain::explain(&config, "get", &format!("key-{key}")).expect("told");
        told.lines().last().unwrap_or_default().to_owned()
    };
    (0..300).map(owner).collect()
}

#[test]
fn a_pool_with_weights_is_hashed_by_them_unless_it_says_how() {
    let of = |hash: &str, weights: &str| {
        owners(&format!(
            r#"{{"pools": {{"A": {{"servers": ["h:1", "h:2", "h:3"] {weights}}}}},
                 "route": {{"type": "PoolRoute", "pool": "A" {hash}}}}}"#
        ))
    };
    let weights = r#", "weights": [0.1, 0.9, 0.5]"#;
    let by_weight = of(r#", "hash": "WeightedCh3""#, weights);
    assert_eq!(of("", weights), by_weight, "as mcrouter does");
    assert_ne!(of("", ""), by_weight);
    assert_eq!(
        of(r#", "hash": "Ch3""#, weights),
        of("", ""),
        "Ch3 knows no weights"
    );
    assert_ne!(of(r#", "hash": {"salt": "x"}"#, weights), by_weight);
    let salted = r#", "hash": {"hash_func": "WeightedCh3", "salt": "x"}"#;
    assert_eq!(of(r#", "hash": {"salt": "x"}"#, weights), of(salted, weights));
}

#[test]
fn a_fanout_gives_each_server_so_many_places() {
    let pool =
        |servers: &str| format!(r#"{{"pools": {{"A": {{"servers": {servers}}}}}, "route": "PoolRoute|A"}}"#);
    let fanned = owners(&pool(r#"["h:1", "h:2", "h:3"], "additional_fanout": 1"#));
    let listed = owners(&pool(r#"["h:1", "h:1", "h:2", "h:2", "h:3", "h:3"]"#));
    assert_eq!(
        fanned, listed,
        "as mcrouter lists a destination for each of its connections"
    );
}

#[test]
fn the_ring_without_an_ejected_server_moves_its_keys_and_no_others() {
    let source = || {
        parse(
            r#"{"pools": {"A": {"servers": ["a=h:1", "b=h:2", "c=h:3"], "hash": "rendezvous", "auto_eject_hosts": true,
                                "weights": [1, 2, 3]}},
                "route": "PoolRoute|A"}"#,
        )
        .expect("good")
    };
    let whole = Config::check(source(), &Defaults::default(), 1).expect("good");
    let out = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let defaults = Defaults {
            ejected: std::sync::Arc::new([("A".to_owned(), names)].into()),
            ..Defaults::default()
        };
        Config::check(source(), &defaults, 2).expect("good")
    };
    let owner = |config: &Config, key: &str| crate::explain::explain(config, "get", key).expect("told");
    let owner = |config: &Config, key: &str| owner(config, key).lines().last().unwrap_or_default().to_owned();
    let (without_b, without_all) = (out(&["b"]), out(&["a", "b", "c"]));
    for key in (0..300).map(|key| format!("key-{key}")) {
        let before = owner(&whole, &key);
        let after = owner(&without_b, &key);
        if before == "server: b" {
            assert_ne!(after, before, "{key}");
        } else {
            assert_eq!(after, before, "{key}");
        }
        assert_eq!(
            owner(&without_all, &key),
            before,
            "{key}: a ring of nobody is no ring"
        );
    }
}
