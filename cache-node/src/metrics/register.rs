//! What a metric is called, and how it is read off a sample.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use super::Sample;

/// How a metric is read off a sample.
pub(super) type Read<T> = fn(&Sample) -> T;

#[derive(Default)]
pub(super) struct Register {
    pub(super) counters: Vec<(Counter, Read<u64>)>,
    pub(super) gauges: Vec<(Gauge, Read<f64>)>,
}

impl Register {
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: Read<u64>) {
        describe_counter!(name, help);
        self.counters.push((counter!(name), value));
    }

    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        unit: Option<Unit>,
        help: &'static str,
        value: Read<f64>,
    ) {
        match unit {
            Some(unit) => describe_gauge!(name, unit, help),
            None => describe_gauge!(name, help),
        }
        self.gauges.push((gauge!(name), value));
    }
}

/// `(command, result, value)` of the counters of commands.
pub(super) type Command = (&'static str, &'static str, Read<u64>);

pub(super) const COMMANDS: &[Command] = &[
    ("get", "hit", |s| s.totals.get_hits),
    ("get", "miss", |s| s.totals.get_misses),
    ("touch", "hit", |s| s.totals.touch_hits),
    ("touch", "miss", |s| s.totals.touch_misses),
    ("delete", "hit", |s| s.totals.delete_hits),
    ("delete", "miss", |s| s.totals.delete_misses),
    ("incr", "hit", |s| s.totals.incr_hits),
    ("incr", "miss", |s| s.totals.incr_misses),
    ("decr", "hit", |s| s.totals.decr_hits),
    ("decr", "miss", |s| s.totals.decr_misses),
    ("cas", "hit", |s| s.totals.cas_hits),
    ("cas", "miss", |s| s.totals.cas_misses),
    ("cas", "badval", |s| s.totals.cas_badval),
    // As the exporter counts it: `cmd_set` holds the cas attempts, too.
    ("set", "hit", |s| {
        let cas = s.totals.cas_hits + s.totals.cas_misses + s.totals.cas_badval;
        s.totals.cmd_set.saturating_sub(cas)
    }),
    ("flush", "hit", |s| s.totals.cmd_flush),
];

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; a byte in 2^53 does not matter"
)]
pub(super) const fn float(value: u64) -> f64 {
    value as f64
}
