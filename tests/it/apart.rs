//! What mcrouter's larger users rely on, before real servers: keys in buckets, failure domains, and variables that are
//! changed apart from the configuration.

use std::{collections::BTreeMap, fs, net::SocketAddr, time::Duration};

use tempfile::TempDir;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
};

/// A router with a configuration of its own over three nodes, and a file of variables beside it.
struct House {
    router: Process,
    nodes: Vec<Process>,
    folder: TempDir,
}

impl House {
    #[track_caller]
    fn with(config: impl FnOnce([SocketAddr; 3]) -> String, vars: &str) -> Self {
        let nodes: Vec<Process> = (0..3)
            .map(|_| Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]))
            .collect();
        let folder = TempDir::new().expect("a scratch folder");
        let vars_file = folder.path().join("vars.json");
        fs::write(&vars_file, vars).expect("the variables are written");
        let vars_file = vars_file.to_str().expect("a plain path");
        let config = config([0, 1, 2].map(|index: usize| nodes[index].addr()));
        let args = [
            "-t",
            "1",
            "--runtime-vars-file",
            vars_file,
            "--config-poll",
            "50ms",
        ];
        Self {
            router: Process::start_router(folder.path(), &config, &args),
            nodes,
            folder,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.router.addr())
    }

    /// The nodes that hold a key.
    fn holders(&self, key: &str) -> Vec<usize> {
        let holds = |index: &usize| Client::connect(self.nodes[*index].addr()).get(key).is_some();
        (0..self.nodes.len()).filter(holds).collect()
    }

    /// Changes the variables as an editor does: all at once.
    fn set_vars(&self, vars: &str) {
        let (new, path) = (
            self.folder.path().join("new"),
            self.folder.path().join("vars.json"),
        );
        fs::write(&new, vars).expect("the variables are written");
        fs::rename(&new, &path).expect("they take their place");
    }
}

#[test]
fn a_bucket_of_keys_lies_on_one_server() {
    let house = House::with(
        |[a, b, c]| {
            format!(
                r#"{{"pools": {{"P": {{"servers": ["{a}", "{b}", "{c}"]}}}},
                    "route": {{"type": "PoolRoute", "pool": "P", "bucketize": true, "total_buckets": 9,
                               "bucketization_keyspace": "shop",
                               "hash": {{"hash_func": "WeightedCh3", "weights": [1, 1, 1]}}}}}}"#
            )
        },
        "{}",
    );
    let mut client = house.client();
    let mut buckets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for number in 0..120 {
        let key = format!("key:{number}");
        client.set(&key, "v");
        let told = client
            .get(&format!("__mcrouter__.get_bucket({key})"))
            .expect("an answer");
        let told = String::from_utf8(told).expect("text");
        let fields: Vec<&str> = told.split('\t').collect();
        assert_eq!((fields[0], fields[2]), (key.as_str(), "shop"), "{told:?}");
        buckets
            .entry(fields[1].to_owned())
            .or_default()
            .extend(house.holders(&key));
    }
    let mut used = Vec::new();
    for (bucket, holders) in &mut buckets {
        holders.dedup();
        assert_eq!(holders.len(), 1, "bucket {bucket} lies on {holders:?}");
        used.push(holders[0]);
    }
    used.sort_unstable();
    used.dedup();
    assert!(buckets.len() > 6 && used.len() > 1, "{buckets:?}");
}

#[test]
fn a_failed_server_is_not_stood_in_for_by_one_of_its_failure_domain() {
    let mut house = House::with(
        |[a, b, c]| {
            let failover = |domains: bool| {
                format!(
                    r#"{{"type": "FailoverRoute", "children": ["PoolRoute|A", "PoolRoute|B", "PoolRoute|C"],
                        "failover_policy": {{"type": "DeterministicOrderPolicy", "max_tries": 2, "max_error_tries": 2,
                                             "ignore_normal_reply_index": true, "enable_failure_domains": {domains}}}}}"#
                )
            };
            format!(
                r#"{{"pools": {{"A": {{"servers": ["{a}"], "failure_domains": ["cellar"]}},
                               "B": {{"servers": ["{b}"], "failure_domains": ["cellar"]}},
                               "C": {{"servers": ["{c}"], "failure_domains": ["attic"]}}}},
                    "route": {{"type": "PrefixSelectorRoute",
                               "policies": {{"apart:": {}, "any:": {}}}}}}}"#,
                failover(true),
                failover(false)
            )
        },
        "{}",
    );
    let keys = |prefix: &'static str| (0..40).map(move |number| format!("{prefix}{number}"));
    for (index, node) in [(1, "B"), (2, "C")] {
        let mut node_client = Client::connect(house.nodes[index].addr());
        keys("apart:")
            .chain(keys("any:"))
            .for_each(|key| node_client.set(&key, node));
    }
    house.nodes[0].kill();
    let mut client = house.client();
    let mut from_b = |prefix| {
        let answers: Vec<_> = keys(prefix).map(|key| client.get(&key)).collect();
        answers
            .iter()
            .filter(|answer| answer.as_deref() == Some(b"B"))
            .count()
    };
    assert_eq!(from_b("apart:"), 0, "the cellar is flooded");
    let any = from_b("any:");
    assert!(
        (10..=30).contains(&any),
        "without domains half of the keys, not {any} of 40"
    );
    assert_eq!(client.get("apart:0").as_deref(), Some(&b"C"[..]));
}

#[test]
fn variables_move_keys_while_the_configuration_stays() {
    let house = House::with(
        |[a, b, c]| {
            format!(
                r#"{{"pools": {{"P": {{"servers": ["{a}", "{b}", "{c}"]}}}},
                    "route": {{"type": "PoolRoute", "pool": "P",
                               "hash": {{"hash_func": "WeightedCh3Rv", "weights_rv": "shop"}}}}}}"#
            )
        },
        r#"{"hash_route_weights": {"shop": [1, 0, 0]}}"#,
    );
    let mut client = house.client();
    let mut places = |round: &str| {
        let keys: Vec<String> = (0..10).map(|number| format!("{round}{number}")).collect();
        keys.iter().for_each(|key| client.set(key, "v"));
        let mut places: Vec<usize> = keys.iter().flat_map(|key| house.holders(key)).collect();
        places.dedup();
        places
    };
    assert_eq!(places("first:"), [0]);
    house.set_vars(r#"{"hash_route_weights": {"shop": [0, 1, 0]}}"#);
    let mut round = 0;
    eventually(
        Duration::from_secs(10),
        "all keys go to the second server",
        || {
            round += 1;
            match places(&format!("second:{round}:"))[..] {
                [1] => Ok(()),
                ref places => Err(format!("{places:?}")),
            }
        },
    );
    // What cannot be taken changes nothing.
    house.set_vars(r#"{"hash_route_weights": {"shop": 7}}"#);
    eventually(
        Duration::from_secs(10),
        "the router says what is wrong",
        || match house.client().get("__mcrouter__.config_last_error") {
            Some(told) if told.ends_with(b"hash_route_weights.shop: expected a list of weights") => Ok(()),
            told => Err(format!("{:?}", told.map(String::from_utf8))),
        },
    );
    assert_eq!(places("third:"), [1]);
}
