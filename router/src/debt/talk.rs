//! A conversation with one server, question by question: for the agents, who are in no hurry.

use std::io;

use bytes::{Buf, BytesMut};
use protocol::{Response, ResponseDecoder, ResponseStep, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::marks;
use crate::pool::{Address, Destination};
use crate::tls::Tls;
use crate::upstream::open::tcp;

/// Either kind of stream.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Stream for T {}

/// One connection.
pub(crate) struct Talk {
    stream: Box<dyn Stream>,
    received: BytesMut,
    decoder: ResponseDecoder,
}

fn surprised(said: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected reply: {said}"))
}

impl Talk {
    pub(crate) async fn open(destination: &Destination, tls: &Tls) -> io::Result<Self> {
        let stream: Box<dyn Stream> = match &destination.address {
            Address::Tcp(_) => {
                let stream = tcp(&destination.at).await?;
                match &destination.tls {
                    Some(how) => Box::new(tls.stream(how, destination.address.host(), stream).await?),
                    None => Box::new(stream),
                }
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        Ok(Self {
            stream,
            received: BytesMut::new(),
            decoder: ResponseDecoder::new(marks::VALUE_MAX_BYTES),
        })
    }

    /// The next reply, as `read` sees it.
    async fn reply<T>(&mut self, mut read: impl FnMut(&Response<'_>) -> T) -> io::Result<T> {
        loop {
            match self.decoder.next(&self.received) {
                ResponseStep::Response { response, consumed } => {
                    let seen = read(&response);
                    self.received.advance(consumed);
                    return Ok(seen);
                }
                ResponseStep::Broken(_) => return Err(surprised("not of the protocol")),
                ResponseStep::NeedMore { .. } => {
                    if self.stream.read_buf(&mut self.received).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends `request` and reads `count` replies, all of which have to be `good`.
    pub(crate) async fn ask(
        &mut self,
        request: &[u8],
        count: usize,
        good: impl Fn(&Response<'_>) -> bool,
    ) -> io::Result<()> {
        self.send(request).await?;
        let mut bad = None;
        for _ in 0..count {
            let seen = self
                .reply(|response| (!good(response)).then(|| format!("{response:?}")))
                .await?;
            bad = bad.or(seen);
        }
        bad.map_or(Ok(()), |said| Err(surprised(&said)))
    }

    /// Whether it answers at all.
    pub(crate) async fn version(&mut self) -> io::Result<()> {
        self.ask(encode::request::VERSION, 1, |response| {
            matches!(response, Response::Version(_))
        })
        .await
    }

    /// An item's value and cas unique.
    pub(crate) async fn gets(&mut self, key: &str) -> io::Result<Option<(String, u64)>> {
        self.stream
            .write_all(format!("gets {key}\r\n").as_bytes())
            .await?;
        let mut found = None;
        loop {
            let end = self
                .reply(|response| match response {
                    Response::Value { cas, data, .. } => {
                        let value = String::from_utf8_lossy(data).into_owned();
                        found = cas.map(|cas| (value, cas));
                        Ok(false)
                    }
                    Response::End => Ok(true),
                    other => Err(surprised(&format!("{other:?}"))),
                })
                .await??;
            if end {
                return Ok(found);
            }
        }
    }

    /// Stores a value over the one of `cas`, or where there is none. False if there is another by now.
    pub(crate) async fn store(&mut self, key: &str, value: &str, cas: Option<u64>) -> io::Result<bool> {
        let length = value.len();
        let request = match cas {
            Some(cas) => format!("cas {key} 0 0 {length} {cas}\r\n{value}\r\n"),
            None => format!("add {key} 0 0 {length}\r\n{value}\r\n"),
        };
        self.send(request.as_bytes()).await?;
        self.reply(|response| match response {
            Response::Stored => Ok(true),
            Response::Exists | Response::NotStored | Response::NotFound => Ok(false),
            other => Err(surprised(&format!("{other:?}"))),
        })
        .await?
    }
}
