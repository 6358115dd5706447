//! A blocking memcached client for a handful of connections: version, set, get, delete, in pipelined batches.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Requests sent before their answers are read: little enough to fit socket buffers in both directions.
const BATCH: usize = 50;
/// A value longer than this is not one of ours.
const VALUE_LEN_MAX: usize = 1 << 20;

pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(super) fn version(&mut self) -> io::Result<String> {
        self.send(b"version\r\n")?;
        let line = self.line()?;
        match line.strip_prefix("VERSION ") {
            Some(version) => Ok(version.to_owned()),
            None => Err(unexpected(&line)),
        }
    }

    /// Which of the items were stored.
    pub(super) fn set(&mut self, items: &[(String, String)], exptime: u32) -> io::Result<Vec<bool>> {
        let mut stored = Vec::with_capacity(items.len());
        for batch in items.chunks(BATCH) {
            let requests: String = batch
                .iter()
                .map(|(key, value)| format!("set {key} 0 {exptime} {}\r\n{value}\r\n", value.len()))
                .collect();
            self.send(requests.as_bytes())?;
            for _ in batch {
                stored.push(self.line()? == "STORED");
            }
        }
        Ok(stored)
    }

    /// The values found, in the order of the keys.
    pub(super) fn get(&mut self, keys: &[String]) -> io::Result<Vec<Option<String>>> {
        let mut values = vec![None; keys.len()];
        for (batch, values) in keys.chunks(BATCH).zip(values.chunks_mut(BATCH)) {
            self.send(format!("get {}\r\n", batch.join(" ")).as_bytes())?;
            loop {
                let line = self.line()?;
                if line == "END" {
                    break;
                }
                let (key, value) = self.value(&line)?;
                if let Some(at) = batch.iter().position(|wanted| *wanted == key) {
                    values[at] = Some(value);
                }
            }
        }
        Ok(values)
    }

    /// Deletes; what was not there is not told.
    pub(super) fn delete(&mut self, keys: &[String]) -> io::Result<()> {
        for batch in keys.chunks(BATCH) {
            let requests: String = batch.iter().map(|key| format!("delete {key}\r\n")).collect();
            self.send(requests.as_bytes())?;
            for _ in batch {
                self.line()?;
            }
        }
        Ok(())
    }

    fn value(&mut self, line: &str) -> io::Result<(String, String)> {
        let mut words = line.split(' ');
        let (Some("VALUE"), Some(key), Some(_flags), Some(len)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(unexpected(line));
        };
        let len: usize = len
            .parse()
            .ok()
            .filter(|len| *len <= VALUE_LEN_MAX)
            .ok_or_else(|| unexpected(line))?;
        let mut value = vec![0; len + 2];
        io::Read::read_exact(&mut self.stream, &mut value)?;
        value.truncate(len);
        Ok((key.to_owned(), String::from_utf8_lossy(&value).into_owned()))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        io::Read::take(&mut self.stream, 4_096).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

fn unexpected(line: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "answered `{}`",
            line.chars().take(60).collect::<String>().escape_debug()
        ),
    )
}

/// An I/O error in a few words.
pub(super) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "closed the connection".to_owned()
        }
        _ => error.to_string(),
    }
}
