//! Traces to replay, plain or gzip: ours, libCacheSim's, Twitter's and Meta's (see `columns.rs`).
//!
//! A row has a time in seconds from the start (fractions allowed), a key (any text a memcached key may be), a size, an
//! op (one of `get set delete` and their memcached relatives; a get where there is none) and a TTL in seconds (0: never).

mod amplify;
mod columns;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ahash::AHashMap;
use flate2::bufread::MultiGzDecoder;

use self::columns::{Column, Columns};
use super::keyspace::KeySpace;

/// The packaged trace; its licence lies beside it in `loadtest/traces`.
const TWITTER_C52: &[u8] = include_bytes!("../../../traces/twitter_cluster52_1m.csv.gz");
const TWITTER_C52_NAME: &str = "twitter_cluster52_1m.csv.gz";

/// Longest line read: a key of 250 bytes and four numbers are far below it.
const LINE_LEN_MAX: usize = 1024;
/// Most rows read from one file: 20 bytes each are kept in memory.
pub const ROWS_MAX: u64 = 100_000_000;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A look-aside read.
    Get,
    /// A write, whatever its verb was.
    Set,
    Delete,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Milliseconds from the start of the trace.
    pub at_ms: u32,
    /// Number of the key, in order of first appearance.
    pub key: u32,
    pub value_len: u32,
    pub op: Op,
    /// Seconds; `None` where the trace says nothing.
    pub ttl_seconds: Option<u32>,
}

/// A whole trace in memory.
#[derive(Debug, Clone)]
pub struct Trace {
    /// For people: the file's name.
    pub name: String,
    pub rows: Vec<Row>,
    /// The distinct keys; each with the value length of its first row.
    pub keys: KeySpace,
}

/// What is wrong with a trace: `traces/a.csv.gz:17: …`.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("{file}: cannot be read")]
    Open { file: String, source: std::io::Error },
    #[error("{file}:{line}: cannot be read")]
    Read {
        file: String,
        line: u64,
        source: std::io::Error,
    },
    #[error("{file}:{line}: {what}")]
    Row { file: String, line: u64, what: String },
    #[error("{file}: cannot be amplified: {what}")]
    Amplify { file: String, what: String },
    #[error("{file}: no rows")]
    Empty { file: String },
}

impl Trace {
    /// The packaged trace, at most `limit` rows of it.
    pub fn twitter_c52(limit: Option<u64>) -> Result<Self, TraceError> {
        read(TWITTER_C52_NAME, TWITTER_C52, limit)
    }

    /// A file, gzip or plain by its first bytes.
    pub fn open(path: &Path, limit: Option<u64>) -> Result<Self, TraceError> {
        let file = path.display().to_string();
        let opened = File::open(path).map_err(|source| TraceError::Open {
            file: file.clone(),
            source,
        })?;
        read(&file, opened, limit)
    }
}

fn read(file: &str, source: impl Read, limit: Option<u64>) -> Result<Trace, TraceError> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let start = source.fill_buf().map_err(|source| TraceError::Open {
        file: file.to_owned(),
        source,
    })?;
    if start.starts_with(&GZIP_MAGIC) {
        parse(
            file,
            BufReader::with_capacity(1 << 16, MultiGzDecoder::new(source)),
            limit,
        )
    } else {
        parse(file, source, limit)
    }
}

fn parse(file: &str, mut source: impl BufRead, limit: Option<u64>) -> Result<Trace, TraceError> {
    let limit = limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
    let mut reader = RowReader {
        columns: Columns::default(),
        numbers: AHashMap::new(),
        keys: Keys::default(),
    };
    let mut rows = Vec::new();
    let mut text = Vec::new();
    for line in 1.. {
        if rows.len() as u64 >= limit {
            break;
        }
        text.clear();
        let n = (&mut source)
            .take(LINE_LEN_MAX as u64 + 1)
            .read_until(b'\n', &mut text)
            .map_err(|source| TraceError::Read {
                file: file.to_owned(),
                line,
                source,
            })?;
        if n == 0 {
            break;
        }
        let fail = |what: String| TraceError::Row {
            file: file.to_owned(),
            line,
            what,
        };
        if n > LINE_LEN_MAX {
            return Err(fail(format!("a line longer than {LINE_LEN_MAX} bytes")));
        }
        let trimmed = text.trim_ascii_end();
        if line == 1 {
            match Columns::without_header(trimmed) {
                Some(columns) => reader.columns = columns,
                None => {
                    reader.columns = Columns::from_header(trimmed).map_err(fail)?;
                    continue;
                }
            }
        }
        if !trimmed.is_empty() {
            let (row, times) = reader.row(trimmed).map_err(fail)?;
            let times = times.min(limit - rows.len() as u64);
            rows.extend(std::iter::repeat_n(row, usize::try_from(times).unwrap_or(0)));
        }
    }
    if rows.is_empty() {
        return Err(TraceError::Empty {
            file: file.to_owned(),
        });
    }
    let Keys {
        bytes,
        ends,
        value_lens,
    } = reader.keys;
    Ok(Trace {
        name: file.to_owned(),
        rows,
        keys: KeySpace::listed(bytes, ends, value_lens),
    })
}

#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    value_lens: Vec<u32>,
}

struct RowReader {
    columns: Columns,
    numbers: AHashMap<Box<[u8]>, u32>,
    keys: Keys,
}

impl RowReader {
    /// The row, and how often it is repeated.
    fn row(&mut self, line: &[u8]) -> Result<(Row, u64), String> {
        let mut fields = [&b""[..]; Column::COUNT];
        let mut count = 0;
        for (position, field) in line.split(|byte| *byte == b',').enumerate() {
            count = position + 1;
            if let Some(column) = self.columns.at(position) {
                fields[column as usize] = field.trim_ascii();
            }
        }
        if count != self.columns.count {
            return Err(format!(
                "{count} fields, expected {} as in the header",
                self.columns.count
            ));
        }
        let field = |column: Column| fields[column as usize];
        let (key, op, ttl) = (field(Column::Key), field(Column::Op), field(Column::Ttl));
        let seconds: f64 = match field(Column::Time) {
            b"" if !self.columns.has(Column::Time) => 0.0,
            time => number(time, self.columns.time_name, "seconds such as 12.5")?,
        };
        if !(0.0..=4_000_000.0).contains(&seconds) {
            return Err(format!(
                "{} {seconds} is not between 0 and 4000000",
                self.columns.time_name
            ));
        }
        if key.is_empty() || key.len() > 250 || key.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(format!(
                "key {:?} is not 1 to 250 bytes without blanks",
                clip(&String::from_utf8_lossy(key))
            ));
        }
        let value_len: u32 = if self.columns.has(Column::ValueSize) {
            number(field(Column::ValueSize), "the value's size", "bytes")?
        } else {
            // A size below the key's own length is an empty value.
            let size: u32 = number(field(Column::Size), "size", "bytes of key and value")?;
            size.saturating_sub(u32::try_from(key.len()).expect("at most 250"))
        };
        let times = match field(Column::Times) {
            b"" => 1,
            times => number(times, "op_count", "how often")?,
        };
        let op = match op {
            b"" | b"get" | b"gets" | b"gat" | b"gats" | b"GET" | b"GET_LEASE" => Op::Get,
            b"set" | b"add" | b"replace" | b"cas" | b"append" | b"prepend" | b"incr" | b"decr" | b"SET"
            | b"SET_LEASE" => Op::Set,
            b"delete" | b"DELETE" => Op::Delete,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(format!(
                    "op {:?} is unknown; expected get, set or delete",
                    clip(&other)
                ));
            }
        };
        let ttl_seconds = match ttl {
            b"" => None,
            ttl => Some(number(ttl, "ttl", "seconds, 0 for never")?),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 4e9"
        )]
        let at_ms = (seconds * 1e3) as u32;
        let row = Row {
            at_ms,
            key: self.number_of(key, value_len)?,
            value_len,
            op,
            ttl_seconds,
        };
        Ok((row, times))
    }

    fn number_of(&mut self, key: &[u8], value_len: u32) -> Result<u32, String> {
        if let Some(number) = self.numbers.get(key) {
            return Ok(*number);
        }
        let too_many = |_| "more keys than 32 bits count".to_owned();
        let number = u32::try_from(self.keys.ends.len()).map_err(too_many)?;
        self.keys.bytes.extend_from_slice(key);
        self.keys
            .ends
            .push(u32::try_from(self.keys.bytes.len()).map_err(too_many)?);
        self.keys.value_lens.push(value_len);
        self.numbers.insert(key.into(), number);
        Ok(number)
    }
}

fn number<T: std::str::FromStr>(field: &[u8], name: &str, expected: &str) -> Result<T, String> {
    str::from_utf8(field)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            format!(
                "{name} {:?} is no number; expected {expected}",
                clip(&String::from_utf8_lossy(field))
            )
        })
}

/// Enough of a bad field to recognise it.
fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
