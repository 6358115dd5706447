//! One event and the line that tells it, in the fields and order that memcached's watchers know (logger.c).

use std::io::Write as _;
use std::time::Duration;

use super::Classes;
use crate::clients::{Client, Peer};

/// Something that happened. Lengths are those of values.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// An item was looked up; `len` is `None` when there was none.
    Fetched {
        key: &'a [u8],
        len: Option<usize>,
        client: i32,
    },
    /// Somebody tried to store an item.
    Stored {
        key: &'a [u8],
        status: &'static str,
        command: &'static str,
        ttl: u32,
        len: usize,
        client: i32,
    },
    /// An item was deleted on request.
    Deleted {
        key: &'a [u8],
        command: &'static str,
        len: usize,
    },
    /// An item was lost for space.
    Evicted {
        key: &'a [u8],
        fetched: bool,
        ttl: Option<u32>,
        idle: u32,
        len: usize,
    },
    /// A client came.
    Opened(&'a Client),
    /// A client went.
    Closed(&'a Client, CloseReason),
}

/// Why a connection ended, in memcached's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CloseReason {
    /// The client left or asked us to close.
    Normal = 0,
    /// The socket failed, or the bytes could not be followed.
    Error = 1,
    /// It was silent for too long.
    Idle = 2,
    /// The node stops.
    Shutdown = 3,
}

impl CloseReason {
    const fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Error => "error",
            Self::Idle => "idle_timeout",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Event<'_> {
    pub(super) const fn class(&self) -> Classes {
        match self {
            Self::Fetched { .. } => Classes::FETCHERS,
            Self::Stored { .. } => Classes::MUTATIONS,
            Self::Deleted { .. } => Classes::DELETIONS,
            Self::Evicted { .. } => Classes::EVICTIONS,
            Self::Opened(_) | Self::Closed(..) => Classes::CONNEVENTS,
        }
    }

    /// The line of the event that happened at `at` (since the epoch) and is the `number`th.
    pub(super) fn line(&self, at: Duration, number: u64) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        let (seconds, micros) = (at.as_secs(), at.subsec_micros());
        // Writing to memory cannot fail.
        let _infallible = write!(line, "ts={seconds}.{micros} gid={number} type=");
        let _infallible = match self {
            Self::Fetched { key, len, client } => {
                line.extend_from_slice(b"item_get");
                key_of(&mut line, key);
                let status = if len.is_some() { "found" } else { "not_found" };
                let len = len.unwrap_or(0);
                writeln!(line, " status={status} clsid=1 cfd={client} size={len}")
            }
            Self::Stored {
                key,
                status,
                command,
                ttl,
                len,
                client,
            } => {
                line.extend_from_slice(b"item_store");
                key_of(&mut line, key);
                writeln!(
                    line,
                    " status={status} cmd={command} ttl={ttl} clsid=1 cfd={client} size={len}"
                )
            }
            Self::Deleted { key, command, len } => {
                line.extend_from_slice(b"deleted");
                key_of(&mut line, key);
                writeln!(line, " cmd={command} clsid=1 size={len}")
            }
            Self::Evicted {
                key,
                fetched,
                ttl,
                idle,
                len,
            } => {
                line.extend_from_slice(b"eviction");
                key_of(&mut line, key);
                let fetched = if *fetched { "yes" } else { "no" };
                let ttl = ttl.map_or(-1, i64::from);
                writeln!(line, " fetch={fetched} ttl={ttl} la={idle} clsid=1 size={len}")
            }
            Self::Opened(client) => {
                line.extend_from_slice(b"conn_new");
                peer_of(&mut line, client.peer());
                writeln!(line, " cfd={}", client.number())
            }
            Self::Closed(client, reason) => {
                line.extend_from_slice(b"conn_close");
                peer_of(&mut line, client.peer());
                writeln!(line, " reason={} cfd={}", reason.word(), client.number())
            }
        };
        line
    }
}

fn peer_of(line: &mut Vec<u8>, peer: &Peer) {
    let _infallible = match peer {
        Peer::Tcp { remote, .. } => {
            write!(line, " rip={} rport={} transport=tcp", remote.ip(), remote.port())
        }
        Peer::Unix { .. } => write!(line, " rip=unix rport=0 transport=local"),
    };
}

fn key_of(line: &mut Vec<u8>, key: &[u8]) {
    line.extend_from_slice(b" key=");
    percent_encode(line, key);
}

/// Appends a key so that it is one word whatever its bytes (RFC 3986, unreserved characters as they are).
pub(crate) fn percent_encode(out: &mut impl Extend<u8>, key: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in key {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.extend([*byte]),
            _other => out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Event;

    fn line(event: &Event<'_>) -> String {
        String::from_utf8(event.line(Duration::new(5, 6_000), 7)).unwrap()
    }

    #[test]
    fn lines_are_memcacheds() {
        let event = Event::Fetched {
            key: b"a\x01\xff/",
            len: None,
            client: 9,
        };
        assert_eq!(
            line(&event),
            "ts=5.6 gid=7 type=item_get key=a%01%FF%2F status=not_found clsid=1 cfd=9 size=0\n"
        );
        let event = Event::Stored {
            key: b"k",
            status: "stored",
            command: "set",
            ttl: 10,
            len: 4,
            client: 9,
        };
        assert_eq!(
            line(&event),
            "ts=5.6 gid=7 type=item_store key=k status=stored cmd=set ttl=10 clsid=1 cfd=9 size=4\n"
        );
        let event = Event::Evicted {
            key: b"k",
            fetched: true,
            ttl: None,
            idle: 3,
            len: 4,
        };
        assert_eq!(
            line(&event),
            "ts=5.6 gid=7 type=eviction key=k fetch=yes ttl=-1 la=3 clsid=1 size=4\n"
        );
    }
}
