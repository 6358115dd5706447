//! Bytes in, messages out, in whatever pieces the bytes come.

mod request;
mod response;

pub use request::{RequestDecoder, Step};
pub use response::{ResponseDecoder, ResponseStep};

/// A line at the start of some input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<'a> {
    /// Without its end.
    text: &'a [u8],
    /// With its end.
    wire_len: usize,
}

/// Cuts the line that starts `input` at its LF. The first `searched` bytes have none. CR LF and a bare LF both end
/// a line.
#[inline]
fn line(input: &[u8], searched: usize) -> Option<Line<'_>> {
    let lf = searched + memchr::memchr(b'\n', input.get(searched..)?)?;
    let text = input.get(..lf)?;
    Some(Line {
        text: text.strip_suffix(b"\r").unwrap_or(text),
        wire_len: lf + 1,
    })
}

/// A data block of `len` bytes that starts at `start`, and CR LF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block<'a> {
    /// It is all there.
    Whole { data: &'a [u8], end: usize },
    /// CR LF is not where the length says.
    Bad { end: usize },
    /// So many bytes are missing.
    Missing(usize),
}

/// Looks for a data block.
#[inline]
fn block(input: &[u8], start: usize, len: usize) -> Block<'_> {
    let end = start + len + 2;
    match input.get(start..end) {
        Some([data @ .., b'\r', b'\n']) => Block::Whole { data, end },
        Some(_) => Block::Bad { end },
        None => Block::Missing(end - input.len()),
    }
}
