//! The one door: a topology made ready to answer "who owns this key" once per request.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::hash_stop::hashed_part;
use super::jump;
use super::kind::HashKind;
use super::rendezvous::Rendezvous;
use crate::error::PlacementError;
use crate::topology::Topology;

/// A topology made ready for lookups. Immutable: a change of topology makes a new one.
#[derive(Debug, Clone)]
pub struct Placement {
    hash: HashKind,
    names: Box<[Box<str>]>,
    scheme: Scheme,
}

#[derive(Debug, Clone)]
enum Scheme {
    Rendezvous(Rendezvous),
    Jump { buckets: u32 },
}

impl Placement {
    /// Checks the topology and builds what its scheme looks keys up in.
    pub fn new(topology: &Topology) -> Result<Self, PlacementError> {
        let servers = &topology.servers;
        if servers.is_empty() {
            return Err(PlacementError::NoServers);
        }
        let mut seen = HashMap::with_capacity(servers.len());
        for (position, server) in servers.iter().enumerate() {
            if server.name.is_empty() {
                return Err(PlacementError::EmptyName { position });
            }
            if let Some(first) = seen.insert(server.name.as_str(), position) {
                return Err(PlacementError::DuplicateName {
                    name: server.name.clone(),
                    first,
                    second: position,
                });
            }
        }
        let count = u32::try_from(servers.len()).expect("nobody lists four thousand million servers");
        let scheme = match topology.hash {
            HashKind::Rendezvous => Scheme::Rendezvous(Rendezvous::new(servers)),
            HashKind::Jump => Scheme::Jump { buckets: count },
        };
        let names = servers.iter().map(|server| server.name.as_str().into()).collect();
        Ok(Self {
            hash: topology.hash,
            names,
            scheme,
        })
    }

    /// The position, in the topology's list, of the server that owns `key`. Allocates nothing.
    pub fn owner(&self, key: &[u8]) -> usize {
        self.owner_of_part(hashed_part(key))
    }

    /// The owner of a key whose hash stop was already dealt with (or has a salt appended): all of `part` is hashed.
    pub fn owner_of_part(&self, part: &[u8]) -> usize {
        match &self.scheme {
            Scheme::Rendezvous(scheme) => scheme.owner(part),
            Scheme::Jump { buckets } => jump::bucket(xxh3_64(part), *buckets) as usize,
        }
    }

    /// The name of the server that owns `key`.
    pub fn owner_name(&self, key: &[u8]) -> &str {
        &self.names[self.owner(key)]
    }

    /// The servers' names, in list order.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The scheme.
    pub fn hash(&self) -> HashKind {
        self.hash
    }
}
