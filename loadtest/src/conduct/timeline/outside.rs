//! Events that leave the program: a shell command, an HTTP request. Only with the user's word (`--allow-destructive`).

use std::net::ToSocketAddrs;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::cluster::{ClusterError, http as client};
use crate::conduct::RunError;

/// How long a command may take; then it is killed and the event has failed.
const EXEC_TIMEOUT: Duration = Duration::from_secs(120);
/// Of what a command said, so much goes to the log.
const SAID_CHARS: usize = 300;

/// Runs a command with `sh -c`; the end of what it said.
pub(super) async fn exec(command: &str) -> Result<String, RunError> {
    let running = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let fail = |why: String| RunError::Outside {
        what: command.to_owned(),
        why,
    };
    let output = tokio::time::timeout(EXEC_TIMEOUT, running)
        .await
        .map_err(|_elapsed| fail(format!("still running after {EXEC_TIMEOUT:?}")))?
        .map_err(|error| fail(error.to_string()))?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    let tail: String = {
        let chars: Vec<char> = said.trim().chars().collect();
        chars[chars.len().saturating_sub(SAID_CHARS)..].iter().collect()
    };
    if output.status.success() {
        Ok(tail)
    } else {
        Err(fail(format!("{}: {tail}", output.status)))
    }
}

/// Asks `http://HOST:PORT/PATH`; anything but a 2xx is a failure.
pub(super) async fn http(method: &str, url: &str, body: &str) -> Result<(), RunError> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let with_port = if host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let address = tokio::task::spawn_blocking(move || {
        with_port
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or(ClusterError::Address { address: with_port })
    })
    .await
    .map_err(|_panicked| RunError::Helper)??;
    client::request(method, address, path, body)
        .await
        .map_err(ClusterError::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::exec;

    #[tokio::test]
    async fn a_command_that_fails_says_how() {
        assert_eq!(exec("echo hello").await.unwrap(), "hello");
        let error = exec("echo no >&2; exit 3").await.unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("no"),
            "{error}"
        );
    }
}
