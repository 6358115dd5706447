//! Metrics of who is connected, what travels, and who was not let in.

use metrics::{Unit, counter, describe_counter};

use super::register::{Read, Register, float};

impl Register {
    pub(super) fn clients(&mut self) {
        self.traffic();
        self.doors();
        self.certificate();
        self.watchers();
    }

    fn traffic(&mut self) {
        self.gauge("cache_node_connections", None, "Client connections now.", |s| {
            float(s.connections as u64)
        });
        self.gauge(
            "cache_node_connections_limit",
            None,
            "Client connections allowed at once.",
            |s| float(s.connections_max as u64),
        );
        self.counter(
            "cache_node_connections_accepted_total",
            "Client connections accepted.",
            |s| s.totals.connections_accepted,
        );
        self.counter(
            "cache_node_connections_rejected_total",
            "Client connections over the limit.",
            |s| s.totals.connections_rejected,
        );
        self.counter(
            "cache_node_connections_idle_closed_total",
            "Clients closed for silence.",
            |s| s.totals.idle_kicks,
        );
        self.counter(
            "cache_node_connection_yields_total",
            "Turns ended with requests waiting.",
            |s| s.totals.conn_yields,
        );
        self.counter(
            "cache_node_read_bytes_total",
            "Bytes received from clients.",
            |s| s.totals.bytes_read,
        );
        self.counter("cache_node_written_bytes_total", "Bytes sent to clients.", |s| {
            s.totals.bytes_written
        });
    }

    fn doors(&mut self) {
        self.gauge(
            "cache_node_accepting",
            None,
            "1 while new clients are let in.",
            |s| f64::from(u8::from(s.accepting)),
        );
        self.counter(
            "cache_node_listen_disabled_total",
            "Times a listener stopped taking clients in.",
            |s| s.totals.listen_disabled,
        );
        self.gauge(
            "cache_node_listen_disabled_seconds_total",
            Some(Unit::Seconds),
            "Time listeners waited for a place below the limit of connections.",
            |s| float(s.totals.listen_disabled_us) / 1e6,
        );
        describe_counter!("cache_node_logins_total", "Logins tried, by result.");
        let results: [(&'static str, Read<u64>); 2] = [
            ("accepted", |s| {
                s.totals.auth_cmds.saturating_sub(s.totals.auth_errors)
            }),
            ("refused", |s| s.totals.auth_errors),
        ];
        for (result, value) in results {
            self.counters
                .push((counter!("cache_node_logins_total", "result" => result), value));
        }
        describe_counter!(
            "cache_node_tls_errors_total",
            "TLS connections that failed, in their handshake or after it."
        );
        let phases: [(&'static str, Read<u64>); 2] = [
            ("handshake", |s| s.totals.tls_handshake_errors),
            ("later", |s| s.totals.tls_errors),
        ];
        for (phase, value) in phases {
            self.counters
                .push((counter!("cache_node_tls_errors_total", "phase" => phase), value));
        }
    }

    fn certificate(&mut self) {
        self.gauge(
            "cache_node_tls_certificate_expiry_timestamp_seconds",
            Some(Unit::Seconds),
            "When the certificate that TLS clients are shown ends: the first of its chain. +Inf without TLS.",
            |s| s.certificate_ends.map_or(f64::INFINITY, float),
        );
    }

    fn watchers(&mut self) {
        self.gauge("cache_node_watchers", None, "Clients that watch events.", |s| {
            float(s.watch.watchers as u64)
        });
        describe_counter!(
            "cache_node_watch_lines_total",
            "Lines for watching clients: sent, or skipped because a client's buffer was full."
        );
        let results: [(&'static str, Read<u64>); 2] =
            [("sent", |s| s.watch.sent), ("skipped", |s| s.watch.skipped)];
        for (result, value) in results {
            self.counters.push((
                counter!("cache_node_watch_lines_total", "result" => result),
                value,
            ));
        }
    }
}
