//! What holds for a server's bytes.

use bytes::BytesMut;

use super::Cut;
use crate::decoder::{ResponseDecoder, ResponseStep};
use crate::encode;
use crate::error::ProtocolError;
use crate::response::Response;

/// What a server's bytes become: each reply spelled plainly; the error that ended them, if any; whether the input ends
/// inside a reply.
pub type Replies = (Vec<Vec<u8>>, Option<ProtocolError>, bool);

/// The replies in `input`, cut into pieces.
///
/// # Panics
/// If a step breaks its promise.
#[must_use]
pub fn replies(input: &[u8], reply_len_bytes: usize, cut: Cut) -> Replies {
    decode(input, reply_len_bytes, cut, ResponseDecoder::next)
}

/// How a decoder looks at its input.
type Next = for<'a> fn(&mut ResponseDecoder, &'a [u8]) -> ResponseStep<'a>;

fn decode(input: &[u8], reply_len_bytes: usize, cut: Cut, next: Next) -> Replies {
    let mut decoder = ResponseDecoder::new(reply_len_bytes);
    let mut replies = Vec::new();
    let mut start = 0;
    let mut awaited = 0;
    for end in cut.ends(input.len()) {
        loop {
            let bytes = &input[start..end];
            match next(&mut decoder, bytes) {
                ResponseStep::NeedMore { additional } => {
                    assert!(additional > 0, "asked for nothing more at {start}");
                    assert!(additional <= reply_len_bytes + 2, "asked for {additional}");
                    awaited = end + additional;
                    break;
                }
                ResponseStep::Broken(error) => return (replies, Some(error), false),
                ResponseStep::Response { response, consumed } => {
                    assert!(end >= awaited, "a reply at {end} although {awaited} was awaited");
                    assert!(
                        consumed > 0 && consumed <= bytes.len(),
                        "consumed {consumed} of {}",
                        bytes.len()
                    );
                    replies.push(plain(&response));
                    start += consumed;
                }
            }
        }
    }
    (replies, None, start < input.len())
}

fn plain(response: &Response<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::response::response(&mut out, response);
    out.to_vec()
}

/// Any bytes: no panic; every cut gives the same replies; a reply spelled plainly is the same reply.
///
/// # Panics
/// If one of these does not hold.
pub fn check_replies(input: &[u8]) {
    for limit in [ResponseDecoder::REPLY_LEN_BYTES, 40] {
        let whole = replies(input, limit, Cut::Whole);
        assert_eq!(whole, replies(input, limit, Cut::Bytes), "byte by byte");
        let in_full = decode(input, limit, Cut::Whole, ResponseDecoder::next_in_full);
        assert_eq!(whole, in_full, "by hand and in full");
        let seed = input.iter().fold(input.len() as u64, |seed, byte| {
            seed.rotate_left(5) ^ u64::from(*byte)
        });
        assert_eq!(whole, replies(input, limit, Cut::Random(seed)), "cut by {seed}");
        for plain in whole.0 {
            let again = replies(&plain, limit, Cut::Whole);
            assert_eq!(
                again,
                (vec![plain.clone()], None, false),
                "spelled plainly: {}",
                plain.escape_ascii()
            );
        }
    }
}
