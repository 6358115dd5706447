//! `enable_lease_pairing`: who won a lease from a child that is not the first, because the first had failed, brings the
//! item back to where the lease is, and not to the first child, which knows nothing of it.
//!
//! mcrouter does this for Facebook's lease-get and lease-set. Memcached's leases are of the meta commands: `mg K c N30`
//! answers the winner with `W` and the item's cas unique, and `ms K S C<cas unique>` is how it stores. That number is
//! replaced by a token of ours on its way to the client, and put back on its way to the server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::Mutex;

use crate::clock;
use crate::config::check::{Checker, ConfigError, Node};
use crate::reply::Reply;
use crate::request::OwnedRequest;

/// How long a winner has to come back (mcrouter's).
const KEPT: Duration = Duration::from_secs(10);
/// Tokens that are kept at most; the oldest go first. A token is a hundred bytes or so.
const TOKENS_MAX: usize = 100_000;
/// What tokens of ours begin with (mcrouter's), and servers' cas uniques do not: they count from 1.
const MARK: u64 = 0x7ace_b00c_0000_0000;
const MARK_BITS: u64 = 0xffff_ffff_0000_0000;

/// The tokens of this process: they outlive a change of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    next: AtomicU64,
    kept: Mutex<Kept>,
    redirected: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    tokens: AHashMap<u64, Lease>,
    /// In the order in which they are too old.
    ages: VecDeque<(Instant, u64)>,
}

#[derive(Debug)]
struct Lease {
    route: Arc<str>,
    child: usize,
    /// The server's.
    token: u64,
}

impl Leases {
    /// Whether a server's number could be taken for one of ours.
    pub(super) const fn looks_like_ours(token: u64) -> bool {
        token & MARK_BITS == MARK
    }

    /// Tokens that are out, and those that came back.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (
            self.kept.lock().tokens.len(),
            self.redirected.load(Ordering::Relaxed),
        )
    }

    fn keep(&self, lease: Lease, now: Instant) -> u64 {
        let token = MARK | (self.next.fetch_add(1, Ordering::Relaxed) & !MARK_BITS);
        let mut kept = self.kept.lock();
        while let Some(&(at, oldest)) = kept.ages.front()
            && (now.saturating_duration_since(at) >= KEPT || kept.ages.len() >= TOKENS_MAX)
        {
            kept.ages.pop_front();
            kept.tokens.remove(&oldest);
        }
        kept.ages.push_back((now, token));
        kept.tokens.insert(token, lease);
        token
    }

    fn redeem(&self, route: &str, token: u64) -> Option<(usize, u64)> {
        if !Self::looks_like_ours(token) {
            return None;
        }
        let mut kept = self.kept.lock();
        if *kept.tokens.get(&token)?.route != *route {
            return None;
        }
        let lease = kept.tokens.remove(&token)?;
        self.redirected.fetch_add(1, Ordering::Relaxed);
        Some((lease.child, lease.token))
    }
}

/// A failover that pairs its leases.
#[derive(Debug, Clone)]
pub(super) struct Pairing {
    leases: Arc<Leases>,
    /// Its name and how many children it has: with others a number would mean another one.
    route: Arc<str>,
}

impl Pairing {
    pub(super) fn read(
        node: &Node<'_>,
        children: usize,
        checker: &Checker<'_>,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(asked) = node.get("enable_lease_pairing") else {
            return Ok(None);
        };
        if !asked.flag()? {
            return Ok(None);
        }
        let name = node
            .get("name")
            .ok_or_else(|| asked.error("a failover that pairs leases needs a \"name\""))?;
        let route = format!("{}:failover_targets={children}", name.string()?);
        Ok(Some(Self {
            leases: Arc::clone(&checker.defaults().leases),
            route: route.into(),
        }))
    }

    /// A token for a lease that `child` gave.
    pub(super) fn keep(&self, child: usize, token: u64) -> u64 {
        let lease = Lease {
            route: Arc::clone(&self.route),
            child,
            token,
        };
        self.leases.keep(lease, clock::now())
    }

    /// Who gave the lease that `token` stands for, and what it called it. A token is good for once.
    pub(super) fn redeem(&self, token: u64) -> Option<(usize, u64)> {
        self.leases.redeem(&self.route, token)
    }
}

impl OwnedRequest {
    /// Whether who misses wants to be told that it may fill in.
    pub(super) fn asks_for_a_lease(&self) -> bool {
        use crate::request::Single::MetaGet;
        let asks = self
            .read(|single| matches!(single, MetaGet(get) if get.vivify.is_some() || get.recache.is_some()));
        asks == Some(true)
    }

    /// The lease that a store or delete ends.
    pub(super) fn lease_spent(&self) -> Option<u64> {
        use crate::request::Single::{MetaDelete, MetaSet};
        self.read(|single| match single {
            MetaSet(set) => set.cas_compare,
            MetaDelete(delete) => delete.cas_compare,
            _ => None,
        })
        .flatten()
    }
}

impl Reply {
    /// The cas unique told to one who has won a lease.
    pub(super) fn lease_won(&self) -> Option<u64> {
        self.meta_flag_is_there(b'W').then(|| self.meta_flag(b'c'))?
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Lease, Leases, MARK, TOKENS_MAX};
    use crate::clock;
    use crate::route::testing::tree;

    const ROUTE: &str = r#"{"type": "FailoverRoute", "name": "f", "children": ["PoolRoute|A", "PoolRoute|B"],
                            "enable_lease_pairing": true}"#;

    #[test]
    fn who_won_a_lease_from_the_second_child_stores_there() {
        let tree = tree(ROUTE);
        let story = tree.play("mg k v c N30~", &[("a", &["timeout"]), ("b", &["VA 0 c7 W~~"])]);
        let token = format!("c{MARK}");
        assert_eq!(
            story,
            format!("a: mg k v c N30~\nb: mg k v c N30~\n=> VA 0 {token} W~~")
        );
        let store = format!("ms k 1 C{MARK} T60~x~");
        assert_eq!(
            tree.play(&store, &[("b", &["HD~"])]),
            "b: ms k 1 C7 T60~x~\n=> HD~",
            "where it was won, by the number it has there"
        );
        assert_eq!(
            tree.play(&store, &[("a", &["NF~"])]),
            format!("a: {store}\n=> NF~"),
            "once"
        );
    }

    #[test]
    fn what_the_first_child_gave_needs_no_token_and_stays_with_it() {
        let tree = tree(ROUTE);
        assert_eq!(
            tree.play("mg k v c N30~", &[("a", &["VA 0 c7 W~~"])]),
            "a: mg k v c N30~\n=> VA 0 c7 W~~"
        );
        assert_eq!(
            tree.play("ms k 1 C7~x~", &[("a", &["timeout"])]),
            "a: ms k 1 C7~x~\n=> timeout",
            "no other child has this lease"
        );
        assert_eq!(
            tree.play("ms k 1~x~", &[("a", &["timeout"]), ("b", &["HD~"])]),
            "a: ms k 1~x~\nb: ms k 1~x~\n=> HD~",
            "plain stores fail over as ever"
        );
        assert_eq!(
            tree.play("mg k v c~", &[("a", &["timeout"]), ("b", &["VA 1 c9~x~"])]),
            "a: mg k v c~\nb: mg k v c~\n=> VA 1 c9~x~",
            "nobody asked for a lease"
        );
    }

    #[test]
    fn tokens_are_kept_for_a_while_and_no_more_than_so_many() {
        let leases = Leases::default();
        let lease = || Lease {
            route: "f".into(),
            child: 1,
            token: 5,
        };
        let start = clock::now();
        let first = leases.keep(lease(), start);
        assert_eq!(leases.redeem("g", first), None, "it is another route's");
        let later = leases.keep(lease(), start + KEPT);
        assert_eq!(leases.redeem("f", first), None, "too late");
        assert_eq!(leases.redeem("f", later), Some((1, 5)));
        for _ in 0..TOKENS_MAX + 10 {
            leases.keep(lease(), start + KEPT);
        }
        assert!(leases.counts().0 <= TOKENS_MAX);
        assert_eq!(leases.counts().1, 1);
    }
}
