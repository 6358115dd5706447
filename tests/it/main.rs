//! Promises to users, a file each. What they need to run is said in `tests/README.md`.

use std::io::{self, Write as _};

mod against;
mod apart;
mod clients;
mod dashboards;
mod deploy;
mod drain;
mod ejection;
mod eviction;
mod expiry;
mod failover;
mod garbage;
mod handles;
mod lanes;
mod late;
mod limits;
mod names;
mod operations;
mod ops;
mod pipelining;
mod rehearsal;
mod reload;
mod replication;
mod restart;
mod router_tls;
mod routing;
mod runbook;
mod spool;
mod staleness;
mod topology;
mod transcripts;
mod warm_up;

/// Says that a check could not run here and why; with `HEARTH_REQUIRE_ALL` (as in CI) that is a failure.
#[track_caller]
fn skipped(what: &str, reason: &str) {
    assert!(
        std::env::var_os("HEARTH_REQUIRE_ALL").is_none(),
        "{what} could not run: {reason}"
    );
    say_skipped(what, reason);
}

/// Past the capture of passing tests' output: whoever reads the log sees what was not checked.
fn say_skipped(what: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "skipped: {what}: {reason}");
}
