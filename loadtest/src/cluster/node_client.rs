//! Talks to one node directly, beside the load: statistics, flushes, and which of some keys it holds.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A node that does not answer in this time is down, for our purposes.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Keys asked for together.
const BATCH: usize = 200;
const LINES_MAX: usize = 10_000;

/// A connection used for one question after the other.
#[derive(Debug)]
pub struct NodeClient {
    stream: BufReader<TcpStream>,
}

impl NodeClient {
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// The general statistics by name.
    pub async fn stats(&mut self) -> io::Result<HashMap<String, String>> {
        self.within(async |stream| {
            stream.write_all(b"stats\r\n").await?;
            let mut stats = HashMap::new();
            for _ in 0..LINES_MAX {
                let line = line(stream).await?;
                match line.strip_prefix("STAT ").and_then(|rest| rest.split_once(' ')) {
                    Some((name, value)) => stats.insert(name.to_owned(), value.to_owned()),
                    None if line == "END" => return Ok(stats),
                    None => return Err(unexpected(&line)),
                };
            }
            Err(unexpected("statistics without end"))
        })
        .await
    }

    pub async fn flush_all(&mut self) -> io::Result<()> {
        self.within(async |stream| {
            stream.write_all(b"flush_all\r\n").await?;
            match line(stream).await?.as_str() {
                "OK" => Ok(()),
                other => Err(unexpected(other)),
            }
        })
        .await
    }

    /// `touch` of every key; whether the node had it does not matter.
    pub async fn touch(&mut self, keys: &[Vec<u8>], exptime: i64) -> io::Result<()> {
        for batch in keys.chunks(BATCH) {
            let mut request = Vec::with_capacity(batch.len() * 32);
            for key in batch {
                request.extend_from_slice(b"touch ");
                request.extend_from_slice(key);
                request.extend_from_slice(format!(" {exptime}\r\n").as_bytes());
            }
            self.within(async |stream| {
                stream.write_all(&request).await?;
                for _ in batch {
                    let line = line(stream).await?;
                    if line != "TOUCHED" && line != "NOT_FOUND" {
                        return Err(unexpected(&line));
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// For each key whether the node has it. Asked with `me`, which sends no value, moves no item up, and is not counted
    /// among the node's gets: looking must not change what is looked at.
    pub async fn holds(&mut self, keys: &[Vec<u8>]) -> io::Result<Vec<bool>> {
        let mut held = Vec::with_capacity(keys.len());
        self.describe(keys, |described| {
            held.push(described.is_some());
            Ok(())
        })
        .await?;
        Ok(held)
    }

    /// For each key the seconds it has to live (-1: it does not expire) if the node has it. Asked the same way.
    pub async fn lives(&mut self, keys: &[Vec<u8>]) -> io::Result<Vec<Option<i64>>> {
        let mut lives = Vec::with_capacity(keys.len());
        self.describe(keys, |described| {
            let Some(line) = described else {
                lives.push(None);
                return Ok(());
            };
            let told = line.split(' ').find_map(|part| part.strip_prefix("exp="));
            let life = told.and_then(|told| told.parse().ok());
            lives.push(Some(life.ok_or_else(|| unexpected(line))?));
            Ok(())
        })
        .await?;
        Ok(lives)
    }

    /// `me` of every key: the line if the node has it.
    async fn describe(
        &mut self,
        keys: &[Vec<u8>],
        mut hear: impl FnMut(Option<&str>) -> io::Result<()>,
    ) -> io::Result<()> {
        for batch in keys.chunks(BATCH) {
            let mut request = Vec::with_capacity(batch.len() * 32);
            for key in batch {
                request.extend_from_slice(b"me ");
                request.extend_from_slice(key);
                request.extend_from_slice(b"\r\n");
            }
            self.within(async |stream| {
                stream.write_all(&request).await?;
                for _ in batch {
                    let line = line(stream).await?;
                    match line.get(..2) {
                        Some("ME") => hear(Some(&line))?,
                        Some("EN") => hear(None)?,
                        _ => return Err(unexpected(&line)),
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn within<R>(
        &mut self,
        exchange: impl AsyncFnOnce(&mut BufReader<TcpStream>) -> io::Result<R>,
    ) -> io::Result<R> {
        tokio::time::timeout(TIMEOUT, exchange(&mut self.stream)).await?
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

fn unexpected(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer {line:?}"))
}
