//! The points of ketama in its houses: libmemcached's flavours and twemproxy's.
//!
//! What they share: point names `SERVER-0`, `SERVER-1`, ..., where a server is its name without port 11211; where
//! weights count, each MD5 digest of a point name gives four points, and a server's number of points follows its weight
//! over the average, in single precision.

use super::key_hash::{KeyHash, md5_words};
use super::kind::{HashKind, KETAMA_POINTS};
use super::twemproxy::{self, without_default_port};
use crate::topology::Server;

/// How a flavour makes points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Points {
    /// libmemcached's `KETAMA_WEIGHTED`: MD5, `average` points for a server of average weight.
    Weighted { average: u32 },
    /// libmemcached's `KETAMA`: 100 points a server, each the hash of a name of its own, until a weight above 1 makes
    /// the library change over to weighted points.
    PerServer { hash: KeyHash, name: PointName },
    /// twemproxy: weighted, 160 on average, in its own order of servers.
    Twemproxy,
}

impl Points {
    /// How a scheme makes points, if it is of the family.
    pub(super) fn of(kind: HashKind) -> Option<Self> {
        match kind {
            HashKind::Ketama { points } => Some(Self::Weighted { average: points }),
            HashKind::KetamaLibmemcached(hash) => Some(Self::PerServer {
                hash,
                name: PointName::Libmemcached,
            }),
            HashKind::KetamaSpy(hash) => Some(Self::PerServer {
                hash,
                name: PointName::Spymemcached,
            }),
            HashKind::KetamaTwemproxy(_) => Some(Self::Twemproxy),
            _ => None,
        }
    }
}

/// What a point name begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointName {
    /// The server, without port 11211.
    Libmemcached,
    /// `/HOST:PORT`: an unresolved Java socket address.
    Spymemcached,
}

impl PointName {
    fn of(self, server: &Server, point: u32) -> String {
        match self {
            Self::Libmemcached => format!("{}-{point}", without_default_port(&server.name)),
            Self::Spymemcached => format!("/{}-{point}", server.name),
        }
    }
}

/// libmemcached's points per server where weights play no part.
const PER_SERVER: u32 = 100;

/// The continuum of these servers: (position, index). A server of weight 0 has no points, as if it were not listed.
pub(super) fn points(servers: &[Server], flavour: Points) -> Vec<(u32, u32)> {
    let listed = (0..).zip(servers);
    match flavour {
        Points::Weighted { average } => weighted(listed, average, PointName::Libmemcached),
        Points::Twemproxy => weighted(
            twemproxy::in_order(servers),
            KETAMA_POINTS,
            PointName::Libmemcached,
        ),
        Points::PerServer { name, .. } if servers.iter().any(|server| server.weight.get() > 1.0) => {
            weighted(listed, KETAMA_POINTS, name)
        }
        Points::PerServer { hash, name } => listed
            .filter(|(_, server)| server.weight.get() > 0.0)
            .flat_map(|(index, server)| {
                (0..PER_SERVER).map(move |point| (hash.hash(name.of(server, point).as_bytes()), index))
            })
            .collect(),
    }
}

fn weighted<'a>(
    servers: impl Iterator<Item = (u32, &'a Server)>,
    average: u32,
    name: PointName,
) -> Vec<(u32, u32)> {
    let live: Vec<_> = servers.filter(|(_, server)| server.weight.get() > 0.0).collect();
    let total: f64 = live.iter().map(|(_, server)| server.weight.get()).sum();
    let mut points = Vec::with_capacity(live.len() * average as usize);
    for &(index, server) in &live {
        for digest in 0..digests(server.weight.get(), total, live.len(), average) {
            points.extend(md5_words(name.of(server, digest).as_bytes()).map(|point| (point, index)));
        }
    }
    points
}

/// `floor(weight / total * average / 4 * live + 1e-10)` in `f32`, operation by operation as the C has it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the originals' own float arithmetic; a result is at most servers * average / 4"
)]
fn digests(weight: f64, total: f64, live: usize, average: u32) -> u32 {
    let share = weight as f32 / total as f32;
    (share * average as f32 / 4.0 * live as f32 + 0.000_000_000_1).floor() as u32
}
