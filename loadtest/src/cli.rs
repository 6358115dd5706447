//! The command line: which command, with which arguments. With no argument at all: the main job.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command;

/// The main job: what `cargo run --release` does.
const MAIN_JOB: [&str; 2] = ["run", "builtin:trace-c52"];

#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about = "Changes a cache cluster under load and measures cold against warm hit rate")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario: cluster up, load, events, verdict, artefacts in ./runs/<name>-<utc>/
    Run(command::run::RunArgs),
    /// Check a scenario and print what it would do, without starting anything
    Check(command::check::CheckArgs),
    /// Draw a run's report again from its folder, without a cluster
    Report(command::report::ReportArgs),
    /// List the built-in scenarios with their purpose, length and theory
    List,
    /// One-phase run without a file, with memtier-style flags
    Bench(Box<command::bench::BenchArgs>),
}

/// The whole program: parses `args` (the first is the program's name) and runs.
#[must_use]
pub fn main(mut args: Vec<OsString>) -> ExitCode {
    if args.len() <= 1 {
        args.extend(MAIN_JOB.map(OsString::from));
    }
    if let Some(code) = crate::cluster::process::hidden_command(&args) {
        return code;
    }
    // clap prints its own message and leaves with 2 for a bad command line, 0 for --help.
    let cli = Cli::parse_from(args);
    let exit = match cli.command {
        Command::Run(args) => command::run::main(&args),
        Command::Check(args) => command::check::main(&args),
        Command::Report(args) => command::report::main(&args),
        Command::List => command::list::main(),
        Command::Bench(args) => command::bench::main(&args),
    };
    exit.into()
}
