//! A memcached of a few lines.

use std::collections::HashMap;

/// Items and leases, and an answer to every request there is.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) items: HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
    /// Keys whose filler has been chosen.
    leases: HashMap<Vec<u8>, u64>,
    next_cas: u64,
}

impl Fake {
    /// Answers every whole request in `bytes`.
    pub(super) fn answer(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
            let line = &bytes[..end];
            bytes = &bytes[end + 2..];
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            match words[0] {
                b"get" => {
                    for key in &words[1..] {
                        if let Some((flags, data)) = self.items.get(*key) {
                            let flags = String::from_utf8_lossy(flags);
                            let key = String::from_utf8_lossy(key);
                            out.extend(format!("VALUE {key} {flags} {}\r\n", data.len()).bytes());
                            out.extend_from_slice(data);
                            out.extend_from_slice(b"\r\n");
                        }
                    }
                    out.extend_from_slice(b"END\r\n");
                }
                b"set" => {
                    let len: usize = String::from_utf8_lossy(words[4]).parse().unwrap();
                    self.items
                        .insert(words[1].to_vec(), (words[2].to_vec(), bytes[..len].to_vec()));
                    bytes = &bytes[len + 2..];
                    out.extend_from_slice(b"STORED\r\n");
                }
                b"mg" => match self.items.get(words[1]) {
                    Some((flags, data)) => {
                        let flags = String::from_utf8_lossy(flags);
                        out.extend(format!("VA {} f{flags} c1\r\n", data.len()).bytes());
                        out.extend_from_slice(data);
                        out.extend_from_slice(b"\r\n");
                    }
                    None if self.leases.contains_key(words[1]) => {
                        out.extend_from_slice(b"VA 0 f0 c1 Z\r\n\r\n");
                    }
                    None => {
                        self.next_cas += 1;
                        self.leases.insert(words[1].to_vec(), self.next_cas);
                        out.extend(format!("VA 0 f0 c{} W\r\n\r\n", self.next_cas).bytes());
                    }
                },
                b"ms" => {
                    let of = |letter: u8| {
                        words
                            .iter()
                            .find(|word| word[0] == letter)
                            .map(|word| word[1..].to_vec())
                    };
                    let len: usize = String::from_utf8_lossy(words[2]).parse().unwrap();
                    let cas: u64 = String::from_utf8_lossy(&of(b'C').unwrap()).parse().unwrap();
                    let good = self.leases.get(words[1]) == Some(&cas);
                    if good {
                        self.leases.remove(words[1]);
                        self.items
                            .insert(words[1].to_vec(), (of(b'F').unwrap(), bytes[..len].to_vec()));
                    }
                    bytes = &bytes[len + 2..];
                    out.extend_from_slice(if good { b"HD\r\n" } else { b"NF\r\n" });
                }
                b"delete" => {
                    self.leases.remove(words[1]);
                    let found = self.items.remove(words[1]).is_some();
                    out.extend_from_slice(if found { b"DELETED\r\n" } else { b"NOT_FOUND\r\n" });
                }
                other => panic!("{}", other.escape_ascii()),
            }
        }
        out
    }
}
