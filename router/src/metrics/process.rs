//! The process and its configuration.

use std::sync::atomic::Ordering;

use super::exposition::Page;
use crate::settings::Shared;
use crate::stats::process::Process;

pub(super) fn process(page: &mut Page, shared: &Shared) {
    let process = Process::read();
    page.metric("router_build_info", "gauge", "Always 1; the version is a label");
    page.sample("router_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one(
        "router_uptime_seconds",
        "gauge",
        "Time since the start",
        shared.settings.started.elapsed().as_secs(),
    );
    page.one(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory",
        process.resident_bytes,
    );
    page.one(
        "process_cpu_seconds_total",
        "counter",
        "CPU time, user and system",
        (process.user + process.system).as_secs_f64(),
    );
}

pub(super) fn configuration(page: &mut Page, shared: &Shared) {
    let status = shared.status.lock().clone();
    let config = shared.config.load();
    page.one(
        "router_config_epoch",
        "gauge",
        "Raised at every change",
        config.epoch,
    );
    page.one(
        "router_config_failures_total",
        "counter",
        "Configurations that were refused",
        status.failures,
    );
    page.one(
        "router_config_last_success_timestamp_seconds",
        "gauge",
        "When the configuration in use was read",
        status.last_success_unix,
    );
    page.one(
        "router_config_bad",
        "gauge",
        "1 while the last configuration offered was refused",
        u8::from(status.last_error.is_some()),
    );
    page.one(
        "router_ejections_total",
        "counter",
        "Times a server left its pool's ring because it kept failing",
        shared.ejections.load(Ordering::Relaxed),
    );
    page.metric(
        "router_server_ejected",
        "gauge",
        "1 while a server is out of its pool's ring (auto_eject_hosts)",
    );
    let out = shared.ejected.load();
    for view in config.pools.iter().filter(|view| view.pool.eject.is_some()) {
        let (pool, out) = (&view.pool.name, out.get(&view.pool.name));
        for server in &view.pool.servers {
            page.sample(
                "router_server_ejected",
                &[("pool", pool), ("server", &server.name)],
                u8::from(out.is_some_and(|out| out.contains(&server.name))),
            );
        }
    }
    let (lookups, failures) = shared.names.counts();
    page.one(
        "router_dns_lookups_total",
        "counter",
        "Times DNS was asked what a server's name stands for",
        lookups,
    );
    page.one(
        "router_dns_failures_total",
        "counter",
        "Times it did not say: what was known of the name stays in use",
        failures,
    );
    let standings = shared.names.standings();
    let unknown = standings.iter().filter(|(.., found)| found.is_none()).count();
    page.one(
        "router_dns_names_unknown",
        "gauge",
        "Names of servers that DNS has never told anything of",
        unknown,
    );
    let tls = shared.settings.tls.told();
    page.one(
        "router_tls_reloads_total",
        "counter",
        "Times certificates were read again and taken into use",
        tls.reloads.load(Ordering::Relaxed),
    );
    page.one(
        "router_tls_reload_failures_total",
        "counter",
        "Times certificates were read again and found bad: the old ones stay in use",
        tls.failures.load(Ordering::Relaxed),
    );
    page.one(
        "router_tls_certificates_bad",
        "gauge",
        "1 while certificates or keys are bad as they are now, and older ones are in use",
        u8::from(tls.last_error.lock().is_some()),
    );
    page.metric(
        "router_tls_certificate_expiry_timestamp_seconds",
        "gauge",
        "When the certificate ends that we show: the first of its chain",
    );
    for (to, file, end) in shared.settings.tls.ends() {
        let labels = [("to", to), ("file", &file.display().to_string())];
        page.sample("router_tls_certificate_expiry_timestamp_seconds", &labels, end);
    }
    let handshakes = shared.settings.tls.handshakes();
    page.metric(
        "router_tls_handshakes_total",
        "counter",
        "TLS handshakes, by who was on the other side and how they went",
    );
    for (with, count) in [("clients", &handshakes.clients), ("servers", &handshakes.servers)] {
        for (result, counter) in [("made", &count.made), ("failed", &count.failed)] {
            let labels = [("with", with), ("result", result)];
            page.sample(
                "router_tls_handshakes_total",
                &labels,
                counter.load(Ordering::Relaxed),
            );
        }
    }
}
