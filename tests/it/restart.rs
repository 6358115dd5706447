//! Warm restarts: with `--persist`, a node that stops in order comes back with all it held; in every other case it
//! starts empty and says why. Nothing half-restored is ever served.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use tempfile::TempDir;
use tests::{
    client::Client,
    eventually,
    load::{Load, Plan},
    process::{Process, Program},
    scrape,
};

const EXIT_DEADLINE: Duration = Duration::from_secs(30);
const ITEMS: usize = 2000;

fn start_on(port: u16, folder: &Path, args: &[&str]) -> Process {
    let (port, folder) = (port.to_string(), folder.to_str().expect("a plain path"));
    let mut all = vec![
        "-l",
        "127.0.0.1",
        "-p",
        &port,
        "--admin",
        "127.0.0.1:0",
        "-A",
        "-v",
    ];
    all.extend(["--persist", folder]);
    for default in [["-t", "2"], ["-m", "64"]] {
        if !args.contains(&default[0]) {
            all.extend(default);
        }
    }
    all.extend(args);
    Process::try_start(Program::CacheNode, &all).expect("it starts")
}

fn start(folder: &Path) -> Process {
    start_on(0, folder, &[])
}

fn value_of(index: usize) -> Vec<u8> {
    // One in a hundred is large enough to lie in pieces.
    let len = if index.is_multiple_of(100) {
        200_000
    } else {
        20 + index % 500
    };
    format!("{index}:")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(len)
        .collect()
}

fn fill(process: &Process) {
    let mut client = Client::connect(process.addr());
    for index in 0..ITEMS {
        client.set(&format!("key{index}"), value_of(index));
    }
}

/// How many of the items are there; each must have its value.
#[track_caller]
fn held(process: &Process) -> usize {
    let mut client = Client::connect(process.addr());
    let held = (0..ITEMS).filter(|index| match client.get(&format!("key{index}")) {
        Some(value) => {
            assert!(value == value_of(*index), "key{index} has another value");
            true
        }
        None => false,
    });
    held.count()
}

fn stop(process: &mut Process) {
    process.signal(Signal::TERM);
    let status = process.wait(EXIT_DEADLINE);
    assert_eq!(status.code(), Some(0), "{status:?}: {}", process.stderr());
}

/// What `/metrics` says of the start.
fn restore_metric(process: &Process) -> String {
    let metrics = scrape::metrics(process.admin());
    let told = metrics
        .iter()
        .find(|(name, value)| name.starts_with("cache_node_restore{") && **value > 0.0);
    let (name, _) = told.expect("one outcome is told");
    name.split('"').nth(1).expect("a label").to_owned()
}

/// A start that takes nothing: it says so in the log, on `stats` and on `/metrics`, and serves.
#[track_caller]
fn is_empty(process: &Process, outcome: &str) {
    assert_eq!(held(process), 0);
    let mut client = Client::connect(process.addr());
    assert_eq!(client.stat("curr_items"), 0);
    let told = client.stats("");
    assert_eq!(told.get("hearth_restore").map(String::as_str), Some(outcome));
    assert_eq!(restore_metric(process), outcome);
    let log = process.stderr();
    assert!(log.contains("starting empty"), "{log}");
    client.set("key", "value");
    assert_eq!(client.get("key").as_deref(), Some(&b"value"[..]));
}

/// A folder with a saved store in it.
fn saved() -> TempDir {
    let folder = TempDir::new().expect("a scratch folder");
    let mut process = start(folder.path());
    fill(&process);
    stop(&mut process);
    folder
}

#[test]
fn everything_is_there_after_a_stop_in_order_under_load() {
    let folder = TempDir::new().expect("a scratch folder");
    let mut process = start(folder.path());
    let addr = process.addr();
    fill(&process);
    let load = Load::start(addr, &Plan::default());
    for graceful in [false, true, false] {
        load.run_for(2000);
        if graceful {
            Client::connect(addr).send("shutdown graceful\r\n");
        } else {
            process.signal(Signal::TERM);
        }
        assert_eq!(
            process.wait(EXIT_DEADLINE).code(),
            Some(0),
            "{}",
            process.stderr()
        );
        process = start_on(addr.port(), folder.path(), &[]);
        assert_eq!(held(&process), ITEMS);
        load.run_until_clean(500, Duration::from_secs(60));
    }
    let tally = load.stop();
    tally.assert_sound();
    // What had been acknowledged before a stop was there after the start.
    assert_eq!(tally.stale, 0, "{tally:?}");
    let mut client = Client::connect(addr);
    assert_eq!(client.stats("")["hearth_restore"], "warm");
    assert!(client.stat("hearth_restored_items") >= ITEMS as u64);
    assert_eq!(restore_metric(&process), "warm");
}

#[test]
fn flags_expiry_marks_and_cas_uniques_are_as_before_and_no_cas_unique_comes_again() {
    let folder = TempDir::new().expect("a scratch folder");
    let mut process = start_on(0, folder.path(), &["--ttl-jitter", "0"]);
    let mut client = Client::connect(process.addr());
    let unique = |client: &mut Client, key: &str| -> u64 {
        let reply = client.ask(&format!("mg {key} c"));
        let unique = reply.strip_prefix("HD c").and_then(|unique| unique.parse().ok());
        unique.unwrap_or_else(|| panic!("{reply}"))
    };
    client.exchange("set flagged 77 0 1\r\nx\r\n", "STORED\r\n");
    client.exchange("set brief 0 1 1\r\nx\r\n", "STORED\r\n");
    client.exchange("set long 0 1000 1\r\nx\r\n", "STORED\r\n");
    client.exchange("set number 0 0 2\r\n41\r\n", "STORED\r\n");
    client.exchange("set stale 0 0 1\r\nx\r\n", "STORED\r\n");
    client.exchange("md stale I T300\r\n", "HD\r\n");
    let mut told: Vec<u64> = (0..200)
        .map(|_| {
            client.set("written", "again");
            unique(&mut client, "written")
        })
        .collect();
    let before = unique(&mut client, "flagged");
    let written = unique(&mut client, "written");
    stop(&mut process);
    let process = start_on(0, folder.path(), &["--ttl-jitter", "0"]);
    let mut client = Client::connect(process.addr());
    assert_eq!(unique(&mut client, "flagged"), before);
    client.exchange("get flagged\r\n", "VALUE flagged 77 1\r\nx\r\nEND\r\n");
    // It expires by the wall clock, whether the node was up or not.
    eventually(Duration::from_secs(5), "it has expired", || {
        match client.get("brief") {
            None => Ok(()),
            Some(_) => Err("still there".into()),
        }
    });
    let left = client.ask("mg long t");
    let left: u64 = left
        .strip_prefix("HD t")
        .and_then(|left| left.parse().ok())
        .expect("a TTL");
    assert!((900..=1000).contains(&left), "{left}");
    client.exchange("incr number 1\r\n", "42\r\n");
    client.exchange("mg stale v\r\n", "VA 1 X W\r\nx\r\n");
    client.exchange(format!("cas written 0 0 1 {written}\r\ny\r\n"), "STORED\r\n");
    told.extend((0..200).map(|_| {
        client.set("written", "once more");
        unique(&mut client, "written")
    }));
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), count, "each write has a cas unique of its own");
}

#[test]
fn what_was_restored_does_not_come_back_after_a_crash() {
    let folder = saved();
    let mut process = start(folder.path());
    assert_eq!(held(&process), ITEMS);
    process.kill();
    let process = start(folder.path());
    is_empty(&process, "unclean");
}

#[test]
fn a_store_in_memory_comes_back_time_and_again_and_not_after_a_crash() {
    // Where the folder is tmpfs, the files are the store's memory: they are there while it serves, too.
    let Ok(folder) = TempDir::new_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let mut process = start(folder.path());
    fill(&process);
    for round in 0..3 {
        let mut client = Client::connect(process.addr());
        client.set(&format!("round{round}"), "there");
        stop(&mut process);
        process = start(folder.path());
        assert_eq!(
            (restore_metric(&process).as_str(), held(&process)),
            ("warm", ITEMS)
        );
        let mut client = Client::connect(process.addr());
        assert_eq!(
            client.get(&format!("round{round}")).as_deref(),
            Some(&b"there"[..])
        );
    }
    process.kill();
    is_empty(&start(folder.path()), "unclean");
}

#[test]
fn a_node_killed_while_it_saves_starts_empty() {
    let folder = saved();
    let mut process = start(folder.path());
    assert_eq!(held(&process), ITEMS);
    // Writing to a pipe that nobody reads waits: the save stops half-way, for as long as we like.
    let pipe = folder.path().join("tables-1");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    process.signal(Signal::TERM);
    eventually(EXIT_DEADLINE, "another shard is being written", || {
        let len = fs::metadata(folder.path().join("tables-0")).map(|file| file.len());
        match len {
            Ok(1..) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(process.is_running());
    process.kill();
    assert!(!folder.path().join("superblock").exists());
    is_empty(&start(folder.path()), "unclean");
}

#[test]
fn a_node_killed_while_it_restores_starts_empty_the_next_time() {
    let folder = saved();
    let path = folder.path().to_str().expect("a plain path");
    let mut child = Command::new(Program::CacheNode.locate().expect("built"))
        .args([
            "-l",
            "127.0.0.1",
            "-p",
            "0",
            "-m",
            "64",
            "-t",
            "2",
            "--persist",
            path,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually(EXIT_DEADLINE, "the superblock is consumed", || {
        if folder.path().join("superblock").exists() {
            Err("still there".into())
        } else {
            Ok(())
        }
    });
    child.kill().and_then(|()| child.wait()).expect("it was running");
    let process = start(folder.path());
    assert_eq!(held(&process), 0);
    assert!(
        process.stderr().contains("starting empty"),
        "{}",
        process.stderr()
    );
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_to_be_taken() {
    let folder = TempDir::new().expect("a scratch folder");
    let mut process = start(folder.path());
    fill(&process);
    symlink("/dev/full", folder.path().join("tables-2")).expect("a link");
    process.signal(Signal::TERM);
    assert_eq!(
        process.wait(EXIT_DEADLINE).code(),
        Some(1),
        "the operator is told"
    );
    let log = process.stderr();
    assert!(
        log.contains("the next start will be empty") && log.contains("No space left"),
        "{log}"
    );
    assert!(!folder.path().join("superblock").exists());
    assert!(!folder.path().join("shard-0").exists(), "room is given back");
    is_empty(&start(folder.path()), "unclean");
}

#[test]
fn damage_another_version_and_another_configuration_start_empty_and_say_so() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, &[&str]); 6] = [
        (
            "damaged",
            |folder| {
                let path = folder.join("shard-0");
                let bytes = fs::read(&path).expect("a shard");
                fs::write(&path, &bytes[..bytes.len() / 2]).expect("it can be written");
            },
            &[],
        ),
        (
            "damaged",
            |folder| {
                let path = folder.join("shard-1");
                let mut bytes = fs::read(&path).expect("a shard");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 16;
                fs::write(&path, bytes).expect("it can be written");
            },
            &[],
        ),
        (
            "damaged",
            |folder| {
                let path = folder.join("superblock");
                let bytes = fs::read(&path).expect("a superblock");
                fs::write(&path, &bytes[..20]).expect("it can be written");
            },
            &[],
        ),
        (
            "version",
            |folder| {
                let path = folder.join("superblock");
                let mut bytes = fs::read(&path).expect("a superblock");
                bytes[8] = 99;
                fs::write(&path, bytes).expect("it can be written");
            },
            &[],
        ),
        ("config", |_| {}, &["-I", "2m"]),
        ("config", |_| {}, &["-m", "4"]),
    ];
    for (outcome, damage, args) in cases {
        let folder = saved();
        damage(folder.path());
        let mut process = start_on(0, folder.path(), args);
        is_empty(&process, outcome);
        // From there on all is as it should be.
        stop(&mut process);
        let process = start_on(0, folder.path(), args);
        assert_eq!(
            Client::connect(process.addr()).get("key").as_deref(),
            Some(&b"value"[..]),
            "{outcome}"
        );
    }
}

#[test]
fn more_memory_and_other_threads_keep_what_was_there() {
    let folder = saved();
    for args in [["-m", "256"], ["-t", "1"]] {
        let mut process = start_on(0, folder.path(), &args[..]);
        assert_eq!(held(&process), ITEMS, "{args:?}");
        stop(&mut process);
    }
}

#[test]
fn a_folder_in_use_is_refused_and_left_alone() {
    let folder = TempDir::new().expect("a scratch folder");
    let mut first = start(folder.path());
    fill(&first);
    let path = folder.path().to_str().expect("a plain path");
    let second = Command::new(Program::CacheNode.locate().expect("built"))
        .args(["-l", "127.0.0.1", "-p", "0", "-e", path])
        .output()
        .expect("it runs");
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another node is using it"), "{said}");
    stop(&mut first);
    assert_eq!(held(&start(folder.path())), ITEMS);
}

#[test]
fn a_restart_needs_no_second_copy_of_the_memory() {
    // Memory-backed, where a copy would be memory, too.
    let folder = TempDir::new_in("/dev/shm").expect("a scratch folder");
    let args = ["-m", "160"];
    let mut process = start_on(0, folder.path(), &args);
    let mut client = Client::connect(process.addr());
    let value = "v".repeat(1000);
    for start in (0..140_000).step_by(1000) {
        let batch: String = (start..start + 1000)
            .map(|index| format!("set key{index} 0 0 1000 noreply\r\n{value}\r\n"))
            .collect();
        client.exchange(batch + "mn\r\n", "MN\r\n");
    }
    let full = process.rss();
    assert!(full > 130 << 20, "{full}");
    stop(&mut process);
    let process = start_on(0, folder.path(), &args);
    let (peak, items) = (
        process.memory("VmHWM"),
        Client::connect(process.addr()).stat("curr_items"),
    );
    assert!(items > 100_000, "{items}");
    assert!(
        peak < full + (16 << 20),
        "{peak} at the worst moment, {full} before"
    );
    let left: u64 = fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| {
            entry
                .and_then(|entry| entry.metadata())
                .map_or(0, |file| file.blocks() * 512)
        })
        .sum();
    assert!(
        left < full,
        "{left} bytes of files are the memory itself, {full} of it"
    );
}
