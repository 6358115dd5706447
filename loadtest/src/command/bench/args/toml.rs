//! The same load as a scenario: what `--print-scenario` prints.

use super::BenchArgs;
use super::line::Line;
use super::parse::range;
use crate::command::bench::Pace;
use crate::scenario::Distribution;

/// A scenario of one phase on the server as it is. What a scenario has no words for is said in a comment.
pub(super) fn scenario(args: &BenchArgs, line: &Line) -> Result<String, String> {
    let keys = args.keys(line)?;
    let sets = args.set_share(line)?;
    let mut notes = Vec::new();
    let pattern = args.key_pattern.as_deref().unwrap_or("R:R");
    let popularity = match pattern.split_once(':').map_or("R", |(_, gets)| gets) {
        "Z" => format!("{{ dist = \"zipf\", alpha = {:?} }}", args.key_zipf_exp),
        "R" => "{ dist = \"uniform\" }".to_owned(),
        _ => {
            notes.push("keys one after the other: drawn uniformly here");
            "{ dist = \"uniform\" }".to_owned()
        }
    };
    if args.data_size_list.is_some() {
        notes.push("--data-size-list: every value has the default length here");
    }
    if !args.targets.is_empty() {
        notes.push("several targets: only -s and -p are in this file");
    }
    let ttl = match &args.expiry_range {
        None => String::new(),
        Some(text) => {
            let range = range("--expiry-range", text, 30 * 86_400)?;
            let (low, high) = (range.start as f64, (range.end - 1) as f64);
            let middle = f64::midpoint(low, high);
            let jitter = if middle > 0.0 {
                (high - low) / 2.0 / middle
            } else {
                0.0
            };
            if middle > 0.0 {
                format!("ttl = {{ base = \"{middle}s\", jitter = {jitter:?} }}\n")
            } else {
                String::new()
            }
        }
    };
    let load = match args.pace(line.threads * line.connections)? {
        Pace::Open(open) => format!("rate = {:?}\n", open.rate),
        Pace::Closed => format!("mode = \"closed\"\npipeline = {}\n", line.pipeline),
        Pace::Scan { open, .. } => {
            notes.push("--scan: its first rate; see `loadtest matrix --axis rate=…`");
            format!("rate = {:?}\n", open.rate)
        }
        Pace::Search { .. } => {
            notes.push("--search: as fast as it goes; a scenario does not search");
            format!("mode = \"closed\"\npipeline = {}\n", line.pipeline)
        }
    };
    let notes: String = notes.iter().map(|note| format!("# {note}\n")).collect();
    Ok(format!(
        "{notes}name = \"bench\"\n\
         description = \"One phase on a server as it is; a miss is filled from the backing store, which bench does not do\"\n\
         seed = {seed}\n\n\
         [cluster]\nmode = \"attach\"\nnodes = [\"node1={address}\"]\n\n\
         [workload]\nkeys = {keys}\npopularity = {popularity}\n{key_size}value_size = \"{value_size}\"\n\
         mix = {{ get = {gets:?}, set = {sets:?}, delete = 0.0 }}\nmultiget = {multiget}\n{ttl}\n\
         [load]\n{load}connections = {connections}\ntimeout = \"{timeout}s\"\n\n\
         [[phase]]\nname = \"measure\"\nkind = \"measure\"\nduration = \"{duration}s\"\n",
        seed = args.seed,
        address = args.address(),
        keys = keys.end - keys.start,
        key_size = match args.key_size(line) {
            "0" => String::new(),
            text => format!("key_size = \"{text}\"\n"),
        },
        value_size = words(&args.value_size(line)?),
        gets = 1.0 - sets,
        multiget = args.multi_key_get,
        connections = line.threads * line.connections,
        timeout = args.timeout,
        duration = line.test_time,
    ))
}

/// A distribution in the words of a scenario.
fn words(distribution: &Distribution) -> String {
    match *distribution {
        Distribution::Fixed(x) => format!("fixed:{x}"),
        Distribution::Uniform { min, max } => format!("uniform:{min},{max}"),
        Distribution::Normal { mean, sd } => format!("normal:{mean},{sd}"),
        Distribution::Exponential { mean } => format!("exponential:{mean}"),
        Distribution::Lognormal { mean, sigma } => format!("lognormal:{mean},{sigma}"),
        Distribution::Pareto { loc, scale, shape } => format!("pareto:{loc},{scale},{shape}"),
        Distribution::Gev { loc, scale, shape } => format!("gev:{loc},{scale},{shape}"),
        Distribution::FbValue => "fb_value".to_owned(),
    }
}
