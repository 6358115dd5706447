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

    /// The server with the largest draw. No two servers draw the same for one key, because [`mix`] is a bijection.
    fn owner_among_equals(&self, key: u64) -> usize {
        let mut best = (0, 0);
        for (index, contender) in self.contenders.iter().enumerate() {
            let draw = contender.draw(key);
            if draw > best.0 {
                best = (draw, index);
            }
        }
        best.1
    }

    /// The server whose time `-ln(u) / weight` is the least, `u` being its draw as a fraction: exponential clocks, of
    /// which server `i` rings first with probability `weight[i] / sum`.
    ///
    /// A logarithm is rarely needed. With `x = 1 - u`, `-ln(u) = x + x^2 / 2 + x^3 / 3 + ...` is at least its first two
    /// terms and at most those and `x^3 / 3(1 - x)`; winners have small `x`, so that their latest time comes before the
    /// earliest of all others but for one key in hundreds.
    fn owner_by_weight(&self, key: u64) -> usize {
        // Times are not negative, so their bits sort as they do, and integers need no care for NaN.
        let (mut least, mut next, mut winner) = (u64::MAX, u64::MAX, 0);
        for (index, contender) in self.contenders.iter().enumerate() {
            let earliest = contender.earliest(key).to_bits();
            next = next.min(earliest.max(least));
            winner = if earliest < least { index } else { winner };
            least = least.min(earliest);
        }
        if self.contenders[winner].latest(key).to_bits() < next {
            winner
        } else {
            self.owner_by_times(key)
        }
    }

    /// Of two that ring together the larger draw wins, as it does among equals.
    #[cold]
    fn owner_by_times(&self, key: u64) -> usize {
        let times = self
            .contenders
            .iter()
            .map(|contender| (contender.time(key), contender.draw(key)));
        let earlier = |(_, a): &(usize, (f64, u64)), (_, b): &(usize, (f64, u64))| {
            a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1))
        };
        times.enumerate().min_by(earlier).map_or(0, |(index, _)| index)
    }
}

impl Contender {
    fn draw(&self, key: u64) -> u64 {
        mix(key ^ self.seed)
    }

    /// `1 - u`: the complement of a draw's bits is the complement of the fraction, exactly.
    fn rest(&self, key: u64) -> f64 {
        fraction(!self.draw(key))
    }

    fn earliest(&self, key: u64) -> f64 {
        let x = self.rest(key);
        x * (1.0 + 0.5 * x) * self.inverse_weight
    }

    fn latest(&self, key: u64) -> f64 {
        /// Rounding here and in [`Contender::time`] is far below this.
        const MARGIN: f64 = 1.0 + 1e-12;
        let x = self.rest(key);
        x * (1.0 + x * (0.5 + x / (3.0 * (1.0 - x)))) * self.inverse_weight * MARGIN
    }

    fn time(&self, key: u64) -> f64 {
        -ln(fraction(self.draw(key))) * self.inverse_weight
    }
}

/// David Stafford's 13th variant of MurmurHash3's finaliser, as in SplitMix64. A bijection.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A draw as a number strictly between 0 and 1, exactly: 52 bits and a half.
#[expect(clippy::cast_precision_loss, reason = "52 bits fit a double")]
fn fraction(draw: u64) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 52) as f64;
    // Through a signed number: the conversion of an unsigned one takes several instructions.
    ((draw >> 12).cast_signed() as f64 + 0.5) * SCALE
}

/// The natural logarithm of a positive, normal `x`, by IEEE operations alone.
///
/// The platform's `ln` may differ in the last bit between libraries, and routers on different machines must agree.
/// `x = m * 2^e` with `m` within a factor of the square root of 2 from 1, then `ln m = 2 artanh((m - 1) / (m + 1))` as a
/// series; off by no more than two units in the last place.
pub(super) fn ln(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    const ONE: u64 = 1.0_f64.to_bits();
    let bits = x.to_bits();
    let mut exponent = f64::from(u16::try_from(bits >> MANTISSA_BITS).unwrap_or_default()) - 1023.0;
    let mut m = f64::from_bits((bits & ((1 << MANTISSA_BITS) - 1)) | ONE);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1.0;
    }
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut series = 0.0;
    for denominator in [23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = (series + 1.0 / denominator) * z;
    }
    exponent * LN2_HIGH + (2.0 * s + (2.0 * s * series + exponent * LN2_LOW))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::{Rendezvous, ln};
    use crate::{Server, Weight};

    proptest! {
        #[test]
        fn the_logarithm_is_the_logarithm(x in 1e-300..1e300_f64) {
            prop_assert!((ln(x) - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs(), "{} {}", ln(x), x.ln());
        }

        #[test]
        fn near_one_too(x in 1e-16..0.5_f64) {
            let x = 1.0 - x;
            prop_assert!((ln(x) - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs(), "{} {}", ln(x), x.ln());
        }

        /// The short road and the long one lead to the same server.
        #[test]
        fn bounds_decide_as_times_do(keys in vec(any::<u64>(), 200), weights in vec(0.0..100.0_f64, 1..40)) {
            let servers: Vec<Server> = weights
                .iter()
                .enumerate()
                .map(|(index, &weight)| Server::weighted(format!("n{index}"), Weight::new(weight).unwrap()))
                .collect();
            let rendezvous = Rendezvous::new(&servers);
            for key in keys {
                prop_assert_eq!(rendezvous.owner_by_weight(key), rendezvous.owner_by_times(key));
            }
        }

        #[test]
        fn equal_weights_are_no_weights(key: Vec<u8>, weight in 0.001..1000.0_f64, servers in 1..40_u32) {
            let servers: Vec<Server> = (0..servers)
                .map(|index| Server::weighted(format!("n{index}"), Weight::new(weight).unwrap()))
                .collect();
            let mut rendezvous = Rendezvous::new(&servers);
            prop_assert!(rendezvous.equal);
            let owner = rendezvous.owner(&key);
            rendezvous.equal = false;
            prop_assert!(rendezvous.owner(&key) == owner);
        }
    }

    #[test]
    fn the_logarithm_of_one_is_zero() {
        assert_eq!(ln(1.0), 0.0);
    }
}
