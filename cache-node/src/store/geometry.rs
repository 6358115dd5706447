//! From a memory limit to shards, frames and extents. Arithmetic only; holds from 1 MiB to 1 TiB.

use super::api::StoreConfig;

/// Frames per shard that we aim at: fewer waste memory in half-filled segments, more cost bookkeeping.
const FRAMES_PER_SHARD: u64 = 256;
/// The smallest and largest frame chosen when the configuration names none.
const FRAME_BYTES: (u64, u64) = (8 << 10, 1 << 20);
/// The smallest and largest frame a configuration may name.
const FRAME_BYTES_ALLOWED: (usize, usize) = (4 << 10, 4 << 20);
/// A shard with less memory than this has too few frames to queue well.
const SHARD_BYTES_MIN: u64 = 4 << 20;
/// Locations are 32-bit counts of four bytes: 16 GiB. Half of that leaves room for a raised limit.
const SHARD_BYTES_MAX: u64 = 8 << 30;
/// Locations cannot name more than this.
const SHARD_BYTES_NAMEABLE: u64 = (16 << 30) - (64 << 20);
/// Shards per thread: two threads seldom meet in one of that many.
const SHARDS_PER_THREAD: usize = 4;
/// A shard should hold at least this many items of the largest size.
const LARGEST_ITEMS_PER_SHARD: u64 = 4;
/// Less memory than this is not a store.
pub(super) const LIMIT_BYTES_MIN: u64 = 1 << 20;
/// Shard memory outside the frames: the shard itself and the first capacity of its tables.
const SHARD_FIXED_BYTES: u64 = 4 << 10;
/// Bytes of tables per frame: a segment's row and its place in the free list.
const FRAME_TABLE_BYTES: u64 = 44;

/// How the memory of a store is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// A power of two.
    pub(super) shards: usize,
    /// A power of two.
    pub(super) frame_bytes: usize,
    /// Memory is asked from the system in pieces of this size; a power of two.
    pub(super) extent_bytes: usize,
}

impl Geometry {
    pub(super) fn new(config: &StoreConfig) -> Self {
        let limit = config.memory_limit_bytes.max(LIMIT_BYTES_MIN);
        let shards = config
            .shards
            .map_or_else(|| shards_for(config, limit), |n| n.max(1).next_power_of_two());
        let shard_bytes = limit / shards as u64;
        let frame_bytes = config.segment_bytes.map_or_else(
            || {
                to_usize(
                    power_of_two_below(shard_bytes / FRAMES_PER_SHARD).clamp(FRAME_BYTES.0, FRAME_BYTES.1),
                )
            },
            |n| {
                n.next_power_of_two()
                    .clamp(FRAME_BYTES_ALLOWED.0, FRAME_BYTES_ALLOWED.1)
            },
        );
        let extent_bytes =
            to_usize(power_of_two_below(shard_bytes / 8).clamp(1 << 20, 1 << 30)).max(frame_bytes);
        Self {
            shards,
            frame_bytes,
            extent_bytes,
        }
    }

    /// Frames one shard may use under a limit for the whole store.
    pub(super) fn frames_per_shard(&self, limit_bytes: u64) -> u32 {
        let shard_bytes = (limit_bytes.max(LIMIT_BYTES_MIN) / self.shards as u64).min(SHARD_BYTES_NAMEABLE);
        let frames =
            shard_bytes.saturating_sub(SHARD_FIXED_BYTES) / (self.frame_bytes as u64 + FRAME_TABLE_BYTES);
        u32::try_from(frames).unwrap_or(u32::MAX).max(FRAMES_MIN)
    }
}

/// The fewest frames that let a shard work: active segments, index pages and a reserve.
const FRAMES_MIN: u32 = 24;

fn shards_for(config: &StoreConfig, limit: u64) -> usize {
    let wanted = (config.threads.max(1) * SHARDS_PER_THREAD).next_power_of_two();
    let roomy = limit / SHARD_BYTES_MIN.max(LARGEST_ITEMS_PER_SHARD * config.item_size_max_bytes);
    let needed = to_usize(limit.div_ceil(SHARD_BYTES_MAX)).next_power_of_two();
    to_usize(power_of_two_below(roomy)).min(wanted).max(needed)
}

fn power_of_two_below(n: u64) -> u64 {
    if n == 0 { 1 } else { 1 << n.ilog2() }
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_limit_from_one_mebibyte_to_one_tebibyte_can_be_cut() {
        for shift in 20..=40 {
            for threads in [1, 4, 64] {
                let config = StoreConfig {
                    memory_limit_bytes: 1 << shift,
                    threads,
                    ..StoreConfig::default()
                };
                let geometry = Geometry::new(&config);
                let frames = u64::from(geometry.frames_per_shard(config.memory_limit_bytes));
                let bytes = frames * geometry.frame_bytes as u64 * geometry.shards as u64;
                assert!(
                    bytes <= config.memory_limit_bytes,
                    "2^{shift}: {geometry:?} takes {bytes}"
                );
                assert!(
                    bytes * 100 >= config.memory_limit_bytes * 95,
                    "2^{shift}: {geometry:?} uses {bytes}"
                );
                assert!(
                    frames * geometry.frame_bytes as u64 / 4 < u64::from(u32::MAX),
                    "locations fit"
                );
            }
        }
    }

    #[test]
    fn small_stores_have_one_shard_and_small_frames() {
        let config = StoreConfig {
            memory_limit_bytes: 4 << 20,
            ..StoreConfig::default()
        };
        let geometry = Geometry::new(&config);
        assert_eq!((geometry.shards, geometry.frame_bytes), (1, 16 << 10));
    }
}
