//! The head of an image, and whether a store that is configured now can go on from it.

use protocol::UnixSeconds;

use super::super::StoreConfig;
use super::super::geometry::Geometry;

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
    pub(super) fn fit(
        &self,
        config: &StoreConfig,
        now: UnixSeconds,
    ) -> Result<(Geometry, ahash::RandomState), Misfit> {
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

pub(in crate::store) fn hasher([a, b, c, d]: [u64; 4]) -> ahash::RandomState {
    ahash::RandomState::with_seeds(a, b, c, d)
}

/// Keys of several lengths, hashed: each length takes another path through the hash function.
pub(super) fn hash_check(hasher: &ahash::RandomState) -> u64 {
    let key = [b'k'; 250];
    [1, 7, 12, 30, 100, 250].iter().fold(0_u64, |check, &len| {
        check.rotate_left(9) ^ hasher.hash_one(&key[..len])
    })
}
