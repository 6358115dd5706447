//! PoolRoute: a pool's servers, each owning its share of the keys.

use super::{Blueprint, hash};
use crate::config::check::{Checker, ConfigError, Node};
use hash::HashSettings;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let (pool, settings) = if node.argument().is_some() {
        (checker.pool(node)?, None)
    } else {
        node.only_supported(
            &["type", "name", "pool", "hash", "asynclog", "asynclog_name"],
            &[
                "shadows",
                "shadow_policy",
                "rates",
                "shard_splits",
                "split_shard_fanout",
                "max_outstanding",
                "slow_warmup",
                "bucketize",
                "total_buckets",
                "bucketization_keyspace",
                "total_buckets_by_prefix",
                "distribution_enabled",
            ],
        )?;
        let pool = checker.pool(&node.need("pool")?)?;
        let settings = node
            .get("hash")
            .map(|hash| HashSettings::read(&hash))
            .transpose()?;
        (pool, settings)
    };
    checker.place(node, &pool, settings)
}
