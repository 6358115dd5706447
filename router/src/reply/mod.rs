//! A reply as the router sees it: what it says, how bad that is, and its bytes.

mod read;
mod rename;

use bytes::Bytes;
use protocol::Response;
use protocol::encode::response as lines;
use protocol::meta::Code;

use crate::pool::GetErrors;
use crate::request::{Expect, Op, OwnedRequest};
use crate::upstream::error::UpstreamError;

/// What a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hit,
    Miss,
    Stored,
    NotStored,
    Exists,
    NotFound,
    Deleted,
    Touched,
    Number,
    Ok,
    Version,
    /// `ERROR`: the server does not know the command.
    UnknownCommand,
    ClientError,
    ServerError,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Hit,
        Self::Miss,
        Self::Stored,
        Self::NotStored,
        Self::Exists,
        Self::NotFound,
        Self::Deleted,
        Self::Touched,
        Self::Number,
        Self::Ok,
        Self::Version,
        Self::UnknownCommand,
        Self::ClientError,
        Self::ServerError,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Its label in metrics: mcrouter's word where it has one.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hit => "found",
            Self::Miss => "miss",
            Self::Stored => "stored",
            Self::NotStored => "not_stored",
            Self::Exists => "exists",
            Self::NotFound => "not_found",
            Self::Deleted => "deleted",
            Self::Touched => "touched",
            Self::Number => "number",
            Self::Ok => "ok",
            Self::Version => "version",
            Self::UnknownCommand => "unknown_command",
            Self::ClientError => "client_error",
            Self::ServerError => "remote_error",
        }
    }

    /// How bad it is, for handles that ask several servers and answer with the worst: done, then a condition that did
    /// not hold, then errors. (mcrouter counts TOUCHED worse than any error; we do not.)
    pub(crate) const fn severity(self) -> u8 {
        match self {
            Self::Hit
            | Self::Stored
            | Self::Exists
            | Self::Deleted
            | Self::Touched
            | Self::Number
            | Self::Ok
            | Self::Version => 1,
            Self::Miss | Self::NotStored | Self::NotFound => 4,
            Self::ServerError => 7,
            Self::UnknownCommand => 8,
            Self::ClientError => 9,
        }
    }

    /// What `response` says as an answer to `expect`; `None` if it is no answer to that at all, which means that
    /// server and router no longer agree on which reply is whose.
    pub(crate) const fn of(response: &Response<'_>, expect: Expect) -> Option<Self> {
        Some(match (response, expect) {
            (Response::Error, _) => Self::UnknownCommand,
            (Response::ClientError(_), _) => Self::ClientError,
            (Response::ServerError(_), _) => Self::ServerError,
            (Response::Stored, Expect::Store) => Self::Stored,
            (Response::NotStored, Expect::Store) => Self::NotStored,
            (Response::Exists, Expect::Store) => Self::Exists,
            (Response::NotFound, Expect::Store | Expect::Delete | Expect::Arith | Expect::Touch) => {
                Self::NotFound
            }
            (Response::Deleted, Expect::Delete) => Self::Deleted,
            (Response::Touched, Expect::Touch) => Self::Touched,
            (Response::Number(_), Expect::Arith) => Self::Number,
            (Response::Ok, Expect::Flush) => Self::Ok,
            (Response::Version(_), Expect::Version) => Self::Version,
            (Response::Meta(reply), _) => match (reply.code, expect) {
                (Code::Va | Code::Hd, Expect::MetaGet) | (Code::Me, Expect::MetaDebug) => Self::Hit,
                (Code::En, Expect::MetaGet | Expect::MetaDebug) => Self::Miss,
                (Code::Hd, Expect::MetaSet) => Self::Stored,
                (Code::Ns, Expect::MetaSet | Expect::MetaArith) => Self::NotStored,
                (Code::Ex, Expect::MetaSet | Expect::MetaDelete | Expect::MetaArith | Expect::MetaGet) => {
                    Self::Exists
                }
                (Code::Nf, Expect::MetaSet | Expect::MetaDelete | Expect::MetaArith) => Self::NotFound,
                (Code::Hd, Expect::MetaDelete) => Self::Deleted,
                (Code::Va | Code::Hd, Expect::MetaArith) => Self::Number,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether quiet mode hides it: EN of `mg`, HD of `ms` and `md`, HD and VA of `ma`.
    pub(crate) const fn hidden_when_quiet(self, expect: Expect) -> bool {
        matches!(
            (expect, self),
            (Expect::MetaGet, Self::Miss)
                | (Expect::MetaSet, Self::Stored)
                | (Expect::MetaDelete, Self::Deleted)
                | (Expect::MetaArith, Self::Number)
        )
    }
}

/// The reply of one server or of a whole route, held apart from the buffer it came in.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A server said this.
    Said { kind: Kind, bytes: Bytes },
    /// No server said anything; a get may read that as a miss.
    Failed { error: UpstreamError, gets: GetErrors },
}

impl Reply {
    pub(crate) fn said(kind: Kind, bytes: &'static [u8]) -> Self {
        Self::Said {
            kind,
            bytes: Bytes::from_static(bytes),
        }
    }

    /// See [`Kind::severity`]; a server that could not be asked is worse than one that said no.
    pub(crate) const fn severity(&self) -> u8 {
        match self {
            Self::Said { kind, .. } => kind.severity(),
            Self::Failed { .. } => 5,
        }
    }

    /// Whether another server should be asked instead.
    pub(crate) const fn failed(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. }
                | Self::Said {
                    kind: Kind::ServerError,
                    ..
                }
        )
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Said { kind, .. } => *kind,
            Self::Failed { .. } => Kind::ServerError,
        }
    }

    /// The server, or the route, says that it cannot.
    pub(crate) fn server_error(why: &str) -> Self {
        Self::Said {
            kind: Kind::ServerError,
            bytes: format!("SERVER_ERROR {why}\r\n").into(),
        }
    }

    /// Whether the item was there and is told, or was deleted or touched.
    pub(crate) const fn is_hit(&self) -> bool {
        matches!(
            self,
            Self::Said {
                kind: Kind::Hit | Kind::Deleted | Kind::Touched,
                ..
            }
        )
    }

    /// Whether a server knows nothing under this key.
    pub(crate) const fn is_miss(&self) -> bool {
        matches!(
            self,
            Self::Said {
                kind: Kind::Miss | Kind::NotFound,
                ..
            }
        )
    }

    /// The default reply of a request that goes nowhere: a miss, or "not stored".
    pub(crate) fn nothing(request: &OwnedRequest) -> Self {
        let mut bytes = Vec::new();
        let kind = nothing(request.op, request.expect, &request.note, &mut bytes);
        Self::Said {
            kind,
            bytes: bytes.into(),
        }
    }
}

/// Appends the default reply of a request that goes nowhere, and says what it says.
pub(crate) fn nothing(op: Op, expect: Expect, note: &[u8], out: &mut Vec<u8>) -> Kind {
    let (kind, line) = match expect {
        Expect::Retrieval => (Kind::Miss, lines::END),
        Expect::MetaGet => {
            out.extend_from_slice(b"EN");
            out.extend_from_slice(note);
            (Kind::Miss, protocol::encode::CRLF)
        }
        Expect::MetaDebug => (Kind::Miss, b"EN\r\n".as_slice()),
        Expect::Store if matches!(op, Op::Cas) => (Kind::NotFound, lines::NOT_FOUND),
        Expect::Store => (Kind::NotStored, lines::NOT_STORED),
        Expect::MetaSet => (Kind::NotStored, b"NS\r\n".as_slice()),
        Expect::Delete | Expect::Arith | Expect::Touch => (Kind::NotFound, lines::NOT_FOUND),
        Expect::MetaDelete | Expect::MetaArith => (Kind::NotFound, b"NF\r\n".as_slice()),
        Expect::Flush | Expect::Version => (Kind::Ok, lines::OK),
        Expect::Stats => (Kind::Ok, lines::END),
    };
    out.extend_from_slice(line);
    kind
}
