//! `loadtest bench`: how fast is a server, from memtier's and mutilate's flags and without a file. Checks every value.
//!
//! Several targets are driven in turn, in short alternating slices, and compared by CPU time per request: on a shared
//! machine that survives noise that wall time does not.

mod args;
mod drive;
mod result;
mod sweep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

pub use args::BenchArgs;

use self::drive::{Crew, Work};
use self::result::{BenchResult, Slice};
use crate::cluster::procfs;
use crate::drive::hammer::{KeyOrder, Plan, Tally};
use crate::exit::Exit;
use crate::workload::arrival::Gaps;

/// What to drive, and the processes whose CPU it costs.
#[derive(Debug, Clone)]
struct Target {
    name: String,
    address: SocketAddr,
    pids: Vec<u32>,
}

/// `BenchArgs`, checked.
#[derive(Debug, Clone)]
struct Bench {
    targets: Vec<Target>,
    plan: Plan,
    threads: usize,
    connections: usize,
    /// Seconds of one slice, and how many each target gets.
    slice: Duration,
    rounds: usize,
    /// Requests per connection in place of a time.
    requests: Option<u64>,
    pace: Pace,
    seed: u64,
    /// Driven first without counting.
    warmup: Option<Duration>,
    timeout: Duration,
    /// Store all keys first; and then drive.
    load: bool,
    drive: bool,
    json: Option<String>,
    describe: String,
}

/// How fast.
#[derive(Debug, Clone)]
enum Pace {
    /// As replies come.
    Closed,
    Open(OpenLoop),
    /// At the rate of `open`, then `step` more until `max`.
    Scan {
        open: OpenLoop,
        step: f64,
        max: f64,
    },
    /// At the highest rate whose `quantile` of the response time is below a limit.
    Search {
        open: OpenLoop,
        quantile: f64,
        below: Duration,
    },
}

#[derive(Debug, Clone)]
struct OpenLoop {
    rate: f64,
    gaps: Gaps,
    max_in_flight: usize,
}

/// A benchmark that could not be carried out.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{target}: {source}: {cause}", cause = source.source)]
    Connect {
        target: String,
        source: crate::drive::shell::ConnectError,
    },
    #[error("{target}: {errors} of {keys} keys could not be stored before the test")]
    Load { target: String, errors: u64, keys: u64 },
    #[error("a driver thread ended early")]
    Gone,
}

/// Runs the benchmark.
#[must_use]
pub fn main(args: &BenchArgs) -> Exit {
    if args.print_scenario {
        return match args.scenario() {
            Ok(text) => super::print(&text),
            Err(message) => {
                eprintln!("loadtest bench: {message}");
                Exit::BadInput
            }
        };
    }
    let bench = match args.check() {
        Ok(bench) => bench,
        Err(message) => {
            eprintln!("loadtest bench: {message}");
            return Exit::BadInput;
        }
    };
    let result = match measure(&bench) {
        Ok(result) => result,
        Err(error) => {
            eprintln!("loadtest bench: {error}");
            return Exit::RunError;
        }
    };
    print!("{}", result.text());
    if let Some(path) = &bench.json {
        let text = result.json();
        let written = if path == "-" {
            println!("{text}");
            Ok(())
        } else {
            std::fs::write(path, text)
        };
        if let Err(error) = written {
            eprintln!("loadtest bench: {path}: {error}");
            return Exit::RunError;
        }
    }
    result.exit()
}

fn measure(bench: &Bench) -> Result<BenchResult, BenchError> {
    let keys = bench.plan.keys.end - bench.plan.keys.start;
    let versions = (0..bench.targets.len())
        .map(|_| (0..keys).map(|_| AtomicU32::new(0)).collect::<Arc<[AtomicU32]>>())
        .collect();
    let addresses: Vec<SocketAddr> = bench.targets.iter().map(|target| target.address).collect();
    let crew = Crew::start(bench, &addresses, versions)?;
    for (number, target) in bench.targets.iter().enumerate() {
        crew.connect(number).map_err(|error| name(error, target))?;
        if bench.load {
            let tally = crew.work(number, Work::Fill)?;
            if tally.errors > 0 {
                return Err(BenchError::Load {
                    target: target.name.clone(),
                    errors: tally.errors,
                    keys,
                });
            }
        }
    }
    if !bench.drive {
        return Ok(BenchResult::new(bench));
    }
    if let Some(lasting) = bench.warmup {
        for number in 0..bench.targets.len() {
            crew.work(number, work(bench, lasting))?;
        }
    }
    if matches!(bench.pace, Pace::Scan { .. } | Pace::Search { .. }) {
        return sweep::sweep(bench, &crew);
    }
    let mut result = BenchResult::new(bench);
    if bench.rounds > 1 {
        // A round that is not counted: connections, caches and branch predictors settle.
        for number in 0..bench.targets.len() {
            crew.work(number, work(bench, bench.slice))?;
        }
    }
    for round in 0..bench.rounds {
        for turn in 0..bench.targets.len() {
            // Whoever went first goes last in the next round.
            let number = (turn + round) % bench.targets.len();
            let slice = timed(bench, &crew, number, work(bench, bench.slice))?;
            result.add(number, slice);
        }
    }
    Ok(result)
}

fn work(bench: &Bench, lasting: Duration) -> Work {
    match (&bench.pace, bench.requests) {
        (Pace::Open(open), _) => Work::Open {
            lasting,
            open: open.clone(),
        },
        (_, Some(requests)) => Work::Requests {
            per_connection: requests,
        },
        (_, None) => Work::Closed { lasting },
    }
}

/// One slice of one target, with the CPU it cost on both sides.
fn timed(bench: &Bench, crew: &Crew, number: usize, work: Work) -> Result<Slice, BenchError> {
    let target = &bench.targets[number];
    let cpu = || {
        target
            .pids
            .iter()
            .map(|pid| procfs::cpu_nanos(*pid))
            .sum::<Option<u64>>()
    };
    let own = || procfs::cpu_nanos(std::process::id());
    let (server_before, own_before, start) = (cpu(), own(), crate::clock::now());
    let tally: Tally = crew.work(number, work)?;
    let elapsed = start.elapsed();
    let spent = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
    Ok(Slice {
        tally,
        elapsed,
        server_cpu_nanos: if target.pids.is_empty() {
            None
        } else {
            spent(cpu(), server_before)
        },
        client_cpu_nanos: spent(own(), own_before),
        rss_bytes: target
            .pids
            .iter()
            .map(|pid| procfs::rss_bytes(*pid))
            .sum::<Option<u64>>()
            .filter(|_| !target.pids.is_empty()),
    })
}

fn name(error: BenchError, target: &Target) -> BenchError {
    match error {
        BenchError::Connect { source, .. } => BenchError::Connect {
            target: target.name.clone(),
            source,
        },
        other => other,
    }
}

/// For tests and the description: whether keys are drawn or walked.
fn order_name(order: &KeyOrder) -> &'static str {
    match order {
        KeyOrder::Drawn(_) => "drawn",
        KeyOrder::Sequential => "sequential",
    }
}
