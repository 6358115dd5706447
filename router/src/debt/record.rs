//! What stands in the spool's files, byte for byte. Sans-io.
//!
//! ```text
//! crc32 of the rest (4) | kind (1) | key length (2) | sequence (8) | Unix seconds (8) | key       little-endian
//! ```
//! A file begins with one [`Record::Of`], which says whose debt it holds. Sequences grow within a replica. Nothing is
//! ever changed in place: what has been paid is said by a later record.

/// Bytes before the key.
pub(crate) const HEAD_BYTES: usize = 4 + 1 + 2 + 8 + 8;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The file's replica: pool and server, with a zero byte between.
    Of { replica: &'a [u8] },
    /// The replica is owed a delete of this key.
    Owed {
        sequence: u64,
        since_unix: u64,
        key: &'a [u8],
    },
    /// Everything up to and with this sequence has been paid.
    Paid { sequence: u64 },
}

/// What the next bytes of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    Record {
        record: Record<'a>,
        length: usize,
    },
    End,
    /// No whole record: torn by a crash if nothing follows, else damaged.
    Broken,
}

const OF: u8 = 1;
const OWED: u8 = 2;
const PAID: u8 = 3;

impl Record<'_> {
    /// Appends the record's bytes. A key is at most 64 KiB - 1; longer ones do not exist.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (kind, sequence, unix, key): (u8, u64, u64, &[u8]) = match *self {
            Self::Of { replica } => (OF, 0, 0, replica),
            Self::Owed {
                sequence,
                since_unix,
                key,
            } => (OWED, sequence, since_unix, key),
            Self::Paid { sequence } => (PAID, sequence, 0, b""),
        };
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        let key = &key[..usize::from(length)];
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.push(kind);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&unix.to_le_bytes());
        out.extend_from_slice(key);
        let sum = crc32fast::hash(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at + 8)?;
    field.try_into().ok().map(u64::from_le_bytes)
}

/// Reads the record at the beginning of `bytes`.
pub(crate) fn next(bytes: &[u8]) -> Next<'_> {
    if bytes.is_empty() {
        return Next::End;
    }
    read(bytes).unwrap_or(Next::Broken)
}

fn read(bytes: &[u8]) -> Option<Next<'_>> {
    let sum = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = *bytes.get(4)?;
    let key_len = usize::from(u16::from_le_bytes(bytes.get(5..7)?.try_into().ok()?));
    let length = HEAD_BYTES + key_len;
    if crc32fast::hash(bytes.get(4..length)?) != sum {
        return None;
    }
    let sequence = u64_at(bytes, 7)?;
    let since_unix = u64_at(bytes, 15)?;
    let key = bytes.get(HEAD_BYTES..length)?;
    let record = match kind {
        OF => Record::Of { replica: key },
        OWED => Record::Owed {
            sequence,
            since_unix,
            key,
        },
        PAID => Record::Paid { sequence },
        _ => return None,
    };
    Some(Next::Record { record, length })
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES, Next, Record, next};

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        Record::Of { replica: b"main\0n1" }.write(&mut bytes);
        Record::Owed {
            sequence: 7,
            since_unix: 1_700_000_000,
            key: b"user:1",
        }
        .write(&mut bytes);
        Record::Paid { sequence: 7 }.write(&mut bytes);
        bytes
    }

    fn count(mut bytes: &[u8]) -> (usize, bool) {
        let mut records = 0;
        loop {
            match next(bytes) {
                Next::Record { length, .. } => {
                    records += 1;
                    bytes = &bytes[length..];
                }
                Next::End => return (records, true),
                Next::Broken => return (records, false),
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = written();
        let Next::Record { length, .. } = next(&bytes) else {
            panic!("a record");
        };
        assert_eq!(
            next(&bytes[length..]),
            Next::Record {
                record: Record::Owed {
                    sequence: 7,
                    since_unix: 1_700_000_000,
                    key: b"user:1"
                },
                length: HEAD_BYTES + 6
            }
        );
        assert_eq!(count(&bytes), (3, true));
    }

    #[test]
    fn a_tail_torn_anywhere_gives_the_whole_records_before_it_and_nothing_else() {
        let bytes = written();
        let ends = [HEAD_BYTES + 7, 2 * HEAD_BYTES + 13, 3 * HEAD_BYTES + 13];
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let at_an_end = cut == 0 || ends.contains(&cut);
            assert_eq!(count(&bytes[..cut]), (whole, at_an_end), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_is_seen_wherever_it_is() {
        let bytes = written();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!count(&damaged).1, "bit {bit}");
        }
    }
}
