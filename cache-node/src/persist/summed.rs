//! Bytes on their way to and from a file, with their checksum made in passing.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::{FallocateFlags, fallocate};
use xxhash_rust::xxh3::Xxh3;

/// A file being written.
pub(super) struct SummedOut<'f> {
    file: &'f File,
    sum: Xxh3,
    bytes: u64,
}

impl<'f> SummedOut<'f> {
    pub(super) fn new(file: &'f File) -> Self {
        Self {
            file,
            sum: Xxh3::new(),
            bytes: 0,
        }
    }

    /// Bytes written, and their checksum.
    pub(super) fn finish(self) -> (u64, u64) {
        (self.bytes, self.sum.digest())
    }
}

impl Write for SummedOut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Bytes read before their room in the file is given back.
const EATEN_BYTES: u64 = 32 << 20;

/// A file being read, once: what has been read is taken out of the file, since in a memory-backed file system it would
/// be in memory twice.
pub(super) struct SummedIn<'f> {
    file: &'f File,
    sum: Xxh3,
    /// Where in the file we are, and up to where it has been emptied.
    at: u64,
    eaten: u64,
}

impl<'f> SummedIn<'f> {
    /// Reads on from `at`, where the file stands.
    pub(super) fn new(file: &'f File, at: u64) -> Self {
        Self {
            file,
            sum: Xxh3::new(),
            at,
            eaten: 0,
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum.digest()
    }

    fn eat(&mut self) {
        if self.at - self.eaten >= EATEN_BYTES {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where there are no holes, the file is on a disk, and the system forgets its pages when it needs room.
            let _as_well_without = fallocate(self.file, hole, self.eaten, self.at - self.eaten);
            self.eaten = self.at;
        }
    }
}

impl Read for SummedIn<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.sum.update(&bytes[..read]);
        self.at += read as u64;
        self.eat();
        Ok(read)
    }
}
