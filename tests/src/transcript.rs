//! Byte exchanges kept as text and replayed against anything that speaks memcached's protocol.
//!
//! ```text
//! == a stale cas unique is refused
//! > set k 0 0 1\r\na\r\n
//! < STORED\r\n
//! > gets k\r\n
//! < VALUE k 0 1 ${unique}\r\na\r\nEND\r\n
//! > cas k 0 0 1 999${unique}\r\nb\r\n
//! < EXISTS\r\n
//! ```
//!
//! `\r \n \t \0 \\ \xHH` are escapes. In a reply `${name}` stands for one token (no blank, no line end) and
//! remembers it, `${_}` for any token, `${new!old}` for one that differs from `old`; in a request `${name}` is what
//! was heard. `${a*250}` is `a`, 250 times. Directives stand under the title of their case:
//!
//! - `! skip WHO: reason` leaves the case out for `cache-node`, `router`, `memcached` or `memcached<1.6.45`;
//! - `! closes` asserts that the other side closes afterwards; without it, that it says nothing more.
//! - `! apart` leaves the case out of the pipelined replay (its requests depend on being read one by one).

use std::{collections::BTreeMap, fs, io, iter, path::Path};

use crate::client::{Client, show};

/// One claim and the exchange that shows it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub title: String,
    pub line: usize,
    pub steps: Vec<Step>,
    pub closes: bool,
    pub apart: bool,
    skips: Vec<Subject>,
}

/// One line of a case.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<Piece>),
    Hear(Vec<Piece>),
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Bytes(Vec<u8>),
    /// One token, remembered under `name` unless that is `_`, and different from what `unlike` remembers.
    Token {
        name: String,
        unlike: Option<String>,
    },
}

/// Who answers: what `! skip` selects by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    CacheNode,
    /// A router, whatever is behind it.
    Router,
    /// Stock memcached of any version, also behind a router.
    Memcached,
    /// Stock memcached older than this, also behind a router.
    MemcachedBefore(Version),
    /// Stock memcached of this version.
    MemcachedIs(Version),
}

/// `1.6.18`.
pub type Version = [u32; 3];

/// How the bytes are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each request in one write, its reply awaited.
    Whole,
    /// Each byte in a segment of its own (long blocks in many odd ones).
    Bytewise,
    /// All requests in one write, then all replies.
    Pipelined,
}

/// Reads every case of a file.
#[track_caller]
pub fn read(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).unwrap_or_else(|error| panic!("{}:{error}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let wrong = |what: &str| format!("{number}: {what}: {line}");
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "==" {
            cases.push(Case {
                title: rest.to_owned(),
                line: number,
                ..Case::default()
            });
            continue;
        }
        if mark.is_empty() && rest.is_empty() || mark.starts_with('#') {
            continue;
        }
        let case = cases.last_mut().ok_or_else(|| wrong("before the first =="))?;
        match mark {
            ">" => case
                .steps
                .push(Step::Send(pieces(rest).map_err(|error| wrong(&error))?)),
            "<" => case
                .steps
                .push(Step::Hear(pieces(rest).map_err(|error| wrong(&error))?)),
            "!" if rest == "closes" => case.closes = true,
            "!" if rest == "apart" => case.apart = true,
            "!" => case
                .skips
                .push(skip(rest).ok_or_else(|| wrong("unknown directive"))?),
            _ => return Err(wrong("a line starts with ==, >, <, ! or #")),
        }
    }
    Ok(cases)
}

fn skip(directive: &str) -> Option<Subject> {
    let (who, _reason) = directive.strip_prefix("skip ")?.split_once(": ")?;
    Some(match who {
        "cache-node" => Subject::CacheNode,
        "router" => Subject::Router,
        "memcached" => Subject::Memcached,
        _ => Subject::MemcachedBefore(version(who.strip_prefix("memcached<")?)?),
    })
}

/// Reads `1.6.18`, and `1.6.18 something`.
pub fn version(text: &str) -> Option<Version> {
    let numbers = text.split(' ').next()?.split('.').map(|part| part.parse().ok());
    numbers.collect::<Option<Vec<u32>>>()?.try_into().ok()
}

/// Splits a line into bytes and `${…}`, undoing escapes.
fn pieces(line: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        if let Some((inside, after)) = rest.strip_prefix("${").and_then(|from| from.split_once('}')) {
            rest = after;
            if let Some((unit, count)) = inside.split_once('*') {
                let count = count
                    .parse::<usize>()
                    .map_err(|error| format!("{inside}: {error}"))?;
                bytes.extend(iter::repeat_n(unit.as_bytes(), count).flatten());
                continue;
            }
            let (name, unlike) = match inside.split_once('!') {
                Some((name, unlike)) => (name, Some(unlike.to_owned())),
                None => (inside, None),
            };
            pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
            pieces.push(Piece::Token {
                name: name.to_owned(),
                unlike,
            });
        } else if let Some(escape) = rest.strip_prefix('\\') {
            rest = unescape(escape, &mut bytes)?;
        } else {
            bytes.extend(next.encode_utf8(&mut [0; 4]).bytes());
            rest = rest.strip_prefix(next).unwrap_or_default();
        }
    }
    pieces.push(Piece::Bytes(bytes));
    Ok(pieces)
}

/// Undoes the escape that starts after the backslash; gives the rest of the line.
fn unescape<'a>(escape: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, String> {
    let simple = [("r", b'\r'), ("n", b'\n'), ("t", b'\t'), ("0", 0), ("\\", b'\\')];
    for (letter, byte) in simple {
        if let Some(rest) = escape.strip_prefix(letter) {
            bytes.push(byte);
            return Ok(rest);
        }
    }
    let hex = escape.strip_prefix('x').and_then(|from| from.get(..2));
    let byte = hex
        .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        .ok_or("unknown escape")?;
    bytes.push(byte);
    escape.get(3..).ok_or_else(|| "unknown escape".into())
}

impl Case {
    /// Whether the case says anything about somebody who is all of `subjects`.
    pub fn concerns(&self, subjects: &[Subject]) -> bool {
        let hit = |skip: &Subject, subject: &Subject| match (skip, subject) {
            (Subject::Memcached, Subject::MemcachedIs(_)) => true,
            (Subject::MemcachedBefore(limit), Subject::MemcachedIs(version)) => version < limit,
            (skip, subject) => skip == subject,
        };
        !self
            .skips
            .iter()
            .any(|skip| subjects.iter().any(|subject| hit(skip, subject)))
    }

    /// Whether the requests can all be sent before the first reply is read.
    pub fn can_be_pipelined(&self) -> bool {
        let plain = |step: &Step| match step {
            Step::Send(pieces) => pieces.iter().all(|piece| matches!(piece, Piece::Bytes(_))),
            Step::Hear(_) => true,
        };
        !self.apart && self.steps.iter().all(plain)
    }

    /// Replays the case on a fresh connection; the error says which line failed and what came instead.
    pub fn replay(&self, client: &mut Client, pace: Pace) -> Result<(), String> {
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        if pace == Pace::Pipelined {
            steps.sort_by_key(|step| matches!(step, Step::Hear(_)));
        }
        let mut heard = BTreeMap::new();
        let mut batch = Vec::new();
        for step in steps {
            match step {
                Step::Send(pieces) => batch.extend(spell(pieces, &heard)?),
                Step::Hear(pieces) => {
                    deliver(client, &mut batch, pace)?;
                    let mut seen = Vec::new();
                    hear(client, pieces, &mut heard, &mut seen).map_err(|error| {
                        format!("expected {}, got {:?} {error}", wanted(pieces), show(&seen))
                    })?;
                }
            }
        }
        deliver(client, &mut batch, pace)?;
        if self.closes {
            return client
                .try_expect_closed()
                .map_err(|seen| format!("expected a close, got {seen}"));
        }
        client
            .try_send(b"mn\r\n")
            .map_err(|error| format!("closed too early: {error}"))?;
        client
            .try_expect(b"MN\r\n")
            .map_err(|seen| format!("expected nothing more, got {seen}"))
    }
}

/// Sends what has been collected.
fn deliver(client: &mut Client, batch: &mut Vec<u8>, pace: Pace) -> Result<(), String> {
    let sent = match pace {
        Pace::Bytewise => client.try_send_bytewise(batch),
        Pace::Whole | Pace::Pipelined => client.try_send(batch),
    };
    sent.map_err(|error| format!("sending {:?}: {error}", show(batch)))?;
    batch.clear();
    Ok(())
}

/// The bytes of a request.
fn spell(pieces: &[Piece], heard: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(literal) => bytes.extend(literal),
            Piece::Token { name, .. } => {
                bytes.extend(heard.get(name).ok_or_else(|| format!("${{{name}}} unheard"))?)
            }
        }
    }
    Ok(bytes)
}

/// Reads a reply and compares; `seen` collects it for the error.
fn hear(
    client: &mut Client,
    pieces: &[Piece],
    heard: &mut BTreeMap<String, Vec<u8>>,
    seen: &mut Vec<u8>,
) -> Result<(), String> {
    let text = |error: io::Error| format!("and then {error}");
    for piece in pieces {
        match piece {
            Piece::Bytes(literal) => {
                for expected in literal {
                    let byte = client.try_read_exact(1).map_err(text)?;
                    seen.extend(&byte);
                    if byte != [*expected] {
                        seen.extend(client.peek().unwrap_or_default());
                        return Err("".into());
                    }
                }
            }
            Piece::Token { name, unlike } => {
                let mut token = Vec::new();
                while !matches!(client.peek().map_err(text)?.first(), Some(b' ' | b'\r' | b'\n')) {
                    token.extend(client.try_read_exact(1).map_err(text)?);
                }
                seen.extend(&token);
                let before = heard.get(name).filter(|_| name != "_");
                if token.is_empty() || before.is_some_and(|before| *before != token) {
                    return Err(format!("where ${{{name}}} was {before:?}"));
                }
                if unlike
                    .as_ref()
                    .is_some_and(|unlike| heard.get(unlike) == Some(&token))
                {
                    return Err(format!("where ${{{name}}} ought to be a new one"));
                }
                heard.insert(name.clone(), token);
            }
        }
    }
    Ok(())
}

/// A reply as the transcript spells it.
fn wanted(pieces: &[Piece]) -> String {
    let spell = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => show(bytes),
        Piece::Token { name, .. } => format!("${{{name}}}"),
    };
    format!("\"{}\"", pieces.iter().map(spell).collect::<String>())
}
