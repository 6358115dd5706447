//! The one door: a topology made ready to answer "who owns this key" once per request.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::ch3::{self, WeightedCh3};
use super::hash_stop::hashed_part;
use super::ketama::{self, Points};
use super::key_hash::KeyHash;
use super::kind::HashKind;
use super::mcrouter_rendezvous::McrouterRendezvous;
use super::modulo::{self, Modulo};
use super::rendezvous::Rendezvous;
use super::ring::{Ring, own_point_count, own_points, whole};
use super::{const_shard, jump, twemproxy};
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
    Ring(Ring<u64>),
    Ketama { ring: Ring<u32>, key_hash: KeyHash },
    Modulo(Modulo),
    Jump { servers: u32 },
    Ch3 { servers: u32 },
    ConstShard { servers: u32 },
    WeightedCh3(WeightedCh3),
    Crc32 { servers: u32 },
    McrouterRendezvous(McrouterRendezvous),
}

/// The most points or slots one placement may hold: 64 MiB of them, and any sane pool has a hundredth.
const POINTS_MAX: u64 = 1 << 22;

impl Placement {
    /// Checks the topology and builds what its scheme looks keys up in.
    pub fn new(topology: &Topology) -> Result<Self, PlacementError> {
        let servers = &topology.servers;
        check_names(topology)?;
        check_weights(topology)?;
        let count = check_size(topology)?;
        let ring = || {
            let flavour = Points::of(topology.hash).expect("a scheme of the ketama family");
            Ring::new(ketama::points(servers, flavour))
        };
        let scheme = match topology.hash {
            HashKind::Rendezvous => Scheme::Rendezvous(Rendezvous::new(servers)),
            HashKind::Ring { points } => Scheme::Ring(Ring::new(own_points(servers, points))),
            HashKind::Ketama { .. } => Scheme::Ketama {
                ring: ring(),
                key_hash: KeyHash::Md5,
            },
            HashKind::KetamaLibmemcached(key_hash)
            | HashKind::KetamaSpy(key_hash)
            | HashKind::KetamaTwemproxy(key_hash) => Scheme::Ketama {
                ring: ring(),
                key_hash,
            },
            HashKind::Modulo(hash) => Scheme::Modulo(Modulo::new(hash, (0..count).map(|index| (index, 1)))),
            HashKind::ModuloTwemproxy(hash) => Scheme::Modulo(Modulo::new(hash, twemproxy::slots(servers))),
            HashKind::Jump => Scheme::Jump { servers: count },
            HashKind::Ch3 => Scheme::Ch3 { servers: count },
            HashKind::ConstShard => Scheme::ConstShard { servers: count },
            HashKind::WeightedCh3 => Scheme::WeightedCh3(WeightedCh3::new(servers)),
            HashKind::Crc32 => Scheme::Crc32 { servers: count },
            HashKind::McrouterRendezvous => {
                Scheme::McrouterRendezvous(McrouterRendezvous::new(servers, false))
            }
            HashKind::McrouterWeightedRendezvous => {
                Scheme::McrouterRendezvous(McrouterRendezvous::new(servers, true))
            }
        };
        let names = servers.iter().map(|server| server.name.as_str().into()).collect();
        Ok(Self {
            hash: topology.hash,
            names,
            scheme,
        })
    }

    /// The position, in the topology's list, of the server that owns `key`. Allocates nothing for keys memcached allows.
    pub fn owner(&self, key: &[u8]) -> usize {
        self.owner_of_part(hashed_part(key))
    }

    /// The owner of a key whose hash stop was already dealt with (or has a salt appended): all of `part` is hashed.
    pub fn owner_of_part(&self, part: &[u8]) -> usize {
        match &self.scheme {
            Scheme::Rendezvous(scheme) => scheme.owner(part),
            Scheme::Ring(ring) => ring.owner(xxh3_64(part)),
            Scheme::Ketama { ring, key_hash } => ring.owner(key_hash.hash(part)),
            Scheme::Modulo(scheme) => scheme.owner(part),
            Scheme::Jump { servers } => jump::bucket(xxh3_64(part), *servers) as usize,
            Scheme::Ch3 { servers } => ch3::bucket(part, *servers) as usize,
            Scheme::ConstShard { servers } => {
                const_shard::named(part, *servers).unwrap_or_else(|| ch3::bucket(part, *servers)) as usize
            }
            Scheme::WeightedCh3(scheme) => scheme.owner(part),
            Scheme::Crc32 { servers } => modulo::crc32(part, *servers) as usize,
            Scheme::McrouterRendezvous(scheme) => scheme.owner(part),
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

    /// The share of the keyspace each server owns, in list order, if this is a ring: measured on its arcs, not
    /// estimated. `None` for other schemes, whose shares follow weights (or are even) and need no measuring.
    pub fn ring_shares(&self) -> Option<Vec<f64>> {
        match &self.scheme {
            Scheme::Ring(ring) => Some(ring.shares(self.names.len())),
            Scheme::Ketama { ring, .. } => Some(ring.shares(self.names.len())),
            Scheme::Rendezvous(_)
            | Scheme::Modulo(_)
            | Scheme::Jump { .. }
            | Scheme::Ch3 { .. }
            | Scheme::ConstShard { .. }
            | Scheme::WeightedCh3(_)
            | Scheme::Crc32 { .. }
            | Scheme::McrouterRendezvous(_) => None,
        }
    }
}

fn check_names(topology: &Topology) -> Result<(), PlacementError> {
    let servers = &topology.servers;
    if servers.is_empty() {
        return Err(PlacementError::NoServers);
    }
    let mut seen = HashMap::with_capacity(servers.len());
    for (position, server) in servers.iter().enumerate() {
        if server.name.is_empty() {
            return Err(PlacementError::EmptyName { position });
        }
        if let Some(first) = seen.insert(server.name.as_str(), position)
            && !topology.hash.is_by_place()
        {
            return Err(PlacementError::DuplicateName {
                name: server.name.clone(),
                first,
                second: position,
            });
        }
    }
    Ok(())
}

fn check_weights(topology: &Topology) -> Result<(), PlacementError> {
    let hash = topology.hash;
    if !hash.uses_weights() {
        return Ok(());
    }
    for server in &topology.servers {
        let (name, weight) = (server.name.clone(), server.weight);
        match hash {
            HashKind::WeightedCh3 if weight.get() > 1.0 => {
                return Err(PlacementError::WeightAboveOne { hash, name, weight });
            }
            HashKind::Ketama { .. }
            | HashKind::KetamaLibmemcached(_)
            | HashKind::KetamaSpy(_)
            | HashKind::KetamaTwemproxy(_)
            | HashKind::ModuloTwemproxy(_)
                if weight.whole().is_none() =>
            {
                return Err(PlacementError::FractionalWeight { hash, name, weight });
            }
            _ => {}
        }
    }
    // WeightedCh3 takes no notice: like the original it gives up after 32 refusals and names a server all the same.
    if hash != HashKind::WeightedCh3 && topology.servers.iter().all(|server| server.weight.get() == 0.0) {
        return Err(PlacementError::NoWeight);
    }
    Ok(())
}

/// The number of servers, if the scheme can address them.
fn check_size(topology: &Topology) -> Result<u32, PlacementError> {
    let servers = &topology.servers;
    let each = |points: u32| servers.len() as u64 * u64::from(points);
    let (given, max, what) = match topology.hash {
        HashKind::Ring { points } => (
            servers
                .iter()
                .map(|server| whole(own_point_count(server, points)))
                .sum(),
            POINTS_MAX,
            "points",
        ),
        HashKind::Ketama { points } => (each(points), POINTS_MAX, "points"),
        HashKind::KetamaLibmemcached(_) | HashKind::KetamaSpy(_) | HashKind::KetamaTwemproxy(_) => {
            (each(super::kind::KETAMA_POINTS), POINTS_MAX, "points")
        }
        HashKind::ModuloTwemproxy(_) => (
            servers
                .iter()
                .filter_map(|server| server.weight.whole())
                .map(u64::from)
                .sum(),
            POINTS_MAX,
            "slots",
        ),
        _ => (each(1), u64::from(ch3::BUCKETS_MAX), "servers"),
    };
    if given > max {
        return Err(PlacementError::TooLarge {
            hash: topology.hash,
            given,
            max,
            what,
        });
    }
    Ok(u32::try_from(servers.len()).expect("bounded just above"))
}
