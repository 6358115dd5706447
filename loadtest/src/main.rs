//! The loadtest program. With no argument: the main job, `run builtin:trace-c52`.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::cli::main(std::env::args_os().collect())
}
