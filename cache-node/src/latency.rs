//! How long requests take, from their first byte parsed to their reply written down, sampled: each thread times one
//! request of every few hundred batches, so that the others pay nothing for it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::counters::Counter;

/// Batches of requests for each one whose first request is timed.
pub(crate) const SAMPLE_BATCHES: u16 = 512;

/// Buckets double from [`FIRST_NANOS`]: the last but one ends at 0.5 s.
const BUCKETS: usize = 22;
const FIRST_NANOS: u64 = 250;

/// What a request asks for, as far as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    Get = 0,
    Set = 1,
    Delete = 2,
    Touch = 3,
    Arithmetic = 4,
    Other = 5,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Get, "get"),
    (Kind::Set, "set"),
    (Kind::Delete, "delete"),
    (Kind::Touch, "touch"),
    (Kind::Arithmetic, "arithmetic"),
    (Kind::Other, "other"),
];

impl Kind {
    /// The kind of the request at the start of `input`.
    pub(crate) fn of(input: &[u8]) -> Self {
        let end = input.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
        match &input[..end.unwrap_or(input.len())] {
            b"get" | b"gets" | b"mg" => Self::Get,
            b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" | b"ms" => Self::Set,
            b"delete" | b"md" => Self::Delete,
            b"touch" | b"gat" | b"gats" => Self::Touch,
            b"incr" | b"decr" | b"ma" => Self::Arithmetic,
            _other => Self::Other,
        }
    }
}

/// The samples of one thread: one writer, any reader.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    kinds: [Histogram; KINDS.len()],
}

#[derive(Debug, Default)]
struct Histogram {
    /// Samples that took at most `FIRST_NANOS << index`, and longer than the bucket before; the last has no end.
    buckets: [Counter; BUCKETS + 1],
    nanos: Counter,
}

impl Latency {
    pub(crate) fn note(&self, kind: Kind, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let histogram = &self.kinds[kind as usize];
        histogram.buckets[bucket(nanos)].add(1);
        histogram.nanos.add(nanos);
    }
}

fn bucket(nanos: u64) -> usize {
    (0..BUCKETS)
        .find(|index| nanos <= FIRST_NANOS << index)
        .unwrap_or(BUCKETS)
}

/// The name of the histogram on `/metrics`.
pub(crate) const METRIC: &str = "cache_node_command_seconds";

/// Appends the histogram over all threads in Prometheus' words.
pub(crate) fn render<'l>(threads: impl Iterator<Item = &'l Latency> + Clone, text: &mut String) {
    // Writing to memory cannot fail.
    let _infallible = writeln!(
        text,
        "# HELP {METRIC} Time from a request's first byte parsed to its reply written down, sampled.\n# TYPE {METRIC} histogram"
    );
    for (kind, name) in KINDS {
        let of_kind = || threads.clone().map(|thread| &thread.kinds[kind as usize]);
        let mut total = 0;
        for index in 0..=BUCKETS {
            total += of_kind()
                .map(|histogram| histogram.buckets[index].get())
                .sum::<u64>();
            let end = if index == BUCKETS {
                "+Inf".to_owned()
            } else {
                Duration::from_nanos(FIRST_NANOS << index)
                    .as_secs_f64()
                    .to_string()
            };
            let _infallible = writeln!(text, "{METRIC}_bucket{{command=\"{name}\",le=\"{end}\"}} {total}");
        }
        let nanos = of_kind().map(|histogram| histogram.nanos.get()).sum();
        let sum = Duration::from_nanos(nanos).as_secs_f64();
        let _infallible = writeln!(
            text,
            "{METRIC}_sum{{command=\"{name}\"}} {sum}\n{METRIC}_count{{command=\"{name}\"}} {total}"
        );
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{Kind, Latency, render};
    use std::time::Duration;

    #[test]
    fn samples_of_all_threads_fall_into_cumulative_buckets() {
        let threads = [Latency::default(), Latency::default()];
        threads[0].note(Kind::Get, Duration::from_nanos(250));
        threads[1].note(Kind::Get, Duration::from_nanos(251));
        threads[1].note(Kind::Get, Duration::from_secs(9));
        let mut text = String::new();
        render(threads.iter(), &mut text);
        for line in [
            "cache_node_command_seconds_bucket{command=\"get\",le=\"0.00000025\"} 1",
            "cache_node_command_seconds_bucket{command=\"get\",le=\"0.0000005\"} 2",
            "cache_node_command_seconds_bucket{command=\"get\",le=\"+Inf\"} 3",
            "cache_node_command_seconds_count{command=\"get\"} 3",
            "cache_node_command_seconds_count{command=\"set\"} 0",
        ] {
            assert!(
                text.lines().any(|told| told == line),
                "{line} is missing in\n{text}"
            );
        }
    }

    #[test]
    fn a_request_is_known_by_its_first_word() {
        for (input, kind) in [
            (&b"get k\r\n"[..], Kind::Get),
            (b"mg k v\r\n", Kind::Get),
            (b"mn\r\n", Kind::Other),
            (b"cas k", Kind::Set),
            (b"gat 0 k\r\n", Kind::Touch),
            (b"", Kind::Other),
        ] {
            assert_eq!(Kind::of(input), kind, "{}", input.escape_ascii());
        }
    }
}
