//! What somebody who watches asks for: an event like those of the scenario, marked as done by hand.

use std::time::Duration;

use super::Run;
use crate::live::orders::Order;
use crate::scenario::{Action, KillSignal, Memory, NodeRef};

/// A node restarted by hand is away for so long.
const DOWN: Duration = Duration::from_secs(5);
/// Faster and slower are by this factor.
const FACTOR: f64 = 1.5;

impl Run<'_> {
    pub(super) async fn carry_out_order(&mut self, order: Order) {
        match order {
            Order::Pause => return self.pause_or_go_on(),
            Order::Snapshot => return self.snapshot(),
            _ => {}
        }
        let members = self.cluster.members().len();
        let takes_a_node = matches!(order, Order::RemoveNode | Order::KillNode);
        if takes_a_node && members <= 1 {
            self.log(format!(
                "not done by hand: {}: it is the last node",
                order.label()
            ));
            return;
        }
        let Some(action) = self.action(order) else {
            self.log(format!(
                "not done by hand: {}: there is no rate to change",
                order.label()
            ));
            return;
        };
        self.by_hand = true;
        self.fire_action(&action).await;
        self.by_hand = false;
    }

    fn action(&self, order: Order) -> Option<Action> {
        let rate = |factor: f64| {
            let to = self.shell.core().rate()? * factor;
            Some(Action::Rate {
                to: to.round().max(1.0),
                over: Duration::ZERO,
            })
        };
        Some(match order {
            Order::AddNode => Action::AddNode { count: 1 },
            Order::RemoveNode => Action::RemoveNode {
                node: NodeRef::Last,
                drain: Duration::ZERO,
            },
            Order::KillNode => Action::KillNode {
                node: NodeRef::Random,
                signal: KillSignal::Kill,
            },
            Order::RestartNode => Action::RestartNode {
                node: NodeRef::Random,
                down: DOWN,
                memory: Memory::Cold,
            },
            Order::Flush => Action::Flush {
                stagger: Duration::ZERO,
            },
            Order::Faster => return rate(FACTOR),
            Order::Slower => return rate(1.0 / FACTOR),
            Order::Pause | Order::Snapshot => return None,
        })
    }
}
