//! Reads what servers say, as far as a load generator asks: retrievals, stores, deletes and errors.
//!
//! A scanner of its own, not `protocol`'s decoder: the generator must stay cheaper than the server it measures, and a
//! second reader of the same bytes notices what one shared by client and server would let pass.

use memchr::memchr;

/// Longest line that is still a reply: a key of 250 bytes and three numbers, or an error with words.
const LINE_LEN_MAX: usize = 2048;
/// Longest data block; memcached's largest `-I`.
const DATA_LEN_MAX: usize = 1 << 30;

/// One reply at the start of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Value {
        key: &'a [u8],
        flags: u32,
        data: &'a [u8],
    },
    End,
    Stored,
    NotStored,
    Deleted,
    NotFound,
    /// `VA`, `HD`, `EN`, `NS`, `EX`, `NF`: the answer to a meta command, with its flags and, for `VA`, its block.
    Meta {
        code: [u8; 2],
        flags: &'a [u8],
        data: &'a [u8],
    },
    /// `ERROR`, `CLIENT_ERROR …`, `SERVER_ERROR …`: the whole line.
    Error(&'a [u8]),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Reply {
        reply: Reply<'a>,
        consumed: usize,
    },
    NeedMore,
    /// The bytes are no reply we know; nobody can tell where the next one starts.
    Broken,
}

/// Looks at `input`, which starts with the first byte of a reply.
pub(super) fn next(input: &[u8]) -> Step<'_> {
    let done = |reply, consumed| Step::Reply { reply, consumed };
    match input {
        [b'V', b'A', b'L', b'U', b'E', b' ', ..] => value(input),
        [b'E', b'N', b'D', b'\r', b'\n', ..] => done(Reply::End, 5),
        [b'V', b'A', b' ', ..] => meta_value(input),
        [b'S', b'T', b'O', b'R', b'E', b'D', b'\r', b'\n', ..] => done(Reply::Stored, 8),
        _ => match line(input) {
            Ok((line, consumed)) => match line {
                b"NOT_STORED" | b"EXISTS" => done(Reply::NotStored, consumed),
                b"DELETED" => done(Reply::Deleted, consumed),
                b"NOT_FOUND" => done(Reply::NotFound, consumed),
                _ if is_meta(line) => done(
                    Reply::Meta {
                        code: [line[0], line[1]],
                        flags: line[2..].trim_ascii_start(),
                        data: b"",
                    },
                    consumed,
                ),
                b"ERROR" => done(Reply::Error(line), consumed),
                _ if line.starts_with(b"SERVER_ERROR") || line.starts_with(b"CLIENT_ERROR") => {
                    done(Reply::Error(line), consumed)
                }
                _ => Step::Broken,
            },
            Err(step) => step,
        },
    }
}

/// `VALUE key flags len [cas]` and the block.
fn value(input: &[u8]) -> Step<'_> {
    let (line, header_len) = match line(input) {
        Ok(found) => found,
        Err(step) => return step,
    };
    let mut fields = line[6..].split(|byte| *byte == b' ');
    let key = fields.next().unwrap_or_default();
    let (Some(flags), Some(len)) = (
        fields.next().and_then(number::<u32>),
        fields.next().and_then(number::<usize>),
    ) else {
        return Step::Broken;
    };
    if len > DATA_LEN_MAX {
        return Step::Broken;
    }
    let consumed = header_len + len + 2;
    let Some(block) = input.get(header_len..consumed) else {
        return Step::NeedMore;
    };
    match block.split_last_chunk() {
        Some((data, b"\r\n")) => Step::Reply {
            reply: Reply::Value { key, flags, data },
            consumed,
        },
        _ => Step::Broken,
    }
}

/// `VA len flags…` and the block.
fn meta_value(input: &[u8]) -> Step<'_> {
    let (line, header_len) = match line(input) {
        Ok(found) => found,
        Err(step) => return step,
    };
    let rest = &line[3..];
    let digits = memchr(b' ', rest).unwrap_or(rest.len());
    let Some(len) = number::<usize>(&rest[..digits]).filter(|len| *len <= DATA_LEN_MAX) else {
        return Step::Broken;
    };
    let consumed = header_len + len + 2;
    let Some(block) = input.get(header_len..consumed) else {
        return Step::NeedMore;
    };
    match block.split_last_chunk() {
        Some((data, b"\r\n")) => Step::Reply {
            reply: Reply::Meta {
                code: *b"VA",
                flags: rest[digits..].trim_ascii_start(),
                data,
            },
            consumed,
        },
        _ => Step::Broken,
    }
}

/// A line that is nothing but a meta command's answer: two letters, perhaps flags.
fn is_meta(line: &[u8]) -> bool {
    matches!(
        line,
        [b'H', b'D'] | [b'E', b'N'] | [b'N', b'S'] | [b'E', b'X'] | [b'N', b'F']
    ) || matches!(
        line,
        [b'H', b'D', b' ', ..] | [b'N', b'S', b' ', ..] | [b'E', b'X', b' ', ..] | [b'N', b'F', b' ', ..]
    )
}

/// The first line without its end, and its length with it.
fn line(input: &[u8]) -> Result<(&[u8], usize), Step<'_>> {
    let window = &input[..input.len().min(LINE_LEN_MAX)];
    match memchr(b'\n', window) {
        Some(at) if at > 0 && input[at - 1] == b'\r' => Ok((&input[..at - 1], at + 1)),
        Some(_) => Err(Step::Broken),
        None if window.len() == LINE_LEN_MAX => Err(Step::Broken),
        None => Err(Step::NeedMore),
    }
}

fn number<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    T::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::{Reply, Step, next};

    #[test]
    fn every_reply_is_read_once_it_is_whole_and_not_before() {
        for (bytes, expected) in [
            (
                &b"VALUE k 7 3\r\na\r\n\r\n"[..],
                Reply::Value {
                    key: b"k",
                    flags: 7,
                    data: b"a\r\n",
                },
            ),
            (
                b"VALUE k 0 0 99\r\n\r\n",
                Reply::Value {
                    key: b"k",
                    flags: 0,
                    data: b"",
                },
            ),
            (b"END\r\n", Reply::End),
            (b"STORED\r\n", Reply::Stored),
            (b"NOT_STORED\r\n", Reply::NotStored),
            (b"EXISTS\r\n", Reply::NotStored),
            (b"DELETED\r\n", Reply::Deleted),
            (b"NOT_FOUND\r\n", Reply::NotFound),
            (b"ERROR\r\n", Reply::Error(b"ERROR")),
            (
                b"VA 2 f7 c9 W\r\nab\r\n",
                Reply::Meta {
                    code: *b"VA",
                    flags: b"f7 c9 W",
                    data: b"ab",
                },
            ),
            (
                b"VA 0\r\n\r\n",
                Reply::Meta {
                    code: *b"VA",
                    flags: b"",
                    data: b"",
                },
            ),
            (
                b"EN\r\n",
                Reply::Meta {
                    code: *b"EN",
                    flags: b"",
                    data: b"",
                },
            ),
            (
                b"HD c5\r\n",
                Reply::Meta {
                    code: *b"HD",
                    flags: b"c5",
                    data: b"",
                },
            ),
            (
                b"SERVER_ERROR out of memory\r\n",
                Reply::Error(b"SERVER_ERROR out of memory"),
            ),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(next(&bytes[..cut]), Step::NeedMore, "{}", bytes.escape_ascii());
            }
            assert_eq!(
                next(bytes),
                Step::Reply {
                    reply: expected,
                    consumed: bytes.len()
                }
            );
        }
    }

    #[test]
    fn what_is_no_reply_breaks_the_stream() {
        for bytes in [
            &b"HELLO\r\n"[..],
            b"END\n",
            b"\r\n",
            b"VALUE k x 3\r\nabc\r\n",
            b"VALUE k 4294967296 3\r\nabc\r\n",
            b"VALUE k 0\r\n",
            b"VALUE k 0 99999999999\r\n",
            b"VALUE k 0 3\r\nabcd\r\n",
            b"VA x\r\n",
            b"VA 1\r\nab\r\n",
            b"HDX\r\n",
            &[b'a'; 4096],
        ] {
            assert_eq!(
                next(bytes),
                Step::Broken,
                "{}",
                bytes[..20.min(bytes.len())].escape_ascii()
            );
        }
    }
}
