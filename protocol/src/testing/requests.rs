//! What holds for a client's bytes.

use bytes::BytesMut;

use super::Cut;
use crate::decoder::{RequestDecoder, Step};
use crate::encode;
use crate::error::ProtocolError;
use crate::limits::Limits;

/// Something that a decoder found, on its own legs. Skipped pieces are left out: how many there are depends on how
/// the bytes came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request: spelled plainly, and as it came.
    Request { plain: Vec<u8>, wire: Vec<u8> },
    /// A refusal; what it says, whether it is said.
    Reject { error: ProtocolError, reply: bool },
    /// A value over the limit, and the key whose item goes with it.
    Oversized { key: Vec<u8> },
    /// The end of the connection.
    Close { error: Option<ProtocolError> },
}

/// Limits small enough that short inputs reach them.
const SMALL: Limits = Limits {
    value_len_bytes: 40,
    line_len_bytes: 100,
    get_line_len_bytes: 200,
};

/// Decodes `input`, cut into pieces, and holds every step to what it promises. Also tells whether the input ends inside
/// a message.
///
/// # Panics
/// If a step breaks its promise.
#[must_use]
pub fn requests(input: &[u8], limits: Limits, cut: Cut) -> (Vec<Event>, bool) {
    events(input, limits, cut, RequestDecoder::next)
}

/// How a decoder looks at its input.
type Next = for<'a> fn(&mut RequestDecoder, &'a [u8]) -> Step<'a>;

fn events(input: &[u8], limits: Limits, cut: Cut, next: Next) -> (Vec<Event>, bool) {
    let mut decoder = RequestDecoder::new(limits);
    let mut events = Vec::new();
    let mut start = 0;
    let mut awaited = 0;
    let mut is_inside = false;
    for end in cut.ends(input.len()) {
        loop {
            let bytes = &input[start..end];
            let step = next(&mut decoder, bytes);
            let consumed = match step {
                Step::NeedMore { additional } => {
                    assert!(additional > 0, "asked for nothing more at {start}");
                    assert!(
                        additional <= (limits.value_len_bytes + 2).max(16 * 1024),
                        "asked for {additional}"
                    );
                    awaited = end + additional;
                    break;
                }
                Step::Close { error } => {
                    events.push(Event::Close { error });
                    return (events, false);
                }
                Step::Skipped { consumed } => consumed,
                Step::Request { consumed, .. }
                | Step::Reject { consumed, .. }
                | Step::Oversized { consumed, .. } => {
                    assert!(
                        end >= awaited,
                        "a message at {end} although {awaited} was awaited"
                    );
                    consumed
                }
            };
            assert!(
                consumed > 0 && consumed <= bytes.len(),
                "consumed {consumed} of {}",
                bytes.len()
            );
            is_inside = matches!(step, Step::Skipped { .. } | Step::Oversized { .. });
            match step {
                Step::Request { request, .. } => {
                    let mut plain = BytesMut::new();
                    encode::request::request(&mut plain, &request);
                    events.push(Event::Request {
                        plain: plain.to_vec(),
                        wire: bytes[..consumed].to_vec(),
                    });
                }
                Step::Reject { error, reply, .. } => events.push(Event::Reject { error, reply }),
                Step::Oversized { key, .. } => events.push(Event::Oversized {
                    key: key.wire().to_vec(),
                }),
                Step::Skipped { .. } | Step::NeedMore { .. } | Step::Close { .. } => {}
            }
            start += consumed;
        }
    }
    (events, is_inside || start < input.len())
}

/// Any bytes: no panic; every cut gives the same events; a request spelled plainly is the same request; the hand
/// scanner agrees with the grammar.
///
/// # Panics
/// If one of these does not hold.
pub fn check_requests(input: &[u8]) {
    for limits in [Limits::default(), SMALL] {
        let whole = requests(input, limits, Cut::Whole);
        assert_eq!(
            whole,
            requests(input, limits, Cut::Bytes),
            "byte by byte, {limits:?}"
        );
        let by_grammar = events(input, limits, Cut::Whole, RequestDecoder::next_by_grammar);
        assert_eq!(whole, by_grammar, "by hand and by the grammar, {limits:?}");
        let seed = input.iter().fold(input.len() as u64, |seed, byte| {
            seed.rotate_left(5) ^ u64::from(*byte)
        });
        assert_eq!(
            whole,
            requests(input, limits, Cut::Random(seed)),
            "cut by {seed}, {limits:?}"
        );
        for event in &whole.0 {
            let Event::Request { plain, .. } = event else {
                continue;
            };
            let again = requests(plain, Limits::default(), Cut::Whole);
            let expected = Event::Request {
                plain: plain.clone(),
                wire: plain.clone(),
            };
            assert_eq!(
                again,
                (vec![expected], false),
                "spelled plainly: {}",
                plain.escape_ascii()
            );
        }
    }
}
