//! Whose command line it is: memtier's, unless it has flags that only mutilate knows. Decides what `-t` and `-d` mean and
//! which defaults hold.

use super::BenchArgs;

/// What the two tools say differently, settled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub mutilate: bool,
    pub threads: usize,
    pub connections: usize,
    /// Seconds.
    pub test_time: f64,
    pub data_size: u64,
    pub pipeline: usize,
    /// A pipeline is refilled after every reply.
    pub stream: bool,
}

impl Line {
    pub(super) fn of(args: &BenchArgs) -> Result<Self, String> {
        let mutilate = is_mutilate(args)?;
        let short_t = |flag: &str, mine: bool| match args.t.filter(|_| mine) {
            Some(value) if flag == "--threads" && value.fract() != 0.0 => {
                Err(format!("-t {value}: expected a number of threads"))
            }
            other => Ok(other),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole; a negative one becomes 0, which is refused"
        )]
        let threads = short_t("--threads", !mutilate)?.map(|threads| threads as usize);
        let time = short_t("--time", mutilate)?;
        let depth = args
            .d
            .filter(|_| mutilate)
            .map(|depth| usize::try_from(depth).unwrap_or(usize::MAX))
            .or(args.depth);
        Ok(Self {
            mutilate,
            threads: args.threads.or(threads).unwrap_or(1),
            connections: args.clients.unwrap_or(if mutilate { 1 } else { 50 }),
            test_time: args
                .test_time
                .or(time)
                .unwrap_or(if mutilate { 5.0 } else { 10.0 }),
            data_size: args.data_size.or(args.d.filter(|_| !mutilate)).unwrap_or(32),
            pipeline: args.pipeline.or(depth).unwrap_or(1),
            stream: args.stream || depth.is_some(),
        })
    }
}

fn is_mutilate(args: &BenchArgs) -> Result<bool, String> {
    let first =
        |given: &[(bool, &'static str)]| given.iter().find(|(given, _)| *given).map(|(_, flag)| *flag);
    let theirs = first(&[
        (args.value_size.is_some(), "-V"),
        (args.records.is_some(), "-r"),
        (args.update.is_some(), "-u"),
        (args.queries.is_some(), "-N"),
    ]);
    let memtiers = first(&[
        (args.port.is_some(), "-p"),
        (args.ratio.is_some(), "--ratio"),
        (args.requests.is_some(), "-n"),
        (args.pipeline.is_some(), "--pipeline"),
        (args.data_size_range.is_some(), "--data-size-range"),
        (args.data_size_list.is_some(), "--data-size-list"),
        (args.key_prefix.is_some(), "--key-prefix"),
        (args.key_minimum.is_some(), "--key-minimum"),
        (args.key_maximum.is_some(), "--key-maximum"),
        (args.key_pattern.is_some(), "--key-pattern"),
        (args.expiry_range.is_some(), "--expiry-range"),
        (args.rate_limiting.is_some(), "--rate-limiting"),
        (args.multi_key_get > 1, "--multi-key-get"),
        (!args.targets.is_empty(), "--target"),
        (args.protocol.is_some(), "-P"),
    ]);
    // Shared names, but where -t or -d depends on whose they are, too little to go by.
    let either = first(&[(args.qps.is_some(), "-q"), (args.key_size.is_some(), "-K")]);
    let unclear = first(&[(args.t.is_some(), "-t"), (args.d.is_some(), "-d")]);
    match (unclear, theirs, memtiers, either) {
        (Some(letter), Some(theirs), Some(memtiers), _) => Err(format!(
            "{letter} means {} with mutilate's {theirs} and {} with memtier's {memtiers}: use the long name",
            meaning(letter).0,
            meaning(letter).1
        )),
        (Some(letter), None, None, Some(either)) => Err(format!(
            "{letter} means {} to mutilate and {} to memtier, and {either} does not tell them apart: use the long name",
            meaning(letter).0,
            meaning(letter).1
        )),
        (_, Some(_), None, _) => Ok(true),
        (_, _, _, _) => Ok(false),
    }
}

/// To mutilate, and to memtier.
fn meaning(letter: &str) -> (&'static str, &'static str) {
    if letter == "-t" {
        ("--time", "--threads")
    } else {
        ("--depth", "--data-size")
    }
}
