//! The spool: debts as files, one folder per replica, append-only segments. Blocking; called by one thread.
//!
//! ```text
//! DIR/lock  DIR/router-id  DIR/main.n1/00000001.debt  00000002.debt …
//! ```
//! A segment whose debts are all paid is removed. A crash can tear only the end of the newest segment: it is cut off.
//! Damage anywhere else means that nobody knows what was owed, so the replica is owed everything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tracing::{error, warn};

use super::record::{self, Next, Record};

/// A segment that has grown to this takes no more.
const SEGMENT_MAX_BYTES: u64 = 8 * 1024 * 1024;

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

/// What the files said of one replica.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub pool: String,
    pub server: String,
    /// Sequence, since when, key; oldest first.
    pub owed: Vec<(u64, u64, Box<[u8]>)>,
    /// The highest sequence ever used.
    pub last_sequence: u64,
    /// A segment is damaged: what it held is unknown.
    pub damaged: bool,
}

/// The files of one replica.
#[derive(Debug)]
pub(crate) struct Segments {
    folder: PathBuf,
    header: Vec<u8>,
    /// Full ones with the highest sequence each holds, oldest first.
    full: Vec<(u64, PathBuf)>,
    active: Option<Active>,
    next_number: u64,
}

#[derive(Debug)]
struct Active {
    file: File,
    path: PathBuf,
    length: u64,
    highest: u64,
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

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".debt")?.parse().ok()
}

fn load_replica(folder: &Path) -> Result<Option<(Loaded, Segments)>, SpoolError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if let Some(number) = number_of(&path) {
            files.push((number, path));
        }
    }
    files.sort_unstable();
    let last = files.len().saturating_sub(1);
    let mut loaded = Loaded::default();
    let mut known = None;
    let mut full = Vec::new();
    let mut paid = 0;
    for (index, (number, path)) in files.iter().enumerate() {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(at(path))?;
        let mut used = 0;
        let mut highest = 0;
        loop {
            match record::next(&bytes[used..]) {
                Next::End => break,
                Next::Broken if index == last => {
                    warn!(path = %path.display(), at = used, bytes = bytes.len() - used, "spool: a torn end is cut off");
                    let cut = OpenOptions::new().write(true).open(path);
                    cut.and_then(|file| file.set_len(used as u64)).map_err(at(path))?;
                    break;
                }
                Next::Broken => {
                    error!(path = %path.display(), at = used, "spool: damaged; the replica is owed everything");
                    loaded.damaged = true;
                    break;
                }
                Next::Record { record, length } => {
                    used += length;
                    match record {
                        Record::Of { replica } => known = Some(String::from_utf8_lossy(replica).into_owned()),
                        Record::Owed {
                            sequence,
                            since_unix,
                            key,
                        } => {
                            highest = sequence;
                            loaded.last_sequence = loaded.last_sequence.max(sequence);
                            loaded.owed.push((sequence, since_unix, key.into()));
                        }
                        Record::Paid { sequence } => paid = paid.max(sequence),
                    }
                }
            }
        }
        let _ = number;
        full.push((highest, path.clone()));
    }
    let Some(name) = known else {
        // Nothing whole in it: nothing was ever acknowledged from it.
        for (_, path) in files {
            fs::remove_file(&path).map_err(at(&path))?;
        }
        return Ok(None);
    };
    let (pool, server) = name.split_once('\0').unwrap_or(("", &name));
    loaded.pool = pool.to_owned();
    loaded.server = server.to_owned();
    loaded.owed.retain(|(sequence, ..)| *sequence > paid);
    loaded.last_sequence = loaded.last_sequence.max(paid);
    let mut segments = Segments::new(folder.to_owned(), pool, server);
    segments.next_number = files.last().map_or(1, |(number, _)| number + 1);
    segments.full = full;
    if !loaded.damaged {
        segments.paid(paid);
    }
    Ok(Some((loaded, segments)))
}

impl Segments {
    fn new(folder: PathBuf, pool: &str, server: &str) -> Self {
        let mut header = Vec::new();
        Record::Of {
            replica: format!("{pool}\0{server}").as_bytes(),
        }
        .write(&mut header);
        Self {
            folder,
            header,
            full: Vec::new(),
            active: None,
            next_number: 1,
        }
    }

    /// Appends records, the highest of whose sequences is `highest`. After an error nothing of them is there.
    pub(crate) fn append(&mut self, records: &[u8], highest: u64, sync: bool) -> io::Result<()> {
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.length >= SEGMENT_MAX_BYTES)
            && let Some(active) = self.active.take()
        {
            self.full.push((active.highest, active.path));
        }
        let active = match &mut self.active {
            Some(active) => active,
            None => {
                let opened = self.open()?;
                self.active.insert(opened)
            }
        };
        let written = active
            .file
            .write_all(records)
            .and_then(|()| if sync { active.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                active.length += records.len() as u64;
                active.highest = active.highest.max(highest);
                Ok(())
            }
            Err(error) => {
                // Whatever got there is cut off, lest the next record stand behind half a one.
                if active.file.set_len(active.length).is_err()
                    && let Some(active) = self.active.take()
                {
                    self.full.push((active.highest, active.path));
                }
                Err(error)
            }
        }
    }

    fn open(&mut self) -> io::Result<Active> {
        let fresh = !self.folder.is_dir();
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{:08}.debt", self.next_number));
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        if let Err(error) = file.write_all(&self.header) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        // The names themselves have to be there after a power loss.
        File::open(&self.folder)?.sync_all()?;
        if fresh && let Some(parent) = self.folder.parent() {
            File::open(parent)?.sync_all()?;
        }
        self.next_number += 1;
        Ok(Active {
            file,
            path,
            length: self.header.len() as u64,
            highest: 0,
        })
    }

    /// Everything up to `sequence` has been paid: removes what is no longer needed.
    pub(crate) fn paid(&mut self, sequence: u64) {
        // Oldest first: a crash between leaves no old debt behind a newer "paid" that is gone.
        while let Some((highest, path)) = self.full.first() {
            if *highest > sequence || fs::remove_file(path).is_err() {
                return;
            }
            self.full.remove(0);
        }
        if let Some(active) = &self.active
            && active.highest <= sequence
            && fs::remove_file(&active.path).is_ok()
        {
            self.active = None;
        }
    }

    /// The highest sequence that the files hold.
    pub(crate) fn highest(&self) -> u64 {
        let full = self.full.iter().map(|(highest, _)| *highest);
        let active = self.active.iter().map(|active| active.highest);
        full.chain(active).max().unwrap_or(0)
    }

    /// Bytes on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let full: u64 = self
            .full
            .iter()
            .filter_map(|(_, path)| fs::metadata(path).ok())
            .map(|meta| meta.len())
            .sum();
        full + self.active.as_ref().map_or(0, |active| active.length)
    }
}

#[cfg(test)]
mod tests {
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
}
