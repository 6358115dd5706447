//! mcrouter's route handles, and ours, before real servers: what a user of each family relies on.

use std::time::Duration;

use tempfile::TempDir;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
    scrape,
};

/// A router with a configuration of its own over three nodes: pool `A` is the first, `B` the second, `C` the third, `ABC`
/// all of them.
struct House {
    router: Process,
    nodes: Vec<Process>,
    _folder: TempDir,
}

impl House {
    #[track_caller]
    fn with(route: &str) -> Self {
        // A TTL that moves by itself would hide one that was lost.
        let args = ["-m", "64", "-t", "1", "--ttl-jitter", "0"];
        let nodes: Vec<Process> = (0..3)
            .map(|_| Process::start(Program::CacheNode, &args))
            .collect();
        let [a, b, c] = [0, 1, 2].map(|index: usize| nodes[index].addr());
        let config = format!(
            r#"{{"pools": {{"A": {{"servers": ["a={a}"]}}, "B": {{"servers": ["b={b}"]}}, "C": {{"servers": ["c={c}"]}},
                           "ABC": {{"servers": ["a={a}", "b={b}", "c={c}"], "hash": "rendezvous"}}}},
                "route": {route}}}"#
        );
        let folder = TempDir::new().expect("a scratch folder");
        Self {
            router: Process::start_router(folder.path(), &config, &["-t", "1"]),
            nodes,
            _folder: folder,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.router.addr())
    }

    fn node(&self, index: usize) -> Client {
        Client::connect(self.nodes[index].addr())
    }
}

#[track_caller]
fn eventually_holds(node: &mut Client, key: &str, value: Option<&[u8]>) {
    eventually(
        Duration::from_secs(5),
        "the node holds what was written in the background",
        || match node.get(key) {
            found if found.as_deref() == value => Ok(()),
            found => Err(format!("{key} is {found:?}")),
        },
    );
}

#[test]
fn all_children_are_written_and_a_miss_does_not_beat_a_hit() {
    let house = House::with(
        r#"{"type": "PrefixSelectorRoute", "policies": {
            "sync": "AllSyncRoute|Pool|ABC", "async": "AllAsyncRoute|Pool|ABC", "initial": "AllInitialRoute|Pool|ABC",
            "majority": "AllMajorityRoute|Pool|ABC", "fastest": "AllFastestRoute|Pool|ABC"}}"#,
    );
    let mut client = house.client();
    for key in ["sync", "initial", "majority", "fastest"] {
        client.set(key, "v");
    }
    assert_eq!(
        client.ask("set async 0 0 1\r\nv"),
        "NOT_STORED",
        "nobody has waited"
    );
    for index in 0..3 {
        let mut node = house.node(index);
        for key in ["sync", "async", "initial", "majority", "fastest"] {
            eventually_holds(&mut node, key, Some(b"v"));
        }
    }
    house.node(0).exchange("delete fastest\r\n", "DELETED\r\n");
    house.node(1).exchange("delete fastest\r\n", "DELETED\r\n");
    for _ in 0..50 {
        assert_eq!(
            client.get("fastest").as_deref(),
            Some(&b"v"[..]),
            "whoever answers first"
        );
    }
}

#[test]
fn a_dead_server_is_failed_over_and_the_gutter_forgets() {
    let mut house = House::with(
        r#"{"type": "PrefixSelectorRoute", "policies": {
            "plain": {"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B"],
                      "failover_errors": {"updates": []}},
            "gutter": {"type": "FailoverWithExptimeRoute", "normal": "PoolRoute|A", "failover": "PoolRoute|B",
                       "failover_exptime": 30},
            "miss": {"type": "MissFailoverRoute", "children": ["PoolRoute|B", "PoolRoute|C"]}}}"#,
    );
    let mut client = house.client();
    house.node(2).set("miss", "third");
    assert_eq!(client.get("miss").as_deref(), Some(&b"third"[..]));
    house.node(1).set("plain", "second");
    house.nodes[0].kill();
    assert_eq!(client.get("plain").as_deref(), Some(&b"second"[..]));
    assert!(
        client.ask("set plain 0 0 1\r\nx").starts_with("SERVER_ERROR"),
        "updates do not fail over"
    );
    assert_eq!(client.ask("set gutter 0 0 1\r\nx"), "STORED");
    let told = house.node(1).ask("mg gutter t");
    let ttl: i64 = told.trim_start_matches("HD t").parse().expect("a TTL");
    assert!((25..=30).contains(&ttl), "{told}");
}

#[test]
fn a_cold_pool_is_filled_with_flags_and_ttl() {
    let house = House::with(
        r#"{"type": "PrefixSelectorRoute", "policies": {
            "w": {"type": "WarmUpRoute", "cold": "PoolRoute|A", "warm": "PoolRoute|B"},
            "s": {"type": "StagingRoute", "warm": "PoolRoute|B", "staging": "PoolRoute|A"},
            "l": {"type": "L1L2CacheRoute", "l1": "PoolRoute|A", "l2": "PoolRoute|B", "upgradingL1Exptime": 50}}}"#,
    );
    let (mut client, mut filled, mut source) = (house.client(), house.node(0), house.node(1));
    for (key, least, most) in [("w1", 95, 100), ("s1", 95, 100), ("l1", 45, 50)] {
        source.exchange(format!("set {key} 77 100 5\r\nvalue\r\n"), "STORED\r\n");
        client.exchange(
            format!("get {key}\r\n"),
            format!("VALUE {key} 77 5\r\nvalue\r\nEND\r\n"),
        );
        eventually_holds(&mut filled, key, Some(b"value"));
        let told = filled.ask(&format!("mg {key} f t"));
        let ttl: i64 = told
            .trim_start_matches("HD f77 t")
            .parse()
            .expect("flags and a TTL");
        assert!((least..=most).contains(&ttl), "{key}: {told}");
    }
    // A cas unique is the cold pool's own.
    source.set("w2", "old");
    client.send("gets w2\r\n");
    let head = client.read_line();
    let unique = head.rsplit(' ').next().expect("a cas unique").to_owned();
    client.expect("old\r\nEND\r\n");
    client.exchange(format!("cas w2 0 0 3 {unique}\r\nnew\r\n"), "STORED\r\n");
    assert_eq!(filled.get("w2").as_deref(), Some(&b"new"[..]));
}

#[test]
fn large_values_are_chunks_and_leave_none_behind() {
    let house =
        House::with(r#"{"type": "BigValueRoute", "target": "PoolRoute|ABC", "split_threshold": 1000}"#);
    let mut client = house.client();
    let items = || {
        (0..3)
            .map(|index| house.node(index).stat("curr_items"))
            .sum::<u64>()
    };
    let value: Vec<u8> = (0..10_500_u32)
        .map(|byte| b'a' + u8::try_from(byte % 26).expect("a letter"))
        .collect();
    client.set("big", &value);
    assert_eq!(client.get("big").as_deref(), Some(&value[..]));
    assert_eq!(items(), 12, "eleven chunks and their index");
    let settle = |client: &mut Client, left: u64| {
        eventually(Duration::from_secs(5), "chunks are deleted", || match items() {
            now if now == left => Ok(()),
            now => Err(format!("{now} items")),
        });
        client.expect_nothing_more();
    };
    client.set("big", "small");
    settle(&mut client, 1);
    client.set("big", &value);
    assert_eq!(client.ask("delete big"), "DELETED");
    settle(&mut client, 0);
}

#[test]
fn keys_are_renamed_split_and_limited() {
    let house = House::with(
        r#"{"type": "PrefixSelectorRoute", "policies": {
            "m": {"type": "ModifyKeyRoute", "target": "PoolRoute|A", "ensure_key_prefix": "app:"},
            "x": {"type": "ModifyExptimeRoute", "target": "PoolRoute|A", "exptime": 40, "action": "min"},
            "k": {"type": "KeySplitRoute", "destination": "PoolRoute|ABC", "replicas": 3, "all_sync": true},
            "r": {"type": "RateLimitRoute", "target": "PoolRoute|A", "rates": {"gets_rate": 0.01, "gets_burst": 3}},
            "o": {"type": "OutstandingLimitRoute", "target": "PoolRoute|A", "max_outstanding": 2},
            "p": {"type": "RandomPlacementRoute", "pool": "ABC"}}}"#,
    );
    let mut client = house.client();
    client.set("m1", "v");
    client.exchange("get m1\r\n", "VALUE m1 0 1\r\nv\r\nEND\r\n");
    assert!(house.node(0).get("app:m1").is_some());
    client.set("x1", "v");
    assert!(house.node(0).ask("mg x1 t").starts_with("HD t"), "it expires");
    client.set("k1", "v");
    assert_eq!(client.ask("delete k1"), "DELETED");
    for index in 0..3 {
        for copy in ["k1", "k1::1", "k1::2"] {
            assert!(house.node(index).get(copy).is_none(), "{copy} is left on {index}");
        }
    }
    client.set("r1", "v");
    let hits = (0..10).filter(|_| client.get("r1").is_some()).count();
    assert_eq!(hits, 3, "a burst of three, and then a get in a hundred seconds");
    let pipelined: String = (0..100).map(|key| format!("set o{key} 0 0 1\r\nv\r\n")).collect();
    client.exchange(pipelined, "STORED\r\n".repeat(100));
    for key in 0..30 {
        client.set(&format!("p{key}"), format!("{key}"));
        client.set(&format!("p{key}"), format!("{key} again"));
    }
    for key in 0..30 {
        assert_eq!(
            client.get(&format!("p{key}")),
            Some(format!("{key} again").into_bytes())
        );
        let copies = (0..3)
            .filter(|index| house.node(*index).get(&format!("p{key}")).is_some())
            .count();
        assert_eq!(copies, 1, "p{key} is on one server");
    }
}

#[test]
fn shadows_and_rehearsals_do_not_change_answers() {
    let house = House::with(
        r#"{"type": "PrefixSelectorRoute", "policies": {
            "s": {"type": "ShadowRoute", "target": "PoolRoute|A", "shadows": [{"target": "PoolRoute|B"}]},
            "l": {"type": "LatencyInjectionRoute", "child": {"type": "LoggingRoute", "target": "PoolRoute|A"},
                  "before_latency_ms": 20},
            "b": {"type": "BlackholeRoute", "default": "PoolRoute|A", "policies": {"key": [{"op": "equals", "value": "b1"}]}},
            "h": {"type": "HashStopAllowListRoute", "target": "PoolRoute|A", "prefixes": ["hok"]},
            "c": {"type": "OriginalClientHashRoute", "children": ["PoolRoute|A", "PoolRoute|A"]},
            "g": {"type": "RoutingGroupRoute", "default_policy": "PoolRoute|A", "routing_group_policies": {"delete": "DevNullRoute"}},
            "t": {"type": "MigrateRoute", "from": "PoolRoute|A", "to": "PoolRoute|B", "start_time": 1, "interval": 1},
            "q": {"type": "KeyParseRoute", "target": "PoolRoute|ABC", "num_routing_parts": 1, "delimiter": ":"}}}"#,
    );
    let mut client = house.client();
    client.set("s1", "v");
    eventually_holds(&mut house.node(1), "s1", Some(b"v"));
    client.set("l1", "v");
    assert_eq!(client.get("l1").as_deref(), Some(&b"v"[..]));
    assert_eq!(client.ask("set b1 0 0 1\r\nv"), "NOT_STORED");
    client.set("b2", "v");
    client.set("hok|#|1", "v");
    assert_eq!(
        client.ask("set h|#|1 0 0 1\r\nv"),
        "SERVER_ERROR Hash stop not permitted"
    );
    client.set("c1", "v");
    client.set("g1", "v");
    assert_eq!(client.ask("delete g1"), "NOT_FOUND");
    assert_eq!(client.get("g1").as_deref(), Some(&b"v"[..]));
    client.set("t1", "v");
    assert!(house.node(1).get("t1").is_some(), "it has moved long ago");
    for part in 0..20 {
        client.set(&format!("q:{part}"), "v");
    }
    let homes = (0..3)
        .filter(|index| house.node(*index).get("q:0").is_some())
        .collect::<Vec<_>>();
    assert!(
        (0..20).all(|part| house.node(homes[0]).get(&format!("q:{part}")).is_some()),
        "one part, one server"
    );
}

/// A hot key: 6 % of the gets, the rest over a thousand others.
fn hot_load(house: &House, gets: usize) -> (u64, u64) {
    let before: u64 = house.node(0).stat("get_hits");
    let mut client = house.client();
    for batch in 0..gets / 100 {
        let mut request = String::new();
        for get in 0..100 {
            let key = if get < 6 {
                "hot".to_owned()
            } else {
                format!("key{}", (batch * 94 + get) % 1000)
            };
            request.push_str(&format!("get {key}\r\n"));
        }
        client.send(request);
        for _ in 0..100 {
            while client.read_line() != "END" {}
        }
    }
    let hot = client.stat("get_hits");
    (house.node(0).stat("get_hits") - before, hot)
}

#[test]
fn a_hot_key_costs_its_server_a_tenth_and_is_told() {
    const GETS: usize = 40_000;
    let near = r#"{"type": "NearCacheRoute", "target": {"type": "CoalesceRoute", "target": "PoolRoute|A"}}"#;
    let house = House::with(near);
    house.node(0).set("hot", "v");
    let mut client = house.client();
    hot_load(&house, GETS / 2);
    let (asked, _) = hot_load(&house, GETS);
    let would_be = u64::try_from(GETS).expect("small") * 6 / 100;
    assert!(
        asked * 10 <= would_be,
        "its server was asked {asked} times instead of {would_be}"
    );
    let told = client.stats("hotkeys");
    assert!(told.keys().next().is_some_and(|key| key == "hot"), "{told:?}");
    // Nobody who writes reads anything older.
    for round in 0..200 {
        client.set("hot", format!("{round}"));
        assert_eq!(client.get("hot"), Some(format!("{round}").into_bytes()));
        let pipelined = "set hot 0 0 1\r\nx\r\nget hot\r\ndelete hot\r\nget hot\r\n";
        client.exchange(
            pipelined,
            "STORED\r\nVALUE hot 0 1\r\nx\r\nEND\r\nDELETED\r\nEND\r\n",
        );
    }
}

#[test]
fn a_near_cache_holds_no_more_than_its_bytes() {
    const KEYS: usize = 2_000;
    let value = "x".repeat(60_000);
    let near = r#"{"type": "NearCacheRoute", "target": "PoolRoute|A", "admit": "all", "ttl_ms": 600000, "max_bytes": 2000000}"#;
    let house = House::with(near);
    let mut client = house.client();
    // What a cache without bounds would keep is 120 MB.
    let before = client.stat("ps_rss");
    for key in 0..KEYS {
        client.set(&format!("k{key}"), &value);
        assert!(client.get(&format!("k{key}")).is_some());
    }
    let grown = client.stat("ps_rss").saturating_sub(before);
    assert!(grown < 60 << 20, "{grown} bytes more");
    let metrics = scrape::metrics(house.router.admin());
    let bytes = scrape::sum(&metrics, "router_near_cache_bytes", &[]);
    assert!(
        (60_000.0..=2_000_000.0).contains(&bytes),
        "{bytes} bytes are kept"
    );
    assert_eq!(
        scrape::sum(&metrics, "router_near_cache_limit_bytes", &[]),
        2_000_000.0
    );
    // The last are there, and not many of them: at most 33 fit.
    let asked = house.node(0).stat("cmd_get");
    for key in (KEYS - 500..KEYS).rev() {
        client.get(&format!("k{key}"));
    }
    let kept = 500 - (house.node(0).stat("cmd_get") - asked);
    assert!((1..150).contains(&kept), "{kept} were answered by the router");
}

#[test]
fn a_hot_shard_has_copies_and_a_delete_reaches_all() {
    let house = House::with(r#"{"type": "PoolRoute", "pool": "A", "shard_splits": {"1": 3}}"#);
    let mut client = house.client();
    let mut node = house.node(0);
    let copies = ["p:1:k", "p:1aa:k", "p:1ba:k"];
    client.set("p:1:k", "v");
    assert_eq!(client.get("p:1:k"), Some(b"v".to_vec()));
    let stored = copies.iter().filter(|copy| node.get(copy).is_some()).count();
    assert_eq!(stored, 1, "this router has one of the copies");
    for copy in copies {
        node.set(copy, "of another router");
    }
    client.send("delete p:1:k\r\n");
    client.expect("DELETED\r\n");
    for copy in copies {
        assert_eq!(node.get(copy), None, "{copy}");
    }
}

#[test]
fn who_wins_a_lease_while_the_first_server_is_down_stores_where_it_was_won() {
    let mut house = House::with(
        r#"{"type": "FailoverRoute", "name": "f", "enable_lease_pairing": true, "children": ["PoolRoute|A", "PoolRoute|B"]}"#,
    );
    house.nodes[0].kill();
    let mut client = house.client();
    client.send("mg k v c N30\r\n");
    let won = client.read_line();
    let token = won.split(' ').find_map(|word| word.strip_prefix('c'));
    let token = token.unwrap_or_else(|| panic!("no lease: {won}")).to_owned();
    assert!(won.starts_with("VA 0 ") && won.ends_with(" W"), "{won}");
    client.expect("\r\n");
    client.send(format!("ms k 1 C{token}\r\nv\r\n"));
    client.expect("HD\r\n");
    assert_eq!(house.node(1).get("k"), Some(b"v".to_vec()));
    assert_eq!(client.stat("redirected_lease_set_count"), 1);
}
