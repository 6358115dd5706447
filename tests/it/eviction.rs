//! Memory stays under its limit, and what is lost for space is what is worth least.

use tests::{client::Client, cluster::Cluster, process::Program};

/// Memory limit of these nodes, and what the process may use beyond it.
const LIMIT_MIB: u64 = 16;
const BEYOND_MIB: u64 = 24;
const MIB: u64 = 1 << 20;

fn node(args: &[&str]) -> Cluster {
    let limit = LIMIT_MIB.to_string();
    let args: Vec<&str> = ["-m", &limit, "-t", "1"]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    Cluster::single(Program::CacheNode, &args)
}

/// Stores keys `from..to` with values of `len` bytes, a thousand to a write.
#[track_caller]
fn fill(client: &mut Client, from: usize, to: usize, len: usize) {
    let value = "v".repeat(len);
    for start in (from..to).step_by(1000) {
        let keys = start..to.min(start + 1000);
        let batch: String = keys
            .map(|key| format!("set key{key} 0 0 {len} noreply\r\n{value}\r\n"))
            .collect();
        client.exchange(batch + "mn\r\n", "MN\r\n");
    }
}

#[test]
fn a_full_node_stays_under_its_limit_plus_a_constant() {
    let cluster = node(&[]);
    let mut client = cluster.client();
    for (round, len) in [100, 1000, 20, 5000].into_iter().enumerate() {
        let base = round * 1_000_000;
        fill(
            &mut client,
            base,
            base + 80 * usize::try_from(MIB).expect("fits") / (len + 40),
            len,
        );
        let rss = cluster.servers[0].rss();
        assert!(
            rss <= (LIMIT_MIB + BEYOND_MIB) * MIB,
            "RSS {} KiB after values of {len} bytes",
            rss / 1024
        );
        assert!(client.stat("evictions") > 0);
        assert!(client.stat("bytes") <= LIMIT_MIB * MIB);
    }
    assert_eq!(client.stat("limit_maxbytes"), LIMIT_MIB * MIB);
}

#[test]
fn what_is_read_again_and_again_outlives_what_is_never_read() {
    let cluster = node(&[]);
    let mut client = cluster.client();
    let hot: Vec<String> = (0..100).map(|index| format!("hot{index}")).collect();
    for key in &hot {
        client.set(key, "h".repeat(100));
    }
    for round in 0..40 {
        for key in &hot {
            client.get(key);
        }
        fill(&mut client, round * 5000, (round + 1) * 5000, 200);
    }
    assert!(
        client.stat("evictions") > 0,
        "nothing was evicted, so nothing is shown"
    );
    let kept = hot.iter().filter(|key| client.get(key).is_some()).count();
    assert!(kept >= 95, "{kept} of 100 hot keys outlived 200,000 cold ones");
}

#[test]
fn a_node_that_may_not_evict_says_that_memory_is_out() {
    let cluster = node(&["-M"]);
    let mut client = cluster.client();
    client.set("first", "1");
    let value = vec![b'v'; 10_000];
    let refused = (0..10_000).find_map(|index| match client.try_set(&format!("k{index}"), 0, &value) {
        Ok(reply) if reply == "STORED" => None,
        other => Some(other.expect("an answer")),
    });
    assert_eq!(
        refused.as_deref(),
        Some("SERVER_ERROR out of memory storing object")
    );
    assert_eq!(client.get("first"), Some(b"1".to_vec()));
    assert_eq!(client.stat("evictions"), 0);
    // What is deleted makes room again.
    for index in 0..500 {
        client.ask(&format!("delete k{index}"));
    }
    client.set("again", "2");
}

#[test]
fn values_of_every_size_come_back_whole() {
    let cluster = Cluster::single(Program::CacheNode, &["-m", "64", "-I", "8m"]);
    let mut client = cluster.client();
    for power in 0..=22 {
        for len in [(1_usize << power) - 1, 1 << power, (1 << power) + 1] {
            let value: Vec<u8> = (0_u8..=250).cycle().take(len).collect();
            client.set("k", &value);
            assert!(
                client.get("k").as_deref() == Some(value.as_slice()),
                "a value of {len} bytes"
            );
        }
    }
}
