//! A reply to a request whose key was changed on its way, told by the key the client asked for.

use bytes::Bytes;

use super::Reply;
use crate::request::{Expect, OwnedRequest};

impl Reply {
    /// The same reply, naming the key of `original` where it names a key: on VALUE lines, and by the meta flag `k`.
    pub(crate) fn naming(self, original: &OwnedRequest) -> Self {
        let Self::Said { kind, bytes } = self else {
            return self;
        };
        let renamed = match original.expect {
            Expect::Retrieval => on_value_line(&bytes, &original.key),
            Expect::MetaGet | Expect::MetaSet | Expect::MetaDelete | Expect::MetaArith => {
                on_meta_line(&bytes, original)
            }
            _ => None,
        };
        Self::Said {
            kind,
            bytes: renamed.unwrap_or(bytes),
        }
    }
}

fn on_value_line(bytes: &[u8], key: &[u8]) -> Option<Bytes> {
    const VALUE: &[u8] = b"VALUE ";
    let rest = bytes.strip_prefix(VALUE)?;
    let old = memchr::memchr(b' ', rest)?;
    Some([VALUE, key, &rest[old..]].concat().into())
}

/// `k` is followed by the key as it was sent, and by `b` if that was base64.
fn on_meta_line(bytes: &[u8], original: &OwnedRequest) -> Option<Bytes> {
    let end = memchr::memchr(b'\r', bytes)?;
    let line = &bytes[..end];
    let names_key = |token: &[u8]| token.first() == Some(&b'k');
    // The first token is the code, whatever its letters.
    let mut tokens = line.split(|byte| *byte == b' ');
    let code = tokens.next()?;
    if !tokens.clone().any(names_key) {
        return None;
    }
    let (key, base64) = original.written_key();
    let mut renamed = code.to_vec();
    for token in tokens.filter(|token| *token != b"b") {
        renamed.push(b' ');
        if names_key(token) {
            renamed.push(b'k');
            renamed.extend_from_slice(&key);
            if base64 {
                renamed.extend_from_slice(b" b");
            }
        } else {
            renamed.extend_from_slice(token);
        }
    }
    renamed.extend_from_slice(&bytes[end..]);
    Some(renamed.into())
}

#[cfg(test)]
mod tests {
    use crate::reply::{Kind, Reply};
    use crate::request::OwnedRequest;

    fn named(original: &str, reply: &str) -> String {
        let original = OwnedRequest::spelled(original);
        let bytes = reply.replace('~', "\r\n").into();
        let Reply::Said { bytes, .. } = (Reply::Said {
            kind: Kind::Hit,
            bytes,
        })
        .naming(&original) else {
            panic!("said before, failed now")
        };
        String::from_utf8_lossy(&bytes).replace("\r\n", "~")
    }

    #[test]
    fn a_reply_names_the_key_the_client_asked_for() {
        for (original, reply, told) in [
            ("get k~", "VALUE other 5 1~x~END~", "VALUE k 5 1~x~END~"),
            ("gat 5 5~", "VALUE p5 5 1~5~END~", "VALUE 5 5 1~5~END~"),
            ("get k~", "END~", "END~"),
            ("mg k v k t~", "VA 1 kother t-1~k~", "VA 1 kk t-1~k~"),
            ("mg YWJj b k v~", "VA 1 kcGFiYw== b~x~", "VA 1 kYWJj b~x~"),
            ("mg k v~", "VA 1~x~", "VA 1~x~"),
            ("ms k 1 k Oo~x~", "HD kother Oo~", "HD kk Oo~"),
            ("delete k~", "DELETED~", "DELETED~"),
        ] {
            assert_eq!(named(original, reply), told, "{original}");
        }
    }
}
