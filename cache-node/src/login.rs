//! How a client says who it is before anything else (protocol.txt, "Authentication"): a `set` whose value is
//! `user password`. Bytes in, a verdict out; knows no socket, and no file.

use memchr::memchr;

/// More bytes than this without a line end are no login.
const LINE_BYTES_MAX: usize = 2048;
/// A line shorter than this, its LF apart, is no login.
const LINE_BYTES_MIN: usize = 6;
/// The longest `user password`.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What the bytes of a client that has not logged in come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attempt<'a> {
    /// At least this many bytes are missing.
    NeedMore { additional: usize },
    /// A user and a password.
    Token {
        user: &'a [u8],
        password: &'a [u8],
        consumed: usize,
    },
    /// Something else, and what to answer.
    Refused { reply: &'static [u8], consumed: usize },
    /// Nothing that will ever be a login.
    HangUp,
}

/// Looks at the start of `input`.
pub(crate) fn attempt(input: &[u8]) -> Attempt<'_> {
    let Some(line_end) = memchr(b'\n', input) else {
        if input.len() > LINE_BYTES_MAX {
            return Attempt::HangUp;
        }
        return Attempt::NeedMore { additional: 1 };
    };
    if line_end < LINE_BYTES_MIN {
        return Attempt::HangUp;
    }
    let line = &input[..line_end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let block_start = line_end + 1;
    let Some(len) = announced(line) else {
        return Attempt::Refused {
            reply: b"CLIENT_ERROR unauthenticated\r\n",
            consumed: block_start,
        };
    };
    if len > TOKEN_BYTES_MAX {
        return Attempt::Refused {
            reply: b"CLIENT_ERROR auth token too long\r\n",
            consumed: block_start,
        };
    }
    let consumed = block_start + len + 2;
    let Some(block) = input.get(block_start..consumed) else {
        return Attempt::NeedMore {
            additional: consumed - input.len(),
        };
    };
    let refused = |reply| Attempt::Refused { reply, consumed };
    let Some(token) = block.strip_suffix(b"\r\n") else {
        return refused(b"CLIENT_ERROR bad command line termination\r\n");
    };
    let Some(blank) = memchr(b' ', token) else {
        return refused(b"CLIENT_ERROR bad authentication token format\r\n");
    };
    Attempt::Token {
        user: &token[..blank],
        password: &token[blank + 1..],
        consumed,
    }
}

/// The length at the end of `set <key> <flags> <exptime> <length>`; the others are anybody's.
fn announced(line: &[u8]) -> Option<usize> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if !line.starts_with(b"set ") {
        return None;
    }
    let digits = words.nth(4)?;
    if digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Attempt, attempt};

    #[test]
    fn a_set_whose_value_is_user_and_password_is_a_login_whatever_its_key() {
        let input = b"set any 7 -1 7 noreply\r\nfoo bar\r\nget k\r\n";
        let expected = Attempt::Token {
            user: b"foo",
            password: b"bar",
            consumed: 33,
        };
        assert_eq!(attempt(input), expected);
        assert_eq!(attempt(&input[..30]), Attempt::NeedMore { additional: 3 });
        assert_eq!(attempt(&input[..10]), Attempt::NeedMore { additional: 1 });
    }

    #[test]
    fn anything_else_is_refused_or_hung_up_on() {
        for (input, reply, consumed) in [
            (&b"get foo\r\n"[..], "CLIENT_ERROR unauthenticated\r\n", 9),
            (b"set k 0 0\r\nab\r\n", "CLIENT_ERROR unauthenticated\r\n", 11),
            (b"set k 0 0 -1\r\n", "CLIENT_ERROR unauthenticated\r\n", 14),
            (b"set k 0 0 16385\r\n", "CLIENT_ERROR auth token too long\r\n", 17),
            (
                b"set k 0 0 3\r\na bcd",
                "CLIENT_ERROR bad command line termination\r\n",
                18,
            ),
            (
                b"set k 0 0 3\r\nabc\r\n",
                "CLIENT_ERROR bad authentication token format\r\n",
                18,
            ),
        ] {
            let reply = reply.as_bytes();
            assert_eq!(
                attempt(input),
                Attempt::Refused { reply, consumed },
                "{}",
                input.escape_ascii()
            );
        }
        assert_eq!(attempt(b"mn\r\n"), Attempt::HangUp);
        assert_eq!(attempt(b"quit\r\n"), Attempt::HangUp);
        assert_eq!(attempt(&[b'x'; 2049]), Attempt::HangUp);
    }
}
