//! Just enough HTTP to change a router's topology.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer read.
const ANSWER_LEN_MAX: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("http://{address}{path}: {source}")]
    Io {
        address: SocketAddr,
        path: String,
        source: io::Error,
    },
    #[error("http://{address}{path} answered {status}: {body}")]
    Status {
        address: SocketAddr,
        path: String,
        status: u16,
        body: String,
    },
}

/// Sends a request with a body (none for GET) and returns the body of a 2xx answer.
pub async fn request(method: &str, address: SocketAddr, path: &str, body: &str) -> Result<String, HttpError> {
    let fail = |source| HttpError::Io {
        address,
        path: path.to_owned(),
        source,
    };
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_LEN_MAX).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_elapsed| fail(io::ErrorKind::TimedOut.into()))?
        .map_err(fail)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    match status {
        Some(200..=299) => Ok(body.to_owned()),
        Some(status) => Err(HttpError::Status {
            address,
            path: path.to_owned(),
            status,
            body: body.trim().to_owned(),
        }),
        None => Err(fail(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is no HTTP",
        ))),
    }
}
