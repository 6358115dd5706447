//! From a key to the place of its owner in the list: the salt, buckets and repeated places of mcrouter's around a
//! [`Placement`].

use cluster::{HashKind, Placement, PlacementError, Topology, diff, hashed_part};

use super::HashSettings;

/// Where keys are.
#[derive(Debug, Clone)]
pub(crate) struct Placing {
    placement: Placement,
    settings: HashSettings,
}

impl Placing {
    /// The placement of the children that `topology` names, each once.
    pub(crate) fn new(settings: &HashSettings, topology: &Topology) -> Result<Self, PlacementError> {
        let placement = if settings.copies > 1 {
            let servers = topology.servers.iter();
            let each = servers.flat_map(|server| std::iter::repeat_n(server.clone(), settings.copies));
            Placement::new(&Topology {
                servers: each.collect(),
                ..topology.clone()
            })?
        } else {
            Placement::new(topology)?
        };
        Ok(Self {
            placement,
            settings: settings.clone(),
        })
    }

    pub(crate) fn hash(&self) -> HashKind {
        self.placement.hash()
    }

    /// The place of the child that owns `key`.
    pub(crate) fn owner(&self, key: &[u8]) -> usize {
        let settings = &self.settings;
        let place = if settings.salt.is_empty() && settings.buckets.is_none() {
            self.placement.owner(key)
        } else {
            let part = match self.bucket(key) {
                Some(bucket) => bucket.to_string().into_bytes(),
                None => hashed_part(key).to_vec(),
            };
            self.placement
                .owner_of_part(&[part, settings.salt.clone()].concat())
        };
        place / settings.copies
    }

    /// The bucket that stands for `key`, if it is hashed by one.
    pub(crate) fn bucket(&self, key: &[u8]) -> Option<u32> {
        let buckets = self.settings.buckets.as_ref()?;
        Some(buckets.of(hashed_part(key)))
    }

    /// What the buckets are called together.
    pub(crate) fn keyspace(&self) -> Option<&str> {
        Some(self.settings.buckets.as_ref()?.keyspace())
    }

    /// The names of the children, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let names = self.placement.names().iter();
        names.step_by(self.settings.copies).map(|name| &**name).collect()
    }
}

/// What moves when `new` takes the place of `old`.
pub(crate) fn moved<K: AsRef<[u8]>>(
    old: &Placing,
    new: &Placing,
    keys: impl IntoIterator<Item = (K, u64)>,
) -> diff::Moved {
    let owners = (|key: &[u8]| old.owner(key), |key: &[u8]| new.owner(key));
    diff::moved_by((&old.names(), &new.names()), owners, keys)
}
