//! A retrieval of several keys, put together from the answers of several servers. Sans-io.
//!
//! Each server is asked once for all its keys: a *part*. Values come in whatever order servers answer and leave in
//! the order the client asked. A part that fails is so many misses, or an error, as its pool says.

use crate::frontend::Client;
use crate::request::Op;
use crate::upstream::error::UpstreamError;
use crate::upstream::inflight::ValueAt;
use crate::worker::arena::Id;

/// Values of one retrieval that are held until the last has come, in bytes. Beyond it the retrieval fails.
const DATA_MAX_BYTES: usize = 256 * 1024 * 1024;
/// Room a used one keeps for the next.
const DATA_KEPT_BYTES: usize = 64 * 1024;

/// A retrieval under way.
#[derive(Debug)]
pub(crate) struct Gather {
    pub client: Id<Client>,
    pub seq: u32,
    pub op: Op,
    /// The VALUE blocks that have come, one behind the other.
    data: Vec<u8>,
    /// Per key of the client, where its VALUE block is: start and length; length 0 is a miss.
    blocks: Vec<(usize, usize)>,
    /// Per part, which of the client's keys it asks for. Kept for reuse beyond `parts_used`.
    parts: Vec<Part>,
    parts_used: usize,
    /// Parts that have not answered.
    waiting: usize,
    pub hits: u64,
    error: Option<Failure>,
}

#[derive(Debug, Default)]
struct Part {
    keys: Vec<u32>,
    retry: bool,
}

/// Why the whole retrieval fails.
#[derive(Debug, Clone)]
enum Failure {
    Upstream(UpstreamError),
    Line(Vec<u8>),
}

impl Gather {
    pub(crate) const fn new(client: Id<Client>, seq: u32, op: Op) -> Self {
        Self {
            client,
            seq,
            op,
            data: Vec::new(),
            blocks: Vec::new(),
            parts: Vec::new(),
            parts_used: 0,
            waiting: 0,
            hits: 0,
            error: None,
        }
    }

    /// Makes a used one ready for another retrieval; its room is used again.
    pub(crate) fn renew(&mut self, client: Id<Client>, seq: u32, op: Op) {
        self.client = client;
        self.seq = seq;
        self.op = op;
        self.data.clear();
        if self.data.capacity() > DATA_KEPT_BYTES {
            self.data = Vec::new();
        }
        self.blocks.clear();
        self.parts_used = 0;
        self.waiting = 0;
        self.hits = 0;
        self.error = None;
    }

    /// The next key of the client.
    pub(crate) fn key(&mut self) -> u32 {
        self.blocks.push((0, 0));
        u32::try_from(self.blocks.len() - 1).expect("a line has fewer than four thousand million keys")
    }

    /// Another part, which will have to answer.
    pub(crate) fn open_part(&mut self, retry: bool) -> u32 {
        if self.parts_used == self.parts.len() {
            self.parts.push(Part::default());
        }
        let part = &mut self.parts[self.parts_used];
        part.keys.clear();
        part.retry = retry;
        self.parts_used += 1;
        self.waiting += 1;
        u32::try_from(self.parts_used - 1).expect("fewer parts than keys")
    }

    /// Adds a key to a part; how many it has now.
    pub(crate) fn add(&mut self, part: u32, key: u32) -> usize {
        let keys = &mut self.parts[part as usize].keys;
        keys.push(key);
        keys.len()
    }

    /// The client's keys of a part.
    pub(crate) fn keys(&self, part: u32) -> &[u32] {
        &self.parts[part as usize].keys
    }

    /// Whether the route of a part's keys has somebody else to ask.
    pub(crate) fn retries(&self, part: u32) -> bool {
        self.parts[part as usize].retry
    }

    /// Whether one part asks for all there is.
    pub(crate) fn is_one_part(&self) -> bool {
        self.parts_used == 1 && self.waiting == 1 && self.parts[0].keys.len() == self.blocks.len()
    }

    /// A part has answered with these VALUE blocks of `body`.
    pub(crate) fn answered(&mut self, part: u32, values: &[ValueAt], body: &[u8]) {
        if let (Some(first), Some(last)) = (values.first(), values.last()) {
            let base = self.data.len();
            let (start, end) = (first.start as usize, last.end as usize);
            if base + end - start > DATA_MAX_BYTES {
                self.fail_with_line(b"SERVER_ERROR out of memory writing get response\r\n");
            } else {
                self.data.extend_from_slice(&body[start..end]);
                let keys = &self.parts[part as usize].keys;
                for value in values {
                    if let Some(key) = keys.get(value.key as usize) {
                        self.blocks[*key as usize] = (
                            base + value.start as usize - start,
                            (value.end - value.start) as usize,
                        );
                    }
                }
                self.hits += values.len() as u64;
            }
        }
        self.waiting -= 1;
    }

    /// The part of one key that a composite route answered: `block` is its VALUE block, or nothing.
    pub(crate) fn answered_one(&mut self, part: u32, block: &[u8]) {
        if !block.is_empty() && self.data.len() + block.len() <= DATA_MAX_BYTES {
            if let Some(&key) = self.parts[part as usize].keys.first() {
                self.blocks[key as usize] = (self.data.len(), block.len());
            }
            self.data.extend_from_slice(block);
            self.hits += 1;
        }
        self.waiting -= 1;
    }

    /// A part has failed, and its keys are misses.
    pub(crate) fn missed(&mut self) {
        self.waiting -= 1;
    }

    /// A part's keys are asked for elsewhere, each by itself.
    pub(crate) fn replaced(&mut self) {
        self.waiting -= 1;
    }

    /// The whole retrieval fails.
    pub(crate) fn fail(&mut self, error: UpstreamError) {
        self.error.get_or_insert(Failure::Upstream(error));
    }

    /// The same, with a line that a server or route gave.
    pub(crate) fn fail_with_line(&mut self, line: &[u8]) {
        self.error.get_or_insert_with(|| Failure::Line(line.to_vec()));
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.waiting == 0
    }

    pub(crate) fn misses(&self) -> u64 {
        self.blocks.len() as u64 - self.hits
    }

    pub(crate) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Appends the answer: the values in the order asked and END, or why not.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match &self.error {
            Some(Failure::Upstream(error)) => out.extend_from_slice(error.line()),
            Some(Failure::Line(line)) => out.extend_from_slice(line),
            None => {
                out.reserve(self.data.len() + 5);
                for &(start, length) in &self.blocks {
                    out.extend_from_slice(&self.data[start..start + length]);
                }
                out.extend_from_slice(protocol::encode::response::END);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gather;
    use crate::request::Op;
    use crate::upstream::inflight::ValueAt;
    use crate::worker::arena::Id;

    /// Asks for keys 0.. in parts given as digits, answers the parts in `order` with the keys that hit.
    fn gathered(parts: &[&str], order: &[(usize, &str)]) -> String {
        let mut gather = Gather::new(Id::nobody(), 0, Op::Get);
        let keys = parts.iter().map(|part| part.len()).sum::<usize>();
        for _ in 0..keys {
            gather.key();
        }
        for part in parts {
            let opened = gather.open_part(false);
            for key in part.chars() {
                gather.add(opened, key.to_digit(10).expect("a digit"));
            }
        }
        for (part, hits) in order {
            assert!(!gather.is_complete());
            let mut body = String::new();
            let mut values = Vec::new();
            for hit in hits.chars() {
                let start = u32::try_from(body.len()).expect("short");
                body.push_str(&format!("<{hit}>"));
                values.push(ValueAt {
                    key: u32::try_from(parts[*part].find(hit).expect("asked for")).expect("short"),
                    start,
                    end: u32::try_from(body.len()).expect("short"),
                });
            }
            body.push_str("END\r\n");
            gather.answered(u32::try_from(*part).expect("short"), &values, body.as_bytes());
        }
        assert!(gather.is_complete());
        let mut out = Vec::new();
        gather.write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn values_leave_in_the_order_asked_whoever_answers_first() {
        for (parts, order, expected) in [
            (
                &["02", "13"][..],
                &[(1, "13"), (0, "02")][..],
                "<0><1><2><3>END\r\n",
            ),
            (&["02", "13"], &[(0, "2"), (1, "")], "<2>END\r\n"),
            (&["0", "1", "2"], &[(2, "2"), (0, ""), (1, "1")], "<1><2>END\r\n"),
            (&["01"], &[(0, "")], "END\r\n"),
        ] {
            assert_eq!(gathered(parts, order), expected);
        }
    }
}
