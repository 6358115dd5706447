//! PoolRoute: a pool's servers, each owning its share of the keys. Its settings wrap the servers one by one
//! (`max_outstanding`, `slow_warmup`, `shadows`) or all of them (`rates`), as the handles of those names do.

use super::{Blueprint, hash, null, outstanding_limit, rate_limit, shadow, shard_split, slow_warm_up};
use crate::config::check::{Checker, ConfigError, Node, Pool};
use hash::bucket::Buckets;
use hash::{HashSettings, chooser};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_some() {
        let pool = checker.pool(node)?;
        return checker.place(node, &pool, None);
    }
    node.only_supported(
        &[
            "type",
            "name",
            "pool",
            "hash",
            "asynclog",
            "asynclog_name",
            "shadows",
            "shadow_policy",
            "rates",
            "max_outstanding",
            "slow_warmup",
            "shard_splits",
            "split_shard_fanout",
            "bucketize",
            "total_buckets",
            "total_buckets_by_prefix",
            "bucketization_keyspace",
            // mcrouter does not read it either.
            "protocol",
        ],
        &["axonlog", "distribution_enabled", "useBucketHashSelector"],
    )?;
    let pool = checker.pool(&node.need("pool")?)?;
    let hash = node.get("hash");
    let pool = wrapped(node, checker, pool)?;
    let buckets = Buckets::read(node)?;
    let placed = match hash.as_ref().and_then(|hash| Some((hash, chooser(hash)?))) {
        Some((hash, over)) => over(hash, pool.blueprints(), checker)?,
        None => {
            let settings = hash.map(|hash| HashSettings::read(&hash)).transpose()?;
            checker.place_in_buckets(node, &pool, settings, buckets)?
        }
    };
    let placed = match node.get("rates") {
        Some(rates) => rate_limit::blueprint(placed, null::blueprint(), &rates)?,
        None => placed,
    };
    shard_split::around(placed, node, checker)
}

/// The pool with what this route puts around each of its servers.
fn wrapped(node: &Node<'_>, checker: &mut Checker<'_>, mut pool: Pool) -> Result<Pool, ConfigError> {
    if let Some(most) = node.get("max_outstanding") {
        let most = outstanding_limit::read_most(&most)?;
        pool.wrap(|_, server| outstanding_limit::blueprint(server, most));
    }
    if let Some(slow) = node.get("slow_warmup") {
        slow.only(&["failoverTarget", "settings"])?;
        let (failover, settings) = slow_warm_up::read(&slow, checker)?;
        pool.wrap(|_, server| slow_warm_up::blueprint(server, failover.clone(), settings));
    }
    let shadows = shadow::read(node, checker)?;
    pool.wrap(|index, server| shadow::blueprint(server, shadow::of_place(&shadows, index)));
    Ok(pool)
}
