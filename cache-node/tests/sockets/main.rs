//! What the server promises at its sockets, one process per promise.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod limits;
mod login;
mod races;
mod tls;
mod watching;

use std::io::{BufRead, BufReader, Read, Write};

/// Reads up to the end of a line.
fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// One `stats` name.
fn stat<S: Read + Write>(stream: &mut S, name: &str) -> String {
    stream.write_all(b"stats\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut found = None;
    loop {
        let told = line(&mut reader);
        if told == "END" {
            return found.unwrap_or_else(|| panic!("stats has no {name}"));
        }
        let value = told.strip_prefix("STAT ").and_then(|told| told.split_once(' '));
        if let Some((_, value)) = value.filter(|(told, _)| *told == name) {
            found = Some(value.to_owned());
        }
    }
}

/// Asks again until the answer is as expected; a promise that is never kept fails after half a minute.
fn eventually(what: &str, mut kept: impl FnMut() -> bool) {
    for _attempt in 0..3000 {
        if kept() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a process is waited for, not a moment")]
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what}: not in time");
}
