//! Words for amounts: `"250ms"`, `"64MiB"`, `"20000 requests"`, `"gev:30.8,8.2,0.08"`. A bare number where a unit belongs is an error.

use std::time::Duration;

use super::Distribution;

/// Units of time and their length in nanoseconds, longest name first so that `ms` is not read as `m`.
const TIME_UNITS: [(&str, f64); 7] = [
    ("min", 60e9),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
];

/// Longest time a scenario may name.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Key sizes of Facebook's ETC pool (Atikoglu et al., SIGMETRICS'12).
const FB_KEY: Distribution = Distribution::Gev {
    loc: 30.7984,
    scale: 8.20449,
    shape: 0.078_688,
};

pub(super) const TIME_SHAPE: &str =
    "expected a time with its unit, like \"30s\", \"250ms\", \"5m\" (us, ms, s, m, h)";
pub(super) const BYTES_SHAPE: &str = "expected a size with its unit, like \"64MiB\", \"512KiB\", \"1GiB\"";
pub(super) const DISTRIBUTION_SHAPE: &str = "expected a number, or fixed:X, uniform:MIN,MAX, normal:MEAN,SD, exponential:MEAN, \
     lognormal:MEAN,SIGMA, pareto:LOC,SCALE,SHAPE, gev:LOC,SCALE,SHAPE, fb_key or fb_value";

const DISTRIBUTIONS: [&str; 9] = [
    "fixed",
    "uniform",
    "normal",
    "exponential",
    "lognormal",
    "pareto",
    "gev",
    "fb_key",
    "fb_value",
];

/// `30s`, `1.5h`, `250ms`, `0s`.
pub(super) fn parse_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, nanoseconds) = TIME_UNITS
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))?;
    let number: f64 = parse_plain_number(number.trim_end())?;
    let seconds = number * nanoseconds / 1e9;
    (seconds >= 0.0 && seconds <= TIME_MAX.as_secs_f64()).then(|| Duration::from_secs_f64(seconds))
}

/// `64MiB`, `1GiB`, `512KiB`, `100B`; also the decimal `MB`, `GB`, `kB`.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))?;
    let number = number.trim_end().replace('_', "");
    let whole: u64 = number.parse().ok()?;
    whole.checked_mul(unit)
}

/// `20000 requests`, `20_000req`, `5k requests`.
pub(super) fn parse_requests(text: &str) -> Option<u64> {
    let text = text.trim();
    let number = ["requests", "request", "reqs", "req"]
        .iter()
        .find_map(|unit| text.strip_suffix(unit))?;
    let number = number.trim_end().replace('_', "");
    match number.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
        None => number.parse().ok(),
    }
}

impl std::str::FromStr for Distribution {
    type Err = String;

    /// Of plain numbers, as flags have them.
    fn from_str(text: &str) -> Result<Self, String> {
        parse_distribution(text, parse_plain_number)
    }
}

/// `fixed:200` and friends; `unit` reads the numbers (plain, or times as seconds).
pub(super) fn parse_distribution(text: &str, unit: fn(&str) -> Option<f64>) -> Result<Distribution, String> {
    let (name, arguments) = match text.split_once(':') {
        Some((name, arguments)) => (name.trim(), arguments),
        None if text.trim() == "fb_value" => return Ok(Distribution::FbValue),
        None if text.trim() == "fb_key" => return Ok(FB_KEY),
        None => ("fixed", text),
    };
    if !DISTRIBUTIONS.contains(&name) {
        return Err(super::diagnostic::one_of(name, &DISTRIBUTIONS));
    }
    let wrong = || DISTRIBUTION_SHAPE.to_owned();
    let parts: Vec<&str> = arguments.split(',').map(str::trim).collect();
    // Shapes and sigmas are pure numbers even where the rest are times.
    let amount = |at: usize| {
        parts
            .get(at)
            .and_then(|part| unit(part))
            .filter(|value| value.is_finite())
    };
    let pure = |at: usize| parts.get(at).and_then(|part| parse_plain_number(part));
    let (distribution, count) = match name {
        "fixed" => (amount(0).map(Distribution::Fixed), 1),
        "uniform" => match parts.len() {
            1 => (amount(0).map(|max| Distribution::Uniform { min: 0.0, max }), 1),
            _ => (
                amount(0)
                    .zip(amount(1))
                    .map(|(min, max)| Distribution::Uniform { min, max }),
                2,
            ),
        },
        "normal" => (
            amount(0)
                .zip(amount(1))
                .map(|(mean, sd)| Distribution::Normal { mean, sd }),
            2,
        ),
        "exponential" => (amount(0).map(|mean| Distribution::Exponential { mean }), 1),
        "lognormal" => (
            amount(0)
                .zip(pure(1))
                .map(|(mean, sigma)| Distribution::Lognormal { mean, sigma }),
            2,
        ),
        "pareto" | "gev" => {
            let three = amount(0)
                .zip(amount(1))
                .zip(pure(2))
                .map(|((loc, scale), shape)| match name {
                    "pareto" => Distribution::Pareto { loc, scale, shape },
                    _ => Distribution::Gev { loc, scale, shape },
                });
            (three, 3)
        }
        _ => (None, 0),
    };
    let distribution = distribution.filter(|_| parts.len() == count).ok_or_else(wrong)?;
    check_distribution(&distribution)?;
    Ok(distribution)
}

fn check_distribution(distribution: &Distribution) -> Result<(), String> {
    let refuse = |what: &str| Err(what.to_owned());
    match *distribution {
        Distribution::Fixed(value) if value < 0.0 => refuse("expected a value of at least 0"),
        Distribution::Uniform { min, max } if min < 0.0 || max < min => refuse("expected 0 <= MIN <= MAX"),
        Distribution::Normal { mean, sd } if mean < 0.0 || sd < 0.0 => {
            refuse("expected MEAN and SD of at least 0")
        }
        Distribution::Exponential { mean } if mean <= 0.0 => refuse("expected a MEAN above 0"),
        Distribution::Lognormal { mean, sigma } if mean <= 0.0 || sigma < 0.0 => {
            refuse("expected a MEAN above 0 and a SIGMA of at least 0")
        }
        Distribution::Pareto { scale, .. } | Distribution::Gev { scale, .. } if scale <= 0.0 => {
            refuse("expected a SCALE above 0")
        }
        Distribution::Fixed(_)
        | Distribution::Uniform { .. }
        | Distribution::Normal { .. }
        | Distribution::Exponential { .. }
        | Distribution::Lognormal { .. }
        | Distribution::Pareto { .. }
        | Distribution::Gev { .. }
        | Distribution::FbValue => Ok(()),
    }
}

/// A number without a unit; `_` may group digits.
pub(super) fn parse_plain_number(text: &str) -> Option<f64> {
    let text = text.trim().replace('_', "");
    let starts_well = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    text.parse::<f64>()
        .ok()
        .filter(|value| starts_well && value.is_finite())
}

/// A time as seconds, for distributions of service times.
pub(super) fn parse_seconds(text: &str) -> Option<f64> {
    parse_time(text).map(|time| time.as_secs_f64())
}

/// The shortest exact text of a time: what `parse_time` reads back to the same value.
#[must_use]
pub fn time_text(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    match nanoseconds {
        0 => "0s".to_owned(),
        n if n % 3_600_000_000_000 == 0 => format!("{}h", n / 3_600_000_000_000),
        n if n % 60_000_000_000 == 0 => format!("{}m", n / 60_000_000_000),
        n if n % 1_000_000_000 == 0 => format!("{}s", n / 1_000_000_000),
        n if n % 1_000_000 == 0 => format!("{}ms", n / 1_000_000),
        _ => format!("{}us", time.as_secs_f64() * 1e6),
    }
}

/// The text of a size that `parse_bytes` reads back.
#[must_use]
pub fn bytes_text(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}

/// The text of a distribution; `unit` writes its amounts.
pub(super) fn distribution_text(distribution: &Distribution, unit: fn(f64) -> String) -> String {
    match *distribution {
        Distribution::Fixed(value) => format!("fixed:{}", unit(value)),
        Distribution::Uniform { min, max } => format!("uniform:{},{}", unit(min), unit(max)),
        Distribution::Normal { mean, sd } => format!("normal:{},{}", unit(mean), unit(sd)),
        Distribution::Exponential { mean } => format!("exponential:{}", unit(mean)),
        Distribution::Lognormal { mean, sigma } => format!("lognormal:{},{sigma}", unit(mean)),
        Distribution::Pareto { loc, scale, shape } => format!("pareto:{},{},{shape}", unit(loc), unit(scale)),
        Distribution::FbValue => "fb_value".to_owned(),
        Distribution::Gev { loc, scale, shape } => format!("gev:{},{},{shape}", unit(loc), unit(scale)),
    }
}
