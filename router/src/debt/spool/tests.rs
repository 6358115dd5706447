//! What is on disk after every way in which a router can end.

use super::{Spool, SpoolError, SyncPolicy};
use crate::debt::record::Record;
use std::io::Write as _;
use std::path::Path;

fn open(folder: &Path) -> Spool {
    Spool::open(folder, SyncPolicy::Off).expect("a spool")
}

fn owed(sequence: u64, key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Record::Owed {
        sequence,
        since_unix: 1,
        key: key.as_bytes(),
    }
    .write(&mut bytes);
    bytes
}

/// The keys that a spool opened anew holds, and whether it is damaged.
fn found(folder: &Path) -> (Vec<String>, bool) {
    let loaded = open(folder).load().expect("readable");
    let keys = loaded
        .iter()
        .flat_map(|(loaded, _)| &loaded.owed)
        .map(|(_, _, key)| String::from_utf8_lossy(key).into_owned())
        .collect();
    (keys, loaded.iter().any(|(loaded, _)| loaded.damaged))
}

fn debt_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(debt_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "debt") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn what_was_owed_is_owed_after_a_restart_and_what_was_paid_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let spool = open(folder.path());
        let mut segments = spool.segments("main", "n1");
        for (sequence, key) in [(1, "a"), (2, "b"), (3, "c")] {
            segments
                .append(&owed(sequence, key), sequence, false)
                .expect("room");
        }
        let mut paid = Vec::new();
        Record::Paid { sequence: 2 }.write(&mut paid);
        segments.append(&paid, 0, false).expect("room");
        segments.paid(2);
    }
    assert_eq!(found(folder.path()), (vec!["c".to_owned()], false));
    assert_eq!(open(folder.path()).load().expect("readable")[0].0.server, "n1");
}

#[test]
fn a_torn_end_is_cut_off_and_written_on_from() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let spool = open(folder.path());
        let mut segments = spool.segments("main", "n1");
        segments.append(&owed(1, "a"), 1, true).expect("room");
    }
    let file = debt_files(folder.path()).pop().expect("a file");
    let torn = owed(2, "torn");
    std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(&torn[..torn.len() - 1]))
        .expect("written");
    assert_eq!(found(folder.path()), (vec!["a".to_owned()], false));
    {
        let spool = open(folder.path());
        let (_, mut segments) = spool.load().expect("readable").pop().expect("a replica");
        segments.append(&owed(2, "b"), 2, false).expect("room");
    }
    assert_eq!(
        found(folder.path()),
        (vec!["a".to_owned(), "b".to_owned()], false)
    );
}

#[test]
fn damage_in_the_middle_is_no_torn_end() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let spool = open(folder.path());
        spool
            .segments("main", "n1")
            .append(&owed(1, "a"), 1, false)
            .expect("room");
        let (_, mut again) = spool.load().expect("readable").pop().expect("a replica");
        again.append(&owed(2, "b"), 2, false).expect("room");
    }
    let file = debt_files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&file).expect("there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    assert_eq!(found(folder.path()), (vec!["b".to_owned()], true));
}

#[test]
fn segments_are_removed_when_all_in_them_is_paid() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path());
    let mut segments = spool.segments("main", "n1");
    segments.append(&owed(1, "a"), 1, false).expect("room");
    segments.append(&owed(2, "b"), 2, false).expect("room");
    segments.paid(1);
    assert_eq!(debt_files(folder.path()).len(), 1);
    segments.paid(2);
    assert_eq!(debt_files(folder.path()).len(), 0);
    segments.append(&owed(3, "c"), 3, false).expect("room");
    assert_eq!(segments.disk_bytes(), 2 * 23 + 1 + 7);
}

#[test]
fn one_spool_is_one_routers() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path());
    assert!(matches!(
        Spool::open(folder.path(), SyncPolicy::Off),
        Err(SpoolError::Locked { .. })
    ));
    let id = first.router_id(7).expect("an id");
    drop(first);
    assert_eq!(open(folder.path()).router_id(8).expect("an id"), id);
}
