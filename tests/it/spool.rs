//! What a replica missed it is told before it is read again, whatever becomes of the router meanwhile.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tests::{
    client::Client,
    clock::now,
    cluster::{Cluster, Layout},
    eventually,
    fault::Fault,
    process::{Process, Program},
    replicas::{PAID_WITHIN, Replicas},
    scrape,
};

use crate::skipped;

/// Only one router: no need to wait for others.
const ALONE: &[&str] = &["--read-lease", "0ms"];

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("key-{index}")).collect()
}

/// Deletes all `keys`, pipelined; each has to be acknowledged.
#[track_caller]
fn delete_all(client: &mut Client, keys: &[String]) {
    for keys in keys.chunks(500) {
        let request: String = keys.iter().map(|key| format!("delete {key}\r\n")).collect();
        client.send(request);
        for key in keys {
            let reply = client.read_line();
            assert!(
                matches!(reply.as_str(), "DELETED" | "NOT_FOUND"),
                "{key}: {reply}"
            );
        }
    }
}

#[track_caller]
fn set_all(client: &mut Client, keys: &[String]) {
    for keys in keys.chunks(500) {
        let request: String = keys
            .iter()
            .map(|key| format!("set {key} 0 0 3\r\nold\r\n"))
            .collect();
        client.send(request);
        for key in keys {
            assert_eq!(client.read_line(), "STORED", "{key}");
        }
    }
}

#[track_caller]
fn held(client: &mut Client, keys: &[String]) -> usize {
    keys.iter().filter(|key| client.get(key).is_some()).count()
}

fn debt_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(debt_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "debt") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn a_frozen_replica_is_paid_before_it_is_read() {
    let replicas = Replicas::start(3, 1, ALONE);
    let mut client = replicas.client(0);
    let keys = keys(200);
    set_all(&mut client, &keys);
    replicas.freeze(1);
    let (deleted, overwritten) = keys.split_at(100);
    delete_all(&mut client, deleted);
    for key in overwritten {
        client.set(key, "new");
    }
    assert_eq!(replicas.metric(0, "router_debt_keys", 1), 200.0);
    let right = |client: &mut Client| {
        for key in deleted {
            assert_eq!(client.get(key), None, "{key} was deleted");
        }
        for key in overwritten {
            let value = client.get(key);
            assert!(
                value.is_none() || value.as_deref() == Some(b"new"),
                "{key}: {value:?}"
            );
        }
    };
    right(&mut client);
    replicas.thaw(1);
    let back = now();
    while replicas.metric(0, "router_debt_keys", 1) > 0.0 {
        right(&mut client);
        assert!(back.elapsed() < PAID_WITHIN, "it is not paid");
    }
    replicas.await_paid(0, 1);
    right(&mut client);
    assert_eq!(
        held(&mut replicas.direct(1), &keys),
        0,
        "the replica kept something old"
    );
    assert_eq!(replicas.metric(0, "router_debt_paid_total", 1), 200.0);
    assert!(debt_files(replicas.spool(0)).is_empty(), "paid debts are removed");
}

#[test]
fn acknowledged_deletes_outlive_a_router_that_is_killed() {
    let mut replicas = Replicas::start(2, 1, ALONE);
    let keys = keys(500);
    set_all(&mut replicas.client(0), &keys);
    replicas.freeze(1);
    delete_all(&mut replicas.client(0), &keys);
    replicas.kill_router(0);
    replicas.thaw(1);
    // A few deletes were on their way to it before it was found out.
    assert!(held(&mut replicas.direct(1), &keys) > 300, "nobody has told it");
    replicas.start_router(0);
    let mut client = replicas.client(0);
    // From the first request on: the replica is not read before it is paid.
    assert_eq!(held(&mut client, &keys), 0);
    replicas.await_paid(0, 1);
    assert_eq!(held(&mut client, &keys), 0);
    assert_eq!(held(&mut replicas.direct(1), &keys), 0);
}

#[test]
fn a_torn_end_of_the_spool_costs_only_what_was_never_acknowledged() {
    let mut replicas = Replicas::start(2, 1, ALONE);
    let keys = keys(100);
    set_all(&mut replicas.client(0), &keys);
    replicas.freeze(1);
    delete_all(&mut replicas.client(0), &keys);
    replicas.kill_router(0);
    let newest = debt_files(replicas.spool(0)).pop().expect("a file of debts");
    OpenOptions::new()
        .append(true)
        .open(&newest)
        .and_then(|mut file| file.write_all(b"\x01\x02torn"))
        .expect("the file can be written");
    replicas.thaw(1);
    replicas.start_router(0);
    replicas.await_paid(0, 1);
    assert_eq!(held(&mut replicas.direct(1), &keys), 0);
}

#[test]
fn a_damaged_spool_costs_the_replica_everything_and_nobody_a_stale_value() {
    let mut replicas = Replicas::start(2, 1, ALONE);
    let keys = keys(50);
    set_all(&mut replicas.client(0), &keys);
    replicas.freeze(1);
    delete_all(&mut replicas.client(0), &keys[..25]);
    replicas.kill_router(0);
    replicas.start_router(0);
    // A second segment, so that the first has no end that could be torn.
    delete_all(&mut replicas.client(0), &keys[25..40]);
    replicas.kill_router(0);
    let oldest = debt_files(replicas.spool(0)).remove(0);
    let mut bytes = fs::read(&oldest).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&oldest, bytes).expect("written");
    replicas.thaw(1);
    replicas.start_router(0);
    replicas.await_paid(0, 1);
    assert_eq!(held(&mut replicas.direct(1), &keys), 0, "all of it had to go");
    assert_eq!(held(&mut replicas.client(0), &keys[..40]), 0);
}

#[test]
fn a_spool_that_cannot_be_written_makes_the_delete_an_error() {
    let folder = TempDir::new().expect("a scratch folder");
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        skipped("a full disk", &format!("cannot mount a small one: {mounted:?}"));
        return;
    }
    let mounted = Mounted(disk.clone());
    let replicas = Replicas::start_with(2, vec![disk.join("spool")], ALONE, folder);
    let mut client = replicas.client(0);
    replicas.freeze(1);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for index in 0..3000 {
        let key = format!("key-{index:0100}");
        match client.ask(&format!("delete {key}")).as_str() {
            "NOT_FOUND" | "DELETED" => {
                assert!(refused == 0 || index > 0, "{key}");
                acknowledged.push(key);
            }
            reply => {
                assert_eq!(
                    reply,
                    "SERVER_ERROR A replica was missed and the invalidation could not be spooled"
                );
                refused += 1;
            }
        }
        if refused > 20 {
            break;
        }
    }
    assert!(
        acknowledged.len() > 100 && refused > 20,
        "{} {refused}",
        acknowledged.len()
    );
    let metrics = scrape::metrics(replicas.router(0).admin());
    assert_eq!(scrape::sum(&metrics, "router_spool_failed", &[]), 1.0);
    assert!(replicas.metric(0, "router_debt_refused_total", 1) > 20.0);
    replicas.thaw(1);
    replicas.await_paid(0, 1);
    assert_eq!(client.ask("delete once-more"), "NOT_FOUND");
    drop(replicas);
    drop(mounted);
}

/// A file system that is let go of at the end.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_replica_back_after_a_long_time_is_paid_at_the_rate_it_was_given() {
    let replicas = Replicas::start(2, 1, &["--read-lease", "0ms", "--replay-rate", "10000"]);
    let keys = keys(20_000);
    let mut client = replicas.client(0);
    set_all(&mut client, &keys);
    replicas.freeze(1);
    delete_all(&mut client, &keys);
    assert_eq!(replicas.metric(0, "router_debt_keys", 1), 20_000.0);
    // The same again is not owed again.
    delete_all(&mut client, &keys[..5000]);
    assert_eq!(replicas.metric(0, "router_debt_keys", 1), 20_000.0);
    replicas.thaw(1);
    let back = now();
    replicas.await_paid(0, 1);
    assert!(
        back.elapsed() > Duration::from_millis(1900),
        "{:?} is too fast",
        back.elapsed()
    );
    assert_eq!(held(&mut replicas.direct(1), &keys), 0);
}

#[test]
fn a_replica_that_was_replaced_by_an_empty_one_is_read_again() {
    let mut replicas = Replicas::start(2, 1, ALONE);
    let keys = keys(50);
    let mut client = replicas.client(0);
    set_all(&mut client, &keys);
    replicas.kill_node(1);
    for key in &keys {
        client.set(key, "new");
    }
    assert_eq!(replicas.metric(0, "router_debt_keys", 1), 50.0);
    replicas.restart_node(1);
    replicas.await_paid(0, 1);
    for key in &keys {
        client.set(key, "newer");
        assert_eq!(client.get(key), Some(b"newer".to_vec()));
    }
    assert_eq!(held(&mut replicas.direct(1), &keys), 50);
}

#[test]
fn without_a_spool_a_delete_that_misses_a_replica_is_an_error() {
    let cluster = Cluster::routed(
        Layout::Replicated,
        Program::CacheNode,
        2,
        &["--server-timeout", "300ms"],
    );
    let mut client = cluster.client();
    client.set("k", "old");
    cluster.servers[1].freeze();
    let reply = client.ask("delete k");
    assert!(reply.starts_with("SERVER_ERROR"), "{reply}");
    // And yet the replica is told while this router lives.
    client.set("other", "new");
    cluster.servers[1].signal(rustix::process::Signal::CONT);
    let mut direct = cluster.server_client(1);
    eventually(PAID_WITHIN, "the replica is told", || {
        match (direct.get("k"), direct.get("other")) {
            (None, None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn another_router_stops_reading_a_replica_that_this_one_owes_something() {
    let replicas = Replicas::start(3, 2, &["--read-lease", "600ms"]);
    let keys = keys(60);
    let (mut here, mut there) = (replicas.client(0), replicas.client(1));
    set_all(&mut here, &keys);
    for key in &keys {
        assert!(there.get(key).is_some_and(|value| value == b"old"));
    }
    // Only this router's way to n2 is cut: the other one reaches it and sees nothing wrong with it.
    replicas.fault(0, 2, Fault::Cut);
    for key in &keys {
        here.set(key, "new");
        assert_eq!(
            there.get(key),
            Some(b"new".to_vec()),
            "{key}: the other router read a replica that is owed it"
        );
    }
    assert_eq!(replicas.metric(1, "router_replica_marked", 2), 1.0);
    assert_eq!(replicas.metric(1, "router_replica_readable", 2), 0.0);
    // A router that is started now learns of it before it reads.
    let list = (0..3).map(|replica| format!("n{replica}={}", replicas.nodes[replica].addr()));
    let list = list.collect::<Vec<_>>().join(",");
    let spool = replicas.folder().join("third");
    let third = Process::start(
        Program::Router,
        &[
            "--replicated",
            &list,
            "--spool",
            spool.to_str().expect("plain"),
            "--read-lease",
            "600ms",
        ],
    );
    let mut late = Client::connect(third.addr());
    for key in &keys {
        let value = late.get(key);
        assert!(
            value.is_none() || value.as_deref() == Some(b"new"),
            "{key}: {value:?}"
        );
    }
    replicas.fault(0, 2, Fault::None);
    for router in [0, 1] {
        replicas.await_paid(router, 2);
    }
    for key in &keys {
        // A miss where n2 leads: it was told to delete.
        let value = there.get(key);
        assert!(
            value.is_none() || value.as_deref() == Some(b"new"),
            "{key}: {value:?}"
        );
    }
    assert_eq!(held(&mut replicas.direct(2), &keys), 0);
}

#[test]
fn what_a_lost_router_owed_is_forgiven_by_an_operator() {
    let mut replicas = Replicas::start(3, 2, &["--read-lease", "600ms"]);
    replicas.fault(0, 2, Fault::Cut);
    replicas.client(0).set("k", "new");
    replicas.kill_router(0);
    eventually(PAID_WITHIN, "the mark is seen", || {
        match replicas.metric(1, "router_replica_marked", 2) {
            1.0 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    let admin = replicas.router(1).admin();
    let (status, body) = scrape::post(admin, "/spool/forgive", r#"{"server": "n2"}"#);
    assert_eq!(status, 200, "{body}");
    replicas.await_paid(1, 2);
    let (status, body) = scrape::post(admin, "/spool/forgive", r#"{"server": "n9"}"#);
    assert_eq!(status, 400, "{body}");
    let (status, body) = scrape::get(admin, "/spool");
    assert_eq!(status, 200);
    assert!(
        body.contains("\"durable\": true") && body.contains("\"n2\""),
        "{body}"
    );
}

#[test]
fn one_spool_is_not_shared_by_two_routers() {
    let replicas = Replicas::start(1, 1, ALONE);
    let addr = replicas.nodes[0].addr().to_string();
    let spool = replicas.spool(0).display().to_string();
    let error = Process::try_start(
        Program::Router,
        &["-p", "0", "--replicated", &addr, "--spool", &spool],
    )
    .expect_err("the spool is in use");
    assert!(error.contains("another router uses it"), "{error}");
}
