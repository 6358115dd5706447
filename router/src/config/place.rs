//! The route to a pool's servers by hash: which hash, and without the servers that are out of the ring.

use std::sync::Arc;

use cluster::HashKind;

use super::check::Checker;
use super::node::{ConfigError, Node};
use super::pools::Pool;
use crate::route::hash::bucket::Buckets;
use crate::route::hash::{self, HashSettings, Placing};
use crate::route::{Blueprint, error, null};

impl Pool {
    /// Only the servers at `places`, and `settings` for these.
    fn only(&self, places: &[usize], settings: &HashSettings) -> (Self, HashSettings) {
        let rest = self.clone();
        let pool = Self {
            servers: picked(&rest.servers, places),
            weights: rest.weights.as_deref().map(|weights| picked(weights, places)),
            announced: rest.announced.as_ref().map(|weights| weights.only(places)),
            tags: rest.tags.as_deref().map(|tags| picked(tags, places)),
            blueprints: picked(&rest.blueprints, places),
            ..rest
        };
        let settings = HashSettings {
            weights: settings.weights.as_deref().map(|weights| picked(weights, places)),
            tags: settings.tags.as_deref().map(|tags| picked(tags, places)),
            ..settings.clone()
        };
        (pool, settings)
    }
}

/// Those of `all` that stand at `places`; lists may be shorter than there are servers.
fn picked<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    places
        .iter()
        .filter_map(|place| all.get(*place).cloned())
        .collect()
}

impl<'v> Checker<'v> {
    /// The route to a pool's servers by hash.
    pub(crate) fn place(
        &mut self,
        node: &Node<'_>,
        pool: &Pool,
        settings: Option<HashSettings>,
    ) -> Result<Blueprint, ConfigError> {
        self.place_in_buckets(node, pool, settings, None)
    }

    /// The same by the hash of a bucket that stands for the key.
    pub(crate) fn place_in_buckets(
        &mut self,
        node: &Node<'_>,
        pool: &Pool,
        settings: Option<HashSettings>,
        buckets: Option<Arc<Buckets>>,
    ) -> Result<Blueprint, ConfigError> {
        let mut settings = match settings.or_else(|| pool.hash.clone()) {
            Some(settings) => settings,
            None => HashSettings::unsaid(node)?,
        };
        if !settings.named && pool.weights.is_some() {
            settings.kind = HashKind::WeightedCh3;
        }
        if settings.kind.is_by_place() {
            settings.copies = pool.copies;
        }
        if buckets.is_some() && pool.servers.len() > 1 {
            // As in mcrouter, whose buckets would also go by the client's address if there were several connections.
            let complaint = match (settings.kind, pool.copies) {
                (HashKind::WeightedCh3, 1) => None,
                (HashKind::WeightedCh3, _) => Some("a pool with additional_fanout has no buckets here"),
                _ => Some("only WeightedCh3 takes buckets"),
            };
            if let (Some(why), Some(asked)) = (complaint, node.get("bucketize")) {
                return Err(asked.error(why));
            }
            settings.buckets = buckets;
        }
        if pool.servers.is_empty() {
            return Ok(if pool.error_on_empty {
                error::blueprint(&format!("pool {} has no servers", pool.name))
            } else {
                null::blueprint()
            });
        }
        if settings.tags.is_none() {
            settings.tags.clone_from(&pool.tags);
        }
        if let Some(tags) = &settings.tags
            && tags.len() != pool.servers.len()
        {
            return Err(node.error(&format!("{} tags for {} servers", tags.len(), pool.servers.len())));
        }
        self.placed.insert(pool.name.clone(), settings.clone());
        // Those that are out are connected to all the same: a probe has to bring them back.
        let out = self
            .defaults
            .ejected
            .get(&pool.name)
            .filter(|_| pool.eject.is_some());
        let is_out = |place: &usize| out.is_some_and(|out| out.contains(&pool.servers[*place].name));
        let (away, here): (Vec<usize>, Vec<usize>) = (0..pool.servers.len()).partition(is_out);
        let probed = picked(&pool.blueprints, &away);
        let whole = (pool.clone(), settings.clone());
        let (pool, settings) = if away.is_empty() || here.is_empty() {
            whole
        } else {
            pool.only(&here, &settings)
        };
        let placing = Placing::new(&settings, &pool.topology(&settings))
            .map_err(|error| node.error(&format!("pool {:?}: {error}", pool.name)))?;
        Ok(hash::blueprint(
            format!("PoolRoute {}", pool.name),
            Arc::new(placing),
            pool.blueprints(),
            probed,
        ))
    }
}
