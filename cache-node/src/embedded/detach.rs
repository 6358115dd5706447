//! `-d`: serving in the background. The process that was asked starts another, waits until that accepts clients, and
//! goes; a failure to start is its own.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdout};

/// Starts this command line again, detached; what becomes of it until it is ready is what becomes of us.
pub(super) fn start() -> ExitCode {
    match spawn().and_then(until_ready) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cache-node: cannot start in the background: {error}");
            ExitCode::FAILURE
        }
    }
}

fn spawn() -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

fn until_ready(mut child: Child) -> io::Result<ExitCode> {
    let mut line = String::new();
    if let Some(told) = child.stdout.take() {
        BufReader::new(told).read_line(&mut line)?;
    }
    if line.starts_with("ready") {
        let mut stdout = io::stdout().lock();
        // Nobody may be listening: then nobody is waiting either.
        let _nobody_reads = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        return Ok(ExitCode::SUCCESS);
    }
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Leaves the terminal's session, so that its end is not ours.
pub(super) fn leave_session() {
    // It fails only for the leader of a session, who need not leave it.
    let _leads_already = setsid();
}

/// Which of the streams that the caller lent us goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Standard error, for the log (`-v`), as memcached does.
    Log,
    /// None: who waits for their end may go.
    Nothing,
}

/// Gives back the caller's streams, once it knows that we are ready.
pub(super) fn let_go(keep: Keep) {
    let Ok(nothing) = OpenOptions::new().write(true).open("/dev/null") else {
        return;
    };
    // Where that fails they stay open, and somebody may wait for longer.
    let _stays = dup2_stdout(&nothing);
    if keep == Keep::Nothing {
        let _stays = dup2_stderr(&nothing);
    }
}
