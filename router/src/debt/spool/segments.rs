//! The files of one replica: appended to, and removed when all in them is paid.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::super::record::Record;

/// A segment that has grown to this takes no more.
const SEGMENT_MAX_BYTES: u64 = 8 * 1024 * 1024;

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

impl Segments {
    /// Those that were found: full ones, and the number of the next.
    pub(super) fn found(self, full: Vec<(u64, PathBuf)>, next_number: u64) -> Self {
        Self {
            full,
            next_number,
            ..self
        }
    }

    /// Those in `folder`, where there are none yet.
    pub(super) fn new(folder: PathBuf, pool: &str, server: &str) -> Self {
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
