//! /metrics: every metric is declared here, with its help. Our names, and mcrouter_exporter's for the dashboards that
//! are there already.

mod clients;
mod debts;
mod exposition;
mod mcrouter;
mod pools;
mod process;
mod servers;

use crate::settings::Shared;
use crate::stats::Counted;
use exposition::Page;

/// Every server's counters, by name, one entry per worker.
type Destinations = [(String, Vec<Counted>)];

/// The whole page.
pub(crate) fn page(shared: &Shared) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    process::process(&mut page, shared);
    clients::clients(&mut page, shared);
    process::configuration(&mut page, shared);
    let destinations = shared.registry.destinations();
    pools::pools(&mut page, shared, &destinations);
    servers::servers(&mut page, shared, &destinations);
    debts::debts(&mut page, shared);
    mcrouter::mcrouter(&mut page, shared, &destinations);
    page.0
}
