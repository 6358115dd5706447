//! Values on the command line: each says its unit, and a complaint says what would have been right.

use std::net::SocketAddr;
use std::time::Duration;

use crate::names::DNS_PORT;
use crate::pool::CONNECTIONS_MAX;

/// More worker threads than any machine has use for: whoever asks for them means something else.
const THREADS_MAX: usize = 1024;

/// The longest that requests may be made to wait.
const MOMENT_MAX: Duration = Duration::from_millis(10);

/// A time with its unit: `200ms`, `1s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let complaint = || format!("{text:?} is not a time with its unit, such as 200ms or 1s");
    let number: u64 = number.parse().ok().ok_or_else(complaint)?;
    match unit {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(complaint()),
    }
}

/// A time in which something has to happen.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a timeout of 0 would fail every request".to_owned()),
        timeout => Ok(timeout),
    }
}

/// A time that requests may be made to wait: it cannot be long.
pub(super) fn moment(text: &str) -> Result<Duration, String> {
    let moment = duration(text)?;
    if moment > MOMENT_MAX {
        return Err("more than 10ms would be felt by every request".to_owned());
    }
    Ok(moment)
}

/// A port; mcrouter takes several.
pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().ok_or_else(|| {
        if text.contains(',') {
            format!("{text:?}: a router listens on one port; start one for each")
        } else {
            format!("{text:?} is not a port from 0 to 65535")
        }
    })
}

/// Worker threads; mcrouter's `-t` is another thing.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    let count: usize = text
        .parse()
        .ok()
        .ok_or_else(|| format!("{text:?} is not a number of threads"))?;
    if count <= THREADS_MAX {
        return Ok(count);
    }
    Err(format!(
        "{count} threads are more than {THREADS_MAX}; mcrouter's -t is --server-timeout {count}ms here"
    ))
}

/// Permission bits: `700`, `0660`.
pub(super) fn octal(text: &str) -> Result<u32, String> {
    if text.starts_with('/') {
        return Err(format!(
            "{text:?} are no permission bits; mcrouter's -a is --spool here"
        ));
    }
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| format!("{text:?} are no permission bits, such as 700"))
}

/// `NAME:VALUE`.
pub(super) fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} is not NAME:VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `/region/cluster/`.
pub(super) fn route_prefix(text: &str) -> Result<String, String> {
    match text.trim_end_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["", region, cluster] if ![region, cluster].iter().any(|part| ["", "*"].contains(part)) => {
            Ok(format!("/{region}/{cluster}/"))
        }
        _ => Err(format!(
            "{text:?} is not a routing prefix of the form /region/cluster/"
        )),
    }
}

/// Where a DNS server is.
pub(super) fn resolver(text: &str) -> Result<SocketAddr, String> {
    let whole = text.parse().ok();
    let address = text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    whole
        .or_else(|| address.map(|ip| SocketAddr::new(ip, DNS_PORT)))
        .ok_or_else(|| format!("{text:?} is not an address such as 10.96.0.10 or 127.0.0.1:5353"))
}

/// How many connections a worker may have to a server.
pub(super) fn connections(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=CONNECTIONS_MAX).contains(count))
        .ok_or_else(|| format!("{text:?} is not a number from 1 to {CONNECTIONS_MAX}"))
}

/// A size with its unit: `64KiB`, `1MiB`; memcached's `1m` and `512k` too.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let complaint = || format!("{text:?} is not a size from 1KiB to 1GiB with its unit, such as 1MiB");
    let number: usize = number.parse().ok().ok_or_else(complaint)?;
    let unit = match unit {
        "KiB" | "k" | "K" => 1024,
        "MiB" | "m" | "M" => 1024 * 1024,
        "GiB" | "g" | "G" => 1024 * 1024 * 1024,
        _ => return Err(complaint()),
    };
    number
        .checked_mul(unit)
        .filter(|size| (1024..=1024 * 1024 * 1024).contains(size))
        .ok_or_else(complaint)
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, moment, route_prefix};
    use std::time::Duration;

    #[test]
    fn times_and_sizes_need_their_units() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(bytes("1m"), Ok(1024 * 1024));
        assert_eq!(moment("0us"), Ok(Duration::ZERO));
        assert!(moment("11ms").is_err());
        for wrong in ["5", "5 s", "s", "", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["5", "MiB", "2GiB", "18446744073709551615k"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_default_prefix_names_one_region_and_one_cluster() {
        assert_eq!(route_prefix("/a/b"), Ok("/a/b/".to_owned()));
        for wrong in ["a/b", "/a/", "/a/b/c/", "/*/b/", "//b/"] {
            assert!(route_prefix(wrong).is_err(), "{wrong:?}");
        }
    }
}
