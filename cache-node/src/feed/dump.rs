//! Every key, for people and for scripts that warm another cache (protocol.txt, "LRU_Crawler").

use bytes::BytesMut;
use protocol::Key;
use protocol::meta::{Base64Scratch, MetaKey};

use super::{Fed, PIECE_BYTES, Walk};
use crate::node::Node;
use crate::store::{Item, Seconds};
use crate::watch::percent_encode;

/// How an item is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `key=… exp=… la=…`, the key percent-encoded.
    Meta,
    /// `mg KEY`, ready to be sent back; a key that cannot stand on a line in base64.
    MetaGet,
}

/// A dump under way.
#[derive(Debug)]
pub(crate) struct Dump {
    style: Style,
    walk: Walk,
}

impl Dump {
    pub(super) fn new(style: Style) -> Self {
        Self {
            style,
            walk: Walk::new(),
        }
    }

    pub(super) fn go_on(&mut self, node: &Node, out: &mut BytesMut) -> Fed {
        let epoch = node.store.unix_seconds(Seconds(0)).0;
        let style = self.style;
        let tell = |out: &mut BytesMut, key: &[u8], item: Item<'_>| match style {
            Style::Meta => meta_line(out, key, &item, epoch),
            Style::MetaGet => get_line(out, key),
        };
        if self.walk.go_on(node, out, tell, |out| out.len() >= PIECE_BYTES) {
            return Fed::More;
        }
        out.extend_from_slice(match style {
            Style::Meta => b"END\r\n",
            Style::MetaGet => b"EN\r\n",
        });
        Fed::Done
    }
}

fn meta_line(out: &mut BytesMut, key: &[u8], item: &Item<'_>, epoch: u64) {
    out.extend_from_slice(b"key=");
    percent_encode(out, key);
    out.extend_from_slice(b" exp=");
    match item.expires {
        Some(expires) => protocol::encode::number(out, epoch + u64::from(expires.0)),
        None => out.extend_from_slice(b"-1"),
    }
    for (name, number) in [
        (" la=", epoch + u64::from(item.last_access.0)),
        (" cas=", item.cas()),
    ] {
        out.extend_from_slice(name.as_bytes());
        protocol::encode::number(out, number);
    }
    out.extend_from_slice(if item.fetched { b" fetch=yes" } else { b" fetch=no" });
    out.extend_from_slice(b" cls=1 size=");
    protocol::encode::number(out, u64::from(item.size_bytes()));
    out.extend_from_slice(b" flags=");
    protocol::encode::number(out, u64::from(item.flags));
    // A lone LF, as memcached.
    out.extend_from_slice(b" \n");
}

fn get_line(out: &mut BytesMut, key: &[u8]) {
    let mut scratch = Base64Scratch::default();
    // A binary key too long for base64 cannot be asked for by anybody, either.
    let Some(key) = Key::new(key)
        .ok()
        .and_then(|key| MetaKey::sendable(key, &mut scratch).ok())
    else {
        return;
    };
    out.extend_from_slice(b"mg ");
    out.extend_from_slice(key.wire());
    out.extend_from_slice(if key.is_base64() { b" b\r\n" } else { b"\r\n" });
}
