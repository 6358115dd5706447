//! The tables of a shard, in numbers as `words.rs` writes them:
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

use super::super::arena::{Arena, Loc};
use super::super::ghost::Ghosts;
use super::super::index::Index;
use super::super::large::{LargeTable, Row};
use super::super::queue::{NONE, Queue};
use super::super::segment::{Log, Segment, State};
use super::super::shard::Shard;
use super::super::ttl_class::CLASSES;
use super::{Malformed, ShardReader, WordsIn, WordsOut};

const FLUSH_NONE: u32 = u32::MAX;

/// The tables of a shard that is settled.
pub(super) fn write(shard: &Shard) -> Vec<u8> {
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

/// A shard without the bytes of its frames.
pub(super) fn read(tables: &[u8], mut arena: Arena, reader: &ShardReader<'_>) -> Result<Shard, Malformed> {
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
