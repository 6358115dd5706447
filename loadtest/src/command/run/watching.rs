//! Who watches a run: the view, the live page, and what they may ask for while it goes on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{RunArgs, Serve};
use crate::clock;
use crate::conduct::Snapshots;
use crate::live::ViewKind;
use crate::live::board::Facts;
use crate::live::orders::{self, Desk, Order, Orders};
use crate::live::sse::{self, Live, ServeError};
use crate::report::{self, Artefacts};
use crate::scenario::Scenario;

/// Where the live page is when nobody said where.
const PAGE_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5666);

/// Where the live page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Where somebody watches.
    Auto,
    Told(Serve),
}

impl std::str::FromStr for Page {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Told),
        }
    }
}

/// Who sees the run while it goes on, and what they may ask for.
pub(super) struct Watching {
    pub(super) view: ViewKind,
    pub(super) live: Option<Arc<Live>>,
    /// The live page's address, as a browser wants it.
    pub(super) page: Option<String>,
    /// The terminal's.
    pub(super) desk: Option<Desk>,
    pub(super) orders: Orders,
}

/// Starts the live page, where it is wanted, and says where it is.
pub(super) fn watching(args: &RunArgs, scenario: &Scenario) -> Result<Watching, ServeError> {
    let view = args.view.resolved();
    let page = match args.live {
        Page::Auto if view == ViewKind::Tui => Serve::On(PAGE_DEFAULT),
        Page::Auto => Serve::Off,
        Page::Told(serve) => serve,
    };
    // Orders are the page's and the terminal's; a scraper's address has none.
    let (desk, orders) = if page == Serve::Off && view != ViewKind::Tui {
        (None, Orders::none())
    } else {
        let (desk, orders) = orders::desk(Order::offered(scenario, args.overrides.allow_destructive));
        (Some(desk), orders)
    };
    let on: Vec<(&str, SocketAddr, &str)> = [("live page", page, ""), ("metrics", args.prom, "metrics")]
        .into_iter()
        .filter_map(|(what, serve, path)| match serve {
            Serve::On(address) => Some((what, address, path)),
            Serve::Off => None,
        })
        .collect();
    let (mut live, mut shown) = (None, None);
    if !on.is_empty() {
        let addresses = on.iter().map(|(_, address, _)| *address).collect();
        let serving = serve(
            addresses,
            args,
            scenario,
            desk.clone().filter(|_| page != Serve::Off),
        )?;
        for ((what, _, path), address) in on.iter().zip(serving.addresses()) {
            eprintln!("{what}: http://{address}/{path}");
        }
        let first = serving.addresses().first().filter(|_| page != Serve::Off);
        shown = first.map(|address| format!("http://{address}/"));
        live = Some(Arc::new(serving));
    }
    Ok(Watching {
        view,
        live,
        page: shown,
        desk: desk.filter(|_| view == ViewKind::Tui),
        orders,
    })
}

fn serve(
    mut addresses: Vec<SocketAddr>,
    args: &RunArgs,
    scenario: &Scenario,
    desk: Option<Desk>,
) -> Result<Live, ServeError> {
    let facts = Facts::new(scenario, clock::unix_now().as_secs());
    let served = sse::serve_with(&addresses, facts.clone(), desk.clone());
    if served.is_err() && args.live == Page::Auto {
        // Nobody asked for this very port: another run may have it.
        if let Some(page) = addresses.first_mut().filter(|page| **page == PAGE_DEFAULT) {
            page.set_port(0);
            return sse::serve_with(&addresses, facts, desk);
        }
    }
    served
}

/// Reports of the run so far go into its folder, named after the second they tell of.
pub(super) fn snapshots(artefacts: &Artefacts, toml: &str) -> Snapshots {
    let (folder, toml) = (artefacts.folder().to_owned(), toml.to_owned());
    Box::new(move |mut outcome| {
        let path = folder.join(format!("so-far-{:.0}s.html", outcome.elapsed_seconds));
        let toml = toml.clone();
        outcome.scenario.push_str(" (so far)");
        Box::new(move || {
            report::write(&path, &report::html_page(&outcome, &toml))?;
            Ok(path)
        })
    })
}
