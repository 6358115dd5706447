//! Flags of memtier_benchmark and mutilate that `bench` knows by name: those it refuses, each with its reason, and those
//! that ask for what it does anyway.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

struct Flag {
    short: Option<char>,
    long: &'static str,
    /// Why not; `None` where it is what happens anyway.
    why: Option<&'static str>,
}

const fn refused(short: Option<char>, long: &'static str, why: &'static str) -> Flag {
    Flag {
        short,
        long,
        why: Some(why),
    }
}

const fn given(short: Option<char>, long: &'static str) -> Flag {
    Flag {
        short,
        long,
        why: None,
    }
}

const TEXT_ONLY: &str = "memcached's text protocol over TCP is what it speaks";
const ONE_PROCESS: &str = "there are no agents; one process drives from --threads threads";
const LOOK_ASIDE: &str =
    "bench does not refill on a miss; `loadtest run` does (workload.fill = \"lookaside\")";
const RAMP: &str = "load that changes over time is a scenario's: `loadtest run` with a `rate` event";

const FLAGS: [Flag; 52] = [
    // Both tools, under one letter: memtier's unix socket, mutilate's skipping of late requests.
    refused(Some('S'), "unix-socket", TEXT_ONLY),
    refused(
        None,
        "skip",
        "late requests are sent and counted as late; a schedule that skips them hides the wait",
    ),
    refused(Some('a'), "authenticate", "it does not log in, and has no agents"),
    refused(
        Some('D'),
        "debug",
        "there is no debugging output, and no measuring client apart",
    ),
    refused(Some('A'), "agentmode", ONE_PROCESS),
    refused(None, "agent", ONE_PROCESS),
    refused(None, "agent_port", ONE_PROCESS),
    refused(Some('l'), "lambda_mul", ONE_PROCESS),
    refused(Some('C'), "measure_connections", ONE_PROCESS),
    refused(Some('Q'), "measure_qps", ONE_PROCESS),
    refused(None, "measure_depth", ONE_PROCESS),
    refused(None, "binary", TEXT_ONLY),
    refused(None, "redis", TEXT_ONLY),
    refused(Some('U'), "username", "it does not log in"),
    refused(None, "password", "it does not log in"),
    refused(None, "getset", LOOK_ASIDE),
    refused(
        None,
        "read_file",
        "keys are made from numbers; a trace is replayed by `loadtest run`",
    ),
    refused(Some('m'), "misswindow", "hit rate over time is `loadtest run`'s"),
    refused(
        None,
        "moderate",
        "it would omit what users wait; the schedule is kept as it is",
    ),
    refused(None, "affinity", "use `taskset`"),
    refused(None, "no_nodelay", "Nagle's algorithm would measure itself"),
    refused(Some('W'), "wait", "start it later; -w warms up"),
    refused(None, "save", "percentiles are in --json"),
    refused(None, "tls", TEXT_ONLY),
    refused(None, "cluster-mode", TEXT_ONLY),
    refused(None, "select-db", TEXT_ONLY),
    refused(None, "command", "gets and sets are what it sends"),
    refused(None, "command-ratio", "gets and sets are what it sends"),
    refused(
        Some('x'),
        "run-count",
        "--rounds alternates between targets; repeat a run with a loop",
    ),
    refused(Some('o'), "out-file", "redirect standard output, or use --json"),
    refused(
        None,
        "hdr-file-prefix",
        "percentiles are in --json; `loadtest run` writes .hgrm files",
    ),
    refused(
        None,
        "print-percentiles",
        "p50, p99, p99.9 and the maximum are printed; --json has more",
    ),
    refused(None, "data-import", "a trace is replayed by `loadtest run`"),
    refused(None, "data-offset", TEXT_ONLY),
    refused(
        None,
        "data-size-pattern",
        "a key keeps its length, drawn from the seed",
    ),
    refused(None, "verify-only", "every value is verified while it is driven"),
    refused(
        None,
        "generate-keys",
        "keys come from --key-minimum and --key-maximum",
    ),
    refused(
        None,
        "key-stddev",
        "keys are drawn uniformly (R), by Zipf (Z) or walked (S); there is no Gaussian",
    ),
    refused(
        None,
        "key-median",
        "keys are drawn uniformly (R), by Zipf (Z) or walked (S); there is no Gaussian",
    ),
    refused(None, "reconnect-interval", "connections last as long as the test"),
    refused(None, "wait-ratio", TEXT_ONLY),
    refused(None, "clients-start", RAMP),
    refused(None, "clients-step", RAMP),
    refused(None, "step-duration", RAMP),
    refused(None, "statsd-host", "`loadtest run --prom` tells Prometheus"),
    given(None, "data-verify"),
    given(Some('R'), "random-data"),
    given(None, "hide-histogram"),
    given(None, "distinct-client-seed"),
    given(None, "reconnect-on-error"),
    given(Some('B'), "blocking"),
    given(Some('v'), "verbose"),
];

/// The first of the refused flags that was given, and why it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused(Option<String>);

impl Refused {
    pub(super) fn check(&self) -> Result<(), String> {
        self.0.clone().map_or(Ok(()), Err)
    }
}

impl clap::Args for Refused {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, flag| {
            let arg = Arg::new(flag.long)
                .long(flag.long)
                .hide(true)
                .overrides_with(flag.long);
            let arg = match flag.short {
                Some(short) => arg.short(short),
                None => arg,
            };
            command.arg(match flag.why {
                // With a value or without, whichever tool's it is.
                Some(_) => arg
                    .num_args(0..=1)
                    .action(ArgAction::Set)
                    .allow_hyphen_values(false),
                None => arg.action(ArgAction::SetTrue),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Refused {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut refused = Self::default();
        refused.update_from_arg_matches(matches)?;
        Ok(refused)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = FLAGS.iter().find_map(|flag| {
            let why = flag.why?;
            let on_the_line = matches.value_source(flag.long) == Some(clap::parser::ValueSource::CommandLine);
            let short = flag.short.map_or(String::new(), |short| format!("-{short}, "));
            on_the_line.then(|| format!("{short}--{}: not supported: {why}", flag.long))
        });
        Ok(())
    }
}
