//! A folder gives back all that was saved in it, once, or nothing; whatever happened to its files in between, on a disk
//! (copied) and in memory (mapped).

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use protocol::UnixSeconds;
use tempfile::TempDir;

use super::{Folder, PersistError, TMPFS_MAGIC, open};
use crate::store::{Change, NewItem, Read, Store, StoreConfig};

const START: UnixSeconds = UnixSeconds(1_750_000_000);
const ITEMS: u32 = 5000;

fn later(seconds: u64) -> UnixSeconds {
    UnixSeconds(START.0 + seconds)
}

fn config() -> StoreConfig {
    StoreConfig {
        memory_limit_bytes: 16 << 20,
        shards: Some(4),
        threads: 2,
        ..StoreConfig::default()
    }
}

/// Numbered items, one in a hundred of them large.
fn fill(store: &Store) {
    let now = store.seconds(START);
    for n in 0..ITEMS {
        let value = vec![n.to_le_bytes()[0]; if n % 100 == 0 { 50_000 } else { 100 }];
        let stored = store.update(store.lookup(&n.to_le_bytes()), now, Read::Plain, &value, |_| {
            (Change::Put(NewItem::new(&value)), ())
        });
        stored.unwrap();
    }
}

/// How many of the items are there, each with its own value.
fn held(store: &Store, at: UnixSeconds) -> u32 {
    let now = store.seconds(at);
    let is_held = |n: &u32| {
        store.get(store.lookup(&n.to_le_bytes()), now, Read::Plain, |item| {
            item.is_some_and(|item| {
                item.value
                    .for_each_chunk(|chunk| assert!(chunk.iter().all(|&byte| byte == n.to_le_bytes()[0])));
                true
            })
        })
    };
    u32::try_from((0..ITEMS).filter(is_held).count()).unwrap()
}

/// A folder on a disk, and one in memory, where the system has such a place.
fn places() -> Vec<PathBuf> {
    let disk = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let memory = Path::new("/dev/shm");
    let is_tmpfs = rustix::fs::statfs(memory).is_ok_and(|kind| kind.f_type == TMPFS_MAGIC);
    let memory = is_tmpfs.then(|| memory.to_owned());
    std::iter::once(disk).chain(memory).collect()
}

/// A folder in which a filled store was saved, and nobody uses.
fn saved() -> (TempDir, PathBuf) {
    saved_in(&places()[0])
}

fn saved_in(place: &Path) -> (TempDir, PathBuf) {
    let scratch = TempDir::new_in(place).unwrap();
    let path = scratch.path().join("made/here");
    let (store, folder) = open(&path, &config(), START).unwrap();
    assert_eq!(folder.restored.outcome, "first");
    fill(&store);
    folder.save(&store, START, START).unwrap();
    (scratch, path)
}

fn start(path: &Path, at: UnixSeconds) -> (Store, Folder) {
    open(path, &config(), at).unwrap()
}

/// The start finds nothing to take, for this reason, and is whole in itself: it can save, and the next is warm.
#[track_caller]
fn starts_empty(path: &Path, config: &StoreConfig, at: UnixSeconds, outcome: &str) {
    let (store, folder) = open(path, config, at).unwrap();
    assert_eq!((folder.restored.outcome, held(&store, at)), (outcome, 0));
    assert_eq!(store.counters().items, 0);
    let left = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap());
    let left_bytes: u64 = left
        .filter(fs::Metadata::is_file)
        .map(|left| left.blocks() * 512)
        .sum();
    let used_bytes = if folder.in_memory {
        store.counters().used_bytes
    } else {
        0
    };
    assert!(
        left_bytes <= used_bytes,
        "what cannot be used takes no room: {left_bytes} bytes"
    );
    fill(&store);
    folder.save(&store, at, at).unwrap();
    drop((store, folder));
    let (store, folder) = open(path, config, at).unwrap();
    assert_eq!((folder.restored.outcome, held(&store, at)), ("warm", ITEMS));
}

#[test]
fn all_comes_back_once() {
    for place in places() {
        let (_scratch, path) = saved_in(&place);
        let (store, folder) = start(&path, later(5));
        assert_eq!(
            (folder.restored.outcome, folder.restored.items),
            ("warm", u64::from(ITEMS))
        );
        assert!(folder.restored.bytes > 2_000_000);
        assert_eq!(held(&store, later(5)), ITEMS);
        // A crash from here on: what was restored must not come back a second time, it may be stale by then.
        drop((store, folder));
        starts_empty(&path, &config(), later(10), "unclean");
    }
}

#[test]
fn a_store_in_memory_is_served_where_it_lies_and_survives_many_restarts() {
    let Some(place) = places().into_iter().nth(1) else {
        return;
    };
    let (_scratch, path) = saved_in(&place);
    let inodes = || {
        let inode = |number| fs::metadata(path.join(format!("shard-{number}"))).unwrap().ino();
        (0..4).map(inode).collect::<Vec<_>>()
    };
    let before = inodes();
    for round in 0..5 {
        let at = later(round);
        let (store, folder) = start(&path, at);
        assert_eq!(
            (folder.restored.outcome, held(&store, at)),
            ("warm", ITEMS),
            "{round}"
        );
        // More is stored, and read, than there was memory in use for before.
        let value = vec![b'm'; 50_000];
        for n in 0..20 {
            let key = format!("more-{round}-{n}");
            let stored = store.update(
                store.lookup(key.as_bytes()),
                store.seconds(at),
                Read::Plain,
                &value,
                |_| (Change::Put(NewItem::new(&value)), ()),
            );
            stored.unwrap();
        }
        let items = store.counters().items;
        assert_eq!(items, u64::from(ITEMS) + 20 * (round + 1));
        folder.save(&store, at, at).unwrap();
        assert_eq!(inodes(), before, "the same files, not copies");
    }
}

#[test]
fn a_shard_is_in_one_place_only() {
    let Some(place) = places().into_iter().nth(1) else {
        return;
    };
    let (_scratch, path) = saved_in(&place);
    let (store, folder) = start(&path, START);
    let taken = folder.shard_files(0).memory();
    assert!(taken.is_none(), "a shard's memory is one store's");
    assert_eq!(held(&store, START), ITEMS);
    folder.save(&store, START, START).unwrap();
    drop((store, folder));
    assert_eq!(start(&path, START).1.restored.outcome, "warm");
}

#[test]
fn a_folder_moved_between_a_disk_and_memory_is_taken_all_the_same() {
    let places = places();
    for (from, to) in places
        .iter()
        .zip(places.iter().skip(1))
        .chain(places.iter().skip(1).zip(&places))
    {
        let (_scratch, path) = saved_in(from);
        let scratch = TempDir::new_in(to).unwrap();
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), scratch.path().join(entry.file_name())).unwrap();
        }
        let (store, folder) = start(scratch.path(), START);
        assert_eq!((folder.restored.outcome, held(&store, START)), ("warm", ITEMS));
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_an_error_before_anything_is_taken() {
    let (_scratch, path) = saved();
    // Root may write anywhere, but not a file where a folder is.
    fs::create_dir(path.join("superblock.new")).unwrap();
    assert!(matches!(
        open(&path, &config(), START),
        Err(PersistError::System { .. })
    ));
    fs::remove_dir(path.join("superblock.new")).unwrap();
    assert_eq!(
        start(&path, START).1.restored.outcome,
        "warm",
        "all is still there"
    );
}

#[test]
fn a_save_that_was_cut_short_is_not_taken() {
    // Everything written but the superblock is not there yet, or not under its name.
    let (_scratch, path) = saved();
    fs::remove_file(path.join("superblock")).unwrap();
    fs::write(path.join("serving"), b"").unwrap();
    starts_empty(&path, &config(), START, "unclean");
    let (_scratch, path) = saved();
    fs::rename(path.join("superblock"), path.join("superblock.new")).unwrap();
    fs::write(path.join("serving"), b"").unwrap();
    starts_empty(&path, &config(), START, "unclean");
}

#[test]
fn any_file_damaged_shortened_or_gone_means_nothing_is_taken() {
    let names = |path: &Path| {
        let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        names
            .filter(|path| !path.ends_with("serving"))
            .collect::<Vec<_>>()
    };
    for place in places() {
        let (_scratch, path) = saved_in(&place);
        let count = names(&path).len();
        assert_eq!(count, 9, "two files for each of four shards, and a superblock");
        for number in 0..count {
            for damage in [
                "flip the first",
                "flip a middle",
                "flip the last",
                "shorten",
                "lengthen",
                "remove",
            ] {
                let (_scratch, path) = saved_in(&place);
                let name = &names(&path)[number];
                let bytes = fs::read(name).unwrap();
                let flip = |at: usize| {
                    let file = fs::OpenOptions::new().write(true).open(name).unwrap();
                    file.write_all_at(&[bytes[at] ^ 4], at as u64).unwrap();
                };
                match damage {
                    "flip the first" => flip(0),
                    "flip a middle" => flip(bytes.len() / 2),
                    "flip the last" => flip(bytes.len() - 1),
                    "shorten" => fs::write(name, &bytes[..bytes.len() - 1]).unwrap(),
                    "lengthen" => fs::write(name, [&bytes[..], b"x"].concat()).unwrap(),
                    _remove => fs::remove_file(name).unwrap(),
                }
                let gone = damage == "remove" && name.ends_with("superblock");
                let (store, folder) = start(&path, START);
                let outcome = if gone { "first" } else { "damaged" };
                assert_eq!(
                    (folder.restored.outcome, store.counters().items),
                    (outcome, 0),
                    "{damage} of {}",
                    name.display()
                );
            }
        }
    }
}

#[test]
fn shards_of_another_save_are_not_taken() {
    for place in places() {
        let ((_one, path), (_two, other)) = (saved_in(&place), saved_in(&place));
        fs::copy(other.join("shard-2"), path.join("shard-2")).unwrap();
        starts_empty(&path, &config(), START, "damaged");
    }
}

#[test]
fn another_configuration_format_or_clock_starts_empty_and_says_which() {
    let (_scratch, path) = saved();
    let other = StoreConfig {
        item_size_max_bytes: 2 << 20,
        ..config()
    };
    starts_empty(&path, &other, START, "config");
    let (_scratch, path) = saved();
    let other = StoreConfig {
        shards: Some(2),
        ..config()
    };
    starts_empty(&path, &other, START, "config");
    let (_scratch, path) = saved();
    let mut bytes = fs::read(path.join("superblock")).unwrap();
    bytes[8] ^= 3;
    fs::write(path.join("superblock"), bytes).unwrap();
    starts_empty(&path, &config(), START, "version");
    let (_scratch, path) = saved();
    starts_empty(&path, &config(), UnixSeconds(START.0 - 60), "clock");
    let (_scratch, path) = saved();
    assert_eq!(start(&path, UnixSeconds(START.0 - 5)).1.restored.outcome, "warm");
}

#[test]
fn a_folder_serves_one_node_at_a_time() {
    let (_scratch, path) = saved();
    let (_store, folder) = start(&path, START);
    assert!(matches!(
        open(&path, &config(), START),
        Err(PersistError::InUse { .. })
    ));
    drop(folder);
    assert!(open(&path, &config(), START).is_ok());
}

#[test]
fn a_path_that_is_a_file_is_an_error_and_the_file_stays() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("file");
    fs::write(&path, b"somebody's").unwrap();
    assert!(matches!(
        open(&path, &config(), START),
        Err(PersistError::NotAFolder { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");
}

#[test]
fn a_save_that_fails_leaves_nothing_to_be_taken() {
    let (_scratch, path) = saved();
    let (store, folder) = start(&path, START);
    // A folder where a shard's file should be: writing it fails after others were written.
    fs::create_dir(path.join("tables-3")).unwrap();
    let failed = folder.save(&store, START, START);
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("the next start will be empty")
    );
    fs::remove_dir(path.join("tables-3")).unwrap();
    drop((store, folder));
    starts_empty(&path, &config(), START, "unclean");
}

#[test]
fn expiries_follow_the_wall_clock_that_the_node_did_not() {
    let scratch = TempDir::new().unwrap();
    let (store, folder) = open(scratch.path(), &config(), START).unwrap();
    let expires = Some(store.seconds(later(100)));
    let stored = store.update(
        store.lookup(b"k"),
        store.seconds(START),
        Read::Plain,
        b"v",
        |_| {
            let item = NewItem {
                expires,
                ..NewItem::new(b"v")
            };
            (Change::Put(item), ())
        },
    );
    stored.unwrap();
    // The wall clock was set forward by an hour while the node ran; 10 of the 100 seconds have passed.
    folder.save(&store, later(10), later(3610)).unwrap();
    drop((store, folder));
    let (store, _folder) = start(scratch.path(), later(3612));
    let is_there = |at| {
        store.get(store.lookup(b"k"), store.seconds(at), Read::Peek, |item| {
            item.is_some()
        })
    };
    assert!(is_there(later(3699)) && !is_there(later(3700)));
}
