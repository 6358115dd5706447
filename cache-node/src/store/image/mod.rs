//! What of a store outlives its process: a head (how the memory is cut, what keys are hashed with, when its seconds
//! began) and, for each shard, tables and the bytes of its frames. Positions, cas uniques, expiries and the standing of
//! items are the same afterwards, because the bytes are.
//! Files, checksums and versions are the business of whoever keeps the image.

mod frames;
mod head;
mod tables;
mod words;

use std::io;

use mapped::MappedFile;
// Of scoped threads, which no scheduler steps through.
use parking_lot::Mutex as PlainMutex;
use protocol::UnixSeconds;

use super::arena::Arena;
use super::geometry::Geometry;
use super::shard::Shard;
use super::{Padded, Store, StoreConfig};
use crate::sync::Mutex;
use head::hash_check;

pub(super) use head::hasher;
pub(crate) use head::{Head, Misfit};
pub use words::Malformed;
pub(crate) use words::{WordsIn, WordsOut};

/// One shard on its way out, taken from its store.
pub(crate) struct ShardImage {
    shard: Shard,
    pub(crate) tables: Vec<u8>,
}

impl ShardImage {
    /// Whether the bytes lie in a file already, at the positions that they are visited with.
    pub(crate) fn is_mapped(&self) -> bool {
        self.shard.arena.is_mapped()
    }

    /// Visits the bytes of the frames in use, in order, each piece with its position, and frees their memory; memory in
    /// a file stays there. Answers how long the file is then, or ought to be.
    pub(crate) fn leave(mut self, mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<u64> {
        let arena = &mut self.shard.arena;
        frames::leave(arena, &mut |at, piece| visit(at, piece))?;
        let len_bytes = arena.start_of(arena.made) as u64;
        if let Some(file) = arena.take_file() {
            file.finish(len_bytes)?;
        }
        Ok(len_bytes)
    }
}

impl Store {
    /// What the images of the shards need to be read again. `drift`: seconds that the wall clock is ahead of the clock
    /// that this store has been told; expiries follow the wall clock from then on.
    pub(crate) fn head(&self, drift: i64) -> Head {
        Head {
            shards: u32::try_from(self.shards.len()).unwrap_or(u32::MAX),
            segment_bytes: u32::try_from(self.geometry.frame_bytes).unwrap_or(u32::MAX),
            item_size_max_bytes: self.config.item_size_max_bytes,
            seeds: self.seeds,
            hash_check: hash_check(&self.hasher),
            epoch: UnixSeconds(self.epoch.0.saturating_add_signed(drift)),
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Takes a shard out, as an image; an empty one takes its place.
    pub(crate) fn take_shard(&self, number: usize) -> ShardImage {
        let mut held = self.shards[number].0.lock();
        let empty = Shard::new(&self.config, &self.geometry, self.hasher.clone(), 0, None);
        let mut shard = std::mem::replace(&mut *held, empty);
        drop(held);
        shard.settle_for_image();
        let tables = tables::write(&shard);
        ShardImage { shard, tables }
    }

    /// A store that goes on from an image. `read` is given the number of each shard, from several threads, and reads
    /// it with the [`ShardReader`].
    pub(crate) fn from_image<E: From<Misfit> + Send>(
        head: &Head,
        config: &StoreConfig,
        now: UnixSeconds,
        read: impl Fn(usize, &ShardReader<'_>) -> Result<RestoredShard, E> + Sync,
    ) -> Result<Self, E> {
        let (geometry, hasher) = head.fit(config, now)?;
        let reader = ShardReader {
            config,
            geometry: &geometry,
            hasher: &hasher,
        };
        let shards = in_parallel(geometry.shards, |number| read(number, &reader))?;
        let shards = shards.into_iter().map(|shard| Padded(Mutex::new(shard.0)));
        Ok(Self::assemble(
            config,
            geometry,
            head.seeds,
            head.epoch,
            shards.collect(),
        ))
    }
}

/// Does numbered jobs on as many threads as there are processors; the first error ends it.
pub(crate) fn in_parallel<T: Send, E: Send>(
    jobs: usize,
    job: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(jobs);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = PlainMutex::new(Ok((0..jobs).map(|_| None).collect::<Vec<Option<T>>>()));
    let work = || loop {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if number >= jobs || done.lock().is_err() {
            return;
        }
        let result = job(number);
        let mut done = done.lock();
        match (result, &mut *done) {
            (Ok(value), Ok(values)) => values[number] = Some(value),
            (Err(error), Ok(_)) => *done = Err(error),
            (_, Err(_)) => {}
        }
    };
    std::thread::scope(|scope| {
        for _helper in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    done.into_inner()
        .map(|values| values.into_iter().flatten().collect())
}

/// A shard read, waiting for the others.
pub(crate) struct RestoredShard(Shard);

/// Reads shards of one store.
pub(crate) struct ShardReader<'a> {
    config: &'a StoreConfig,
    geometry: &'a Geometry,
    hasher: &'a ahash::RandomState,
}

impl ShardReader<'_> {
    /// A shard without the bytes of its frames; they will lie in `file`, if there is one.
    ///
    /// # Errors
    /// If the tables make no sense, or more memory is in use than the configuration gives.
    pub(crate) fn read_tables<E: From<Malformed> + From<Misfit>>(
        &self,
        tables: &[u8],
        file: Option<MappedFile>,
    ) -> Result<RestoredShard, E> {
        let frames = self.geometry.frames_per_shard(self.config.memory_limit_bytes);
        let Geometry {
            frame_bytes,
            extent_bytes,
            ..
        } = *self.geometry;
        let arena = Arena::new(frame_bytes, extent_bytes, frames, file);
        let shard = tables::read(tables, arena, self)?;
        if shard.arena.in_use() > frames {
            return Err(Misfit::TooLarge.into());
        }
        Ok(RestoredShard(shard))
    }
}

impl RestoredShard {
    /// Bytes of the frames in use.
    pub(crate) fn frames_bytes(&self) -> u64 {
        let arena = &self.0.arena;
        u64::from(arena.in_use()) * arena.frame_bytes() as u64
    }

    /// How long a file is that holds the frames at their positions.
    pub(crate) fn file_bytes(&self) -> u64 {
        let arena = &self.0.arena;
        arena.start_of(arena.made) as u64
    }

    /// Gets memory, and visits the bytes of the frames in use, in order, each piece with its position: to be filled, or,
    /// in a file, to be looked at.
    pub(crate) fn enter(
        &mut self,
        mut visit: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        frames::enter(&mut self.0.arena, &mut visit)
    }
}

impl Shard {
    /// No segment half emptied, no value held by somebody who is gone.
    fn settle_for_image(&mut self) {
        for frame in self.reclaim.put_down() {
            self.log.put_back(frame);
        }
        for row in 0..self.large.rows.len() {
            if let Ok(row) = u32::try_from(row) {
                self.free_if_ownerless(row);
            }
        }
    }
}
