//! Sizes and times as people write them: `64MiB`, `1m`, `200ms`.

use std::time::Duration;

/// Reads a size in bytes: a number with `k`, `m`, `g` or `t` (any of `KiB`, `K`, `kb` too; all powers of 1024).
/// A bare number is bytes only when `bare` says so, as memcached's `-I` does.
pub fn parse_bytes(text: &str, bare: bool) -> Result<u64, String> {
    let (number, unit) = split(text);
    if number.is_empty() {
        return Err(format!("`{text}` is not a size such as `64MiB`"));
    }
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" if bare => 0,
        "" => return Err(format!("`{text}` has no unit; write for example `{text}MiB`")),
        "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        other => {
            return Err(format!(
                "`{other}` is no unit of size; expected B, KiB, MiB, GiB or TiB"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_not_a_number| format!("`{text}` is not a size such as `64MiB`"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("`{text}` is too large"))
}

/// Reads a time span: a whole number with `ms`, `s`, `m` or `h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    if number.is_empty() {
        return Err(format!("`{text}` is not a time such as `200ms`"));
    }
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("`{text}` has no unit; write for example `{text}s`")),
        other => return Err(format!("`{other}` is no unit of time; expected ms, s, m or h")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_not_a_number| format!("`{text}` is not a time such as `200ms`"))?;
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is too long"))
}

/// Reads a share in thousandths: `10%`, `2.5%`, or `0` for none. At most half, or a TTL could vanish.
pub(super) fn parse_share(text: &str) -> Result<u32, String> {
    let unknown = || format!("`{text}` is not a share; expected for example `10%`, or `0` for none");
    if text == "0" {
        return Ok(0);
    }
    let number = text.strip_suffix('%').ok_or_else(unknown)?;
    let (percent, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let (percent, tenth) = (
        percent.parse::<u32>().ok(),
        tenth.parse::<u32>().ok().filter(|tenth| *tenth < 10),
    );
    let (percent, tenth) = percent.zip(tenth).ok_or_else(unknown)?;
    let permille = percent
        .checked_mul(10)
        .and_then(|permille| permille.checked_add(tenth));
    permille
        .filter(|permille| *permille <= 500)
        .ok_or_else(|| format!("`{text}` is out of range; expected 0% to 50%"))
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::{parse_bytes, parse_duration, parse_share};
    use std::time::Duration;

    #[test]
    fn sizes_take_memcached_and_iec_units() {
        assert_eq!(parse_bytes("1m", true), Ok(1 << 20));
        assert_eq!(parse_bytes("2048", true), Ok(2048));
        assert_eq!(parse_bytes("64MiB", false), Ok(64 << 20));
        assert_eq!(parse_bytes("1 GiB", false), Ok(1 << 30));
    }

    #[test]
    fn a_size_without_unit_or_sense_is_refused_in_words() {
        assert!(parse_bytes("64", false).unwrap_err().contains("64MiB"));
        assert!(parse_bytes("1x", true).unwrap_err().contains("no unit of size"));
        assert!(parse_bytes("99999999999999999999m", true).is_err());
        assert!(
            parse_bytes("99999999999t", true)
                .unwrap_err()
                .contains("too large")
        );
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(parse_duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert!(parse_duration("5").unwrap_err().contains("5s"));
    }

    #[test]
    fn a_share_is_a_percentage_up_to_half() {
        assert_eq!(parse_share("10%"), Ok(100));
        assert_eq!(parse_share("2.5%"), Ok(25));
        assert_eq!(parse_share("0"), Ok(0));
        assert!(parse_share("10").is_err());
        assert!(parse_share("60%").unwrap_err().contains("out of range"));
        assert!(parse_share("nan%").is_err());
    }
}
