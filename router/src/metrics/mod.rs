//! /metrics: every metric is declared here, with its help. Our names, and mcrouter_exporter's for the dashboards that
//! are there already.

mod by;
mod clients;
mod debts;
mod exposition;
mod mcrouter;
mod pools;
mod process;
mod servers;

use crate::settings::Shared;
use crate::stats::Counted;
use by::By;
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
    let servers = destinations
        .iter()
        .map(|(name, counted)| (name.as_str(), counted.iter().collect()));
    let servers = By {
        label: "server",
        groups: servers.collect(),
    };
    pools::pools(&mut page, shared, &destinations);
    servers::servers(&mut page, shared, &servers);
    debts::debts(&mut page, shared);
    mcrouter::mcrouter(&mut page, shared, &servers);
    page.0
}
