//! The command line: which command, with which arguments. With no argument at all: the main job.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::command;

/// The main job: what `cargo run --release` does.
const MAIN_JOB: [&str; 2] = ["run", "builtin:trace-c52"];

const EXAMPLES: &str = "\
Without a command: run builtin:trace-c52, the main job (a real trace, a node joins, a node leaves; under two minutes).

Examples:
  loadtest list                                          what comes with the program
  loadtest run builtin:add-node                          a fifth node joins four; report in ./runs/
  loadtest run builtin:add-node --set cluster.hash=modulo    the same under another hash
  loadtest predict builtin:add-node                      the same, as arithmetic
  loadtest new > my.toml; loadtest check my.toml         a scenario of my own: is it valid, and what would it do
  loadtest matrix builtin:add-node --axis hash=modulo,rendezvous    one run each, compared
  loadtest explain remapped                              what a word of the report means
  loadtest topology --router 127.0.0.1:11211 --nodes 127.0.0.1:11311,127.0.0.1:11312

Exit codes: 0 all thresholds held; 99 one did not; 1 the run failed; 2 bad input; 3 the load generator could not keep
its schedule, so the figures mean nothing; 130 interrupted (artefacts were written).
How to write a scenario and read a report: docs/loadtest.md";

#[derive(Debug, Parser)]
#[command(
    name = "loadtest",
    version,
    about = "Changes a cache cluster under load, measures cold against warm hit rate, and compares it with theory",
    after_help = EXAMPLES,
    disable_help_subcommand = true
)]
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
    /// Say what theory expects of a scenario, without starting anything
    Predict(command::predict::PredictArgs),
    /// Find out whether a running cluster is sharded, replicated, or something else
    Topology(command::topology::TopologyArgs),
    /// List the built-in scenarios with their purpose, length and theory
    List,
    /// One-phase run without a file, with the flags of memtier or mutilate
    Bench(Box<command::bench::BenchArgs>),
    /// Lay finished runs beside one another; the first is the baseline
    Compare(command::compare::CompareArgs),
    /// Run a scenario under every combination of some values, and compare
    Matrix(command::matrix::MatrixArgs),
    /// Print a built-in scenario, to start one of your own from
    New(command::new::NewArgs),
    /// Serve the simulated backing store on its own
    Backend(command::backend::BackendArgs),
    /// Look into a trace: what it holds, its first rows, the same in our format
    Trace(command::trace::TraceArgs),
    /// Say what a miss reason, a metric, an exit code or a word of the report means
    Explain(command::explain::ExplainArgs),
    /// Print completions for a shell
    Completions(command::completions::CompletionsArgs),
    /// Print the man page
    Man,
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
        Command::Predict(args) => command::predict::main(&args),
        Command::Topology(args) => command::topology::main(&args),
        Command::List => command::list::main(),
        Command::Bench(args) => command::bench::main(&args),
        Command::Compare(args) => command::compare::main(&args),
        Command::Matrix(args) => command::matrix::main(&args),
        Command::New(args) => command::new::main(&args),
        Command::Backend(args) => command::backend::main(&args),
        Command::Trace(args) => command::trace::main(&args),
        Command::Explain(args) => command::explain::main(&args),
        Command::Completions(args) => command::completions::completions(&args, &mut Cli::command()),
        Command::Man => command::completions::man(Cli::command()),
    };
    exit.into()
}
