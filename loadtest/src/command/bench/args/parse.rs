//! Words of the command line to values, with one line for what is wrong.

use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use crate::command::bench::Target;
use crate::drive::hammer::Lens;
use crate::scenario::Distribution;
use crate::workload::seed::stream;
use crate::workload::sizes::draw_len;

pub(super) fn target(text: &str) -> Result<Target, String> {
    let expected = || format!("--target {text}: expected NAME=HOST:PORT[,PID]...");
    let (name, rest) = text.split_once('=').ok_or_else(expected)?;
    let mut parts = rest.split(',');
    let address = resolve(parts.next().ok_or_else(expected)?)?;
    let pids = parts
        .map(|pid| pid.parse().map_err(|_unparsable| expected()))
        .collect::<Result<_, _>>()?;
    Ok(Target {
        name: name.to_owned(),
        address,
        pids,
    })
}

pub(super) fn resolve(address: &str) -> Result<SocketAddr, String> {
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| format!("{address}: expected HOST:PORT ({error})"))?;
    found
        .next()
        .ok_or_else(|| format!("{address}: the name has no address"))
}

pub(super) fn pair<'a>(flag: &str, text: &'a str, expected: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(':')
        .ok_or_else(|| format!("{flag} {text}: expected {expected}"))
}

/// Numbers with colons between them.
pub(super) fn numbers<const N: usize>(flag: &str, text: &str, shape: &str) -> Result<[f64; N], String> {
    let parts: Vec<f64> = text
        .split(':')
        .map_while(|part| part.parse().ok())
        .filter(|value: &f64| value.is_finite() && *value > 0.0)
        .collect();
    <[f64; N]>::try_from(parts)
        .ok()
        .filter(|_| text.split(':').count() == N)
        .ok_or_else(|| format!("{flag} {text}: expected {shape}, each above 0"))
}

pub(super) fn range(flag: &str, text: &str, max: u64) -> Result<Range<u64>, String> {
    let expected = || format!("{flag} {text}: expected MIN-MAX, at most {max}");
    let (low, high) = text.split_once('-').ok_or_else(expected)?;
    let (low, high): (u64, u64) = (
        low.parse().map_err(|_unparsable| expected())?,
        high.parse().map_err(|_unparsable| expected())?,
    );
    if low > high || high > max {
        Err(expected())
    } else {
        Ok(low..high + 1)
    }
}

pub(super) fn within<T: PartialOrd + Display>(flag: &str, given: T, min: T, max: T) -> Result<T, String> {
    if given < min || given > max {
        Err(format!("{flag} {given}: expected {min} to {max}"))
    } else {
        Ok(given)
    }
}

pub(super) fn seconds(flag: &str, given: f64) -> Result<Duration, String> {
    if given > 0.0 && given <= 86_400.0 {
        Ok(Duration::from_secs_f64(given))
    } else {
        Err(format!(
            "{flag} {given}: expected seconds above 0 and at most 86400"
        ))
    }
}

/// A length for every key of the range, drawn from the seed; `what` keeps the draws of keys and values apart.
pub(super) fn lens(distribution: &Distribution, keys: &Range<u64>, seed: u64, what: &str, max: u32) -> Lens {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=max"
    )]
    match distribution {
        Distribution::Fixed(len) => Lens::Fixed(len.round().clamp(0.0, f64::from(max)) as usize),
        other => {
            let mut random = stream(seed, what, 0);
            Lens::PerKey(
                keys.clone()
                    .map(|_| draw_len(other, &mut random, 0, max))
                    .collect(),
            )
        }
    }
}

/// memtier's `SIZE:WEIGHT,…`: a length for every key of the range.
pub(super) fn weighted_lens(
    flag: &str,
    text: &str,
    keys: &Range<u64>,
    seed: u64,
    max: u64,
) -> Result<Lens, String> {
    let expected = || format!("{flag} {text}: expected SIZE:WEIGHT,SIZE:WEIGHT,… with sizes up to {max}");
    let mut listed = Vec::new();
    let mut total = 0_u64;
    for part in text.split(',') {
        let (size, weight) = part.split_once(':').ok_or_else(expected)?;
        let size: u64 = size.parse().map_err(|_unparsable| expected())?;
        let weight: u32 = weight.parse().map_err(|_unparsable| expected())?;
        total += u64::from(weight);
        let size = u32::try_from(size)
            .ok()
            .filter(|_| size <= max)
            .ok_or_else(expected)?;
        listed.push((total, size));
    }
    if total == 0 {
        return Err(expected());
    }
    let mut random = stream(seed, "bench values", 0);
    let draws = keys.clone().map(|_| {
        let at = random.random_range(0..total);
        let place = listed.partition_point(|(upto, _)| *upto <= at);
        listed[place].1
    });
    Ok(Lens::PerKey(draws.collect::<Arc<[u32]>>()))
}

#[cfg(test)]
mod tests {
    use super::{Lens, numbers, weighted_lens};

    #[test]
    fn listed_sizes_come_by_their_weight() {
        let Ok(Lens::PerKey(lens)) = weighted_lens("-l", "10:1,20:3,30:0", &(0..40_000), 1, 100) else {
            panic!("listed sizes are drawn per key");
        };
        let share = lens.iter().filter(|len| **len == 20).count() as f64 / 40_000.0;
        assert!((share - 0.75).abs() < 0.02, "{share}");
        assert!(lens.iter().all(|len| [10, 20].contains(len)));
        for wrong in ["10", "10:x", "10:0", "101:1", ""] {
            assert!(weighted_lens("-l", wrong, &(0..4), 1, 100).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_between_colons_are_as_many_as_asked() {
        assert_eq!(
            numbers::<3>("--scan", "1000:5000:500", "x"),
            Ok([1000.0, 5000.0, 500.0])
        );
        for wrong in ["1:2", "1:2:3:4", "1::3", "a:1:2", "0:1:2", "1:2:-3"] {
            assert!(numbers::<3>("--scan", wrong, "x").is_err(), "{wrong}");
        }
    }
}
