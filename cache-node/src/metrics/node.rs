//! Metrics of the process, and of its last start.

use metrics::{Unit, describe_gauge, gauge};

use super::register::{Read, Register, float};

impl Register {
    pub(super) fn node(&mut self) {
        self.process();
        self.restart();
    }

    fn process(&mut self) {
        self.gauge("cache_node_threads", None, "Worker threads.", |s| {
            float(s.threads as u64)
        });
        self.gauge(
            "cache_node_uptime_seconds",
            Some(Unit::Seconds),
            "Seconds since the start.",
            |s| float(s.uptime_seconds),
        );
        self.gauge(
            "cache_node_draining",
            None,
            "1 while the node is stopping.",
            |s| f64::from(u8::from(s.draining)),
        );
    }

    /// What the start found of the run before; all zero without `--persist`.
    fn restart(&mut self) {
        describe_gauge!(
            "cache_node_restore",
            "1 for what the last start found to restore: warm, first (nothing there yet), or why it began empty."
        );
        let outcomes: [(&'static str, Read<f64>); 7] = [
            ("warm", |s| s.restore_was("warm")),
            ("first", |s| s.restore_was("first")),
            ("unclean", |s| s.restore_was("unclean")),
            ("version", |s| s.restore_was("version")),
            ("config", |s| s.restore_was("config")),
            ("clock", |s| s.restore_was("clock")),
            ("damaged", |s| s.restore_was("damaged")),
        ];
        for (outcome, value) in outcomes {
            self.gauges
                .push((gauge!("cache_node_restore", "outcome" => outcome), value));
        }
        self.gauge(
            "cache_node_restored_items",
            None,
            "Items that the start restored.",
            |s| float(s.restored.map_or(0, |restored| restored.items)),
        );
        self.gauge(
            "cache_node_restored_bytes",
            Some(Unit::Bytes),
            "Bytes that the start read to restore them.",
            |s| float(s.restored.map_or(0, |restored| restored.bytes)),
        );
        self.gauge(
            "cache_node_restore_seconds",
            Some(Unit::Seconds),
            "Time that the start took to restore them.",
            |s| s.restored.map_or(0.0, |restored| restored.took.as_secs_f64()),
        );
    }
}
