//! What a TTL means on a cache node: jitter, the numbers that are left alone, and that the end comes.

use std::time::Duration;

use tests::{client::Client, cluster::Cluster, eventually, process::Program};

/// Seconds that are long enough to be seen moving and too long to run out in a test.
const TTL: i64 = 1000;

fn node(args: &[&str]) -> Cluster {
    Cluster::single(Program::CacheNode, args)
}

/// What `mg KEY t` says: the seconds left, `-1` for never, `None` for a miss.
#[track_caller]
fn ttl(client: &mut Client, key: &str) -> Option<i64> {
    let reply = client.ask(&format!("mg {key} t"));
    if reply == "EN" {
        return None;
    }
    let seconds = reply
        .strip_prefix("HD t")
        .and_then(|seconds| seconds.parse().ok());
    Some(seconds.unwrap_or_else(|| panic!("{reply:?}")))
}

#[track_caller]
fn store(client: &mut Client, key: &str, exptime: i64) {
    assert_eq!(client.try_set(key, exptime, b"x").expect("an answer"), "STORED");
}

/// TTLs of `count` keys stored with `TTL`.
fn ttls(client: &mut Client, count: usize) -> Vec<i64> {
    let seconds = |index: usize| {
        let key = format!("k{index}");
        store(client, &key, TTL);
        ttl(client, &key).expect("a fresh item")
    };
    (0..count).map(seconds).collect()
}

#[track_caller]
fn assert_spread(ttls: &[i64], low: i64, high: i64) {
    let (min, max) = (ttls.iter().min().copied(), ttls.iter().max().copied());
    // A second may pass between the store and the look.
    assert!(
        min >= Some(low - 2) && max <= Some(high),
        "{min:?}..{max:?} is not within {low}..{high}"
    );
    // With hundreds of draws both outer fifths of the range are met.
    let fifth = (high - low) / 5;
    assert!(
        min < Some(low + fifth) && max > Some(high - fifth),
        "{min:?}..{max:?} does not fill {low}..{high}"
    );
}

#[test]
fn without_jitter_the_ttl_is_the_one_asked_for() {
    let cluster = node(&["--ttl-jitter", "0"]);
    for seconds in ttls(&mut cluster.client(), 100) {
        assert!((TTL - 2..=TTL).contains(&seconds), "{seconds}");
    }
}

#[test]
fn by_default_a_ttl_moves_by_a_tenth_both_ways() {
    let cluster = node(&[]);
    assert_spread(&ttls(&mut cluster.client(), 500), 900, 1100);
}

#[test]
fn early_jitter_only_shortens() {
    let cluster = node(&["--ttl-jitter", "20%", "--ttl-jitter-mode", "early"]);
    assert_spread(&ttls(&mut cluster.client(), 500), 800, 1000);
}

#[test]
fn jitter_is_drawn_by_touch_and_by_meta_commands_too() {
    let cluster = node(&[]);
    let mut client = cluster.client();
    let mut touched = Vec::new();
    let mut meta = Vec::new();
    for index in 0..300 {
        let key = format!("k{index}");
        store(&mut client, &key, 0);
        assert_eq!(client.ask(&format!("touch {key} {TTL}")), "TOUCHED");
        touched.push(ttl(&mut client, &key).expect("a touched item"));
        client.exchange(format!("ms {key} 1 T{TTL}\r\nx\r\n"), "HD\r\n");
        meta.push(ttl(&mut client, &key).expect("a stored item"));
    }
    assert_spread(&touched, 900, 1100);
    assert_spread(&meta, 900, 1100);
}

#[test]
fn never_and_now_are_left_alone_by_jitter() {
    let cluster = node(&["--ttl-jitter", "50%"]);
    let mut client = cluster.client();
    for index in 0..100 {
        let key = format!("k{index}");
        store(&mut client, &key, 0);
        assert_eq!(ttl(&mut client, &key), Some(-1));
        store(&mut client, &key, -1);
        assert_eq!(ttl(&mut client, &key), None);
    }
}

#[test]
fn an_item_is_gone_when_its_time_is_over() {
    let cluster = node(&["--ttl-jitter", "0"]);
    let mut client = cluster.client();
    store(&mut client, "short", 2);
    store(&mut client, "long", 1000);
    assert_eq!(client.get("short"), Some(b"x".to_vec()));
    eventually(
        Duration::from_secs(10),
        "an item of two seconds is gone",
        || match client.get("short") {
            None => Ok(()),
            Some(_) => Err("still there".into()),
        },
    );
    assert_eq!(client.get("long"), Some(b"x".to_vec()));
    client.exchange("add short 0 0 1\r\ny\r\n", "STORED\r\n");
    client.exchange("replace gone 0 0 1\r\ny\r\n", "NOT_STORED\r\n");
}

#[test]
fn a_touch_keeps_an_item_alive() {
    let cluster = node(&["--ttl-jitter", "0"]);
    let mut client = cluster.client();
    store(&mut client, "touched", 2);
    store(&mut client, "left", 2);
    assert_eq!(client.ask("touch touched 1000"), "TOUCHED");
    eventually(
        Duration::from_secs(10),
        "the item that was not touched is gone",
        || match client.get("left") {
            None => Ok(()),
            Some(_) => Err("still there".into()),
        },
    );
    assert_eq!(client.get("touched"), Some(b"x".to_vec()));
}

#[test]
fn a_flush_in_the_future_takes_what_was_stored_before_it() {
    let cluster = node(&[]);
    let mut client = cluster.client();
    store(&mut client, "before", 0);
    assert_eq!(client.ask("flush_all 2"), "OK");
    assert_eq!(client.get("before"), Some(b"x".to_vec()));
    eventually(Duration::from_secs(10), "the flush comes", || {
        match client.get("before") {
            None => Ok(()),
            Some(_) => Err("still there".into()),
        }
    });
    eventually(
        Duration::from_secs(5),
        "what is stored after the flush stays",
        || {
            store(&mut client, "after", 0);
            client.get("after").map(|_| ()).ok_or_else(|| "a miss".into())
        },
    );
}
