//! Memory in regions: fresh from the system, or pieces of a file of ours, mapped, so that what is written there outlives
//! the process without being copied. The one crate of the workspace with `unsafe` in it, one call of it.
//! Knows nothing of what the bytes mean.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{FallocateFlags, fallocate};

/// A piece of memory, aligned to pages and zero where nothing was written. Pages never touched are not resident.
#[derive(Debug)]
pub struct Region {
    bytes: MmapMut,
    /// Keeps the file's lock for as long as its bytes can be reached.
    _file: Option<Arc<File>>,
}

impl Region {
    /// Fresh memory of this process alone.
    ///
    /// # Errors
    /// If the system has none.
    pub fn anonymous(len_bytes: usize) -> io::Result<Self> {
        let bytes = MmapOptions::new().len(len_bytes).map_anon()?;
        Ok(Self { bytes, _file: None })
    }
}

impl Deref for Region {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Region {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// A file that is ours alone: private to our user, and locked until it and every region of it are dropped. Its bytes are
/// handed out once each, from the beginning on, so no two regions share any.
#[derive(Debug)]
pub struct MappedFile {
    file: Arc<File>,
    /// Bytes handed out as regions.
    mapped_bytes: u64,
}

impl MappedFile {
    /// A new, empty file; one that was there is emptied, once it is ours.
    ///
    /// # Errors
    /// If the system refuses, or somebody else has the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = Self::own(OpenOptions::new().create(true).mode(0o600), path)?;
        file.file.set_len(0)?;
        Ok(file)
    }

    /// A file that is there.
    ///
    /// # Errors
    /// As for [`create`](Self::create), and if there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::own(&mut OpenOptions::new(), path)
    }

    fn own(options: &mut OpenOptions, path: &Path) -> io::Result<Self> {
        let file = options.read(true).write(true).open(path)?;
        file.try_lock()?;
        Ok(Self {
            file: Arc::new(file),
            mapped_bytes: 0,
        })
    }

    /// How long the file is.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Makes sure that there is memory behind these bytes. Where that was not done, the first touch of a page may find
    /// that there is none, which ends the process.
    ///
    /// # Errors
    /// If there is no room.
    pub fn reserve(&self, from: u64, len_bytes: u64) -> io::Result<()> {
        Ok(fallocate(&*self.file, FallocateFlags::empty(), from, len_bytes)?)
    }

    /// The next bytes of the file, after those handed out before; the file grows if it is shorter.
    ///
    /// # Errors
    /// If the system refuses to map them, or `len_bytes` is zero.
    pub fn map_next(&mut self, len_bytes: usize) -> io::Result<Region> {
        let end = self.mapped_bytes + len_bytes as u64;
        if self.len_bytes()? < end {
            self.file.set_len(end)?;
        }
        let mut options = MmapOptions::new();
        options.offset(self.mapped_bytes).len(len_bytes);
        #[expect(
            unsafe_code,
            reason = "a map of a file has no safe form; this is the only one"
        )]
        // SAFETY: the bytes of a mapping must change through it alone. In this process they do: `mapped_bytes` never
        // goes back, so each byte is in one mapping at most, nothing here writes the file otherwise, and the lock, held
        // by every region, keeps a second `MappedFile` of the same file from being made. Other processes that keep to
        // the lock are kept out by it, those that do not by the file's mode; root can break this as it can write to
        // any process. The file is not shortened while a region of it lives: only `finish` does that, which checks.
        let bytes = unsafe { options.map_mut(&*self.file)? };
        self.mapped_bytes = end;
        Ok(Region {
            bytes,
            _file: Some(Arc::clone(&self.file)),
        })
    }

    /// Ends the use of the file, leaving it this long.
    ///
    /// # Errors
    /// If a region of it is still in use, or the system refuses.
    pub fn finish(self, len_bytes: u64) -> io::Result<()> {
        let file = Arc::try_unwrap(self.file)
            .map_err(|_shared| io::Error::new(io::ErrorKind::ResourceBusy, "a region is still in use"))?;
        file.set_len(len_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;

    #[test]
    fn fresh_memory_is_zero_and_ours_to_write() {
        let mut region = Region::anonymous(PAGE).unwrap();
        assert!(region.iter().all(|&byte| byte == 0));
        region[PAGE - 1] = 7;
        assert_eq!(region[PAGE - 1], 7);
    }

    #[test]
    fn what_is_written_is_there_after_the_next_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let mut file = MappedFile::create(&path).unwrap();
        file.reserve(0, PAGE as u64).unwrap();
        let (mut first, mut second) = (file.map_next(PAGE).unwrap(), file.map_next(PAGE).unwrap());
        first[0] = 1;
        second[0] = 2;
        assert_eq!((first[0], file.len_bytes().unwrap()), (1, 2 * PAGE as u64));
        drop((first, second));
        file.finish(PAGE as u64 + 1).unwrap();

        let mut file = MappedFile::open(&path).unwrap();
        assert_eq!(file.len_bytes().unwrap(), PAGE as u64 + 1);
        let (first, second) = (file.map_next(PAGE).unwrap(), file.map_next(PAGE).unwrap());
        assert_eq!((first[0], second[0], second[1]), (1, 2, 0));
        drop((first, second, file));
        let file = MappedFile::create(&path).unwrap();
        assert_eq!(file.len_bytes().unwrap(), 0, "a new one begins empty");
    }

    #[test]
    fn a_file_is_one_users_until_its_last_region_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let mut file = MappedFile::create(&path).unwrap();
        let region = file.map_next(PAGE).unwrap();
        assert!(MappedFile::open(&path).is_err());
        assert!(file.finish(0).is_err(), "not under a region");
        assert!(MappedFile::create(&path).is_err(), "the region alone keeps it");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), PAGE as u64, "untouched");
        drop(region);
        assert!(MappedFile::open(&path).is_ok());
    }
}
