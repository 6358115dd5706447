//! One file per command: read the arguments, call the core, print, choose the exit code.

pub mod backend;
pub mod bench;
pub mod check;
pub mod compare;
pub mod completions;
pub mod explain;
pub mod list;
pub mod matrix;
pub mod new;
pub mod predict;
pub mod report;
pub mod run;
pub mod topology;
pub mod trace;

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

/// The word nearest to what was written; never empty when there are words.
fn nearest<'a>(written: &str, words: impl Iterator<Item = &'a str>) -> &'a str {
    let written = written.to_lowercase();
    words
        .max_by(|a, b| {
            let near = |word: &str| strsim::jaro_winkler(&word.to_lowercase(), &written);
            near(a).total_cmp(&near(b))
        })
        .unwrap_or_default()
}
