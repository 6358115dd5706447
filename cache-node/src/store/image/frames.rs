//! The bytes of a shard's memory, frame after frame, on their way out and in. Memory is given back as it is written
//! and taken as it is read, so that a store on its way to or from memory-backed files is never there twice.

use std::io::{self, Read, Write};

use super::super::arena::{Arena, Extent};

/// Bytes moved in one go: what stays in a processor's cache until its checksum is made.
const PIECE_BYTES: usize = 256 << 10;

/// Which of the frames below `made` are in use.
pub(super) fn used(made: u32, free: &[u32]) -> Vec<bool> {
    let mut used = vec![true; made as usize];
    for &frame in free {
        if let Some(used) = used.get_mut(frame as usize) {
            *used = false;
        }
    }
    used
}

/// Visits the bytes of one extent's frames in use: one slice for each run of neighbours.
fn for_each_run(
    extent: &mut Extent,
    used: &[bool],
    frame_bytes: usize,
    mut visit: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut frame = 0;
    while frame < used.len() {
        let run = used[frame..].iter().take_while(|&&used| used).count();
        if run > 0 {
            visit(extent.bytes_mut(frame * frame_bytes, run * frame_bytes))?;
        }
        frame += run.max(1);
    }
    Ok(())
}

/// Writes the frames in use, in order, and frees the memory behind.
pub(super) fn write(arena: &mut Arena, out: &mut impl Write) -> io::Result<()> {
    let frame_bytes = arena.frame_bytes();
    let used = used(arena.made, &arena.free);
    let extents = std::mem::take(&mut arena.extents);
    for (mut extent, used) in extents.into_iter().zip(used.chunks(arena.frames_per_extent())) {
        for_each_run(&mut extent, used, frame_bytes, |bytes| {
            bytes
                .chunks(PIECE_BYTES)
                .try_for_each(|piece| out.write_all(piece))
        })?;
    }
    Ok(())
}

/// Reads what [`write`] wrote, into an arena that knows its frames but has no memory yet.
pub(super) fn read(arena: &mut Arena, input: &mut impl Read) -> io::Result<()> {
    let frame_bytes = arena.frame_bytes();
    let used = used(arena.made, &arena.free);
    for used in used.chunks(arena.frames_per_extent()) {
        let mut extent = arena.new_extent();
        for_each_run(&mut extent, used, frame_bytes, |bytes| {
            bytes
                .chunks_mut(PIECE_BYTES)
                .try_for_each(|piece| input.read_exact(piece))
        })?;
        arena.extents.push(extent);
    }
    Ok(())
}
