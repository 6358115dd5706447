//! What somebody who watches the live page may ask the run for, and the bounded way there. Which orders are offered depends
//! on whose cluster it is; an order that is not offered is refused.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use serde::{Deserialize, Serialize};

use crate::scenario::{ClusterMode, LoadMode, Scenario};

/// Orders that may wait for the run; more are refused.
const WAITING_MAX: usize = 4;

/// One button of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    AddNode,
    RemoveNode,
    KillNode,
    RestartNode,
    Flush,
    Faster,
    Slower,
    /// Holds the timeline, or lets it go on.
    Pause,
    /// The report of the run so far.
    Snapshot,
}

impl Order {
    /// What the button says.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AddNode => "add a node",
            Self::RemoveNode => "remove the last node",
            Self::KillNode => "kill a node",
            Self::RestartNode => "restart a node, empty",
            Self::Flush => "flush everything",
            Self::Faster => "rate × 1.5",
            Self::Slower => "rate ÷ 1.5",
            Self::Pause => "pause or go on",
            Self::Snapshot => "report so far",
        }
    }

    /// What may be asked of this run: nodes are ours to end only if we started them, and an attached cluster is changed
    /// only with `--allow-destructive`.
    #[must_use]
    pub fn offered(scenario: &Scenario, allow_destructive: bool) -> Vec<Self> {
        if scenario.matrix.is_some() {
            // Its cases are compared with one another: a hand in one of them would spoil them all.
            return Vec::new();
        }
        let mut offered = match &scenario.cluster.mode {
            ClusterMode::Managed | ClusterMode::Embedded => vec![
                Self::AddNode,
                Self::RemoveNode,
                Self::KillNode,
                Self::RestartNode,
                Self::Flush,
            ],
            ClusterMode::Attach { .. } if allow_destructive => vec![Self::Flush],
            ClusterMode::Attach { .. } => Vec::new(),
        };
        if scenario.cluster.replicated {
            // Its list of nodes stays as it is.
            offered.retain(|order| !matches!(order, Self::AddNode | Self::RemoveNode));
        }
        if matches!(scenario.load.mode, LoadMode::Open { .. }) {
            offered.extend([Self::Faster, Self::Slower]);
        }
        offered.extend([Self::Pause, Self::Snapshot]);
        offered
    }
}

/// The run's end: asks now and then whether there is an order.
#[derive(Debug)]
pub struct Orders(Option<Mutex<Receiver<Order>>>);

/// The page's end.
#[derive(Debug, Clone)]
pub struct Desk {
    offered: Vec<Order>,
    waiting: SyncSender<Order>,
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("not offered in this run")]
    NotOffered,
    #[error("{WAITING_MAX} orders wait already")]
    Busy,
    #[error("the run is over")]
    Over,
}

/// A desk that offers these, and where its orders come out.
#[must_use]
pub fn desk(offered: Vec<Order>) -> (Desk, Orders) {
    let (waiting, orders) = sync_channel(WAITING_MAX);
    (Desk { offered, waiting }, Orders(Some(Mutex::new(orders))))
}

impl Orders {
    /// Nobody can order anything.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The next one, if there is one now.
    #[must_use]
    pub fn next(&self) -> Option<Order> {
        self.0.as_ref()?.lock().ok()?.try_recv().ok()
    }
}

impl Desk {
    #[must_use]
    pub fn offered(&self) -> &[Order] {
        &self.offered
    }

    /// Takes an order in.
    ///
    /// # Errors
    /// It is not offered, or cannot wait.
    pub fn take(&self, order: Order) -> Result<(), Refusal> {
        if !self.offered.contains(&order) {
            return Err(Refusal::NotOffered);
        }
        self.waiting.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Busy,
            TrySendError::Disconnected(_) => Refusal::Over,
        })
    }
}

/// Whether a request for this `Host` can only have been meant for us: an address or `localhost`. A name could be anybody's,
/// pointed at this machine to have a visitor's browser speak to us.
#[must_use]
pub fn is_meant_for_us(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Order, Orders, Refusal, desk, is_meant_for_us};
    use crate::scenario::{Overrides, from_text, load};

    #[test]
    fn only_what_is_offered_is_taken_and_only_so_many_wait() {
        let (desk, orders) = desk(vec![Order::Flush]);
        assert_eq!(desk.take(Order::KillNode), Err(Refusal::NotOffered));
        for _ in 0..4 {
            assert_eq!(desk.take(Order::Flush), Ok(()));
        }
        assert_eq!(desk.take(Order::Flush), Err(Refusal::Busy));
        assert_eq!(orders.next(), Some(Order::Flush));
        assert_eq!(desk.take(Order::Flush), Ok(()));
        drop(orders);
        assert_eq!(desk.take(Order::Flush), Err(Refusal::Over));
        assert_eq!(Orders::none().next(), None);
    }

    #[test]
    fn what_is_not_ours_is_not_offered() {
        let ours = load("builtin:add-node", &Overrides::default()).unwrap();
        assert!(Order::offered(&ours, false).contains(&Order::KillNode));
        let text = "name = \"x\"\n[cluster]\nmode = \"attach\"\nnodes = [\"n=127.0.0.1:1\"]\n\
                    [[phase]]\nname = \"p\"\nkind = \"measure\"\nduration = \"5s\"\n";
        let theirs = from_text("x.toml", text, &Overrides::default()).unwrap();
        let harmless = [Order::Faster, Order::Slower, Order::Pause, Order::Snapshot];
        assert_eq!(Order::offered(&theirs, false), harmless);
        assert!(Order::offered(&theirs, true).contains(&Order::Flush));
        let matrix = load("builtin:hash-shootout", &Overrides::default()).unwrap();
        assert!(Order::offered(&matrix, true).is_empty());
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_not_ours() {
        for ours in [
            "127.0.0.1:5666",
            "localhost:5666",
            "localhost",
            "[::1]:5666",
            "[::1]",
        ] {
            assert!(is_meant_for_us(ours), "{ours}");
        }
        for other in ["evil.example:5666", "127.0.0.1.evil.example", "", "[evil]:1"] {
            assert!(!is_meant_for_us(other), "{other}");
        }
    }
}
