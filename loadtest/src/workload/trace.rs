//! Traces to replay: `time_s,key,size[,op,ttl]` with a header row, plain or gzip.
//!
//! `time_s` is seconds from the start (fractions allowed), `key` any text a memcached key may be, `size` key and value
//! bytes together, `op` one of `get set delete` and their memcached relatives, `ttl` seconds (0: never). A size below
//! the key's own length is an empty value.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ahash::AHashMap;
use flate2::bufread::MultiGzDecoder;

use super::keyspace::KeySpace;

/// The packaged trace; its licence lies beside it in `loadtest/traces`.
const TWITTER_C52: &[u8] = include_bytes!("../../traces/twitter_cluster52_1m.csv.gz");
const TWITTER_C52_NAME: &str = "twitter_cluster52_1m.csv.gz";

/// Longest line read: a key of 250 bytes and four numbers are far below it.
const LINE_LEN_MAX: usize = 1024;
/// Most rows read from one file: 20 bytes each are kept in memory.
pub const ROWS_MAX: u64 = 100_000_000;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const COLUMNS: [&str; 5] = ["time_s", "key", "size", "op", "ttl"];

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
            reader.columns = Columns::from_header(trimmed).map_err(fail)?;
        } else if !trimmed.is_empty() {
            rows.push(reader.row(trimmed).map_err(fail)?);
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

/// Where each column stands; `time_s`, `key` and `size` must be there.
#[derive(Debug, Default)]
struct Columns {
    count: usize,
    at: [Option<usize>; 5],
}

impl Columns {
    fn from_header(header: &[u8]) -> Result<Self, String> {
        let header = String::from_utf8_lossy(header);
        let mut columns = Self::default();
        for (position, name) in header.split(',').enumerate() {
            columns.count = position + 1;
            let Some(which) = COLUMNS.iter().position(|known| *known == name.trim()) else {
                return Err(format!(
                    "unknown column {:?}; expected a header `time_s,key,size[,op,ttl]`",
                    clip(name)
                ));
            };
            if columns.at[which].replace(position).is_some() {
                return Err(format!("column {name} twice"));
            }
        }
        match columns.at[..3].iter().position(Option::is_none) {
            Some(missing) => Err(format!("column {} is missing", COLUMNS[missing])),
            None => Ok(columns),
        }
    }
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
    fn row(&mut self, line: &[u8]) -> Result<Row, String> {
        let mut fields = [&b""[..]; 5];
        let mut count = 0;
        for (position, field) in line.split(|byte| *byte == b',').enumerate() {
            count = position + 1;
            if let Some(which) = self.columns.at.iter().position(|at| *at == Some(position)) {
                fields[which] = field.trim_ascii();
            }
        }
        if count != self.columns.count {
            return Err(format!(
                "{count} fields, expected {} as in the header",
                self.columns.count
            ));
        }
        let [time, key, size, op, ttl] = fields;
        let seconds: f64 = number(time, "time_s", "seconds such as 12.5")?;
        if !(0.0..=4_000_000.0).contains(&seconds) {
            return Err(format!("time_s {seconds} is not between 0 and 4000000"));
        }
        if key.is_empty() || key.len() > 250 || key.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(format!(
                "key {:?} is not 1 to 250 bytes without blanks",
                clip(&String::from_utf8_lossy(key))
            ));
        }
        let size: u32 = number(size, "size", "bytes of key and value")?;
        let value_len = size.saturating_sub(u32::try_from(key.len()).expect("at most 250"));
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
        Ok(Row {
            at_ms,
            key: self.number_of(key, value_len)?,
            value_len,
            op,
            ttl_seconds,
        })
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
mod tests {
    use std::io::Write;

    use super::{Op, Row, Trace, TraceError, read};

    fn parse(text: &str) -> Result<Trace, TraceError> {
        read("t.csv", text.as_bytes(), None)
    }

    #[test]
    fn rows_and_keys_are_read_plain_and_gzipped() {
        let text = "time_s,key,size,op,ttl\n0,a,10,get,\n0.5,bb,2,set,60\r\n1,a,10,delete,0\n\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        for trace in [
            parse(text).unwrap(),
            read("t.csv.gz", &gzip.finish().unwrap()[..], None).unwrap(),
        ] {
            let row = |at_ms, key, value_len, op, ttl_seconds| Row {
                at_ms,
                key,
                value_len,
                op,
                ttl_seconds,
            };
            assert_eq!(
                trace.rows,
                [
                    row(0, 0, 9, Op::Get, None),
                    row(500, 1, 0, Op::Set, Some(60)),
                    row(1000, 0, 9, Op::Delete, Some(0))
                ]
            );
            let mut scratch = Vec::new();
            assert_eq!(trace.keys.len(), 2);
            assert_eq!(trace.keys.text(1, &mut scratch), b"bb");
            assert_eq!(trace.keys.footprint_bytes(), 12);
        }
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let trace = parse("size,key,time_s\n12,k,3\n").unwrap();
        assert_eq!(
            (trace.rows[0].at_ms, trace.rows[0].value_len, trace.rows[0].op),
            (3000, 11, Op::Get)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("", "t.csv: no rows"),
            ("time_s,key,size\n", "t.csv: no rows"),
            (
                "time,key,size\n",
                "t.csv:1: unknown column \"time\"; expected a header `time_s,key,size[,op,ttl]`",
            ),
            ("time_s,key\n", "t.csv:1: column size is missing"),
            ("time_s,key,size,key\n", "t.csv:1: column key twice"),
            (
                "time_s,key,size\n0,a,1\n1,a\n",
                "t.csv:3: 2 fields, expected 3 as in the header",
            ),
            (
                "time_s,key,size\nx,a,1\n",
                "t.csv:2: time_s \"x\" is no number; expected seconds such as 12.5",
            ),
            (
                "time_s,key,size\n-1,a,1\n",
                "t.csv:2: time_s -1 is not between 0 and 4000000",
            ),
            (
                "time_s,key,size\nNaN,a,1\n",
                "t.csv:2: time_s NaN is not between 0 and 4000000",
            ),
            (
                "time_s,key,size\n0,a b,1\n",
                "t.csv:2: key \"a b\" is not 1 to 250 bytes without blanks",
            ),
            (
                "time_s,key,size\n0,,1\n",
                "t.csv:2: key \"\" is not 1 to 250 bytes without blanks",
            ),
            (
                "time_s,key,size\n0,a,-5\n",
                "t.csv:2: size \"-5\" is no number; expected bytes of key and value",
            ),
            (
                "time_s,key,size,op\n0,a,1,got\n",
                "t.csv:2: op \"got\" is unknown; expected get, set or delete",
            ),
            (
                "time_s,key,size,ttl\n0,a,1,1h\n",
                "t.csv:2: ttl \"1h\" is no number; expected seconds, 0 for never",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text:?}");
        }
        let long = format!("time_s,key,size\n0,{},1\n", "k".repeat(2000));
        assert_eq!(
            parse(&long).unwrap_err().to_string(),
            "t.csv:2: a line longer than 1024 bytes"
        );
        let torn = read("t.gz", &[0x1f, 0x8b, 8, 0, 0, 0][..], None)
            .unwrap_err()
            .to_string();
        assert_eq!(torn, "t.gz:1: cannot be read");
        let missing = Trace::open("/nonexistent/t.csv".as_ref(), None)
            .unwrap_err()
            .to_string();
        assert_eq!(missing, "/nonexistent/t.csv: cannot be read");
    }

    #[test]
    fn the_packaged_trace_is_the_one_its_note_describes() {
        let trace = Trace::twitter_c52(None).unwrap();
        assert_eq!((trace.rows.len(), trace.keys.len()), (1_000_000, 143_542));
        assert_eq!(trace.rows.last().unwrap().at_ms / 1000, 509);
        let mut seen = vec![false; 143_542];
        let hits = trace
            .rows
            .iter()
            .filter(|row| std::mem::replace(&mut seen[row.key as usize], true))
            .count();
        assert_eq!(1_000_000 - hits, 143_542);
        assert_eq!(Trace::twitter_c52(Some(1000)).unwrap().rows.len(), 1000);
    }
}
