//! `stats` of what only servers have (items, slabs, sizes): every server is asked, and the numbers are made one list,
//! as if the cluster were one memcached.

use protocol::encode::response as lines;
use protocol::{Response, ResponseDecoder, ResponseStep};

use crate::reply::{Kind, Reply};
use crate::route::all_sync::worst;

/// Whether these are statistics of servers.
pub(super) fn is_asked(group: &[u8]) -> bool {
    matches!(group, b"items" | b"slabs" | b"sizes")
}

/// How the numbers of two servers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merge {
    Sum,
    /// A size that all have alike, or an age: the sum would mean nothing.
    Maximum,
}

impl Merge {
    /// By the last part of a name: `items:5:age`, `1:chunk_size`.
    fn of(name: &[u8]) -> Self {
        match name.rsplit(|byte| *byte == b':').next().unwrap_or_default() {
            b"age" | b"age_hot" | b"age_warm" | b"chunk_size" | b"chunks_per_page" | b"active_slabs" => {
                Self::Maximum
            }
            _ => Self::Sum,
        }
    }
}

/// A statistic: a number, or words of which the first server's stand.
#[derive(Debug)]
enum Value {
    Number(u64),
    Words(Vec<u8>),
}

/// The servers' answers in one, in the order of the first that has each name. Servers that did not answer are left out,
/// as a retrieval leaves out their keys; if none did, the worst of their errors.
pub(super) fn merged(replies: Vec<Reply>) -> Reply {
    let mut list: Vec<(Vec<u8>, Value)> = Vec::new();
    let mut places = ahash::AHashMap::new();
    let mut answered = false;
    for reply in &replies {
        let Reply::Said {
            kind: Kind::Ok,
            bytes,
        } = reply
        else {
            continue;
        };
        answered = true;
        for_each(bytes, |name, value| {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let place = *places.entry(name.to_vec()).or_insert_with(|| {
                let empty = number.map_or_else(|| Value::Words(value.to_vec()), |_| Value::Number(0));
                list.push((name.to_vec(), empty));
                list.len() - 1
            });
            if let (Value::Number(so_far), Some(number)) = (&mut list[place].1, number) {
                *so_far = match Merge::of(name) {
                    Merge::Sum => so_far.saturating_add(number),
                    Merge::Maximum => number.max(*so_far),
                };
            }
        });
    }
    if !answered && let Some(error) = worst(replies) {
        return error;
    }
    let mut text = Vec::new();
    for (name, value) in list {
        text.extend_from_slice(b"STAT ");
        text.extend_from_slice(&name);
        text.push(b' ');
        match value {
            Value::Number(number) => text.extend_from_slice(number.to_string().as_bytes()),
            Value::Words(words) => text.extend_from_slice(&words),
        }
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(lines::END);
    Reply::Said {
        kind: Kind::Ok,
        bytes: text.into(),
    }
}

/// Shows each statistic of a whole reply.
fn for_each(reply: &[u8], mut show: impl FnMut(&[u8], &[u8])) {
    let mut decoder = ResponseDecoder::new(reply.len());
    let mut rest = reply;
    while let ResponseStep::Response {
        response: Response::Stat { name, value },
        consumed,
    } = decoder.next(rest)
    {
        show(name, value);
        rest = &rest[consumed..];
    }
}

#[cfg(test)]
mod tests {
    use super::merged;
    use crate::pool::GetErrors;
    use crate::reply::{Kind, Reply};
    use crate::upstream::error::UpstreamError;

    fn said(text: &'static str) -> Reply {
        Reply::said(Kind::Ok, text.as_bytes())
    }

    fn told(replies: Vec<Reply>) -> String {
        match merged(replies) {
            Reply::Said { bytes, .. } => String::from_utf8_lossy(&bytes).replace("\r\n", "~"),
            Reply::Failed { error, .. } => error.name().to_owned(),
        }
    }

    const DOWN: Reply = Reply::Failed {
        error: UpstreamError::Timeout,
        gets: GetErrors::Miss,
    };

    #[test]
    fn numbers_are_summed_sizes_and_ages_are_not_and_the_silent_are_left_out() {
        let one = said("STAT items:1:number 5\r\nSTAT items:1:age 90\r\nSTAT 1:chunk_size 96\r\nEND\r\n");
        let two = said(
            "STAT items:1:number 7\r\nSTAT items:2:number 1\r\nSTAT items:1:age 60\r\nSTAT 1:chunk_size 96\r\nEND\r\n",
        );
        assert_eq!(
            told(vec![one, DOWN, two]),
            "STAT items:1:number 12~STAT items:1:age 90~STAT 1:chunk_size 96~STAT items:2:number 1~END~"
        );
    }

    #[test]
    fn words_stand_as_the_first_server_says_them() {
        let (one, two) = (
            said("STAT sizes_status disabled\r\nEND\r\n"),
            said("STAT sizes_status enabled\r\nEND\r\n"),
        );
        assert_eq!(told(vec![one, two]), "STAT sizes_status disabled~END~");
    }

    #[test]
    fn without_any_answer_the_worst_error_is_told_and_without_servers_nothing() {
        assert_eq!(told(vec![DOWN]), UpstreamError::Timeout.name());
        let refused = Reply::said(Kind::UnknownCommand, b"ERROR\r\n");
        assert_eq!(told(vec![DOWN, refused]), "ERROR~");
        assert_eq!(told(Vec::new()), "END~");
    }
}
