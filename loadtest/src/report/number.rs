//! Numbers for people: thousands separated, units always, never more digits than are known.

use std::time::Duration;

/// What stands for a figure nobody measured.
pub const UNKNOWN: &str = "–";

/// `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `4,000`: a figure of which only the whole matters.
#[must_use]
pub fn whole(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held between 0 and what fits"
    )]
    let rounded = value.round().clamp(0.0, 9e15) as u64;
    count(rounded)
}

/// `812`, `12.8 k`, `1.25 M`: three digits that matter.
#[must_use]
pub fn short_count(value: f64) -> String {
    for (limit, divisor, unit) in [
        (999.5, 1.0, ""),
        (999_500.0, 1e3, " k"),
        (999_500_000.0, 1e6, " M"),
        (f64::INFINITY, 1e9, " G"),
    ] {
        if value.abs() < limit {
            return format!("{}{unit}", three_digits(value / divisor));
        }
    }
    UNKNOWN.to_owned()
}

/// `0.83`, `12.8`, `643`: as many decimals as make three digits; none for whole numbers.
#[must_use]
pub fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 || v == 0.0 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A fraction as `86.6 %`; `None` is a dash.
#[must_use]
pub fn percent(value: Option<f64>) -> String {
    value
        .filter(|value| value.is_finite())
        .map_or_else(|| UNKNOWN.to_owned(), |value| format!("{:.1} %", value * 100.0))
}

/// A difference of fractions as `+1.2 pp`, `−3.4 pp`.
#[must_use]
pub fn points(value: f64) -> String {
    let value = value * 100.0;
    // −0.04 is not a loss at one decimal.
    let rounded = (value * 10.0).round() / 10.0;
    match rounded {
        v if v < 0.0 => format!("−{:.1} pp", v.abs()),
        v if v > 0.0 => format!("+{v:.1} pp"),
        _ => "±0.0 pp".to_owned(),
    }
}

/// `1.23×`.
#[must_use]
pub fn factor(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() => format!(
            "{}×",
            if value < 10.0 {
                format!("{value:.2}")
            } else {
                three_digits(value)
            }
        ),
        Some(value) if value.is_infinite() => "∞×".to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

/// Seconds as `0.4 s`, `3.2 s`, `2m41s`, `1h05m`.
#[must_use]
pub fn seconds(value: f64) -> String {
    match value {
        v if !v.is_finite() => "never".to_owned(),
        v if v < 0.9995 => format!("{} ms", three_digits(v * 1e3)),
        v if v < 99.95 => format!("{} s", three_digits(v)),
        v => whole_time(Duration::from_secs_f64(v)),
    }
}

/// `2m41s`, `41s`, `1h05m`.
#[must_use]
pub fn whole_time(time: Duration) -> String {
    let total = time.as_secs_f64().round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a Duration's seconds are positive and fit"
    )]
    let total = total as u64;
    match (total / 3_600, total / 60 % 60, total % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// Microseconds in milliseconds, without the unit: `0.21`, `1.9`, `73`.
#[must_use]
pub fn millis(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 µs")]
    let value = micros as f64 / 1e3;
    three_digits(value)
}

/// `29.2 MB` as binary units: `27.9 MiB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = value as f64;
    for (limit, divisor, unit) in [
        (1_024.0, 1.0, "B"),
        (1_048_576.0, 1_024.0, "KiB"),
        (1_073_741_824.0, 1_048_576.0, "MiB"),
    ] {
        if value < limit {
            return format!("{} {unit}", three_digits(value / divisor));
        }
    }
    format!("{} GiB", three_digits(value / 1_073_741_824.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_units_and_no_more_digits_than_are_known() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.0, 7.0, 812.4, 999.6, 12_840.0, 999_600.0, 3.2e9].map(short_count),
            ["0", "7", "812", "1 k", "12.8 k", "1 M", "3.2 G"]
        );
        assert_eq!(
            [0.0, 0.834, 12.84, 643.2, 1234.6].map(three_digits),
            ["0", "0.83", "12.8", "643", "1235"]
        );
        assert_eq!(
            [Some(0.866), Some(1.0), None, Some(f64::NAN)].map(percent),
            ["86.6 %", "100.0 %", "–", "–"]
        );
        assert_eq!(
            [0.012, -0.034, -0.0001].map(points),
            ["+1.2 pp", "−3.4 pp", "±0.0 pp"]
        );
        assert_eq!(
            [Some(1.234), Some(53.0), Some(f64::INFINITY), None].map(factor),
            ["1.23×", "53×", "∞×", "–"]
        );
        assert_eq!(
            [0.0004, 0.25, 3.21, 59.96, 161.0, 3_900.0, f64::INFINITY].map(seconds),
            ["0.4 ms", "250 ms", "3.21 s", "60 s", "2m41s", "1h05m", "never"]
        );
        assert_eq!([210, 1_900, 73_400].map(millis), ["0.21", "1.9", "73.4"]);
        assert_eq!(
            [512, 29_227_218, 5 << 30].map(bytes),
            ["512 B", "27.9 MiB", "5 GiB"]
        );
    }
}
