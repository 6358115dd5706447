//! A trace made larger: every row several times over, each time under a key of its own.

use super::{ROWS_MAX, Row, Trace, TraceError};
use crate::workload::keyspace::KeySpace;

const KEY_LEN_MAX: usize = 250;

impl Trace {
    /// Every row `times` times, one after the other, under its key with `:0`, `:1`, … behind it: as many requests over as
    /// many keys, as popular and as far apart as they were.
    pub fn amplified(self, times: u32) -> Result<Self, TraceError> {
        if times <= 1 {
            return Ok(self);
        }
        let fail = |what: String| TraceError::Amplify {
            file: self.name.clone(),
            what,
        };
        let rows_len = self.rows.len() as u64 * u64::from(times);
        if rows_len > ROWS_MAX {
            return Err(fail(format!("{rows_len} rows, more than {ROWS_MAX}")));
        }
        let too_many = || fail("more keys than 32 bits count".to_owned());
        let (mut bytes, mut ends, mut value_lens) = (Vec::new(), Vec::new(), Vec::new());
        let (mut scratch, mut digits) = (Vec::new(), itoa::Buffer::new());
        for key in 0..self.keys.len() {
            let text = self.keys.text(key, &mut scratch);
            for copy in 0..times {
                let start = bytes.len();
                bytes.extend_from_slice(text);
                bytes.push(b':');
                bytes.extend_from_slice(digits.format(copy).as_bytes());
                if bytes.len() - start > KEY_LEN_MAX {
                    let key = String::from_utf8_lossy(&bytes[start..]);
                    return Err(fail(format!(
                        "key {:?} is longer than {KEY_LEN_MAX} bytes",
                        super::clip(&key)
                    )));
                }
                ends.push(u32::try_from(bytes.len()).map_err(|_too_many| too_many())?);
                value_lens.push(self.keys.value_len(key));
            }
        }
        if u32::try_from(value_lens.len()).is_err() {
            return Err(too_many());
        }
        let rows = self.rows.iter().flat_map(|row| {
            (0..times).map(move |copy| Row {
                key: row.key * times + copy,
                ..*row
            })
        });
        Ok(Self {
            rows: rows.collect(),
            keys: KeySpace::listed(bytes, ends, value_lens),
            name: self.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Trace, read};

    fn trace(text: &str) -> Trace {
        read("t.csv", text.as_bytes(), None).unwrap()
    }

    #[test]
    fn every_row_comes_so_often_each_time_under_another_key() {
        let trace = trace("time_s,key,size\n0,a,11\n1,bb,22\n2,a,11\n")
            .amplified(3)
            .unwrap();
        let mut scratch = Vec::new();
        let told: Vec<(u32, String, u32)> = trace
            .rows
            .iter()
            .map(|row| {
                let key = String::from_utf8(trace.keys.text(row.key, &mut scratch).to_vec()).unwrap();
                (row.at_ms, key, trace.keys.value_len(row.key))
            })
            .collect();
        let expected = [(0, "a", 10), (1000, "bb", 20), (2000, "a", 10)].into_iter();
        let expected: Vec<(u32, String, u32)> = expected
            .flat_map(|(at, key, len)| (0..3).map(move |copy| (at, format!("{key}:{copy}"), len)))
            .collect();
        assert_eq!(told, expected);
        assert_eq!(trace.keys.len(), 6);
    }

    #[test]
    fn once_is_as_it_was_and_what_is_too_much_is_refused() {
        let text = format!("time_s,key,size\n0,{},260\n", "k".repeat(249));
        let long = trace(&text);
        assert_eq!(long.clone().amplified(1).unwrap().rows, long.rows);
        let error = long.clone().amplified(2).unwrap_err().to_string();
        assert!(error.contains("longer than 250 bytes"), "{error}");
        let error = long.amplified(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("rows, more than"), "{error}");
    }
}
