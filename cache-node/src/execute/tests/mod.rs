//! The semantics as conversations: what a client sends, what it reads, and seconds that pass between.

mod admin;
mod classic;
mod expiry;
mod meta;
mod stream;

use std::task::Waker;

use bytes::BytesMut;
use protocol::{Limits, UnixSeconds};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::Context;
use crate::clock::Clock;
use crate::config::Config;
use crate::feed::{Fed, Feed, Order};
use crate::node::Node;
use crate::session::{Next, Served, Session};
use crate::ttl::Jitter;

/// A node with a clock that stands still, and one client talking to it.
pub(super) struct Talk {
    pub(super) node: Node,
    session: Session,
    rng: SmallRng,
}

/// When every test begins.
pub(super) const START: UnixSeconds = UnixSeconds(1_700_000_000);

impl Talk {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A node configured by `change`; TTLs are kept to the second unless it says otherwise.
    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            ttl_jitter: Jitter::NONE,
            ..Config::embedded()
        };
        change(&mut config);
        let limits = Limits {
            value_len_bytes: usize::try_from(config.item_size_max_bytes).unwrap(),
            ..Limits::default()
        };
        Self {
            node: Node::new(config, Clock::manual(START)).unwrap(),
            session: Session::new(limits, false),
            rng: SmallRng::seed_from_u64(7),
        }
    }

    /// One call of the session on exactly these bytes; answers the replies, too.
    pub(super) fn serve(&mut self, input: &[u8], requests_max: usize) -> (Served, Vec<u8>) {
        let now = self.node.now();
        let mut cx = Context {
            node: &self.node,
            counters: &self.node.workers[0].counters,
            now,
            at: self.node.store.seconds(now),
            client: 9,
            rng: &mut self.rng,
        };
        let mut out = BytesMut::new();
        let served = self.session.serve(&mut cx, input, requests_max, &mut out);
        (served, out.to_vec())
    }

    /// Sends bytes as one piece and answers the replies and what the connection would do next.
    pub(super) fn send(&mut self, mut input: &[u8]) -> (Vec<u8>, Next) {
        let mut told = Vec::new();
        loop {
            let (served, replies) = self.serve(input, usize::MAX);
            told.extend_from_slice(&replies);
            input = &input[served.consumed..];
            if let Next::Feed(order) = served.next {
                told.extend_from_slice(&self.feed(order));
                if input.is_empty() {
                    return (told, Next::Read { additional: 1 });
                }
                continue;
            }
            if served.next != Next::Again {
                if matches!(served.next, Next::Read { .. }) {
                    assert_eq!(input.escape_ascii().to_string(), "", "left over");
                }
                return (told, served.next);
            }
        }
    }

    /// A whole feed, or as much of it as there is.
    fn feed(&self, order: Order) -> Vec<u8> {
        let mut out = BytesMut::new();
        let feed = Feed::begin(order, &self.node, &mut out);
        if let Some(mut feed) = feed {
            while feed.go_on(&self.node, &mut out, Waker::noop()) == Fed::More {}
        }
        out.to_vec()
    }

    /// Plays a conversation. Lines: `> bytes` sent (CR LF is added), `< bytes` expected (CR LF is added), `~ n`
    /// seconds pass. Replies are collected from one `>` to the next. `{cas:x}` in an expected line takes the number
    /// there as `x`, and `{x}` anywhere later is that number.
    pub(super) fn play(&mut self, conversation: &str) {
        let mut names: Vec<(String, String)> = Vec::new();
        let mut expected: Vec<String> = Vec::new();
        let mut reply: Option<(String, String)> = None;
        let lines = conversation
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.is_empty());
        for line in lines.chain(["~ 0"]) {
            let (mark, rest) = line.split_at(1);
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            if mark == "<" {
                expected.push(rest.to_owned());
                continue;
            }
            // Consecutive `>` lines are one piece: what they answer is checked together.
            if mark == ">" && expected.is_empty() && reply.as_ref().is_some_and(|(_, told)| told.is_empty()) {
                reply = None;
            }
            if let Some((sent, told)) = reply.take() {
                compare(&sent, &told, &expected, &mut names);
                expected.clear();
            }
            match mark {
                ">" => {
                    let sent = fill(rest, &names);
                    let bytes = [unescape(&sent), b"\r\n".to_vec()].concat();
                    let (told, _next) = self.send(&bytes);
                    reply = Some((sent, String::from_utf8(told).unwrap()));
                }
                "~" => self.node.advance_clock(rest.parse().unwrap()),
                other => panic!("no such mark: {other}"),
            }
        }
    }
}

fn compare(sent: &str, told: &str, expected: &[String], names: &mut Vec<(String, String)>) {
    let told_lines: Vec<&str> = told.split_terminator("\r\n").collect();
    let mut filled = Vec::new();
    for (index, line) in expected.iter().enumerate() {
        let mut line = fill(line, names);
        while let Some(start) = line.find("{cas:") {
            let end = start + line[start..].find('}').unwrap();
            let name = line[start + 5..end].to_owned();
            let actual = told_lines.get(index).copied().unwrap_or_default();
            let number: String = actual
                .get(start..)
                .unwrap_or_default()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            line.replace_range(start..=end, &number);
            names.push((name, number));
        }
        filled.push(line);
    }
    assert_eq!(told_lines, filled, "after `{sent}`");
}

fn fill(line: &str, names: &[(String, String)]) -> String {
    names.iter().rev().fold(line.to_owned(), |line, (name, number)| {
        line.replace(&format!("{{{name}}}"), number)
    })
}

/// `\r`, `\n`, `\0` and `\xHH` as bytes.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (rest, _) = match (first, tail) {
            (b'\\', [b'r', tail @ ..]) => (tail, bytes.push(b'\r')),
            (b'\\', [b'n', tail @ ..]) => (tail, bytes.push(b'\n')),
            (b'\\', [b'0', tail @ ..]) => (tail, bytes.push(0)),
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let hex = [*high, *low];
                let byte = u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap();
                (tail, bytes.push(byte))
            }
            (byte, tail) => (tail, bytes.push(*byte)),
        };
    }
    bytes
}

/// Plays a conversation with a fresh node.
pub(super) fn check(conversation: &str) {
    Talk::new().play(conversation);
}
