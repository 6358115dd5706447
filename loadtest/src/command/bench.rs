//! `loadtest bench`: a one-phase run from memtier-style flags, without a file.

use crate::exit::Exit;

/// Everything `bench` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {}

/// Runs the benchmark.
#[must_use]
pub fn main(_args: &BenchArgs) -> Exit {
    eprintln!("loadtest: bench: the run loop is not part of this build");
    Exit::RunError
}
