//! What requests do to items, told to watchers and counted by prefix: seen from outside, by what is asked, what was
//! there before and what is answered, so that requests nobody watches are executed without a thought of it.

use protocol::meta::{ArithMode, KeyScratch, MetaKey, SetMode};
use protocol::{Exptime, Get, Request, StoreVerb};

use super::Context;
use crate::prefixes::Use;
use crate::store::Read;
use crate::watch::{Classes, Event};

/// A request about to be executed, as far as watchers care.
pub(crate) struct Observed<'a> {
    key: Vec<u8>,
    /// Length of the value that is there.
    len_before: Option<usize>,
    action: Action<'a>,
}

enum Action<'a> {
    /// The look-up says all.
    Look,
    Store {
        command: &'static str,
        exptime: Exptime,
        data: &'a [u8],
    },
    Delete {
        command: &'static str,
    },
}

/// Tells of the keys of a retrieval, which nothing but looking can happen to.
pub(crate) fn retrieval(cx: &Context<'_>, get: &Get<'_>) {
    for key in get.keys {
        let key = key.as_bytes();
        let len = look(cx, key);
        cx.node.prefixes.count(key, Use::Get { hit: len.is_some() });
    }
}

/// Looks at what any other request is about to meet. `None` if it concerns no item.
pub(crate) fn before<'a>(cx: &Context<'_>, request: &Request<'a>) -> Option<Observed<'a>> {
    let mut scratch = KeyScratch::new();
    let (key, action) = match request {
        Request::Store(store) => {
            let command = match store.verb {
                StoreVerb::Set => "set",
                StoreVerb::Add => "add",
                StoreVerb::Replace => "replace",
                StoreVerb::Append => "append",
                StoreVerb::Prepend => "prepend",
                StoreVerb::Cas(_) => "cas",
            };
            let action = Action::Store {
                command,
                exptime: store.exptime,
                data: store.data,
            };
            (store.key.as_bytes(), action)
        }
        Request::MetaSet(set) => {
            let command = match set.mode {
                SetMode::Set => "set",
                SetMode::Add => "add",
                SetMode::Replace => "replace",
                SetMode::Append => "append",
                SetMode::Prepend => "prepend",
            };
            let action = Action::Store {
                command,
                exptime: set.exptime,
                data: set.data,
            };
            (decoded(set.key, &mut scratch), action)
        }
        Request::Delete(delete) => (delete.key.as_bytes(), Action::Delete { command: "delete" }),
        // Marked stale or emptied, the item is still there.
        Request::MetaDelete(delete) if !delete.invalidate && !delete.remove_value => (
            decoded(delete.key, &mut scratch),
            Action::Delete { command: "md" },
        ),
        Request::MetaDelete(delete) => (decoded(delete.key, &mut scratch), Action::Look),
        Request::MetaGet(get) => (decoded(get.key, &mut scratch), Action::Look),
        Request::MetaArith(arith) => {
            // Both ways of counting are a look and a change of the number.
            let (ArithMode::Incr | ArithMode::Decr) = arith.mode;
            (decoded(arith.key, &mut scratch), Action::Look)
        }
        Request::Arith(arith) => (arith.key.as_bytes(), Action::Look),
        Request::Touch(touch) => (touch.key.as_bytes(), Action::Look),
        Request::Get(_)
        | Request::FlushAll(_)
        | Request::Version
        | Request::Verbosity(_)
        | Request::Stats(_)
        | Request::Quit
        | Request::Admin(_)
        | Request::MetaNoop
        | Request::MetaDebug(_) => return None,
    };
    let len_before = look(cx, key);
    if matches!(request, Request::MetaGet(_)) {
        let hit = len_before.is_some();
        cx.node.prefixes.count(key, Use::Get { hit });
    }
    Some(Observed {
        key: key.to_vec(),
        len_before,
        action,
    })
}

fn decoded<'a>(key: MetaKey<'a>, scratch: &'a mut KeyScratch) -> &'a [u8] {
    key.decode(scratch).as_bytes()
}

/// Looks an item up without leaving a trace, and tells who fetches it.
fn look(cx: &Context<'_>, key: &[u8]) -> Option<usize> {
    let lookup = cx.store().lookup(key);
    let len = cx.store().get(lookup, cx.at, Read::Peek, |item| {
        item.map(|item| item.value.len())
    });
    cx.node.watchers.tell(&Event::Fetched {
        key,
        len,
        client: cx.client,
    });
    len
}

impl Observed<'_> {
    /// Tells what came of it; `reply` is what was answered, or would have been without `noreply`.
    pub(crate) fn after(self, cx: &Context<'_>, reply: &[u8]) {
        let key = &self.key;
        match self.action {
            Action::Look => {}
            Action::Store {
                command,
                exptime,
                data,
            } => {
                cx.node.prefixes.count(key, Use::Set);
                if cx.node.watchers.wants(Classes::MUTATIONS) {
                    cx.node.watchers.tell(&Event::Stored {
                        key,
                        status: status(reply),
                        command,
                        ttl: u32::try_from(exptime.0.max(0)).unwrap_or(u32::MAX),
                        len: data.len(),
                        client: cx.client,
                    });
                }
            }
            Action::Delete { command } => {
                cx.node.prefixes.count(key, Use::Delete);
                let is_deleted =
                    reply.is_empty() || reply.starts_with(b"DELETED") || reply.starts_with(b"HD");
                if let Some(len) = self.len_before.filter(|_| is_deleted) {
                    cx.node.watchers.tell(&Event::Deleted { key, command, len });
                }
            }
        }
    }
}

/// Tells of a value that was refused for its size before anybody executed anything.
pub(crate) fn too_large(cx: &Context<'_>, key: &[u8]) {
    cx.node.watchers.tell(&Event::Stored {
        key,
        status: "too_large",
        command: "set",
        ttl: 0,
        len: 0,
        client: cx.client,
    });
}

/// What a reply to a storage command says, in the words of watchers. A quiet one says nothing when all is well.
fn status(reply: &[u8]) -> &'static str {
    let starts = |words: &[&[u8]]| words.iter().any(|word| reply.starts_with(word));
    if reply.is_empty() || starts(&[b"STORED", b"HD"]) {
        "stored"
    } else if starts(&[b"EXISTS", b"EX"]) {
        "exists"
    } else if starts(&[b"NOT_FOUND", b"NF"]) {
        "not_found"
    } else if starts(&[b"SERVER_ERROR object too large"]) {
        "too_large"
    } else if starts(&[b"SERVER_ERROR"]) {
        "no_memory"
    } else {
        "not_stored"
    }
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn a_reply_says_what_became_of_a_store() {
        for (reply, expected) in [
            (&b"STORED\r\n"[..], "stored"),
            (b"", "stored"),
            (b"HD c1\r\n", "stored"),
            (b"NS\r\n", "not_stored"),
            (b"NOT_STORED\r\n", "not_stored"),
            (b"EX\r\n", "exists"),
            (b"NF\r\n", "not_found"),
            (b"SERVER_ERROR object too large for cache\r\n", "too_large"),
            (b"SERVER_ERROR out of memory storing object\r\n", "no_memory"),
        ] {
            assert_eq!(status(reply), expected);
        }
    }
}
