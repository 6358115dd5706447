//! Warm restarts (`--persist DIR`): a store written to a folder when the node stops in order, and taken from there when
//! the next one starts. Either all of it comes back, as it was, or nothing does.
//!
//! ```text
//!             superblock   serving     the next start
//! stopped     yes          -           takes all, if every checksum is right
//! starting    removed      written     is empty: what is in the folder is being consumed
//! serving     -            yes         is empty, and says that the last run did not end in order
//! stopping    -            yes         is empty; shards are being written
//! stopped     written      removed     the superblock appears at once, after all else is on disk
//! ```
//!
//! The folder is locked as long as a node uses it. Where it lies in memory (tmpfs), the store lives in its files while
//! the node serves, and nothing is copied.

mod shard_files;
mod superblock;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::UnixSeconds;
use rustix::fs::{FlockOperation, FsWord, flock, fstatfs, fstatvfs};
use tracing::{info, warn};

use crate::clock::Stopwatch;
use crate::store::{Malformed, Misfit, Store, StoreConfig, in_parallel};
use shard_files::ShardFiles;
use superblock::{BYTES_MAX, FORMAT, Superblock};

const SUPERBLOCK: &str = "superblock";
const SUPERBLOCK_NEW: &str = "superblock.new";
/// There while a node is up.
const SERVING: &str = "serving";
/// What the kernel calls tmpfs (`statfs(2)`).
const TMPFS_MAGIC: FsWord = 0x0102_1994;
/// Wall clocks are corrected by seconds; a file from further in the future was written by another time.
const CLOCK_SLACK_SECONDS: u64 = 10;

/// Why a folder cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// Another process has it.
    #[error("persist {path}: another node is using it")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file is there, perhaps memcached's.
    #[error(
        "persist {path}: there is a file of that name; a folder is needed, in which the node keeps several"
    )]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("persist {path}: cannot {what}: {source}")]
    System {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// Why what is in the folder is not taken, so that the node starts empty.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the last run did not end in order")]
    Unclean,
    #[error("it was written in format {found}, this program reads {FORMAT}")]
    Format { found: u32 },
    #[error("{0} is damaged")]
    Damaged(&'static str),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error("it was written {seconds} seconds from now, by this machine's clock")]
    FromTheFuture { seconds: u64 },
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Refusal {
    /// One word for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Unclean => "unclean",
            Self::Format { .. } | Self::Misfit(Misfit::Hashing) => "version",
            Self::Misfit(_) => "config",
            Self::FromTheFuture { .. } => "clock",
            Self::Damaged(_) | Self::Malformed(_) | Self::Io(_) => "damaged",
        }
    }
}

/// What a start found, for `stats` and `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Restored {
    /// `warm`, `first` (nothing was there), or why it is empty: `unclean`, `version`, `config`, `clock`, `damaged`.
    pub(crate) outcome: &'static str,
    pub(crate) items: u64,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked.
    handle: File,
    /// Its files are memory.
    in_memory: bool,
    pub(crate) restored: Restored,
}

/// Opens the folder, making it if need be, and takes the store from it, or an empty one.
pub(crate) fn open(
    path: &Path,
    config: &StoreConfig,
    now: UnixSeconds,
) -> Result<(Store, Folder), PersistError> {
    let failed = |what| {
        move |source| PersistError::System {
            path: path.to_owned(),
            what,
            source,
        }
    };
    if path.metadata().is_ok_and(|there| !there.is_dir()) {
        return Err(PersistError::NotAFolder {
            path: path.to_owned(),
        });
    }
    // Values are private to whoever runs the node.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("make it"))?;
    let handle = File::open(path).map_err(failed("open it"))?;
    if flock(&handle, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(PersistError::InUse {
            path: path.to_owned(),
        });
    }
    let kind = fstatfs(&handle).map_err(|errno| failed("ask what it is")(errno.into()))?;
    let mut folder = Folder {
        path: path.to_owned(),
        handle,
        in_memory: kind.f_type == TMPFS_MAGIC,
        restored: Restored {
            outcome: "first",
            items: 0,
            bytes: 0,
            took: Duration::ZERO,
        },
    };
    // Before anything is consumed: a node that cannot save must not take what another could.
    folder.probe()?;
    let found = folder.read_superblock();
    // From here on what is in the folder is not taken a second time, whatever happens.
    folder.begin_serving().map_err(failed("write to it"))?;
    let restored = match found {
        Ok(Some(superblock)) => folder.restore(&superblock, config, now),
        Ok(None) => Ok(None),
        Err(refusal) => Err(refusal),
    };
    let used_up = if folder.in_memory && matches!(restored, Ok(Some(_))) {
        &shard_files::PREFIXES[..1]
    } else {
        &shard_files::PREFIXES[..]
    };
    folder.remove_all(used_up).map_err(failed("empty it"))?;
    let store = match restored {
        Ok(Some(store)) => store,
        Ok(None) => {
            info!(path = %path.display(), "nothing to restore: starting empty");
            folder.empty_store(config, now)
        }
        Err(refusal) => {
            warn!(path = %path.display(), why = %refusal, "not restored: starting empty");
            folder.restored.outcome = refusal.word();
            folder.empty_store(config, now)
        }
    };
    folder.warn_if_small(config, &store);
    Ok((store, folder))
}

impl Folder {
    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn shard_files(&self, number: usize) -> ShardFiles {
        ShardFiles::new(&self.path, number, self.in_memory)
    }

    fn empty_store(&self, config: &StoreConfig, now: UnixSeconds) -> Store {
        Store::in_files(config, now, |number| self.shard_files(number).memory())
    }

    /// Says so if the file system has less room than the store may come to need.
    fn warn_if_small(&self, config: &StoreConfig, store: &Store) {
        let Ok(space) = fstatvfs(&self.handle) else { return };
        let held = if self.in_memory {
            store.counters().used_bytes
        } else {
            0
        };
        let room_bytes = space.f_bavail.saturating_mul(space.f_frsize).saturating_add(held);
        let wanted_bytes = config.memory_limit_bytes;
        if room_bytes < wanted_bytes {
            let path = self.path.display();
            warn!(%path, room_bytes, wanted_bytes, "less room than memory given (-m): the store may be smaller, or not be saved");
        }
    }

    /// The superblock; `None` in a folder that no node has used yet.
    fn read_superblock(&self) -> Result<Option<Superblock>, Refusal> {
        let file = match File::open(self.file(SUPERBLOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if self.file(SERVING).exists() {
                    Err(Refusal::Unclean)
                } else {
                    Ok(None)
                };
            }
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes)?;
        Superblock::from_bytes(&bytes).map(Some)
    }

    fn begin_serving(&self) -> io::Result<()> {
        remove(&self.file(SUPERBLOCK))?;
        self.handle.sync_all()?;
        // Serves to tell a crash from a first start, no more: a full disk keeps no node from starting.
        if let Err(error) = write_new(&self.file(SERVING)) {
            warn!(path = %self.path.display(), %error, "cannot mark the folder as in use");
        }
        Ok(())
    }

    /// Removes the files of shards whose names begin with one of `prefixes`.
    fn remove_all(&self, prefixes: &[&str]) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn restore(
        &mut self,
        superblock: &Superblock,
        config: &StoreConfig,
        now: UnixSeconds,
    ) -> Result<Option<Store>, Refusal> {
        let ahead = superblock.saved_at.0.saturating_sub(now.0);
        if ahead > CLOCK_SLACK_SECONDS {
            return Err(Refusal::FromTheFuture { seconds: ahead });
        }
        let watch = Stopwatch::start();
        let store = Store::from_image(&superblock.head, config, now, |number, reader| {
            self.shard_files(number).read(&superblock.shards[number], reader)
        })?;
        let bytes = superblock
            .shards
            .iter()
            .map(|shard| shard.tables_bytes + shard.frames_bytes);
        let restored = Restored {
            outcome: "warm",
            items: store.counters().items,
            bytes: bytes.sum(),
            took: watch.elapsed(),
        };
        info!(
            path = %self.path.display(),
            items = restored.items,
            bytes = restored.bytes,
            seconds = restored.took.as_secs_f64(),
            mapped = self.in_memory,
            away_seconds = now.0.saturating_sub(superblock.saved_at.0),
            "restored"
        );
        self.restored = restored;
        Ok(Some(store))
    }

    /// Gives the folder, and what is in it, to the user that the node is about to become.
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> Result<(), PersistError> {
        let give = |path: &Path| chown(path, Some(uid), Some(gid));
        let given = std::fs::read_dir(&self.path).and_then(|mut entries| {
            entries.try_for_each(|entry| give(&entry?.path()))?;
            give(&self.path)
        });
        given.map_err(|source| self.failed("give it to the user", source))
    }

    /// Whether it can be written to: better known at the start than at the end.
    pub(crate) fn probe(&self) -> Result<(), PersistError> {
        let path = self.file(SUPERBLOCK_NEW);
        let probed = write_new(&path).and_then(|_file| remove(&path));
        probed.map_err(|source| self.failed("write to it", source))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> PersistError {
        PersistError::System {
            path: self.path.clone(),
            what,
            source,
        }
    }

    /// Takes everything out of the store and writes it, for the next start. `now` is the time that the store was told
    /// last, `wall` what the wall clock says.
    pub(crate) fn save(
        &self,
        store: &Store,
        now: UnixSeconds,
        wall: UnixSeconds,
    ) -> Result<(), PersistError> {
        let watch = Stopwatch::start();
        match self.write(store, now, wall) {
            Ok(bytes) => {
                let seconds = watch.elapsed().as_secs_f64();
                info!(path = %self.path.display(), bytes, seconds, "saved for the next start");
                Ok(())
            }
            Err(source) => {
                // What is written so far is of no use, and the room may be needed.
                let emptied =
                    remove(&self.file(SUPERBLOCK)).and_then(|()| remove(&self.file(SUPERBLOCK_NEW)));
                let _left_behind = emptied.and_then(|()| self.remove_all(&shard_files::PREFIXES));
                Err(self.failed("save the store, so the next start will be empty", source))
            }
        }
    }

    fn write(&self, store: &Store, now: UnixSeconds, wall: UnixSeconds) -> io::Result<u64> {
        let drift = wall.0.cast_signed() - now.0.cast_signed();
        let head = store.head(drift);
        let shards = in_parallel(store.shards(), |number| self.shard_files(number).write(store))?;
        let bytes = shards
            .iter()
            .map(|shard| shard.tables_bytes + shard.frames_bytes)
            .sum();
        let superblock = Superblock {
            head,
            saved_at: wall,
            shards,
        };
        let mut file = write_new(&self.file(SUPERBLOCK_NEW))?;
        file.write_all(&superblock.to_bytes())?;
        file.sync_all()?;
        // The names of the shards before the name that says they are there.
        self.handle.sync_all()?;
        std::fs::rename(self.file(SUPERBLOCK_NEW), self.file(SUPERBLOCK))?;
        self.handle.sync_all()?;
        let _only_a_mark = remove(&self.file(SERVING));
        Ok(bytes)
    }
}

/// A new file that nobody else may read, in place of one that may be there.
fn write_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}
