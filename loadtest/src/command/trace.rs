//! `loadtest trace`: what a trace holds, its first rows, the same in our format.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::report::number::{bytes, count, percent, seconds};
use crate::workload::trace::{Op, Row, Trace, TraceError};

/// Cache sizes at which the miss ratio is told, as shares of the distinct keys.
const SIZES: [f64; 6] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0];
/// A rank whose key was asked for less often than this says nothing about the skew.
const SKEW_GETS_MIN: u32 = 10;

/// Everything `trace` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct TraceArgs {
    #[command(subcommand)]
    pub what: What,
}

/// What to do with the trace.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum What {
    /// Rows, keys, mix, sizes, skew, and the miss ratio of an LRU cache by its size
    Stat(Source),
    /// The first rows, in our format
    Head {
        #[command(flatten)]
        source: Source,
        /// How many.
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        rows: u64,
    },
    /// All rows in our format: `time_s,key,size,op,ttl`
    Convert {
        #[command(flatten)]
        source: Source,
        /// Where to write; without it: stdout.
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// The trace.
#[derive(Debug, Clone, clap::Args)]
pub struct Source {
    /// A `.csv` or `.csv.gz`, or `builtin:twitter-c52`.
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Read so many rows at most.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Reads and tells.
#[must_use]
pub fn main(args: &TraceArgs) -> Exit {
    let (source, limit) = match &args.what {
        What::Stat(source) | What::Convert { source, .. } => (source, source.limit),
        What::Head { source, rows } => (source, Some(source.limit.unwrap_or(*rows).min(*rows))),
    };
    let trace = match open(&source.file, limit) {
        Ok(trace) => trace,
        Err(error) => {
            eprintln!("loadtest: {}", with_cause(&error));
            return Exit::BadInput;
        }
    };
    match &args.what {
        What::Stat(_) => super::print(&stat(&trace)),
        What::Head { .. } | What::Convert { out: None, .. } => super::print(&csv(&trace)),
        What::Convert { out: Some(path), .. } => match crate::report::write(path, &csv(&trace)) {
            Ok(()) => super::print(&format!(
                "{} rows: {}\n",
                count(trace.rows.len() as u64),
                path.display()
            )),
            Err(error) => {
                eprintln!("loadtest: {error}");
                Exit::RunError
            }
        },
    }
}

fn open(file: &str, limit: Option<u64>) -> Result<Trace, TraceError> {
    if file == "builtin:twitter-c52" {
        Trace::twitter_c52(limit)
    } else {
        Trace::open(Path::new(file), limit)
    }
}

fn with_cause(error: &TraceError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The rows as `time_s,key,size,op,ttl`.
fn csv(trace: &Trace) -> String {
    let mut out = String::from("time_s,key,size,op,ttl\n");
    let mut scratch = Vec::new();
    for row in &trace.rows {
        let key = trace.keys.text(row.key, &mut scratch);
        let op = match row.op {
            Op::Get => "get",
            Op::Set => "set",
            Op::Delete => "delete",
        };
        let ttl = row.ttl_seconds.map_or(String::new(), |ttl| ttl.to_string());
        let _ = writeln!(
            out,
            "{}.{:03},{},{},{op},{ttl}",
            row.at_ms / 1000,
            row.at_ms % 1000,
            String::from_utf8_lossy(key),
            key.len() as u64 + u64::from(row.value_len),
        );
    }
    out
}

fn stat(trace: &Trace) -> String {
    let rows = &trace.rows;
    let n = rows.len() as f64;
    let share = |op: Op| rows.iter().filter(|row| row.op == op).count() as f64 / n;
    let lasted = f64::from(rows.last().map_or(0, |row| row.at_ms)) / 1e3;
    let mut sizes: Vec<u32> = rows.iter().map(|row| row.value_len).collect();
    sizes.sort_unstable();
    let quantile = |q: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index of the list"
        )]
        let at = ((sizes.len() - 1) as f64 * q) as usize;
        bytes(u64::from(sizes[at]))
    };
    let frequencies = frequencies(rows, trace.keys.len());
    let once =
        frequencies.iter().filter(|count| **count == 1).count() as f64 / frequencies.len().max(1) as f64;
    let top = |keys: usize| {
        frequencies
            .iter()
            .take(keys)
            .map(|count| f64::from(*count))
            .sum::<f64>()
            / n
    };
    let ttls = rows
        .iter()
        .filter(|row| row.ttl_seconds.is_some_and(|ttl| ttl > 0))
        .count() as f64
        / n;
    let mut out = String::new();
    let mut line = |name: &str, told: String| {
        let _ = writeln!(out, "{name:<22} {told}");
    };
    line("trace", trace.name.clone());
    line("rows", count(rows.len() as u64));
    line("distinct keys", count(u64::from(trace.keys.len())));
    line("length", seconds(lasted));
    line(
        "mix",
        format!(
            "get {}, set {}, delete {}",
            percent(Some(share(Op::Get))),
            percent(Some(share(Op::Set))),
            percent(Some(share(Op::Delete)))
        ),
    );
    line(
        "values",
        format!(
            "p50 {}, p90 {}, p99 {}, max {}",
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            quantile(1.0)
        ),
    );
    line("working set", bytes(trace.keys.footprint_bytes()));
    line("rows with a TTL", percent(Some(ttls)));
    line("keys asked for once", percent(Some(once)));
    line(
        "hottest key, top 10",
        format!(
            "{}, {} of the rows",
            percent(Some(top(1))),
            percent(Some(top(10)))
        ),
    );
    line(
        "Zipf exponent",
        skew(&frequencies).map_or("too few rows to say".to_owned(), |alpha| {
            format!("{alpha:.2} (least squares over ranks seen {SKEW_GETS_MIN} times or more)")
        }),
    );
    out.push_str("\nLRU cache of            hit rate\n");
    let hits = hits_by_depth(rows, trace.keys.len());
    for size in SIZES {
        let (items, rate) = lru(&hits, rows.len(), trace.keys.len(), size);
        let _ = writeln!(
            out,
            "{:>5.0} % of the keys     {}   ({} items)",
            size * 100.0,
            percent(Some(rate)),
            count(items)
        );
    }
    out
}

/// How often each key was asked for, most first; keys that were not are left out.
fn frequencies(rows: &[Row], keys: u32) -> Vec<u32> {
    let mut counts = vec![0_u32; keys as usize];
    for row in rows {
        counts[row.key as usize] = counts[row.key as usize].saturating_add(1);
    }
    counts.retain(|count| *count > 0);
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

/// Slope of log frequency over log rank.
fn skew(frequencies: &[u32]) -> Option<f64> {
    let points: Vec<(f64, f64)> = frequencies
        .iter()
        .take_while(|count| **count >= SKEW_GETS_MIN)
        .zip(1_u32..)
        .map(|(count, rank)| (f64::from(rank).ln(), f64::from(*count).ln()))
        .collect();
    if points.len() < 10 {
        return None;
    }
    let n = points.len() as f64;
    let (mx, my) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (x, y)| {
        (over + (x - mx) * (y - my), under + (x - mx).powi(2))
    });
    Some(-over / under)
}

/// Rows by stack distance: `hits[d]` rows found their key with d other keys asked for since (Mattson 1970), counted with a
/// Fenwick tree over the rows.
fn hits_by_depth(rows: &[Row], keys: u32) -> Vec<u64> {
    let mut tree = vec![0_u32; rows.len() + 1];
    let mut last: Vec<Option<usize>> = vec![None; keys as usize];
    let mut hits = vec![0; keys as usize];
    let add = |tree: &mut Vec<u32>, mut at: usize, up: bool| {
        while at < tree.len() {
            tree[at] = if up { tree[at] + 1 } else { tree[at] - 1 };
            at += at & at.wrapping_neg();
        }
    };
    let sum = |tree: &[u32], mut at: usize| {
        let mut sum = 0_usize;
        while at > 0 {
            sum += tree[at] as usize;
            at &= at - 1;
        }
        sum
    };
    let mut distinct = 0;
    for (row, at) in rows.iter().zip(1..) {
        let key = row.key as usize;
        if let Some(before) = last[key] {
            // Keys whose latest row lies after this key's own.
            let depth = distinct - sum(&tree, before);
            hits[depth] += 1;
            add(&mut tree, before, false);
        } else {
            distinct += 1;
        }
        add(&mut tree, at, true);
        last[key] = Some(at);
    }
    hits
}

/// Items an LRU cache of that share of the keys holds, and its hit rate over the whole trace, cold start included.
fn lru(hits: &[u64], rows: usize, keys: u32, share: f64) -> (u64, f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32"
    )]
    let items = ((f64::from(keys) * share).ceil() as usize).max(1);
    let found: u64 = hits.iter().take(items).sum();
    (items as u64, found as f64 / rows.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(keys: &[u32]) -> Vec<Row> {
        keys.iter()
            .map(|key| Row {
                at_ms: 0,
                key: *key,
                value_len: 1,
                op: Op::Get,
                ttl_seconds: None,
            })
            .collect()
    }

    /// An LRU list, as simple as can be.
    fn simulated(rows: &[Row], items: usize) -> u64 {
        let mut list: Vec<u32> = Vec::new();
        let mut hits = 0;
        for row in rows {
            if let Some(at) = list.iter().position(|key| *key == row.key) {
                hits += 1;
                list.remove(at);
            }
            list.insert(0, row.key);
            list.truncate(items);
        }
        hits
    }

    #[test]
    fn stack_distances_agree_with_a_simulated_list_at_every_size() {
        let mut state = 7_u32;
        let keys: Vec<u32> = (0..2_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 20) % 50 * ((state >> 10) % 3) / 2
            })
            .collect();
        let rows = rows(&keys);
        let hits = hits_by_depth(&rows, 64);
        for items in [1, 2, 5, 20, 49] {
            assert_eq!(
                hits.iter().take(items).sum::<u64>(),
                simulated(&rows, items),
                "{items} items"
            );
        }
    }

    #[test]
    fn the_packaged_trace_is_what_its_publishers_say() {
        let trace = Trace::twitter_c52(Some(200_000)).unwrap();
        let told = stat(&trace);
        assert!(told.contains("rows                   200,000"), "{told}");
        let alpha = skew(&frequencies(&trace.rows, trace.keys.len())).unwrap();
        assert!((0.6..1.4).contains(&alpha), "{alpha}");
    }

    #[test]
    fn what_is_converted_reads_back_the_same() {
        let trace = Trace::twitter_c52(Some(500)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("again.csv");
        std::fs::write(&path, csv(&trace)).unwrap();
        assert_eq!(Trace::open(&path, None).unwrap().rows, trace.rows);
    }
}
