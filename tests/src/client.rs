//! A client of raw bytes: says exactly what it is told, hears exactly what comes back.
//!
//! It knows framing where a helper needs it (`get`, `stats`) and nothing of what a reply ought to be.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// A reply that takes longer is a hang.
pub const REPLY_DEADLINE: Duration = Duration::from_secs(10);

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Received and not yet looked at: `received[at..]`.
    received: Vec<u8>,
    at: usize,
}

impl Client {
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        match Self::try_connect(addr, REPLY_DEADLINE) {
            Ok(client) => client,
            Err(error) => panic!("connect to {addr}: {error}"),
        }
    }

    pub fn try_connect(addr: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            stream,
            received: Vec::new(),
            at: 0,
        })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if let Err(error) = self.stream.write_all(bytes) {
            panic!("sending {:?}: {error}", show(bytes));
        }
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends every byte as a segment of its own; past the first few thousand, segments of an odd length.
    pub fn try_send_bytewise(&mut self, bytes: &[u8]) -> io::Result<()> {
        const SINGLY: usize = 4096;
        const SEGMENT: usize = 1009;
        let (singly, rest) = bytes.split_at(bytes.len().min(SINGLY));
        singly
            .chunks(1)
            .chain(rest.chunks(SEGMENT))
            .try_for_each(|segment| self.stream.write_all(segment))
    }

    /// Says that we will send nothing more, and goes on listening.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// What has come and not been looked at; reads once more if that is nothing.
    pub fn peek(&mut self) -> io::Result<&[u8]> {
        if self.at == self.received.len() {
            self.fill()?;
        }
        Ok(self.received.get(self.at..).unwrap_or_default())
    }

    /// Reads whatever the socket has; `UnexpectedEof` when the other side has closed.
    fn fill(&mut self) -> io::Result<()> {
        if self.at > 0 && self.at == self.received.len() {
            self.received.clear();
            self.at = 0;
        }
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received.extend(chunk.iter().take(count));
        Ok(())
    }

    /// The next `count` bytes.
    pub fn try_read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.received.len() - self.at < count {
            self.fill()?;
        }
        let bytes = self
            .received
            .get(self.at..self.at + count)
            .unwrap_or_default()
            .to_vec();
        self.at += count;
        Ok(bytes)
    }

    /// The next line, without its end (CRLF or a bare LF).
    pub fn try_read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut scanned = self.at;
        loop {
            let fresh = self.received.get(scanned..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
                let end = scanned + found;
                let line = self.received.get(self.at..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.at = end + 1;
                return Ok(line);
            }
            let unread = self.received.len() - self.at;
            self.fill()?;
            scanned = self.at + unread;
        }
    }

    #[track_caller]
    pub fn read_line(&mut self) -> String {
        match self.try_read_line() {
            Ok(line) => String::from_utf8_lossy(&line).into_owned(),
            Err(error) => panic!("waiting for a line: {error}"),
        }
    }

    /// Sends one line (CRLF is added) and gives the one line that answers it.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        match self.try_read_line() {
            Ok(reply) => String::from_utf8_lossy(&reply).into_owned(),
            Err(error) => panic!("waiting for the answer to {line:?}: {error}"),
        }
    }

    /// Asserts that the next bytes are `expected`.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        if let Err(seen) = self.try_expect(expected) {
            panic!("expected {:?}\n     got {seen}", show(expected));
        }
    }

    /// Compares the next bytes with `expected`; the error shows what came instead.
    pub fn try_expect(&mut self, expected: &[u8]) -> Result<(), String> {
        let mut matched = 0;
        while let Some(rest) = expected.get(matched..).filter(|rest| !rest.is_empty()) {
            let available = match self.peek() {
                Ok(bytes) => bytes,
                Err(error) => return Err(format!("{:?} and then {error}", show(&expected[..matched]))),
            };
            let count = available.len().min(rest.len());
            if available[..count] != rest[..count] {
                let seen = [&expected[..matched], available].concat();
                return Err(format!("{:?}", show(&seen)));
            }
            matched += count;
            self.at += count;
        }
        Ok(())
    }

    /// Sends `request` and asserts the whole reply.
    #[track_caller]
    pub fn exchange(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        let (request, reply) = (request.as_ref(), reply.as_ref());
        self.send(request);
        if let Err(seen) = self.try_expect(reply) {
            panic!(
                "sent     {:?}\nexpected {:?}\n     got {seen}",
                show(request),
                show(reply)
            );
        }
    }

    /// Asserts that nothing is left to hear: the answer to a fence comes next.
    #[track_caller]
    pub fn expect_nothing_more(&mut self) {
        self.exchange("mn\r\n", "MN\r\n");
    }

    /// Asserts that the other side closes without another byte.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        if let Err(seen) = self.try_expect_closed() {
            panic!("expected the connection to be closed, got {seen}");
        }
    }

    pub fn try_expect_closed(&mut self) -> Result<(), String> {
        match self.peek() {
            Ok(bytes) => Err(format!("{:?}", show(bytes))),
            Err(error) if is_close(&error) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// `get`, framed by length: the value, `None` for a miss, or the error line.
    pub fn try_get(&mut self, key: &str) -> io::Result<Result<Option<Vec<u8>>, String>> {
        self.stream.write_all(format!("get {key}\r\n").as_bytes())?;
        let mut value = None;
        loop {
            let line = self.try_read_line()?;
            if line == b"END" {
                return Ok(Ok(value));
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let Some(fields) = text.strip_prefix("VALUE ") else {
                return Ok(Err(text));
            };
            let mut fields = fields.split(' ');
            let answered = fields.next().unwrap_or_default();
            let length = fields.nth(1).and_then(|length| length.parse::<usize>().ok());
            let Some(length) = length else {
                return Err(io::Error::other(format!("header {text:?}")));
            };
            if answered != key || value.is_some() {
                return Err(io::Error::other(format!("asked for {key}, got {text:?}")));
            }
            let mut data = self.try_read_exact(length + 2)?;
            data.truncate(length);
            value = Some(data);
        }
    }

    #[track_caller]
    pub fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        match self.try_get(key) {
            Ok(Ok(value)) => value,
            Ok(Err(line)) => panic!("get {key}: {line}"),
            Err(error) => panic!("get {key}: {error}"),
        }
    }

    /// `set`: the reply line.
    pub fn try_set(&mut self, key: &str, exptime: i64, value: &[u8]) -> io::Result<String> {
        let mut request = format!("set {key} 0 {exptime} {}\r\n", value.len()).into_bytes();
        request.extend(value);
        request.extend(b"\r\n");
        self.stream.write_all(&request)?;
        Ok(String::from_utf8_lossy(&self.try_read_line()?).into_owned())
    }

    #[track_caller]
    pub fn set(&mut self, key: &str, value: impl AsRef<[u8]>) {
        match self.try_set(key, 0, value.as_ref()) {
            Ok(reply) => assert_eq!(reply, "STORED", "set {key}"),
            Err(error) => panic!("set {key}: {error}"),
        }
    }

    /// `stats ARGS`: names and values, in the order of their names.
    #[track_caller]
    pub fn stats(&mut self, args: &str) -> BTreeMap<String, String> {
        let request = format!("stats {args}").trim_end().to_owned() + "\r\n";
        self.send(request);
        let mut stats = BTreeMap::new();
        loop {
            let line = self.read_line();
            if line == "END" {
                return stats;
            }
            let field = line.strip_prefix("STAT ").and_then(|field| field.split_once(' '));
            let Some((name, value)) = field else {
                panic!("stats {args}: {line:?}")
            };
            stats.insert(name.to_owned(), value.to_owned());
        }
    }

    /// One counter of `stats`.
    #[track_caller]
    pub fn stat(&mut self, name: &str) -> u64 {
        let stats = self.stats("");
        let value = stats
            .get(name)
            .unwrap_or_else(|| panic!("stats has no {name}: {stats:?}"));
        value
            .parse()
            .unwrap_or_else(|error| panic!("{name} {value}: {error}"))
    }
}

/// Whether the error means that the other side is gone.
pub fn is_close(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
    )
}

/// Bytes as text for a person: escapes, and the middle of anything long left out.
pub fn show(bytes: &[u8]) -> String {
    const SHOWN: usize = 400;
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match bytes.get(SHOWN * 2..) {
        None => text(bytes),
        Some(_) => {
            let (head, tail) = (&bytes[..SHOWN], &bytes[bytes.len() - SHOWN..]);
            format!(
                "{} …{} bytes… {}",
                text(head),
                bytes.len() - SHOWN * 2,
                text(tail)
            )
        }
    }
}
