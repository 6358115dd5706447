//! Sessions that clients may resume (`ssl_session_cache`): bounded, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// Sessions kept, the oldest forgotten first: some hundred bytes each.
const SESSIONS_MAX: usize = 4096;

/// The sessions of one node.
#[derive(Debug)]
pub(super) struct Sessions {
    kept: Arc<ServerSessionMemoryCache>,
    made: AtomicU64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            kept: ServerSessionMemoryCache::new(SESSIONS_MAX),
            made: AtomicU64::new(0),
        }
    }
}

impl Sessions {
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.kept.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}
