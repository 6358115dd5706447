//! One variant per command, borrowing everything from the bytes it was read from.
//! Nothing here knows how a command is spelled; that is `parse` and `encode`.

use crate::exptime::Exptime;
use crate::key::Key;
use crate::meta;
use crate::scan::{self, Blank, Positions};

/// One request of a client, borrowing from the input (protocol.txt, "Commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// `get`, `gets`, `gat`, `gats`.
    Get(Get<'a>),
    /// `set`, `add`, `replace`, `append`, `prepend`, `cas`.
    Store(Store<'a>),
    /// `delete`.
    Delete(Delete<'a>),
    /// `incr`, `decr`.
    Arith(Arith<'a>),
    /// `touch`.
    Touch(Touch<'a>),
    /// `flush_all`.
    FlushAll(FlushAll),
    /// `version`; its arguments are ignored.
    Version,
    /// `verbosity`.
    Verbosity(Verbosity),
    /// `stats` and its arguments, without blanks around them; empty for the plain form.
    Stats(&'a [u8]),
    /// `quit`: close once the replies before it are sent.
    Quit,
    /// The commands for operators.
    Admin(Admin<'a>),
    /// `mg`.
    MetaGet(meta::Get<'a>),
    /// `ms`.
    MetaSet(meta::Set<'a>),
    /// `md`.
    MetaDelete(meta::Delete<'a>),
    /// `ma`.
    MetaArith(meta::Arith<'a>),
    /// `mn`: answers `MN`, and everything before it is sent at once.
    MetaNoop,
    /// `me`.
    MetaDebug(meta::Debug<'a>),
}

impl Request<'_> {
    /// Whether the client asked for no reply at all. Meta commands have quiet mode instead, which hides only some
    /// answers: [`meta::Flags::quiet`].
    #[inline]
    #[must_use]
    pub const fn noreply(&self) -> bool {
        match self {
            Self::Store(request) => request.noreply,
            Self::Delete(request) => request.noreply,
            Self::Arith(request) => request.noreply,
            Self::Touch(request) => request.noreply,
            Self::FlushAll(request) => request.noreply,
            Self::Verbosity(request) => request.noreply,
            Self::Admin(request) => request.noreply,
            Self::Get(_)
            | Self::Version
            | Self::Stats(_)
            | Self::Quit
            | Self::MetaGet(_)
            | Self::MetaSet(_)
            | Self::MetaDelete(_)
            | Self::MetaArith(_)
            | Self::MetaNoop
            | Self::MetaDebug(_) => false,
        }
    }
}

/// `get k*`, `gets k*`, `gat exptime k*`, `gats exptime k*` (protocol.txt, "Retrieval command").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Get<'a> {
    /// `gets`, `gats`: each value is told with its cas unique.
    pub with_cas: bool,
    /// `gat`, `gats`: each hit gets this expiry.
    pub touch: Option<Exptime>,
    /// At least one key; a repeated key is answered as often.
    pub keys: Keys<'a>,
}

/// `<verb> k flags exptime n [unique] [noreply]` and n bytes (protocol.txt, "Storage commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store<'a> {
    /// Under which condition, and how, the data is stored.
    pub verb: StoreVerb,
    /// The item's key.
    pub key: Key<'a>,
    /// The client's opaque number. `append` and `prepend` ignore it.
    pub flags: u32,
    /// The item's expiry. `append` and `prepend` ignore it.
    pub exptime: Exptime,
    /// The value, any bytes.
    pub data: &'a [u8],
    /// No reply wanted.
    pub noreply: bool,
}

/// What a storage command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreVerb {
    /// Store.
    Set,
    /// Store if there is no item.
    Add,
    /// Store if there is an item.
    Replace,
    /// Put the data behind the item's value.
    Append,
    /// Put the data before the item's value.
    Prepend,
    /// Store if the item still has this cas unique.
    Cas(u64),
}

/// `delete k [0] [noreply]` (protocol.txt, "Deletion").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The item's key.
    pub key: Key<'a>,
    /// No reply wanted.
    pub noreply: bool,
}

/// `incr k delta [noreply]`, `decr k delta [noreply]` (protocol.txt, "Increment/Decrement").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arith<'a> {
    /// Up or down.
    pub verb: ArithVerb,
    /// The item's key.
    pub key: Key<'a>,
    /// By how much.
    pub delta: u64,
    /// No reply wanted.
    pub noreply: bool,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArithVerb {
    /// `incr`: wraps at 2^64.
    Incr,
    /// `decr`: stops at 0.
    Decr,
}

/// `touch k exptime [noreply]` (protocol.txt, "Touch").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch<'a> {
    /// The item's key.
    pub key: Key<'a>,
    /// Its new expiry.
    pub exptime: Exptime,
    /// No reply wanted.
    pub noreply: bool,
}

/// `flush_all [exptime] [noreply]` (protocol.txt, "flush_all").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushAll {
    /// When; `None` is now.
    pub delay: Option<Exptime>,
    /// No reply wanted.
    pub noreply: bool,
}

/// `verbosity level [noreply]` (protocol.txt, "verbosity").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity {
    /// How much the server should log; memcached takes more than 2 as 2.
    pub level: u32,
    /// No reply wanted.
    pub noreply: bool,
}

/// A command for operators. Its arguments are the server's to read, since their errors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin<'a> {
    /// Which command.
    pub verb: AdminVerb,
    /// What follows the verb: blanks around it and a final `noreply` are cut off.
    pub args: &'a [u8],
    /// No reply wanted.
    pub noreply: bool,
}

/// Which command for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdminVerb {
    /// `cache_memlimit MB`.
    CacheMemlimit,
    /// `shutdown [graceful]`.
    Shutdown,
    /// `lru_crawler …`.
    LruCrawler,
    /// `lru …`.
    Lru,
    /// `slabs …`.
    Slabs,
    /// `watch …`.
    Watch,
    /// `refresh_certs`.
    RefreshCerts,
    /// `extstore …`.
    Extstore,
    /// `config get cluster`: ElastiCache's discovery, no command of memcached's.
    Config,
}

/// The keys of one retrieval, each 1 to 250 bytes without space or LF, at least one, in request order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys<'a> {
    /// From the first byte of the first key to the last byte of the last; blanks between them.
    wire: &'a [u8],
    /// How many.
    count: usize,
}

impl<'a> Keys<'a> {
    /// Keys already found in `wire`: `count` of them, valid, with blanks only between them.
    #[inline]
    pub(crate) const fn from_parts(wire: &'a [u8], count: usize) -> Self {
        Self { wire, count }
    }

    /// One key. `None` when it cannot be a bare token ([`Key::is_text`]).
    #[must_use]
    pub fn one(key: Key<'a>) -> Option<Self> {
        key.is_text().then_some(Self {
            wire: key.as_bytes(),
            count: 1,
        })
    }

    /// How many keys there are, at least one; each repetition counts.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a key")]
    pub const fn len(self) -> usize {
        self.count
    }

    /// The first key.
    #[inline]
    #[must_use]
    pub fn first(self) -> Key<'a> {
        if self.count == 1 {
            return crate::key::checked(self.wire);
        }
        self.iter()
            .next()
            .unwrap_or_else(|| crate::key::checked(self.wire))
    }

    /// The keys in request order.
    #[inline]
    #[must_use]
    pub const fn iter(self) -> KeysIter<'a> {
        KeysIter {
            wire: self.wire,
            start: 0,
            blanks: scan::positions(self.wire),
            left: self.count,
        }
    }

    /// The keys as they stood on the line, blanks between them included.
    #[inline]
    #[must_use]
    pub const fn as_wire(self) -> &'a [u8] {
        self.wire
    }
}

impl<'a> IntoIterator for Keys<'a> {
    type Item = Key<'a>;
    type IntoIter = KeysIter<'a>;

    #[inline]
    fn into_iter(self) -> KeysIter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The keys of a [`Keys`], in request order.
#[derive(Debug, Clone)]
pub struct KeysIter<'a> {
    wire: &'a [u8],
    /// Where the next key starts, or a blank before it.
    start: usize,
    blanks: Positions<'a, Blank>,
    /// How many keys are left.
    left: usize,
}

impl<'a> Iterator for KeysIter<'a> {
    type Item = Key<'a>;

    #[inline]
    fn next(&mut self) -> Option<Key<'a>> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let end = self.blanks.next().unwrap_or(self.wire.len());
            let key = self.wire.get(self.start..end)?;
            self.start = end + 1;
            // Two blanks have nothing between them.
            if !key.is_empty() {
                return Some(crate::key::checked(key));
            }
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for KeysIter<'_> {}
