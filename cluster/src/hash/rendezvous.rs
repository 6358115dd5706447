//! Weighted rendezvous hashing (highest random weight: Thaler and Ravishankar 1998; weights: Schindelhauer and
//! Schomaker 2005), by server name.
//!
//! Every server draws a number for the key from its name; the best one owns it. The draw of one server does not know
//! the others, so a server that comes or goes moves exactly the keys it wins or had won, wherever it stands in the list.

use xxhash_rust::xxh3::xxh3_64;

use crate::topology::Server;

/// One server's part of a draw.
#[derive(Debug, Clone, Copy)]
struct Contender {
    /// XXH3-64 of the server's name.
    seed: u64,
    /// 1 / weight; infinite for a server of weight 0, which loses every draw.
    inverse_weight: f64,
}

/// The contenders, in list order.
#[derive(Debug, Clone)]
pub(super) struct Rendezvous {
    contenders: Box<[Contender]>,
    /// With equal weights the largest draw wins and no logarithm is needed.
    equal: bool,
}

impl Rendezvous {
    pub(super) fn new(servers: &[Server]) -> Self {
        let contenders: Box<[Contender]> = servers
            .iter()
            .map(|server| Contender {
                seed: xxh3_64(server.name.as_bytes()),
                inverse_weight: server.weight.get().recip(),
            })
            .collect();
        let equal = servers.windows(2).all(|pair| pair[0].weight == pair[1].weight);
        Self { contenders, equal }
    }

    pub(super) fn owner(&self, part: &[u8]) -> usize {
        let key = xxh3_64(part);
        if self.equal {
            self.owner_among_equals(key)
        } else {
            self.owner_by_weight(key)
        }
    }

    fn owner_among_equals(&self, key: u64) -> usize {
        let mut best = (0, 0);
        for (index, contender) in self.contenders.iter().enumerate() {
            let draw = draw(key, contender.seed);
            if draw > best.0 {
                best = (draw, index);
            }
        }
        best.1
    }

    /// The server with the smallest `-ln(u) / weight`, where `u` is its draw as a fraction: exponential clocks, of which
    /// server `i` rings first with probability `weight[i] / sum`.
    fn owner_by_weight(&self, key: u64) -> usize {
        let mut best = (f64::INFINITY, 0);
        for (index, contender) in self.contenders.iter().enumerate() {
            let u = fraction(draw(key, contender.seed));
            // -ln(u) >= 1 - u, so most servers are out before a logarithm is taken.
            if (1.0 - u) * contender.inverse_weight >= best.0 {
                continue;
            }
            let time = -u.ln() * contender.inverse_weight;
            if time < best.0 {
                best = (time, index);
            }
        }
        best.1
    }
}

/// What a server draws for a key: David Stafford's 13th variant of MurmurHash3's finaliser, as in SplitMix64.
fn draw(key: u64, seed: u64) -> u64 {
    let mut x = key ^ seed;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A draw as a number strictly between 0 and 1, exactly: 52 bits and a half.
#[expect(clippy::cast_precision_loss, reason = "52 bits fit a double")]
fn fraction(draw: u64) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 52) as f64;
    ((draw >> 12) as f64 + 0.5) * SCALE
}
