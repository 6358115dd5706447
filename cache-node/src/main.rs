//! The `cache-node` program. Everything it does is in the library, where `loadtest` finds it, too.

use std::process::ExitCode;

fn main() -> ExitCode {
    cache_node::embedded::process_main(std::env::args_os())
}
