//! `shard_splits` of a PoolRoute: several copies of a hot shard. Keys of the form `prefix:SHARD:rest` are stored as
//! `prefix:SHARDaa:rest`, `prefix:SHARDba:rest`, … too, and each router reads its own copy. Where deletes are for all
//! copies they are waited for, and one that failed is told.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, host_id, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{Op, OwnedRequest, Routing};

/// As many copies as two letters can tell apart, and the shard itself. mcrouter takes more for this many.
const SPLITS_MAX: usize = 26 * 26 + 1;
/// Into how fine shares the hosts are cut while a split changes.
const HOST_SHARES: usize = 16_384;

/// How many copies a shard has.
#[derive(Debug, Clone, PartialEq)]
struct Split {
    before: usize,
    after: usize,
    /// Seconds of the day of days between which hosts go from `before` to `after`, one after the other.
    change: Range<u64>,
    /// Deletes are for all copies.
    fanout_deletes: bool,
}

impl Split {
    fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        let size = |node: &Node<'_>| match node.count()? {
            0 => Err(node.error("a shard has one copy at least")),
            count => Ok(count.min(SPLITS_MAX)),
        };
        if node.is_object() {
            node.only(&[
                "old_split_size",
                "new_split_size",
                "split_start",
                "migration_period",
                "fanout_deletes",
            ])?;
            let count = |name| node.get(name).map_or(Ok(1), |given| size(&given));
            let seconds = |name| node.get(name).map_or(Ok(0), |given| given.count());
            let start = seconds("split_start")? as u64;
            let end = start.saturating_add(seconds("migration_period")? as u64);
            return Ok(Self {
                before: count("old_split_size")?,
                after: count("new_split_size")?,
                change: start..end,
                fanout_deletes: node.get("fanout_deletes").map_or(Ok(false), |flag| flag.flag())?,
            });
        }
        let count = size(node)?;
        Ok(Self {
            before: count,
            after: count,
            change: 0..0,
            fanout_deletes: true,
        })
    }

    /// How many copies there are for a host whose share is `share`, at a time of day.
    fn size(&self, share: usize, now: u64) -> usize {
        if self.before == self.after || now >= self.change.end {
            return self.after;
        }
        if now < self.change.start {
            return self.before;
        }
        let gone = u128::from(now - self.change.start) * HOST_SHARES as u128;
        let moved = gone / u128::from(self.change.end - self.change.start);
        if (share as u128) < moved {
            self.after
        } else {
            self.before
        }
    }

    fn changes(&self) -> bool {
        self.before != self.after
    }
}

/// Puts the `shard_splits` of `node` around `target`, if it has any.
pub(crate) fn around(
    target: Blueprint,
    node: &Node<'_>,
    checker: &Checker<'_>,
) -> Result<Blueprint, ConfigError> {
    // It tells apart the users of Facebook's keys, of which memcached's know nothing.
    if let Some(fanout) = node.get("split_shard_fanout") {
        fanout.count()?;
    }
    let Some(splits) = node.get("shard_splits") else {
        return Ok(target);
    };
    let mut by_shard = ahash::AHashMap::new();
    for (shard, split) in splits.entries()? {
        by_shard.insert(shard.as_bytes().to_vec(), Split::read(&split)?);
    }
    if by_shard.is_empty() {
        return Ok(target);
    }
    let host = checker.host_id().to_owned();
    let splits = Arc::new(by_shard);
    Ok(Arc::new(move |builder| {
        Rc::new(ShardSplitRoute {
            target: builder.once(&target),
            splits: Arc::clone(&splits),
            host: host.clone(),
            share: host_id::pick(&host, "", HOST_SHARES),
        })
    }))
}

struct ShardSplitRoute {
    target: Handle,
    splits: Arc<ahash::AHashMap<Vec<u8>, Split>>,
    host: String,
    share: usize,
}

/// Where the shard stands in a key: between its first two colons, and with a digit at its end.
fn shard(key: &[u8]) -> Option<Range<usize>> {
    let part = cluster::hashed_part(key);
    let start = memchr::memchr(b':', part)? + 1;
    let end = start + memchr::memchr(b':', &part[start..])?;
    part[start..end].last()?.is_ascii_digit().then_some(start..end)
}

/// A key of copy `number` of its shard, which ends at `end`.
fn copy_of(key: &[u8], end: usize, number: usize) -> Vec<u8> {
    let letter = |of: usize| b'a' + u8::try_from(of % 26).unwrap_or_default();
    let suffix = [letter(number - 1), letter((number - 1) / 26)];
    [&key[..end], &suffix, &key[end..]].concat()
}

/// Which copies of a shard a request is for.
#[derive(Debug, PartialEq, Eq)]
struct Copies {
    /// Where the shard's name ends in the key.
    end: usize,
    numbers: Range<usize>,
}

impl ShardSplitRoute {
    /// `None`: the key as it is.
    fn copies(&self, op: Op, key: &[u8]) -> Option<Copies> {
        let place = shard(key)?;
        let split = self.splits.get(&key[place.clone()])?;
        let now = if split.changes() { Caller::unix().0 } else { 0 };
        let count = split.size(self.share, now);
        let numbers = if op == Op::Delete && split.fanout_deletes {
            0..count
        } else {
            let own = host_id::pick(&self.host, "", count);
            own..own + 1
        };
        (numbers != (0..1)).then_some(Copies {
            end: place.end,
            numbers,
        })
    }
}

impl RouteHandle for ShardSplitRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.copies(request.op, request.key) {
            None => self.target.route(request, servers),
            Some(_) => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Some(copies) = self.copies(request.op, &request.key) else {
            return Rc::clone(&self.target).call(request, caller);
        };
        let spelled = copies.numbers.map(|number| match number {
            0 => Some(Rc::clone(&request)),
            number => request
                .with_key(&copy_of(&request.key, copies.end, number))
                .map(Rc::new),
        });
        // A key without room for two letters has only one copy.
        let spelled: Option<Vec<_>> = spelled.collect();
        let spelled = spelled.unwrap_or_else(|| vec![Rc::clone(&request)]);
        Box::pin(async move {
            let asked = spelled
                .into_iter()
                .map(|copy| Rc::clone(&self.target).call(copy, caller.clone()));
            let replies = join_all(asked.collect()).await;
            let failed = replies.iter().position(Reply::failed);
            let told = replies.into_iter().nth(failed.unwrap_or(0));
            told.unwrap_or_else(|| Reply::nothing(&request)).naming(&request)
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let Some(copies) = self.copies(request.op, request.key) else {
            return self.target.destinations(request, into);
        };
        for number in copies.numbers {
            let key = match number {
                0 => request.key.to_vec(),
                number => copy_of(request.key, copies.end, number),
            };
            let about = format!("shard_splits: copy {number}, {}", key.escape_ascii());
            into.handle(about, |into| {
                self.target.destinations(Routing { key: &key, ..request }, into);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HOST_SHARES, Split, copy_of, shard};
    use crate::route::testing::{Recording, tree};

    fn route(splits: &str) -> Recording {
        tree(&format!(
            r#"{{"type": "PoolRoute", "pool": "A", "shard_splits": {splits}}}"#
        ))
    }

    fn asked(tree: &Recording, line: &str) -> Vec<String> {
        let story = tree.play(line, &[("a", &["DELETED~"])]);
        let lines = story.lines().filter_map(|line| line.strip_prefix("a: "));
        let mut asked: Vec<String> = lines.map(str::to_owned).collect();
        asked.sort_unstable();
        asked
    }

    #[test]
    fn a_shard_stands_between_two_colons_and_ends_in_a_digit() {
        for (key, expected) in [
            ("p:1:rest", Some("1")),
            ("p:ab12:rest:more", Some("ab12")),
            ("p:1", None),
            ("p:x:rest", None),
            ("p::rest", None),
            ("plain", None),
            ("p:1|#|:rest", None),
        ] {
            let found = shard(key.as_bytes()).map(|place| &key[place]);
            assert_eq!(found, expected, "{key}");
        }
        for (number, copy) in [(1, "p:1aa:r"), (2, "p:1ba:r"), (26, "p:1za:r"), (27, "p:1ab:r")] {
            assert_eq!(copy_of(b"p:1:r", 3, number), copy.as_bytes());
        }
    }

    #[test]
    fn a_delete_is_for_all_copies_of_a_split_shard_and_others_have_one() {
        let tree = route(r#"{"1": 3, "2": {"new_split_size": 3}, "3": 1}"#);
        assert_eq!(
            asked(&tree, "delete p:1:r~"),
            ["delete p:1:r~", "delete p:1aa:r~", "delete p:1ba:r~"]
        );
        assert_eq!(
            asked(&tree, "delete p:2:r~").len(),
            1,
            "it does not say fanout_deletes"
        );
        assert_eq!(tree.fast("delete p:3:r~"), "a");
        assert_eq!(tree.fast("delete p:4:r~"), "a");
        let long = format!("delete p:1:{}~", "r".repeat(246));
        assert_eq!(asked(&tree, &long), [long]);
    }

    #[test]
    fn a_get_is_for_this_hosts_copy_and_answered_by_the_keys_own_name() {
        let hosts = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let config = format!(
            r#"{{{}, "route": {{"type": "PoolRoute", "pool": "A", "shard_splits": {{"1": 5}}}}}}"#,
            crate::route::testing::POOLS
        );
        let copies: std::collections::HashSet<String> = hosts
            .iter()
            .map(|host| {
                let defaults = crate::config::check::Defaults {
                    host_id: (*host).to_owned(),
                    ..Default::default()
                };
                let tree = Recording::with(&config, &defaults);
                let story = tree.play("get p:1:r~", &[("a", &["VALUE any 0 1~x~END~"])]);
                let (asked, answer) = story.split_once('\n').expect("a question and an answer");
                assert!(answer.ends_with("=> VALUE p:1:r 0 1~x~END~") || asked == "a: get p:1:r~");
                asked.to_owned()
            })
            .collect();
        assert!(copies.len() > 2, "hosts take different copies: {copies:?}");
    }

    #[test]
    fn hosts_change_one_after_the_other() {
        let split = Split {
            before: 2,
            after: 5,
            change: 1000..2000,
            fanout_deletes: true,
        };
        for (share, now, size) in [
            (0, 999, 2),
            (0, 1001, 5),
            (HOST_SHARES - 1, 1999, 2),
            (HOST_SHARES - 1, 2000, 5),
            (HOST_SHARES / 2, 1499, 2),
            (HOST_SHARES / 2, 1501, 5),
        ] {
            assert_eq!(split.size(share, now), size, "host {share} at {now}");
        }
    }

    #[test]
    fn odd_splits_are_told_with_their_place() {
        for (splits, complaint) in [
            ("7", "route.shard_splits: expected an object"),
            (r#"{"1": 0}"#, "one copy at least"),
            (r#"{"1": "3"}"#, "expected a whole number"),
            (
                r#"{"1": {"new_splt_size": 3}}"#,
                "did you mean \"new_split_size\"?",
            ),
            (r#"{"1": {"split_start": -1}}"#, "expected a whole number"),
        ] {
            let config = format!(
                r#"{{{}, "route": {{"type": "PoolRoute", "pool": "A", "shard_splits": {splits}}}}}"#,
                crate::route::testing::POOLS
            );
            let source = crate::config::parse(&config).expect("JSON");
            let defaults = crate::config::check::Defaults::default();
            let error = crate::config::Config::check(source, &defaults, 1)
                .err()
                .expect("odd");
            assert!(error.to_string().contains(complaint), "{splits}: {error}");
        }
    }
}
