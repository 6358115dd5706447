//! Taking over from a running router without a moment in which nobody takes clients.
//!
//! The successor opens its listeners beside its predecessor's (`SO_REUSEPORT`), tells it to leave, and waits for what
//! only one of them can have: the spool and the admin port. New clients wait in the successor's queue meanwhile; the
//! predecessor answers what it was asked and closes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::clock;

/// How much longer than its drain timeout a predecessor may take.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// How long the predecessor's admin side may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether the predecessor is gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Tells the router with this admin address to leave.
pub(crate) fn ask(admin: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let request =
        format!("POST /leave HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.take(64 * 1024).read_to_string(&mut reply)?;
    match reply.split(' ').nth(1) {
        Some("202") => Ok(()),
        _ => Err(io::Error::other(format!(
            "{admin} said {:?}",
            reply.lines().next().unwrap_or_default()
        ))),
    }
}

/// Tries until it succeeds or `patience` is over.
pub(crate) fn patiently<T, E>(patience: Duration, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = clock::now() + patience;
    loop {
        match attempt() {
            Err(_) if clock::now() < deadline => std::thread::park_timeout(LOOK_EVERY),
            outcome => return outcome,
        }
    }
}
