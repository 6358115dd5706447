//! Configurations in which one thing is odd: whatever it is, it is refused with its place, or it works. Nothing panics.

use serde_json::{Value, json};

use super::Config;
use super::check::Defaults;
use crate::route::HANDLES;

/// A handle of every kind with all its settings, over the pools `A`, of two servers, and `E`, of none.
fn handles() -> Vec<Value> {
    let failover = json!({"rate": 0.5, "burst": 10});
    let shadow = json!({"target": "PoolRoute|A", "index_range": [0, 1], "key_fraction_range": [0, 0.5], "requests_fraction": 0.5});
    vec![
        json!({"type": "AllAsyncRoute", "children": ["PoolRoute|A", "NullRoute"]}),
        json!({"type": "AllFastestRoute", "children": "Pool|A"}),
        json!({"type": "AllInitialRoute", "children": ["PoolRoute|A", ["Pool|E"]]}),
        json!({"type": "AllMajorityRoute", "children": "Pool|A"}),
        json!({"type": "AllSyncRoute", "children": {"type": "Pool", "name": "P", "servers": ["h:7"]}}),
        json!({"type": "BigValueRoute", "target": "PoolRoute|A", "split_threshold": 1000, "batch_size": 5}),
        json!({"type": "BlackholeRoute", "default": "PoolRoute|A", "blackhole_child": "NullRoute",
               "policies": {"key": [{"op": "equals", "value": "k"}]}}),
        json!({"type": "CoalesceRoute", "target": "PoolRoute|A"}),
        json!({"type": "DevNullRoute"}),
        json!({"type": "ErrorRoute", "response": "no", "enable_logging": true}),
        json!({"type": "FailoverRoute", "name": "f", "children": "Pool|A", "failover_errors": {"gets": ["tko"], "updates": []},
               "failover_policy": {"type": "DeterministicOrderPolicy", "max_tries": 2, "max_error_tries": 1,
                                   "exclude_errors": ["timeout"], "enable_failure_domains": true},
               "failover_limit": failover, "failover_tag": true, "enable_lease_pairing": true,
               "hash": {"hash_func": "WeightedCh3", "weights": [0.5, 1]}}),
        json!({"type": "FailoverRoute", "children": ["NullRoute", "Pool|A"], "failover_policy": {"type": "RendezvousPolicy", "tags": ["a", "b"]}}),
        json!({"type": "FailoverRoute", "children": "Pool|A", "failover_policy": {"type": "LeastFailuresPolicy", "max_tries": 2}}),
        json!({"type": "FailoverWithExptimeRoute", "normal": "PoolRoute|A", "failover": ["PoolRoute|A"], "failover_exptime": 5}),
        json!({"type": "HashRoute", "children": "Pool|A", "hash_func": "WeightedRendezvous", "salt": "s", "weights": [1, 2], "tags": ["a", "b"]}),
        json!({"type": "HashRoute", "children": "Pool|A", "hash": {"hash_func": "Crc32"}, "error_on_empty": false}),
        json!({"type": "HashStopAllowListRoute", "target": "PoolRoute|A", "prefixes": ["a"]}),
        json!({"type": "HostIdRoute", "children": "Pool|A", "salt": "s"}),
        json!({"type": "KeyParseRoute", "target": "PoolRoute|A", "num_routing_parts": 2, "delimiter": ":"}),
        json!({"type": "KeySplitRoute", "destination": "PoolRoute|A", "replicas": 3, "all_sync": true, "first_hit": true}),
        json!({"type": "L1L2CacheRoute", "l1": "PoolRoute|A", "l2": "PoolRoute|A", "upgradingL1Exptime": 5, "ncacheExptime": 1, "ncacheUpdatePeriod": 2}),
        json!({"type": "L1L2SizeSplitRoute", "l1": "PoolRoute|A", "l2": "PoolRoute|A", "threshold": 50, "ttl_threshold": 5, "both_full_set": true}),
        json!({"type": "LatencyInjectionRoute", "child": "PoolRoute|A", "before_latency_ms": 1, "after_latency_ms": 1}),
        json!({"type": "LatestRoute", "children": "Pool|A", "failover_count": 2, "salt": "s", "thread_local_failover": true}),
        json!({"type": "LoadBalancerRoute", "children": "Pool|A", "algorithm": "two-random-choices", "failover_count": 2, "load_ttl_ms": 5}),
        json!({"type": "LoggingRoute", "target": "PoolRoute|A"}),
        json!({"type": "MigrateRoute", "from": "PoolRoute|A", "to": "NullRoute", "start_time": 5, "interval": 5}),
        json!({"type": "MissFailoverRoute", "children": "Pool|A", "return_best_on_error": true}),
        json!({"type": "ModifyExptimeRoute", "target": "PoolRoute|A", "exptime": 5, "action": "min"}),
        json!({"type": "ModifyKeyRoute", "target": "PoolRoute|A", "set_routing_prefix": "/a/b/", "ensure_key_prefix": "p"}),
        json!({"type": "ModifyKeyRoute", "target": "PoolRoute|A", "replace_key_prefix": "p", "set_key_suffix": "s"}),
        json!({"type": "NearCacheRoute", "target": "PoolRoute|A", "ttl_ms": 5, "max_bytes": 500, "admit": "hot", "hot_share": 0.5}),
        json!({"type": "NullRoute"}),
        json!({"type": "OperationSelectorRoute", "default_policy": "PoolRoute|A", "operation_policies": {"get": "NullRoute"}}),
        json!({"type": "OriginalClientHashRoute", "children": "Pool|A", "offset": 1}),
        json!({"type": "OutstandingLimitRoute", "target": "PoolRoute|A", "max_outstanding": 5}),
        json!({"type": "PoolRoute", "pool": "A", "hash": {"hash_func": "WeightedCh3", "salt": "s", "weights": [1, 0.5]}, "shadows": [shadow],
               "rates": {"gets_rate": 5, "gets_burst": 5}, "max_outstanding": 5, "bucketize": true, "total_buckets": 10,
               "bucketization_keyspace": "k", "total_buckets_by_prefix": {"p": 5},
               "slow_warmup": {"failoverTarget": "NullRoute", "settings": {"start": 0.1, "step": 1.0}},
               "shard_splits": {"1": 3, "2": {"old_split_size": 1, "new_split_size": 2, "split_start": 5, "migration_period": 5, "fanout_deletes": true}}}),
        json!({"type": "PrefixPolicyRoute", "default_policy": "PoolRoute|A"}),
        json!({"type": "PrefixSelectorRoute", "policies": {"a": "PoolRoute|A"}, "wildcard": "NullRoute"}),
        json!({"type": "RandomPlacementRoute", "pool": "A", "least_share": 0.5}),
        json!({"type": "RandomRoute", "children": "Pool|A"}),
        json!({"type": "RateLimitRoute", "target": "PoolRoute|A", "rates": {"sets_rate": 5}, "fallback": "NullRoute"}),
        json!({"type": "ReplicatedPoolRoute", "pool": "A"}),
        json!({"type": "RoutingGroupRoute", "default_policy": "PoolRoute|A", "routing_group_policies": {"get_like": "NullRoute"}}),
        json!({"type": "SaltedFailoverRoute", "pool": "A", "hash": "Ch3", "failover_policy":
               {"type": "DeterministicOrderPolicy", "max_tries": 2, "max_error_tries": 2}}),
        json!({"type": "ShadowRoute", "target": "PoolRoute|A", "shadows": [{"target": "NullRoute", "keys_to_shadow": ["k"]}], "shadow_policy": "default"}),
        json!({"type": "SlowWarmUpRoute", "target": "PoolRoute|A", "failoverTarget": "NullRoute", "settings": {"min_requests": 5}}),
        json!({"type": "StagingRoute", "warm": "PoolRoute|A", "staging": "PoolRoute|A"}),
        json!({"type": "WarmUpRoute", "cold": "PoolRoute|A", "warm": "PoolRoute|A", "exptime": 5, "enable_metaget": true, "deletes": "both"}),
    ]
}

fn config(route: Value) -> Value {
    json!({
        "pools": {
            "A": {"servers": ["h:1", "b=h:2"], "weights": [1, 0.5], "failure_domains": [1, "x"], "hostnames": ["a", "b"],
                  "server_timeout": 100, "connect_timeout": "1s", "region": "r", "cluster": "c", "protocol": "ascii"},
            "E": {"servers": [], "inherit": "A", "weights": [], "failure_domains": [], "hostnames": []}
        },
        "named_handles": [{"type": "NullRoute", "name": "n"}],
        "route": route
    })
}

/// What may stand anywhere by mistake.
fn odd() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(0.3),
        json!(""),
        json!("nonsense"),
        json!("PoolRoute|E"),
        json!("|||"),
        json!("n"),
        json!("x".repeat(300)),
        json!([]),
        json!([[], [null]]),
        json!(["A", "A", "A"]),
        json!([2.0, 1.0]),
        json!({}),
        json!({"type": "NoSuchRoute"}),
        json!({"type": "HashRoute", "children": []}),
    ]
}

/// All places in a value, the deepest last.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inside) in fields {
                places(inside, &format!("{at}/{}", name.replace('/', "~1")), into);
            }
        }
        Value::Array(list) => {
            for (index, inside) in list.iter().enumerate() {
                places(inside, &format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
}

/// Checks; if it is good, some requests are sent through it in mind. The complaint, if there is one.
fn tried(source: &Value) -> Option<String> {
    match Config::check(source.clone(), &Defaults::default(), 1) {
        Ok(config) => {
            for (op, key) in [
                ("get", "p:1:k"),
                ("set", "/a/b/k"),
                ("delete", "p:2:k|#|x"),
                ("incr", "k"),
            ] {
                crate::explain::explain(&config, op, key).expect("known operations");
            }
            None
        }
        Err(error) => {
            assert!(
                !error.path.is_empty() && !error.message.is_empty(),
                "{error:?} of {source}"
            );
            Some(error.to_string())
        }
    }
}

#[test]
fn whatever_is_odd_is_refused_with_its_place_or_works() {
    let (mut refused, mut panicked) = (0, Vec::new());
    let mut try_it = |broken: &Value| match std::panic::catch_unwind(|| tried(broken)) {
        Ok(complaint) => refused += usize::from(complaint.is_some()),
        Err(_) => panicked.push(broken["route"].to_string()),
    };
    for route in handles() {
        let whole = config(route);
        let mut all = Vec::new();
        places(&whole, "", &mut all);
        for place in all.iter().skip(1) {
            for value in odd() {
                let mut broken = whole.clone();
                *broken.pointer_mut(place).expect("a place") = value;
                try_it(&broken);
            }
            // Without it, and with another key beside it.
            let (parent, name) = place.rsplit_once('/').expect("not the top");
            for beside in [false, true] {
                let mut broken = whole.clone();
                match broken.pointer_mut(parent).expect("a place") {
                    Value::Object(fields) if beside => {
                        fields.insert(format!("{name}x"), json!(1));
                    }
                    Value::Object(fields) => {
                        fields.shift_remove(name);
                    }
                    Value::Array(list) if !beside => {
                        list.remove(name.parse().expect("an index"));
                    }
                    _ => continue,
                }
                try_it(&broken);
            }
        }
    }
    assert!(panicked.is_empty(), "{panicked:#?}");
    assert!(refused > 10_000, "{refused}");
}

#[test]
fn every_handle_is_tried_and_good_as_it_stands() {
    let handles = handles();
    for (name, _) in HANDLES {
        assert!(handles.iter().any(|handle| handle["type"] == *name), "{name}");
    }
    for route in handles {
        let complaint = tried(&config(route.clone()));
        assert_eq!(complaint, None, "{route}");
    }
}

#[test]
fn a_key_with_a_letter_too_many_is_told_with_the_right_one() {
    for route in handles() {
        let fields = route.as_object().expect("a handle").clone();
        for key in fields.keys().filter(|key| *key != "type") {
            let mut broken = fields.clone();
            let value = broken.shift_remove(key).expect("it is there");
            broken.insert(format!("{key}x"), value);
            let complaint = tried(&config(Value::Object(broken))).expect("unknown keys are errors");
            let expected = format!("route.{key}x: unknown key \"{key}x\"; did you mean \"");
            assert!(complaint.starts_with(&expected), "{complaint}");
        }
    }
}
