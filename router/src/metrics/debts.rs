//! What replicas are owed, and the spool it is kept in.

use std::sync::atomic::Ordering;

use super::exposition::Page;
use crate::clock;
use crate::debt::Statement;
use crate::settings::Shared;

pub(super) fn debts(page: &mut Page, shared: &Shared) {
    type Of = fn(&Statement) -> u64;
    let table: &[(&str, &str, &str, Of)] = &[
        (
            "router_debt_keys",
            "gauge",
            "Keys whose delete a replica is owed",
            |s| s.depth,
        ),
        (
            "router_debt_bytes",
            "gauge",
            "Size of what a replica is owed",
            |s| s.bytes,
        ),
        (
            "router_debt_oldest_seconds",
            "gauge",
            "Age of the oldest debt to a replica",
            |s| {
                s.oldest_unix
                    .map_or(0, |since| clock::unix().as_secs().saturating_sub(since))
            },
        ),
        ("router_debt_owed_total", "counter", "Debts made", |s| {
            s.totals.owed
        }),
        ("router_debt_paid_total", "counter", "Debts paid", |s| {
            s.totals.paid
        }),
        (
            "router_debt_refused_total",
            "counter",
            "Debts that were not made for want of room or because the spool could not be written",
            |s| s.totals.refused,
        ),
        (
            "router_debt_forgiven_total",
            "counter",
            "Debts dropped by an operator's order",
            |s| s.totals.forgiven,
        ),
        (
            "router_debt_untold_total",
            "counter",
            "Times a replica came to be owed something while most of its pool could not be told",
            |s| s.totals.untold,
        ),
        (
            "router_replica_readable",
            "gauge",
            "1 if the replica may be read, 0 if this or another router owes it something",
            |s| u64::from(s.replica.is_readable()),
        ),
        (
            "router_replica_marked",
            "gauge",
            "1 if another router owes the replica something",
            |s| u64::from(s.replica.marked.load(Ordering::Relaxed)),
        ),
        (
            "router_replica_unwitnessed_total",
            "counter",
            "Times a replica was made readable while most of its pool could not be asked whether it is owed something",
            |s| s.replica.unwitnessed.load(Ordering::Relaxed),
        ),
    ];
    let statements = shared.debts.statements();
    for (name, kind, help, of) in table {
        page.metric(name, kind, help);
        for statement in &statements {
            let replica = &statement.replica;
            let labels = [
                ("pool", replica.pool.as_str()),
                ("server", replica.server.as_str()),
            ];
            page.sample(name, &labels, of(statement));
        }
    }
    let (disk_bytes, error) = shared.debts.disk();
    page.one(
        "router_spool_bytes",
        "gauge",
        "Size of the spool's files",
        disk_bytes,
    );
    page.one(
        "router_spool_limit_bytes",
        "gauge",
        "What replicas may be owed altogether",
        shared.debts.terms.limit_bytes,
    );
    page.one(
        "router_spool_failed",
        "gauge",
        "1 if the spool could not be written when it was last tried",
        u8::from(error.is_some()),
    );
    page.one(
        "router_spool_waiting",
        "gauge",
        "Requests that wait for their debts to be kept",
        shared.debts.waiting(),
    );
}
