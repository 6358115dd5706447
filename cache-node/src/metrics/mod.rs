//! The counters told to Prometheus: in our names, and in those `memcached_exporter` made known, so that existing
//! dashboards and alerts work. Handles are made once; a scrape copies the node's counters into them.

mod clients;
mod exporter;
mod node;
mod register;
mod store;

use std::sync::atomic::Ordering;

use metrics::{Counter, Gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::counters::Totals;
use crate::cpu::cpu_times;
use crate::latency;
use crate::node::Node;
use crate::persist::Restored;
use crate::store::StoreCounters;
use crate::tls::Tls;
use crate::watch::WatchCounts;
use register::{Read, Register};

/// What one scrape reads.
struct Sample {
    totals: Totals,
    store: StoreCounters,
    user_cpu_seconds: f64,
    system_cpu_seconds: f64,
    uptime_seconds: u64,
    connections: usize,
    connections_max: usize,
    memory_limit_bytes: u64,
    threads: usize,
    draining: bool,
    restored: Option<Restored>,
    accepting: bool,
    now: u64,
    watch: WatchCounts,
    certificate_ends: Option<u64>,
}

impl Sample {
    fn restore_was(&self, outcome: &str) -> f64 {
        let is = self.restored.is_some_and(|restored| restored.outcome == outcome);
        f64::from(u8::from(is))
    }
}

/// All metrics of one node, with the registry they live in.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    counters: Vec<(Counter, Read<u64>)>,
    gauges: Vec<(Gauge, Read<f64>)>,
    // Handles write into it.
    _recorder: PrometheusRecorder,
}

impl Metrics {
    pub(crate) fn new(version: &str) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let mut register = Register::default();
        with_local_recorder(&recorder, || {
            register.store();
            register.clients();
            register.node();
            register.exporters(version);
        });
        Self {
            handle: recorder.handle(),
            counters: register.counters,
            gauges: register.gauges,
            _recorder: recorder,
        }
    }

    /// The text of one scrape.
    pub(crate) fn render(&self, node: &Node) -> String {
        let (user, system) = cpu_times();
        let sample = Sample {
            totals: node.totals(),
            store: node.store.counters(),
            user_cpu_seconds: user.as_secs_f64(),
            system_cpu_seconds: system.as_secs_f64(),
            uptime_seconds: node.uptime(),
            connections: node.connections.load(Ordering::Relaxed),
            connections_max: node.config.connections_max,
            memory_limit_bytes: node.memory_limit_bytes.load(Ordering::Relaxed),
            threads: node.config.threads,
            draining: node.is_draining(),
            restored: node.folder.as_ref().map(|folder| folder.restored),
            accepting: node.is_accepting(),
            now: node.now().0,
            watch: node.watchers.counts(),
            certificate_ends: node.tls.as_ref().and_then(Tls::ends),
        };
        self.counters
            .iter()
            .for_each(|(counter, value)| counter.absolute(value(&sample)));
        self.gauges
            .iter()
            .for_each(|(gauge, value)| gauge.set(value(&sample)));
        let mut text = self.handle.render();
        latency::render(node.workers.iter().map(|worker| &worker.latency), &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::node::Node;
    use protocol::UnixSeconds;

    #[test]
    fn a_scrape_tells_our_names_and_the_exporters() {
        let node = Node::new(Config::embedded(), Clock::manual(UnixSeconds(1_700_000_000))).unwrap();
        node.workers[0].counters.get_hits.add(7);
        let text = Metrics::new("1.6.40").render(&node);
        for line in [
            "cache_node_commands_total{command=\"get\",result=\"hit\"} 7",
            "memcached_commands_total{command=\"get\",status=\"hit\"} 7",
            "memcached_version{version=\"1.6.40\"} 1",
            "memcached_up 1",
            "# TYPE cache_node_memory_bytes gauge",
        ] {
            assert!(
                text.lines().any(|told| told == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
