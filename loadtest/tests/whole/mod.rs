//! A whole run through real sockets in this process, from a text to what it measured.

use std::sync::Arc;

use loadtest::conduct::{self, Stage};
use loadtest::live::Silent;
use loadtest::live::orders::Orders;
use loadtest::measure::outcome::Outcome;
use loadtest::scenario::{self, Overrides, Scenario};

pub(crate) fn run(toml: &str, orders: Orders) -> (Scenario, Outcome) {
    let scenario = scenario::from_text("small.toml", toml, &Overrides::default())
        .unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    let logs = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_interrupted, interrupt) = tokio::sync::watch::channel(false);
    let mut stage = Stage::new(logs.path().to_owned(), Arc::new(Silent), interrupt);
    stage.orders = orders;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, conduct::run(&scenario, &stage));
    (scenario, outcome.unwrap_or_else(|error| panic!("{error}")))
}
