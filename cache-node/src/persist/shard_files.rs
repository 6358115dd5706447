//! One shard in the folder: `tables-N`, and `shard-N` with its frames, each at its position in the shard's memory.
//! In a file system that is memory itself, `shard-N` is the shard's memory, mapped: a stop and a start look at it once,
//! for its checksum, and copy nothing. On a disk it is written at the stop and read at the start.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use mapped::MappedFile;
use rustix::fs::{Advice, fadvise};
use tracing::warn;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::superblock::ShardEntry;
use super::{Refusal, write_new};
use crate::store::{RestoredShard, ShardReader, Store};

/// What the names of all such files begin with.
pub(super) const PREFIXES: [&str; 2] = ["tables-", "shard-"];

pub(super) struct ShardFiles {
    tables: PathBuf,
    frames: PathBuf,
    number: usize,
    in_memory: bool,
}

impl ShardFiles {
    pub(super) fn new(folder: &Path, number: usize, in_memory: bool) -> Self {
        let [tables, frames] = PREFIXES.map(|prefix| folder.join(format!("{prefix}{number}")));
        Self {
            tables,
            frames,
            number,
            in_memory,
        }
    }

    /// Where the memory of a new shard is to lie.
    pub(super) fn memory(&self) -> Option<MappedFile> {
        if !self.in_memory {
            return None;
        }
        let made = MappedFile::create(&self.frames);
        if let Err(error) = &made {
            // The store works as well elsewhere; then the stop copies it.
            warn!(path = %self.frames.display(), %error, "memory cannot be kept here while serving");
        }
        made.ok()
    }

    /// Takes the shard out of the store, and sees to it that the files hold it.
    pub(super) fn write(&self, store: &Store) -> io::Result<ShardEntry> {
        let image = store.take_shard(self.number);
        let mut tables = write_new(&self.tables)?;
        tables.write_all(&image.tables)?;
        tables.sync_all()?;
        let (tables_bytes, tables_sum) = (image.tables.len() as u64, xxh3_64(&image.tables));
        let (mut sum, mut frames_bytes) = (Xxh3::new(), 0);
        let mut look = |piece: &[u8]| {
            sum.update(piece);
            frames_bytes += piece.len() as u64;
        };
        if image.is_mapped() {
            image.leave(|_at, piece| {
                look(piece);
                Ok(())
            })?;
        } else {
            let file = write_new(&self.frames)?;
            let len_bytes = image.leave(|at, piece| {
                look(piece);
                file.write_all_at(piece, at)
            })?;
            file.set_len(len_bytes)?;
            file.sync_all()?;
        }
        Ok(ShardEntry {
            tables_bytes,
            tables_sum,
            frames_bytes,
            frames_sum: sum.digest(),
        })
    }

    /// The shard that the files hold.
    pub(super) fn read(
        &self,
        entry: &ShardEntry,
        reader: &ShardReader<'_>,
    ) -> Result<RestoredShard, Refusal> {
        let tables = self.read_tables(entry)?;
        let mut sum = Xxh3::new();
        let shard = if self.in_memory {
            let file = MappedFile::open(&self.frames)?;
            let len_bytes = file.len_bytes()?;
            let mut shard = reader.read_tables::<Refusal>(&tables, Some(file))?;
            demand_lengths(&shard, entry, len_bytes)?;
            shard.enter(|_at, piece| {
                sum.update(piece);
                Ok(())
            })?;
            shard
        } else {
            let file = File::open(&self.frames)?;
            let mut shard = reader.read_tables::<Refusal>(&tables, None)?;
            demand_lengths(&shard, entry, file.metadata()?.size())?;
            // A hint only.
            let _as_well_without = fadvise(&file, 0, None, Advice::Sequential);
            shard.enter(|at, piece| {
                file.read_exact_at(piece, at)?;
                sum.update(piece);
                Ok(())
            })?;
            shard
        };
        if sum.digest() != entry.frames_sum {
            return Err(Refusal::Damaged("the memory of a shard"));
        }
        Ok(shard)
    }

    fn read_tables(&self, entry: &ShardEntry) -> Result<Vec<u8>, Refusal> {
        let file = File::open(&self.tables)?;
        if file.metadata()?.size() != entry.tables_bytes {
            return Err(Refusal::Damaged("the length of a shard"));
        }
        let mut tables = Vec::new();
        file.take(entry.tables_bytes).read_to_end(&mut tables)?;
        if xxh3_64(&tables) != entry.tables_sum {
            return Err(Refusal::Damaged("the tables of a shard"));
        }
        Ok(tables)
    }
}

fn demand_lengths(shard: &RestoredShard, entry: &ShardEntry, file_bytes: u64) -> Result<(), Refusal> {
    if (shard.frames_bytes(), shard.file_bytes()) == (entry.frames_bytes, file_bytes) {
        Ok(())
    } else {
        Err(Refusal::Damaged("the length of a shard"))
    }
}
