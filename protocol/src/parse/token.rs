//! The leaves of the grammar: blanks and the tokens between them. Only SP separates; TAB, CR, NUL and bytes over
//! 0x7f are ordinary (protocol.txt has nothing on it; memcached's tokenizer decides).

use nom::Parser;
use nom::combinator::map_res;
use nom::error::{ErrorKind, FromExternalError, ParseError};

use crate::error::ProtocolError;
use crate::key::{Key, KeyError};
use crate::limits::TOKENS_MAX;
use crate::scan;

/// What a parser of this grammar answers.
pub(super) type Parsed<'a, T> = nom::IResult<&'a [u8], T, ProtocolError>;

impl<'a> ParseError<&'a [u8]> for ProtocolError {
    /// Whatever is missing or in the wrong place is a bad command line, unless the parser knows better.
    fn from_error_kind(_input: &'a [u8], _kind: ErrorKind) -> Self {
        Self::BadCommandLine
    }

    fn append(_input: &'a [u8], _kind: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> FromExternalError<&'a [u8], KeyError> for ProtocolError {
    fn from_external_error(_input: &'a [u8], _kind: ErrorKind, _error: KeyError) -> Self {
        Self::BadCommandLine
    }
}

impl<'a> FromExternalError<&'a [u8], Self> for ProtocolError {
    fn from_external_error(_input: &'a [u8], _kind: ErrorKind, error: Self) -> Self {
        error
    }
}

/// The error of a parser that has already said all there is to say.
pub(super) fn error_of(error: nom::Err<ProtocolError>) -> ProtocolError {
    match error {
        nom::Err::Error(error) | nom::Err::Failure(error) => error,
        // The parsers are complete ones; a line is never too short for them to tell.
        nom::Err::Incomplete(_) => ProtocolError::BadCommandLine,
    }
}

/// Blanks, then everything up to the next blank: at least one byte.
#[inline]
pub(super) fn token(input: &[u8]) -> Parsed<'_, &[u8]> {
    match scan::token(scan::skip_blanks(input)) {
        ([], _) => Err(nom::Err::Error(ProtocolError::from_error_kind(
            input,
            ErrorKind::TakeWhile1,
        ))),
        (token, rest) => Ok((rest, token)),
    }
}

/// A token that is a key.
pub(super) fn key(input: &[u8]) -> Parsed<'_, Key<'_>> {
    map_res(token, Key::new).parse(input)
}

/// The tokens of a line or of what is left of it.
pub(super) fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (left, found) = token(rest).ok()?;
        rest = left;
        Some(found)
    })
}

/// Whether the last token asks for no reply. A line is cut into 23 tokens and the rest of it ignored; `before` of
/// them stand before `args`.
pub(super) fn noreply(args: &[u8], before: usize) -> bool {
    let count_max = TOKENS_MAX - before;
    let args = scan::trim_end(args);
    // With a blank between every two, so few bytes cannot be more tokens than are looked at.
    if args.len() < 2 * count_max {
        return matches!(args.strip_suffix(b"noreply"), Some([] | [.., b' ']));
    }
    tokens(args).take(count_max).last() == Some(b"noreply")
}

/// The bytes without the blanks around them.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    scan::trim_end(scan::skip_blanks(bytes))
}
