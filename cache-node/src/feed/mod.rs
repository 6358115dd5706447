//! Replies without an end in sight, written a bounded piece at a time while others are served in between: all keys,
//! all sizes, events as they happen. Bytes out; who sends them and when is the connection's affair.

mod dump;
mod sizes;

use std::task::Waker;

use bytes::BytesMut;

use crate::node::Node;
use crate::store::ScanCursor;
use crate::watch::{Classes, Subscription};

use dump::Dump;
pub(crate) use dump::Style;
use sizes::Sizes;

/// What a client asked for that takes more than one reply's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Every item (`lru_crawler metadump`, `mgdump`).
    Dump(Style),
    /// How many items there are of each size (`stats sizes`).
    Sizes,
    /// Events, until the client leaves (`watch`).
    Watch(Classes),
}

/// Such a reply under way.
pub(crate) enum Feed<'n> {
    Dump(Dump),
    Sizes(Sizes),
    Watch(Subscription<'n>),
}

/// How a feed stands after a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    /// There is more: come again when this is sent and the others have had their turn.
    More,
    /// There will be more: the waker is woken then.
    Later,
    /// That was all.
    Done,
}

/// Steps of the store's scan in one piece; each locks a shard for some tens of items.
const PIECE_STEPS: usize = 16;
/// A piece that has grown to this is long enough.
const PIECE_BYTES: usize = 64 << 10;

impl<'n> Feed<'n> {
    /// Begins, and writes what stands before the first piece. `None` if it cannot be had; the reason is written.
    pub(crate) fn begin(order: Order, node: &'n Node, out: &mut BytesMut) -> Option<Self> {
        let feed = match order {
            Order::Dump(style) => Self::Dump(Dump::new(style)),
            Order::Sizes => return Some(Self::Sizes(Sizes::default())),
            Order::Watch(classes) => {
                let Some(subscription) = node.watchers.subscribe(classes) else {
                    out.extend_from_slice(b"WATCHER_TOO_MANY log watcher limit reached\r\n");
                    return None;
                };
                Self::Watch(subscription)
            }
        };
        out.extend_from_slice(b"OK\r\n");
        Some(feed)
    }

    /// Appends the next piece to `out`.
    pub(crate) fn go_on(&mut self, node: &Node, out: &mut BytesMut, waker: &Waker) -> Fed {
        match self {
            Self::Dump(dump) => dump.go_on(node, out),
            Self::Sizes(sizes) => sizes.go_on(node, out),
            Self::Watch(subscription) => {
                if subscription.take(out, waker) {
                    Fed::More
                } else {
                    Fed::Later
                }
            }
        }
    }

    /// Whether this ends only when the client does.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(self, Self::Watch(_))
    }
}

/// A walk over all items, a few steps at a time.
#[derive(Debug)]
struct Walk(Option<ScanCursor>);

impl Walk {
    fn new() -> Self {
        Self(Some(ScanCursor::default()))
    }

    /// Goes on until a piece is done; `full` says when one has become long. `false` once everything has been seen.
    fn go_on<T>(
        &mut self,
        node: &Node,
        state: &mut T,
        mut visit: impl FnMut(&mut T, &[u8], crate::store::Item<'_>),
        full: impl Fn(&T) -> bool,
    ) -> bool {
        let now = node.store.seconds(node.now());
        for _step in 0..PIECE_STEPS {
            let Some(cursor) = self.0 else { return false };
            self.0 = node
                .store
                .scan(cursor, now, &mut |key, item| visit(state, key, item));
            if full(state) {
                break;
            }
        }
        self.0.is_some()
    }
}
