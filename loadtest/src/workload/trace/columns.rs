//! Which column of a trace says what, found by the header's names; or by their number where there is no header.
//!
//! | whose | columns |
//! |---|---|
//! | ours | `time_s,key,size[,op,ttl]`: size of key and value |
//! | libCacheSim | `time,object,size,next_vtime`: a get each |
//! | Meta kvcache, v1 and v2 | `key,op,size,op_count,key_size[,ttl]`, with `op_time` and more in v2: size of the value; a row stands for `op_count` requests |
//! | Twitter | seven columns without a header: time, key, key size, value size, client, op, TTL |

/// What a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Time,
    Key,
    /// Of key and value.
    Size,
    ValueSize,
    Op,
    Ttl,
    /// How often the row is to be repeated.
    Times,
}

impl Column {
    pub(super) const COUNT: usize = 7;
}

/// Names and what they say; nothing for columns that are passed over.
const NAMES: [(&str, Option<Column>); 19] = [
    ("time_s", Some(Column::Time)),
    ("time", Some(Column::Time)),
    ("op_time", Some(Column::Time)),
    ("key", Some(Column::Key)),
    ("object", Some(Column::Key)),
    ("obj_id", Some(Column::Key)),
    ("size", Some(Column::Size)),
    ("obj_size", Some(Column::Size)),
    ("value_size", Some(Column::ValueSize)),
    ("op", Some(Column::Op)),
    ("ttl", Some(Column::Ttl)),
    ("op_count", Some(Column::Times)),
    ("key_size", None),
    ("next_vtime", None),
    ("cache_hits", None),
    ("usecase", None),
    ("sub_usecase", None),
    ("client", None),
    ("client_id", None),
];

const OURS: &str = "time_s,key,size[,op,ttl]";
/// Twitter's columns, by their number.
const TWITTER: [Option<Column>; 7] = [
    Some(Column::Time),
    Some(Column::Key),
    None,
    Some(Column::ValueSize),
    None,
    Some(Column::Op),
    Some(Column::Ttl),
];

/// Where each column stands.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) count: usize,
    /// As the header spells it, for messages.
    pub(super) time_name: &'static str,
    by_position: Vec<Option<Column>>,
}

impl Columns {
    /// A first line that is no header but a row of Twitter's: seven fields, the first a number.
    pub(super) fn without_header(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b',');
        let is_number = str::from_utf8(fields.next()?).ok()?.trim().parse::<f64>().is_ok();
        (is_number && fields.count() + 1 == TWITTER.len()).then(|| Self {
            count: TWITTER.len(),
            time_name: "the time",
            by_position: TWITTER.to_vec(),
        })
    }

    pub(super) fn from_header(header: &[u8]) -> Result<Self, String> {
        let header = String::from_utf8_lossy(header);
        let names: Vec<&str> = header.split(',').map(str::trim).collect();
        // Meta's `size` is the value's: the key has a column of its own.
        let value_only = names.contains(&"key_size");
        let mut columns = Self {
            count: names.len(),
            time_name: "time_s",
            by_position: Vec::with_capacity(names.len()),
        };
        for name in &names {
            let Some((known, column)) = NAMES.iter().find(|(known, _)| known == name) else {
                return Err(format!(
                    "unknown column {:?}; expected a header `{OURS}`, or that of libCacheSim or Meta",
                    super::clip(name)
                ));
            };
            let column = match column {
                Some(Column::Size) if value_only => Some(Column::ValueSize),
                other => *other,
            };
            if column.is_some() && columns.by_position.contains(&column) {
                return Err(format!("column {name} twice"));
            }
            if column == Some(Column::Time) {
                columns.time_name = known;
            }
            columns.by_position.push(column);
        }
        if !columns.has(Column::Key) {
            return Err("column key is missing".to_owned());
        }
        if !columns.has(Column::Size) && !columns.has(Column::ValueSize) {
            return Err("column size is missing".to_owned());
        }
        // Meta's first format has no times: its rows follow each other as fast as they are asked for.
        if !columns.has(Column::Time) && !columns.has(Column::Times) {
            return Err("column time_s is missing".to_owned());
        }
        Ok(columns)
    }

    pub(super) fn at(&self, position: usize) -> Option<Column> {
        self.by_position.get(position).copied().flatten()
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.by_position.contains(&Some(column))
    }
}
