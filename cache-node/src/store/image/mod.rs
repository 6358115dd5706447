//! What of a store outlives its process: a head (how the memory is cut, what keys are hashed with, when its seconds
//! began) and, for each shard, tables and the bytes of its frames. Positions, cas uniques, expiries and the standing of
//! items are the same afterwards, because the bytes are.
//! Files, checksums and versions are the business of whoever keeps the image.
//!
//! Tables of a shard, in numbers as `words.rs` writes them:
//!
//! ```text
//! arena    frames made u32, free frames list
//! index    pages list, overflow pages list, overflow made u32, overflow free u32, buckets u64, items u64
//! ghosts   pages list
//! log      cas base u64, next seq u64, flushed below u64
//!          rows u64, each: state u8 (0 unused, 1 active, 2 sealed); unless unused:
//!                    queue u8, class u8, seq u64, used u32, live u32, last expiry u32
//!          active frames 8 x u32 (small, main; by class), sealed frames of small list, of main list (oldest first)
//! large    rows u64, each: pieces list; unless empty: length u64, hash u64, head u32
//! shard    bytes of items u64, second of a flush to come u32 (none: the largest)
//! ```

mod frames;
mod words;

use std::io;

use mapped::MappedFile;
// Of scoped threads, which no scheduler steps through.
use parking_lot::Mutex as PlainMutex;
use protocol::UnixSeconds;

use super::arena::{Arena, Loc};
use super::geometry::Geometry;
use super::ghost::Ghosts;
use super::index::Index;
use super::large::{LargeTable, Row};
use super::queue::{NONE, Queue};
use super::segment::{Log, Segment, State};
use super::shard::Shard;
use super::ttl_class::CLASSES;
use super::{Padded, Store, StoreConfig};
use crate::sync::Mutex;

pub use words::Malformed;
pub(crate) use words::{WordsIn, WordsOut};

/// What all shards of a store have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) shards: u32,
    pub(crate) segment_bytes: u32,
    pub(crate) item_size_max_bytes: u64,
    /// What keys are hashed with.
    pub(crate) seeds: [u64; 4],
    /// A hash made with them: another build or machine may hash otherwise.
    pub(crate) hash_check: u64,
    /// When the store's count of seconds began.
    pub(crate) epoch: UnixSeconds,
}

/// Why an image does not fit the store that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("the largest item was {was} bytes (-I), now it is {is}")]
    ItemSize { was: u64, is: u64 },
    #[error("{shards} shards of segments of {segment_bytes} bytes do not suit the memory given now (-m)")]
    Geometry { shards: u32, segment_bytes: u32 },
    #[error("it was written by a build that hashes keys otherwise")]
    Hashing,
    #[error("its count of seconds began too long ago")]
    Age,
    #[error("it holds more than the memory given now (-m)")]
    TooLarge,
}

/// The oldest count of seconds that is gone on with: an expiry reaches 8.5 years from its beginning.
const AGE_MAX_SECONDS: u64 = 4 * 365 * 86_400;
/// Segments per shard with which a store cut for another memory limit still works well.
const SEGMENTS_PER_SHARD: std::ops::RangeInclusive<u32> = 64..=65_536;

impl Head {
    /// Whether a store of this configuration can go on from an image with this head; if so, cut like it.
    fn fit(&self, config: &StoreConfig, now: UnixSeconds) -> Result<(Geometry, ahash::RandomState), Misfit> {
        if self.item_size_max_bytes != config.item_size_max_bytes {
            return Err(Misfit::ItemSize {
                was: self.item_size_max_bytes,
                is: config.item_size_max_bytes,
            });
        }
        let fresh = Geometry::new(config);
        let cut_alike = StoreConfig {
            shards: Some(self.shards as usize),
            segment_bytes: Some(self.segment_bytes as usize),
            ..config.clone()
        };
        let geometry = Geometry::new(&cut_alike);
        let is_alike =
            (geometry.shards, geometry.frame_bytes) == (self.shards as usize, self.segment_bytes as usize);
        let is_fresh = (geometry.shards, geometry.frame_bytes) == (fresh.shards, fresh.frame_bytes);
        let segments = geometry.frames_per_shard(config.memory_limit_bytes);
        let is_asked = config.shards.is_none_or(|_| fresh.shards == geometry.shards)
            && config
                .segment_bytes
                .is_none_or(|_| fresh.frame_bytes == geometry.frame_bytes);
        if !is_alike || !is_asked || (!is_fresh && !SEGMENTS_PER_SHARD.contains(&segments)) {
            return Err(Misfit::Geometry {
                shards: self.shards,
                segment_bytes: self.segment_bytes,
            });
        }
        if now.0.saturating_sub(self.epoch.0) > AGE_MAX_SECONDS {
            return Err(Misfit::Age);
        }
        let hasher = hasher(self.seeds);
        if hash_check(&hasher) != self.hash_check {
            return Err(Misfit::Hashing);
        }
        Ok((geometry, hasher))
    }
}

pub(super) fn hasher([a, b, c, d]: [u64; 4]) -> ahash::RandomState {
    ahash::RandomState::with_seeds(a, b, c, d)
}

/// Keys of several lengths, hashed: each length takes another path through the hash function.
fn hash_check(hasher: &ahash::RandomState) -> u64 {
    let key = [b'k'; 250];
    [1, 7, 12, 30, 100, 250].iter().fold(0_u64, |check, &len| {
        check.rotate_left(9) ^ hasher.hash_one(&key[..len])
    })
}

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
        let tables = tables(&shard);
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
        let shard = read_tables(tables, arena, self)?;
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

const FLUSH_NONE: u32 = u32::MAX;

fn tables(shard: &Shard) -> Vec<u8> {
    let mut out = WordsOut::default();
    let Arena { made, free, .. } = &shard.arena;
    out.u32(*made);
    out.list(free.iter().copied());

    let index = &shard.index;
    out.list(index.pages.iter().copied());
    out.list(index.overflow_pages.iter().copied());
    out.u32(index.overflow_made);
    out.u32(index.overflow_free);
    out.len(index.buckets);
    out.len(index.items);
    out.list(shard.ghosts.pages.iter().copied());

    log_tables(&shard.log, &mut out);

    out.len(shard.large.rows.len());
    for row in &shard.large.rows {
        out.list(row.pieces.iter().map(|piece| piece.0));
        if !row.pieces.is_empty() {
            out.len(row.len);
            out.u64(row.hash);
            out.u32(row.head.0);
        }
    }

    out.u64(shard.counters.item_bytes);
    out.u32(shard.flush_at.unwrap_or(FLUSH_NONE));
    out.0
}

fn log_tables(log: &Log, out: &mut WordsOut) {
    out.u64(log.cas_base);
    out.u64(log.next_seq);
    out.u64(log.flushed_below);
    out.len(log.rows.len());
    for row in &log.rows {
        match row.state {
            State::Unused => {
                out.u8(0);
                continue;
            }
            State::Active => out.u8(1),
            // None is leaving any more.
            State::Sealed | State::Leaving => out.u8(2),
        }
        out.u8(row.queue as u8);
        out.u8(row.class);
        out.u64(row.seq);
        out.u32(row.used);
        out.u32(row.live);
        out.u32(row.last_expiry);
    }
    for frame in log.active.as_flattened() {
        out.u32(*frame);
    }
    for queue in [Queue::Small, Queue::Main] {
        let frames: Vec<u32> = log.sealed(queue).collect();
        out.list(frames.into_iter());
    }
}

fn read_tables(tables: &[u8], mut arena: Arena, reader: &ShardReader<'_>) -> Result<Shard, Malformed> {
    let mut words = WordsIn::new(tables, "the table of frames");
    arena.made = words.u32()?;
    arena.free = words.list()?;
    let made = arena.made;
    let is_frame = move |frame: u32| frame < made;
    words.demand(arena.free.iter().all(|&frame| is_frame(frame)) && arena.free.len() <= made as usize)?;

    words.part("the table of the index");
    let (pages, overflow_pages) = (words.list()?, words.list()?);
    words.demand(pages.iter().chain(&overflow_pages).all(|&page| is_frame(page)))?;
    let mut index = Index::of_pages(&arena, pages, overflow_pages);
    index.overflow_made = words.u32()?;
    index.overflow_free = words.u32()?;
    index.set_buckets(words.usize()?);
    index.items = words.usize()?;
    words.demand(index.is_within_its_pages())?;
    let mut ghosts = Ghosts::new(&arena);
    ghosts.pages = words.list()?;
    words.demand(ghosts.pages.iter().all(|&page| is_frame(page)))?;
    words.demand(ghosts.reaches(index.buckets))?;

    words.part("the table of segments");
    let log = read_log(&mut words, &arena)?;

    words.part("the table of large values");
    let mut large = LargeTable::new();
    for number in 0..words.len(8)? {
        let pieces: Vec<Loc> = words.list()?.into_iter().map(Loc).collect();
        let row = if pieces.is_empty() {
            large
                .unused
                .push(u32::try_from(number).map_err(|_too_many| words.malformed())?);
            Row::UNUSED
        } else {
            Row {
                pieces,
                len: words.usize()?,
                hash: words.u64()?,
                head: Loc(words.u32()?),
                ..Row::UNUSED
            }
        };
        large.bytes += row.len;
        large.rows.push(row);
    }

    words.part("the table of a shard");
    let mut shard = Shard::of_parts(
        reader.config,
        arena,
        index,
        ghosts,
        log,
        large,
        reader.hasher.clone(),
    );
    shard.counters.item_bytes = words.u64()?;
    shard.flush_at = Some(words.u32()?).filter(|&at| at != FLUSH_NONE);
    words.end()?;
    Ok(shard)
}

fn read_log(words: &mut WordsIn<'_>, arena: &Arena) -> Result<Log, Malformed> {
    let mut log = Log::new(arena.limit().max(arena.made), words.u64()?);
    log.next_seq = words.u64()?;
    log.flushed_below = words.u64()?;
    let rows = words.len(1)?;
    words.demand(rows <= arena.made as usize)?;
    for _ in 0..rows {
        let state = match words.u8()? {
            0 => {
                log.rows.push(Segment::UNUSED);
                continue;
            }
            1 => State::Active,
            2 => State::Sealed,
            _ => return Err(words.malformed()),
        };
        let queue = match words.u8()? {
            0 => Queue::Small,
            1 => Queue::Main,
            _ => return Err(words.malformed()),
        };
        let row = Segment {
            state,
            queue,
            class: words.u8()?,
            seq: words.u64()?,
            used: words.u32()?,
            live: words.u32()?,
            last_expiry: words.u32()?,
            ..Segment::UNUSED
        };
        words.demand(usize::from(row.class) < CLASSES)?;
        words.demand(row.live <= row.used && row.used as usize <= arena.frame_bytes())?;
        log.segments += 1;
        log.by_queue[queue as usize] += 1;
        log.rows.push(row);
    }
    let is_in =
        |log: &Log, frame: u32, state| log.rows.get(frame as usize).is_some_and(|row| row.state == state);
    for queue in 0..log.active.len() {
        for class in 0..CLASSES {
            let frame = words.u32()?;
            words.demand(frame == NONE || is_in(&log, frame, State::Active))?;
            log.active[queue][class] = frame;
        }
    }
    let mut sealed = 0;
    for queue in [Queue::Small, Queue::Main] {
        for frame in words.list()? {
            words.demand(is_in(&log, frame, State::Sealed))?;
            log.line_up(queue, frame);
            sealed += 1;
        }
    }
    let wanted = log.rows.iter().filter(|row| row.state == State::Sealed).count();
    words.demand(sealed == wanted)?;
    Ok(log)
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
