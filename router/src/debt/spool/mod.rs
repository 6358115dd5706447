//! The spool: debts as files, one folder per replica, append-only segments. Blocking; called by one thread.
//!
//! ```text
//! DIR/lock  DIR/router-id  DIR/main.n1/00000001.debt  00000002.debt …
//! ```
//! A segment whose debts are all paid is removed. A crash can tear only the end of the newest segment: it is cut off.
//! Damage anywhere else means that nobody knows what was owed, so the replica is owed everything.

mod load;
mod segments;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use load::Loaded;
use load::load_replica;
pub(crate) use segments::Segments;

/// When written records are forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SyncPolicy {
    /// When the system sees fit, within seconds: survives the end of the process however it ends, not a power loss.
    Off,
    /// Before a delete is acknowledged (one `fdatasync` for all that wait): survives a power loss.
    Each,
}

/// The folder, locked by this process.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    sync: SyncPolicy,
    _lock: File,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("spool {path}: another router uses it")]
    Locked { path: PathBuf },
    #[error("spool {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { path, source }
}

impl Spool {
    /// Opens `folder`, made if it is not there.
    pub(crate) fn open(folder: &Path, sync: SyncPolicy) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(at(&path))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(SpoolError::Locked {
                    path: folder.to_owned(),
                });
            }
            Err(error) => return Err(at(&path)(error.into())),
        }
        Ok(Self {
            folder: folder.to_owned(),
            sync,
            _lock: lock,
        })
    }

    /// The name by which other routers know this one: drawn once, kept with the debts.
    pub(crate) fn router_id(&self, fresh: u64) -> Result<String, SpoolError> {
        let path = self.folder.join("router-id");
        match fs::read_to_string(&path) {
            Ok(id) if id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(id),
            Ok(_) => self.write_id(&path, fresh),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write_id(&path, fresh),
            Err(error) => Err(at(&path)(error)),
        }
    }

    fn write_id(&self, path: &Path, fresh: u64) -> Result<String, SpoolError> {
        let id = format!("{fresh:016x}");
        let new = self.folder.join("router-id.new");
        fs::write(&new, &id).map_err(at(&new))?;
        fs::rename(&new, path).map_err(at(path))?;
        Ok(id)
    }

    /// Reads all that is owed. Torn ends are cut off.
    pub(crate) fn load(&self) -> Result<Vec<(Loaded, Segments)>, SpoolError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let path = entry.map_err(at(&self.folder))?.path();
            if path.is_dir()
                && let Some(found) = load_replica(&path)?
            {
                all.push(found);
            }
        }
        Ok(all)
    }

    /// The files of a replica that has none yet.
    pub(crate) fn segments(&self, pool: &str, server: &str) -> Segments {
        Segments::new(self.folder.join(folder_name(pool, server)), pool, server)
    }

    pub(crate) const fn syncs(&self) -> bool {
        matches!(self.sync, SyncPolicy::Each)
    }
}

/// A name that any file system takes, and that no other replica has.
fn folder_name(pool: &str, server: &str) -> String {
    let whole = format!("{pool}\0{server}");
    let plain: String = whole
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '.'
            }
        })
        .take(100)
        .collect();
    format!("{plain}.{:08x}", crc32fast::hash(whole.as_bytes()))
}
