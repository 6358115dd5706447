//! The `router` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    router::embedded::process_main(std::env::args_os())
}
