//! Which reply answers which request. Sans-io: no socket, clock or client; it is told the bytes and the time.
//!
//! A server answers in the order it was asked, so the queue of what was asked is all the state there is. Three things
//! keep a reply from ever reaching the wrong request: a reply must be of a kind that can answer the request at the
//! head of the queue, each VALUE must name a key that this request asked for (in order), and a request whose time is
//! up stays in the queue, given up, until its late reply has passed by. Anything else breaks the connection.

use std::collections::VecDeque;

use protocol::encode::response::END;
use protocol::{Response, ResponseDecoder, ResponseStep};

use crate::reply::Kind;
use crate::request::{Expect, Op};

/// Time since the worker's start, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Micros(pub u64);

impl Micros {
    pub(crate) fn after(self, span: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<T> {
    /// Whom the reply is for.
    pub to: T,
    pub op: Op,
    pub expect: Expect,
    /// Hides the ordinary answer from the client.
    pub quiet: bool,
    /// Its time was up: the reply, when it comes, is for nobody.
    pub given_up: bool,
    pub sent_at: Micros,
    /// How many bytes of the notes are about it.
    note_len: u32,
}

/// Where in a reply one VALUE block stands, and which of the keys asked for it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueAt {
    /// Counted from 0 in the order asked.
    pub key: u32,
    pub start: u32,
    pub end: u32,
}

/// What the bytes hold.
#[derive(Debug)]
pub(crate) enum Matched<'a, T> {
    /// The whole reply to the oldest request; `body` are its exact bytes. [`InFlight::values`] tells its blocks.
    Reply {
        entry: Entry<T>,
        kind: Kind,
        body: &'a [u8],
    },
    /// The reply goes on behind the bytes there are.
    NeedMore { additional: usize },
    /// These bytes answer nothing that was asked. The connection is of no more use.
    Broken(&'static str),
}

/// The requests under way on one connection, oldest first.
#[derive(Debug)]
pub(crate) struct InFlight<T> {
    entries: VecDeque<Entry<T>>,
    /// What has to be remembered of each request, in the same order: the keys of retrievals, separated by blanks.
    notes: Notes,
    decoder: ResponseDecoder,
    /// How much of the reply at the head has been understood already.
    scanned: usize,
    values: Vec<ValueAt>,
    /// Where in the head's note the next VALUE's key is looked for, and how many keys stand before it.
    note_at: usize,
    keys_passed: u32,
    /// How many entries at the head were given up, and the length of their notes.
    given_up: usize,
    given_up_notes: usize,
}

impl<T: Copy> InFlight<T> {
    pub(crate) fn new(reply_len_bytes: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            notes: Notes::default(),
            decoder: ResponseDecoder::new(reply_len_bytes),
            scanned: 0,
            values: Vec::new(),
            note_at: 0,
            keys_passed: 0,
            given_up: 0,
            given_up_notes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the note of the next request is written, before [`InFlight::push`].
    pub(crate) fn note(&mut self) -> &mut Vec<u8> {
        &mut self.notes.bytes
    }

    /// Remembers a request whose bytes were just queued. Everything written to [`InFlight::note`] since the last push
    /// is about it.
    pub(crate) fn push(&mut self, to: T, (op, expect): (Op, Expect), quiet: bool, now: Micros) {
        let note_len = self.notes.end();
        self.entries.push_back(Entry {
            to,
            op,
            expect,
            quiet,
            given_up: false,
            sent_at: now,
            note_len,
        });
    }

    /// Looks for the reply to the oldest request in `input`, which starts at the first byte not yet answered for.
    /// After a reply the caller drops `body.len()` bytes.
    pub(crate) fn next<'a>(&mut self, input: &'a [u8]) -> Matched<'a, T> {
        let Some(&entry) = self.entries.front() else {
            return Matched::Broken("bytes nobody asked for");
        };
        loop {
            let (response, consumed) = match self.decoder.next(&input[self.scanned..]) {
                ResponseStep::Response { response, consumed } => (response, consumed),
                ResponseStep::NeedMore { additional } => return Matched::NeedMore { additional },
                ResponseStep::Broken(_) => return Matched::Broken("no reply of the protocol"),
            };
            let start = self.scanned;
            self.scanned += consumed;
            let kind = match (&response, entry.expect) {
                (Response::Value { key, .. }, Expect::Retrieval) => {
                    if !self.value(key, entry.note_len, start) {
                        return Matched::Broken("a value for a key that was not asked for");
                    }
                    // Behind the last value, and mostly there is one, the decoder need not look again.
                    if !input[self.scanned..].starts_with(END) {
                        continue;
                    }
                    self.scanned += END.len();
                    Kind::Hit
                }
                (Response::End, Expect::Retrieval) if self.values.is_empty() => Kind::Miss,
                (Response::End, Expect::Retrieval) => Kind::Hit,
                (Response::Stat { .. }, Expect::Stats) => continue,
                (Response::End, Expect::Stats) => Kind::Ok,
                (response, expect) => match Kind::of(response, expect) {
                    Some(kind) => kind,
                    None => return Matched::Broken("a reply of another kind than asked for"),
                },
            };
            let body = &input[..self.scanned];
            self.pop(&entry);
            return Matched::Reply { entry, kind, body };
        }
    }

    /// The VALUE blocks of the reply just returned.
    pub(crate) fn values(&self) -> &[ValueAt] {
        &self.values
    }

    /// Whether the reply just returned was the answer to all of it, ready for the next: forgets its VALUE blocks.
    pub(crate) fn reply_done(&mut self) {
        self.values.clear();
    }

    /// Notes a VALUE block from `start`; false if its key is none of those still expected.
    fn value(&mut self, key: &[u8], note_len: u32, start: usize) -> bool {
        let note = self.notes.head(note_len);
        while self.note_at <= note.len() {
            let rest = &note[self.note_at..];
            let length = if rest.len() >= key.len()
                && rest[..key.len()] == *key
                && rest.get(key.len()).is_none_or(|&byte| byte == b' ')
            {
                key.len()
            } else {
                memchr::memchr(b' ', rest).unwrap_or(rest.len())
            };
            let found = rest[..length] == *key;
            self.note_at += length + 1;
            self.keys_passed += 1;
            if found {
                let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.scanned)) else {
                    return false;
                };
                self.values.push(ValueAt {
                    key: self.keys_passed - 1,
                    start,
                    end,
                });
                return true;
            }
        }
        false
    }

    fn pop(&mut self, entry: &Entry<T>) {
        self.entries.pop_front();
        self.notes.drop_head(entry.note_len);
        if entry.given_up {
            self.given_up -= 1;
            self.given_up_notes -= entry.note_len as usize;
        }
        self.scanned = 0;
        self.note_at = 0;
        self.keys_passed = 0;
    }

    /// When the oldest request still waited for was sent.
    pub(crate) fn oldest(&self) -> Option<Micros> {
        self.entries.get(self.given_up).map(|entry| entry.sent_at)
    }

    /// Gives up the oldest request still waited for, if it was queued before `before`: its late reply will be dropped.
    /// The request, its place in the queue and its note.
    pub(crate) fn give_up(&mut self, before: Micros) -> Option<(usize, Entry<T>, &[u8])> {
        let entry = self.entries.get_mut(self.given_up)?;
        if entry.sent_at > before {
            return None;
        }
        entry.given_up = true;
        let entry = *entry;
        let start = self.given_up_notes;
        self.given_up += 1;
        self.given_up_notes += entry.note_len as usize;
        Some((self.given_up - 1, entry, self.notes.slice(start, entry.note_len)))
    }

    /// Forgets those given up from place `from` on, because they are not going to be sent: no reply will come. How many
    /// these were.
    pub(crate) fn take_back(&mut self, from: usize) -> usize {
        if from >= self.given_up || from == 0 && self.scanned > 0 {
            return 0;
        }
        let count = self.given_up - from;
        let length = |entry: &Entry<T>| entry.note_len as usize;
        let before: usize = self.entries.range(..from).map(length).sum();
        let taken: usize = self
            .entries
            .drain(from..self.given_up)
            .map(|entry| length(&entry))
            .sum();
        self.notes.cut(before, taken);
        self.given_up = from;
        self.given_up_notes -= taken;
        count
    }

    /// Empties the queue because the connection is gone: each request still waited for, with its note.
    pub(crate) fn abandon(&mut self, mut each: impl FnMut(Entry<T>, &[u8])) {
        let mut start = 0;
        for entry in &self.entries {
            if !entry.given_up {
                each(*entry, self.notes.slice(start, entry.note_len));
            }
            start += entry.note_len as usize;
        }
        self.entries.clear();
        self.notes = Notes::default();
        self.values.clear();
        self.scanned = 0;
        self.note_at = 0;
        self.keys_passed = 0;
        self.given_up = 0;
        self.given_up_notes = 0;
    }
}

/// Bytes in the order of the entries; the front is dropped as replies come.
#[derive(Debug, Default)]
struct Notes {
    bytes: Vec<u8>,
    head: usize,
    /// Where the last entry's note ends.
    end: usize,
}

impl Notes {
    /// Dropped bytes that are carried along before they are moved out.
    const SLACK: usize = 64 * 1024;

    fn end(&mut self) -> u32 {
        let length = self.bytes.len() - self.end;
        self.end = self.bytes.len();
        u32::try_from(length).expect("a command line is shorter than 4 GiB")
    }

    fn head(&self, length: u32) -> &[u8] {
        &self.bytes[self.head..self.head + length as usize]
    }

    fn slice(&self, start: usize, length: u32) -> &[u8] {
        let start = self.head + start;
        &self.bytes[start..start + length as usize]
    }

    fn cut(&mut self, start: usize, length: usize) {
        let start = self.head + start;
        self.bytes.drain(start..start + length);
        self.end -= length;
    }

    fn drop_head(&mut self, length: u32) {
        self.head += length as usize;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
            self.end = 0;
        } else if self.head > Self::SLACK && self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.end -= self.head;
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests;
