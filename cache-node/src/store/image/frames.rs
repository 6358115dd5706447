//! The bytes of a shard's memory, frame after frame, on their way out and in. Memory is given back as it is visited on
//! the way out, and taken as it is visited on the way in, so that a store is never there twice.

use std::io;

use super::super::arena::Arena;

/// Bytes visited in one go: what stays in a processor's cache until its checksum is made.
const PIECE_BYTES: usize = 256 << 10;

/// Which of the frames below `made` are in use.
fn used(made: u32, free: &[u32]) -> Vec<bool> {
    let mut used = vec![true; made as usize];
    for &frame in free {
        if let Some(used) = used.get_mut(frame as usize) {
            *used = false;
        }
    }
    used
}

/// Visits the bytes of one extent's frames in use, in order and in pieces, each with its position in the shard's
/// memory. The extent begins at `start`.
fn visit_extent(
    start: u64,
    extent: &mut [u8],
    used: &[bool],
    frame_bytes: usize,
    visit: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut frame = 0;
    while frame < used.len() {
        let run = used[frame..].iter().take_while(|&&used| used).count();
        let from = frame * frame_bytes;
        let pieces = extent[from..][..run * frame_bytes].chunks_mut(PIECE_BYTES);
        for (at, piece) in (from..).step_by(PIECE_BYTES).zip(pieces) {
            visit(start + at as u64, piece)?;
        }
        frame += run.max(1);
    }
    Ok(())
}

/// Visits the frames in use, and gives the memory behind them back.
pub(super) fn leave(
    arena: &mut Arena,
    visit: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (frame_bytes, extent_bytes) = (arena.frame_bytes(), arena.extent_bytes());
    let used = used(arena.made, &arena.free);
    let extents = std::mem::take(&mut arena.extents).into_iter();
    let used = used.chunks(extent_bytes / frame_bytes);
    for ((start, mut extent), used) in (0..).step_by(extent_bytes).zip(extents).zip(used) {
        visit_extent(start, &mut extent, used, frame_bytes, visit)?;
    }
    Ok(())
}

/// Gets memory for an arena that knows its frames but has none yet, and visits the frames in use.
pub(super) fn enter(
    arena: &mut Arena,
    visit: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (frame_bytes, extent_bytes) = (arena.frame_bytes(), arena.extent_bytes());
    let used = used(arena.made, &arena.free);
    for (start, used) in (0..)
        .step_by(extent_bytes)
        .zip(used.chunks(extent_bytes / frame_bytes))
    {
        let mut extent = arena.new_extent()?;
        visit_extent(start, &mut extent, used, frame_bytes, visit)?;
        arena.extents.push(extent);
    }
    // Those not in use may be holes.
    arena.free.iter().try_for_each(|&frame| arena.reserve(frame))
}
