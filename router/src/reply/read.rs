//! What a reply tells of an item.

use bytes::{Bytes, BytesMut};
use protocol::{Response, ResponseDecoder, ResponseStep, encode};

use super::{Kind, Reply};
use crate::request::{Item, OwnedRequest};

impl Reply {
    /// A hit that tells `item` to a plain `get`.
    pub(crate) fn hit(request: &OwnedRequest, item: &Item) -> Self {
        let mut bytes = BytesMut::with_capacity(item.data.len() + request.key.len() + 48);
        encode::response::value(&mut bytes, &request.key, item.flags, &item.data, None);
        bytes.extend_from_slice(encode::response::END);
        Self::Said {
            kind: Kind::Hit,
            bytes: bytes.freeze(),
        }
    }

    /// The item that a hit tells of: `VALUE` to a retrieval, or `VA` to [`OwnedRequest::read_item`]. A plain VALUE says
    /// nothing of its TTL, which is then "never".
    pub(crate) fn item(&self) -> Option<Item> {
        let Self::Said {
            kind: Kind::Hit,
            bytes,
        } = self
        else {
            return None;
        };
        let mut decoder = ResponseDecoder::new(bytes.len());
        let ResponseStep::Response { response, .. } = decoder.next(bytes) else {
            return None;
        };
        match response {
            Response::Value { flags, data, .. } => Some(Item {
                flags,
                ttl: None,
                data: bytes.slice_ref(data),
            }),
            Response::Meta(meta) => {
                let number = |letter| {
                    let text = std::str::from_utf8(meta.flag(letter)?).ok()?;
                    text.parse::<i64>().ok()
                };
                Some(Item {
                    flags: number(b'f')
                        .and_then(|flags| u32::try_from(flags).ok())
                        .unwrap_or(0),
                    // -1: never.
                    ttl: number(b't').and_then(|ttl| u64::try_from(ttl).ok()),
                    data: bytes.slice_ref(meta.data?),
                })
            }
            _ => None,
        }
    }

    /// The number behind a flag of a meta reply.
    pub(crate) fn meta_flag(&self, letter: u8) -> Option<u64> {
        let bytes = self.bytes()?;
        let mut decoder = ResponseDecoder::new(bytes.len());
        match decoder.next(bytes) {
            ResponseStep::Response {
                response: Response::Meta(meta),
                ..
            } => std::str::from_utf8(meta.flag(letter)?).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// Whether a meta reply has a flag.
    pub(crate) fn meta_flag_is_there(&self, letter: u8) -> bool {
        let Some(bytes) = self.bytes() else { return false };
        let mut decoder = ResponseDecoder::new(bytes.len());
        match decoder.next(bytes) {
            ResponseStep::Response {
                response: Response::Meta(meta),
                ..
            } => meta.flag(letter).is_some(),
            _ => false,
        }
    }

    /// A meta reply that tells another cas unique where it tells one.
    pub(crate) fn with_cas(self, cas: u64) -> Self {
        let Self::Said { kind, bytes } = &self else {
            return self;
        };
        let Some(end) = memchr::memchr(b'\r', bytes) else {
            return self;
        };
        let mut said = Vec::with_capacity(bytes.len() + 20);
        for (place, token) in bytes[..end].split(|byte| *byte == b' ').enumerate() {
            if place > 0 {
                said.push(b' ');
            }
            // The code, and the size of a value, begin with other letters.
            if place > 0 && token.first() == Some(&b'c') {
                said.extend_from_slice(format!("c{cas}").as_bytes());
            } else {
                said.extend_from_slice(token);
            }
        }
        said.extend_from_slice(&bytes[end..]);
        Self::Said {
            kind: *kind,
            bytes: said.into(),
        }
    }

    /// The cas unique of a plain hit that tells it.
    pub(crate) fn cas(&self) -> Option<u64> {
        let bytes = self.bytes()?;
        let mut decoder = ResponseDecoder::new(bytes.len());
        match decoder.next(bytes) {
            ResponseStep::Response {
                response: Response::Value { cas, .. },
                ..
            } => cas,
            _ => None,
        }
    }

    /// An `HD` about the item that stands for another: with that one's value, its size for `s`, and without the flags
    /// `hidden` for `f`.
    pub(crate) fn with_value(self, data: &[u8], code: &[u8; 2], hidden: u32) -> Self {
        let Self::Said {
            kind: Kind::Hit,
            bytes,
        } = &self
        else {
            return self;
        };
        let Some(line) = bytes.strip_suffix(b"\r\n") else {
            return self;
        };
        let mut said = code.to_vec();
        if code == b"VA" {
            said.extend_from_slice(format!(" {}", data.len()).as_bytes());
        }
        for token in line.split(|byte| *byte == b' ').skip(1) {
            said.push(b' ');
            let number = token
                .get(1..)
                .and_then(|number| std::str::from_utf8(number).ok()?.parse::<u32>().ok());
            match (token.first(), number) {
                (Some(b's'), _) => said.extend_from_slice(format!("s{}", data.len()).as_bytes()),
                (Some(b'f'), Some(flags)) => {
                    said.extend_from_slice(format!("f{}", flags & !hidden).as_bytes());
                }
                _ => said.extend_from_slice(token),
            }
        }
        said.extend_from_slice(b"\r\n");
        if code == b"VA" {
            said.extend_from_slice(data);
            said.extend_from_slice(b"\r\n");
        }
        Self::Said {
            kind: Kind::Hit,
            bytes: said.into(),
        }
    }

    /// The bytes of a reply that was said.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Said { bytes, .. } => Some(bytes),
            Self::Failed { .. } => None,
        }
    }
}
