//! LatestRoute: every key to the same few children, chosen by this host, the later ones only after failures.

use super::hash::only_of_chooser;
use super::{Blueprint, failover};
use crate::config::check::{Checker, ConfigError, Node};

/// How many children it may fail over to, unless it says otherwise (mcrouter's default).
const FAILOVER_COUNT: usize = 5;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    only_of_chooser(node, &KEYS, &["weights"])?;
    let children = checker.children(node)?;
    over(node, children, checker)
}

/// What it knows, as a handle and as a hash.
const KEYS: [&str; 9] = [
    "type",
    "name",
    "children",
    "failover_count",
    "salt",
    "thread_local_failover",
    "failover_errors",
    "failover_policy",
    "failover_limit",
];

/// Over `children`, by the settings of `node`: a route, or what a `hash` is.
pub(crate) fn over(
    node: &Node<'_>,
    children: Vec<Blueprint>,
    checker: &mut Checker<'_>,
) -> Result<Blueprint, ConfigError> {
    only_of_chooser(node, &KEYS, &["weights"])?;
    let in_words = node.argument().is_some() || node.is_name();
    let (mut count, mut salt) = (FAILOVER_COUNT, String::new());
    if !in_words {
        if let Some(given) = node.get("failover_count") {
            count = given.count()?;
        }
        if let Some(given) = node.get("salt") {
            given.string()?.clone_into(&mut salt);
        }
    }
    // Highest hash of (host, child, salt) first: each host its own order, stable as children come and go.
    let host = checker.host_id();
    let mut order: Vec<(u32, Blueprint)> = children
        .into_iter()
        .enumerate()
        .map(|(index, child)| (crc32(&format!("{host}/{index}/{salt}")), child))
        .collect();
    order.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    order.truncate(count.max(1));
    let chosen = order.into_iter().map(|(_, child)| child).collect();
    if in_words {
        Ok(failover::in_turn(chosen))
    } else {
        failover::over(chosen, node, checker)
    }
}

/// CRC-32 (IEEE 802.3), bit by bit: for a handful of children at configuration time.
fn crc32(text: &str) -> u32 {
    !text.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_one_everybody_means() {
        assert_eq!(super::crc32("123456789"), 0xcbf4_3926);
    }
}
