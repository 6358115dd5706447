//! In which order a failover asks its children after the first, and how many of them.

use std::cell::Cell;

use cluster::{HashKind, Placement, hashed_part};

use super::errors::Listed;
use crate::config::check::{ConfigError, Node};
use crate::reply::{Kind, Reply};
use crate::route::hash::HashSettings;
use crate::upstream::error::UpstreamError;

/// `failover_policy`. The first child is always the first.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    order: Order,
    /// Children that are asked at most.
    max_tries: usize,
    /// Failures after which it gives up; TKO, and those excluded, do not count.
    max_error_tries: usize,
    excluded: Listed,
    /// What is not asked fails together with one that could not be asked.
    pub failure_domains: bool,
    /// The child that a hash below the first one chose may be asked again.
    again: bool,
}

#[derive(Debug, Clone)]
enum Order {
    /// As they are listed.
    Listed,
    /// Those with the fewest failures in a row first.
    LeastFailures,
    /// By the key's hash with one salt after another: each key its own order, the same in every router.
    Deterministic(Box<Placement>),
    /// By rendezvous with these tags, highest first.
    Rendezvous(Vec<String>),
}

impl Policy {
    pub(super) const fn in_order() -> Self {
        Self {
            order: Order::Listed,
            max_tries: usize::MAX,
            max_error_tries: usize::MAX,
            excluded: Listed::none(),
            failure_domains: false,
            again: false,
        }
    }

    /// Reads `failover_policy` of a handle with so many children; `handle` may give `hash` and `tags`.
    pub(super) fn read(node: &Node<'_>, handle: &Node<'_>, children: usize) -> Result<Self, ConfigError> {
        let kind = node.need("type")?;
        let count = |name| match node.get(name) {
            Some(given) => match given.count()? {
                0 => Err(given.error("at least one child has to be tried")),
                count => Ok(Some(count)),
            },
            None => Ok(None),
        };
        let needed =
            |name: &str, count: Option<usize>| count.ok_or_else(|| node.error(&format!("needs {name:?}")));
        let max_tries = count("max_tries")?;
        let max_error_tries = count("max_error_tries")?;
        let mut policy = Self::in_order();
        if let Some(listed) = node.get("exclude_errors") {
            policy.excluded = Listed::read(&listed)?;
        }
        match kind.string()? {
            "LeastFailuresPolicy" => {
                node.only(&["type", "max_tries"])?;
                policy.order = Order::LeastFailures;
                policy.max_tries = needed("max_tries", max_tries)?;
            }
            "DeterministicOrderPolicy" => {
                node.only(&[
                    "type",
                    "max_tries",
                    "max_error_tries",
                    "exclude_errors",
                    "ignore_normal_reply_index",
                    "enable_failure_domains",
                    "hash",
                ])?;
                let flag = |name| node.get(name).map_or(Ok(false), |flag| flag.flag());
                policy.failure_domains = flag("enable_failure_domains")?;
                policy.again = flag("ignore_normal_reply_index")?;
                policy.max_tries = needed("max_tries", max_tries)?;
                policy.max_error_tries = needed("max_error_tries", max_error_tries)?;
                let settings = match handle.get("hash").or_else(|| node.get("hash")) {
                    Some(hash) => HashSettings::read(&hash)?,
                    None => HashSettings::of(HashKind::Ch3),
                };
                if !matches!(settings.kind, HashKind::Ch3 | HashKind::WeightedCh3) {
                    return Err(node.error("DeterministicOrderPolicy hashes by Ch3 or WeightedCh3"));
                }
                let names = (0..children.max(1)).map(|index| index.to_string()).collect();
                let placement = Placement::new(&settings.topology(names, None))
                    .map_err(|error| node.error(&error.to_string()))?;
                policy.order = Order::Deterministic(Box::new(placement));
            }
            "RendezvousPolicy" => {
                node.only(&["type", "tags"])?;
                let tags = handle.get("tags").or_else(|| node.get("tags"));
                let tags = tags.ok_or_else(|| node.error("needs \"tags\""))?;
                let names: Vec<String> = tags
                    .list()?
                    .iter()
                    .map(|tag| tag.string().map(str::to_owned))
                    .collect::<Result<_, _>>()?;
                if names.len() + 1 != children {
                    let of = children.saturating_sub(1);
                    let why = format!("{} tags for the {of} children behind the first", names.len());
                    return Err(tags.error(&why));
                }
                policy.order = Order::Rendezvous(names);
            }
            "FailoverInOrderPolicy" | "InOrderPolicy" => {
                node.only(&["type", "max_tries", "exclude_errors"])?;
                policy.max_error_tries = max_tries.unwrap_or(usize::MAX);
            }
            other => {
                return Err(kind.unknown(
                    "policy",
                    other,
                    &[
                        "InOrderPolicy",
                        "LeastFailuresPolicy",
                        "DeterministicOrderPolicy",
                        "RendezvousPolicy",
                    ],
                ));
            }
        }
        Ok(policy)
    }

    /// Whom to ask for this key, in turn; `failures` are those in a row, per child, and `chosen` is what a hash under the
    /// first child chose among the servers that are the others.
    pub(super) fn turns<'t>(
        &'t self,
        key: &'t [u8],
        failures: &[Cell<u32>],
        chosen: Option<usize>,
    ) -> Turns<'t> {
        let count = failures.len();
        let mut order: Vec<usize> = (0..count).collect();
        match &self.order {
            Order::Listed => {}
            Order::LeastFailures => order[1..].sort_by_key(|index| failures[*index].get()),
            Order::Deterministic(placement) => {
                let chosen = chosen.filter(|_| !self.again).map(|place| place + 1);
                return Turns {
                    left: self.max_tries.min(count),
                    order: Rest::Salted(Salted {
                        placement,
                        key,
                        salt: FIRST_SALT,
                        asked: Vec::new(),
                        passed_by: chosen.filter(|child| *child < count),
                    }),
                };
            }
            Order::Rendezvous(tags) => {
                let score = |index: &usize| {
                    let tag = tags.get(index - 1).map_or("", String::as_str);
                    cluster::spooky64(&[hashed_part(key), tag.as_bytes()].concat())
                };
                order[1..].sort_by_key(|index| std::cmp::Reverse(score(index)));
            }
        }
        Turns {
            left: self.max_tries,
            order: Rest::Listed(order.into_iter()),
        }
    }

    /// Whether a reply is an error that counts against `max_error_tries`.
    pub(super) fn counts(&self, reply: &Reply) -> bool {
        let tko = matches!(
            reply,
            Reply::Failed {
                error: UpstreamError::Tko,
                ..
            }
        );
        !tko && !self.excluded.contains(reply)
    }

    pub(super) const fn max_error_tries(&self) -> usize {
        self.max_error_tries
    }
}

/// The children in the order in which they are asked.
pub(super) struct Turns<'t> {
    left: usize,
    order: Rest<'t>,
}

enum Rest<'t> {
    Listed(std::vec::IntoIter<usize>),
    Salted(Salted<'t>),
}

/// The first child, then those that the key's hash names with the salts 2, 3, …, each once.
struct Salted<'t> {
    placement: &'t Placement,
    key: &'t [u8],
    salt: u32,
    asked: Vec<usize>,
    /// What has been asked by way of the first child.
    passed_by: Option<usize>,
}

/// mcrouter's: the key itself is for the first child.
const FIRST_SALT: u32 = 2;
/// Salts that are tried to find one more child.
const SALTS_MAX: u32 = 100;
/// Of these so many that look for a child of another failure domain: when all have failed, any child will do.
const SALTS_FOR_A_DOMAIN: u32 = 75;

impl Turns<'_> {
    /// The next child; one that `shunned` says is taken only if no other is found.
    pub(super) fn next(&mut self, mut shunned: impl FnMut(usize) -> bool) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.order {
            Rest::Listed(order) => order.next(),
            Rest::Salted(salted) => salted.next(&mut shunned),
        }
    }
}

impl Salted<'_> {
    fn next(&mut self, shunned: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        if self.asked.is_empty() {
            self.asked.push(0);
            return Some(0);
        }
        for attempt in 0..SALTS_MAX {
            let salted = [hashed_part(self.key), self.salt.to_string().as_bytes()].concat();
            self.salt += 1;
            let child = self.placement.owner_of_part(&salted);
            let known = self.asked.contains(&child) || self.passed_by == Some(child);
            if !known && (attempt >= SALTS_FOR_A_DOMAIN || !shunned(child)) {
                self.asked.push(child);
                return Some(child);
            }
        }
        None
    }
}

/// Whether a child failed, for the count of failures in a row.
pub(super) const fn is_error(reply: &Reply) -> bool {
    reply.failed() || matches!(reply.kind(), Kind::UnknownCommand)
}
