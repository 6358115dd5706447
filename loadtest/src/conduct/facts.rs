//! What a run was made on and with, for the appendix of its report.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::measure::outcome::{ClusterFacts, Environment};
use crate::scenario::{ClusterMode, Scenario};

pub(super) fn cluster(scenario: &Scenario, cluster: &Cluster) -> ClusterFacts {
    let spec = &scenario.cluster;
    ClusterFacts {
        mode: match spec.mode {
            ClusterMode::Managed => "managed",
            ClusterMode::Embedded => "embedded",
            ClusterMode::Attach { .. } => "attach",
        }
        .to_owned(),
        nodes: cluster.nodes().iter().map(|node| node.name.clone()).collect(),
        hash: spec.hash.to_string(),
        router: cluster.is_routed(),
        node_memory_bytes: spec.node.memory_bytes,
        program: spec
            .node
            .program
            .as_ref()
            .map_or_else(|| "cache-node".to_owned(), |path| path.display().to_string()),
    }
}

pub(super) fn environment(versions: BTreeMap<String, String>) -> Environment {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(String::new, |rest| {
            rest.trim_start_matches([' ', '\t', ':']).to_owned()
        });
    Environment {
        loadtest_version: env!("CARGO_PKG_VERSION").to_owned(),
        os: format!(
            "{} {}",
            std::env::consts::OS,
            read("/proc/sys/kernel/osrelease").trim()
        ),
        cpu_model,
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        versions,
        labels: BTreeMap::new(),
    }
}
