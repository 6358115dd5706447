//! What the files of a replica say when a router starts.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::path::Path;

use tracing::{error, warn};

use super::super::record::{self, Next, Record};
use super::segments::Segments;
use super::{SpoolError, at};

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

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".debt")?.parse().ok()
}

pub(super) fn load_replica(folder: &Path) -> Result<Option<(Loaded, Segments)>, SpoolError> {
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
    let next = files.last().map_or(1, |(number, _)| number + 1);
    let mut segments = Segments::new(folder.to_owned(), pool, server).found(full, next);
    if !loaded.damaged {
        segments.paid(paid);
    }
    Ok(Some((loaded, segments)))
}
