//! In a replicated pool every server holds every key, and one that is gone is not missed by readers.

use std::time::Duration;

use tests::{
    client::Client,
    cluster::{Cluster, Layout},
    eventually,
    process::Program,
};

fn pool(count: usize) -> Cluster {
    Cluster::routed(
        Layout::Replicated,
        Program::CacheNode,
        count,
        &["--server-timeout", "500ms"],
    )
}

fn servers(cluster: &Cluster) -> Vec<Client> {
    (0..cluster.servers.len())
        .map(|index| cluster.server_client(index))
        .collect()
}

#[test]
fn a_write_reaches_every_replica() {
    let cluster = pool(3);
    let mut client = cluster.client();
    let mut servers = servers(&cluster);
    for index in 0..100 {
        let key = format!("key-{index}");
        client.set(&key, format!("value {index}"));
        for server in &mut servers {
            assert_eq!(server.get(&key), Some(format!("value {index}").into_bytes()));
        }
    }
    client.exchange(
        "set n 0 0 1\r\n5\r\nincr n 2\r\nappend n 0 0 1\r\n!\r\ntouch n 0\r\n",
        "STORED\r\n7\r\nSTORED\r\nTOUCHED\r\n",
    );
    client.exchange("ms m 3 F4\r\nabc\r\n", "HD\r\n");
    for server in &mut servers {
        server.exchange(
            "get n m\r\n",
            "VALUE n 0 2\r\n7!\r\nVALUE m 4 3\r\nabc\r\nEND\r\n",
        );
    }
}

#[test]
fn a_delete_reaches_every_replica() {
    let cluster = pool(3);
    let mut client = cluster.client();
    let mut servers = servers(&cluster);
    for request in ["delete k\r\n", "md k\r\n", "delete k noreply\r\nmn\r\n"] {
        client.set("k", "v");
        client.send(request);
        client.read_line();
        for server in &mut servers {
            eventually(Duration::from_secs(5), "the delete arrives", || {
                match server.get("k") {
                    None => Ok(()),
                    Some(_) => Err("still there".into()),
                }
            });
        }
    }
}

#[test]
fn replicas_agree_on_the_ttl() {
    let cluster = pool(2);
    let mut client = cluster.client();
    let mut servers = servers(&cluster);
    for index in 0..50 {
        let key = format!("key-{index}");
        assert_eq!(client.try_set(&key, 1000, b"v").expect("an answer"), "STORED");
        for server in &mut servers {
            let reply = server.ask(&format!("mg {key} t"));
            let seconds: i64 = reply
                .strip_prefix("HD t")
                .and_then(|t| t.parse().ok())
                .expect("a TTL");
            assert!((895..=1100).contains(&seconds), "{reply}");
        }
    }
}

#[test]
fn reads_go_on_when_a_replica_is_gone() {
    let mut cluster = pool(3);
    let mut client = cluster.client();
    for index in 0..200 {
        client.set(&format!("key-{index}"), format!("value {index}"));
    }
    cluster.servers[1].kill();
    for index in 0..200 {
        let key = format!("key-{index}");
        assert_eq!(
            client.get(&key),
            Some(format!("value {index}").into_bytes()),
            "{key} with one of three gone"
        );
    }
    cluster.servers[0].kill();
    for index in 0..200 {
        let key = format!("key-{index}");
        assert_eq!(
            client.get(&key),
            Some(format!("value {index}").into_bytes()),
            "{key} with two of three gone"
        );
    }
    client.expect_nothing_more();
}

#[test]
fn a_write_that_misses_a_replica_does_not_hang() {
    let mut cluster = pool(2);
    let mut client = cluster.client();
    client.set("k", "1");
    cluster.servers[1].kill();
    for _ in 0..20 {
        let reply = client.try_set("k", 0, b"2").expect("an answer");
        assert!(reply == "STORED" || reply.starts_with("SERVER_ERROR"), "{reply}");
        let reply = client.ask("delete k");
        assert!(
            reply == "DELETED" || reply == "NOT_FOUND" || reply.starts_with("SERVER_ERROR"),
            "{reply}"
        );
    }
    client.expect_nothing_more();
}

#[test]
fn a_cas_of_what_was_got_is_accepted_by_the_pool() {
    let cluster = pool(2);
    let mut client = cluster.client();
    // Replicas count cas uniques each for itself: make them differ.
    cluster.server_client(1).set("other", "x");
    cluster.server_client(1).set("other", "y");
    for round in 0..20 {
        client.set("k", format!("{round}"));
        client.send("gets k\r\n");
        let header = client.read_line();
        let unique = header.rsplit(' ').next().expect("a unique").to_owned();
        assert_eq!(client.read_line(), format!("{round}"));
        client.expect("END\r\n");
        client.exchange(format!("cas k 0 0 3 {unique}\r\nnew\r\n"), "STORED\r\n");
        client.exchange(format!("cas k 0 0 4 {unique}\r\nlate\r\n"), "EXISTS\r\n");
        assert_eq!(client.get("k"), Some(b"new".to_vec()));
        for mut server in servers(&cluster) {
            assert!(
                server.get("k").is_none_or(|value| value == b"new"),
                "a replica kept the old value"
            );
        }
    }
}
