//! One file per command: read the arguments, call the core, print, choose the exit code.

pub mod bench;
pub mod check;
pub mod list;
pub mod predict;
pub mod report;
pub mod run;
pub mod topology;

use std::io::Write as _;

use crate::exit::Exit;

/// Writes a command's answer to stdout. A reader that went away (`| head`) is no failure.
fn print(text: &str) -> Exit {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("loadtest: cannot write to stdout: {error}");
            Exit::RunError
        }
        _ => Exit::Pass,
    }
}
