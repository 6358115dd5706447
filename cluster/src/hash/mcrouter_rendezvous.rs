//! mcrouter's `Rendezvous` and `WeightedRendezvous`: names by MurmurHash64A, draws by CityHash's 128-to-64 mixer.

use super::murmur64a::murmur64a;
use super::rendezvous::ln;
use crate::topology::Server;

const NAME_SEED: u32 = 4_193_360_111;
const KEY_SEED: u32 = 2_718_281_828;

/// The servers' name hashes and, for the weighted kind, their weights.
#[derive(Debug, Clone)]
pub(super) struct McrouterRendezvous {
    servers: Box<[(u64, f64)]>,
    weighted: bool,
}

impl McrouterRendezvous {
    pub(super) fn new(servers: &[Server], weighted: bool) -> Self {
        let hashed = |server: &Server| (murmur64a(server.name.as_bytes(), NAME_SEED), server.weight.get());
        Self {
            servers: servers.iter().map(hashed).collect(),
            weighted,
        }
    }

    pub(super) fn owner(&self, key: &[u8]) -> usize {
        let key = murmur64a(key, KEY_SEED);
        if self.weighted {
            self.owner_by_weight(key)
        } else {
            self.owner_among_equals(key)
        }
    }

    /// The highest draw **as a double**, as mcrouter compares them; of two equal ones the later server.
    #[expect(clippy::cast_precision_loss, reason = "mcrouter compares doubles")]
    fn owner_among_equals(&self, key: u64) -> usize {
        let mut best = (-1.0, 0);
        for (index, &(name, _)) in self.servers.iter().enumerate() {
            let score = draw(name, key) as f64;
            if score >= best.0 {
                best = (score, index);
            }
        }
        best.1
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    fn owner_by_weight(&self, key: u64) -> usize {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        const SCALE: f64 = (1_u64 << BITS) as f64;
        let mut best = (0.0, 0);
        for (index, &(name, weight)) in self.servers.iter().enumerate() {
            let drawn = draw(name, key) & ((1 << BITS) - 1);
            let u = drawn.cast_signed() as f64 / SCALE;
            // A draw of zero has no logarithm; mcrouter's arithmetic gives it a score of zero. And -ln(u) >= 1 - u, so a
            // server that would not win even with that needs none: a margin for rounding included.
            if drawn == 0 || weight < best.0 * (1.0 - u) * (1.0 - 1e-12) {
                continue;
            }
            let score = weight * (1.0 / -ln(u));
            if score > best.0 {
                best = (score, index);
            }
        }
        best.1
    }
}

fn draw(name: u64, key: u64) -> u64 {
    const M: u64 = 0x9ddf_ea08_eb38_2d69;
    let mut a = (key ^ name).wrapping_mul(M);
    a ^= a >> 47;
    let mut b = (name ^ a).wrapping_mul(M);
    b ^= b >> 47;
    b.wrapping_mul(M)
}
