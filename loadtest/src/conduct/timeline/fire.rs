//! Fires events: which action, what its card says, who carries it out.

use super::later::Step;
use super::{Fired, Run};
use crate::conduct::RunError;
use crate::measure::outcome::EventCard;
use crate::scenario::{Action, Event};

/// A load that is shed whole still has to have a rate; this one sends nothing in a run's time.
const RATE_MIN: f64 = 1e-3;

impl Run<'_> {
    pub(super) async fn fire(&mut self, event: &Event) {
        self.fire_action(&event.action).await;
    }

    pub(super) async fn fire_action(&mut self, action: &Action) {
        let (at, gets) = (self.shell.now(), self.shell.core().recorder.totals().gets);
        // Cards stand in the order events began; one that this one fires itself ends, and is told, before it.
        let place = self.fired.len();
        let mut fired = Fired {
            card: EventCard {
                action: action.name().to_owned(),
                phase: self.scenario.phases[self.phase].name.clone(),
                at_seconds: at as f64 / 1e9,
                at_request: gets,
                ..EventCard::default()
            },
            epoch: None,
            planned: None,
            before: None,
            felt_after_seconds: 0.0,
        };
        if action.changes_cluster() {
            self.close_last_event().await;
        }
        let carried_out = self.carry_out(action, &mut fired).await;
        fired.card.took_seconds = (self.shell.now() - at) as f64 / 1e9;
        fired.card.label = label(action, &fired.card.nodes);
        if self.by_hand {
            fired.card.label.push_str(" (by hand)");
        }
        self.log(format!("event {}", fired.card.label));
        if let Err(error) = &carried_out {
            fired.card.error = Some(error.to_string());
            self.log(format!("event {} failed: {error}", fired.card.label));
            self.broken = true;
        }
        self.fired.insert(place, fired);
    }

    async fn carry_out(&mut self, action: &Action, fired: &mut Fired) -> Result<(), RunError> {
        match action {
            Action::AddNode { count } => self.add_nodes(*count, fired).await,
            Action::RemoveNode { node, drain } => self.remove_node(node, *drain, fired).await,
            Action::KillNode { node, signal } => self.end_node(node, Some(*signal), fired).await,
            Action::StopNode { node } => self.end_node(node, None, fired).await,
            Action::StartNode { node } => self.start_node(node, fired).await,
            Action::RestartNode { node, down, memory } => {
                self.restart_node(node, *down, *memory, fired).await
            }
            Action::ReplaceNode { node } => self.replace_node(node, fired).await,
            Action::RollingRestart {
                down,
                gap,
                batch,
                memory,
            } => self.rolling_restart(*down, *gap, *batch, *memory).await,
            Action::DrainNode { node, over } => self.drain_node(node, *over, fired).await,
            Action::Flush { stagger } => self.flush(*stagger, fired).await,
            Action::FlushNode { node } => self.flush_node(node, fired).await,
            Action::SetHash { hash } => self.set_hash(*hash, fired).await,
            Action::WarmupRoute { step } => self.warm_up(*step, fired).await,
            Action::Partition { node, direction, cut } => self.partition(node, *direction, *cut, fired).await,
            Action::Heal { node } => self.heal(node.as_ref(), fired).await,
            Action::SlowNode { node, delay, until } => self.slow_node(node, *delay, *until, fired).await,
            Action::ExpireHot { rank } => self.expire_hot(*rank, fired).await,
            Action::SyncExpiry { fraction } => self.sync_expiry(*fraction, fired).await,
            Action::PopularityShift { shift } => {
                let mixture = self.shifted(*shift).await;
                self.begin_epoch_beside(mixture, fired);
                self.shell.with(|core, _| core.shift_popularity(*shift));
                Ok(())
            }
            Action::Rate { to, over } => {
                let from = self.shell.core().rate().unwrap_or(*to);
                self.ramp(std::time::Duration::ZERO, *over, from, *to, Step::Rate)
                    .await
            }
            Action::Shed { fraction, over, ramp } => {
                let Some(rate) = self.shell.core().rate() else {
                    return Ok(());
                };
                let left = (rate * (1.0 - fraction)).max(RATE_MIN);
                self.shell.with(|core, now| core.set_rate(left, now));
                self.ramp(*over, *ramp, left, rate, Step::Rate).await
            }
            Action::Backend {
                capacity,
                latency,
                fail,
            } => {
                self.shell
                    .with(|core, now| core.change_backend(now, *capacity, latency.as_ref(), *fail));
                Ok(())
            }
            Action::Exec { command } => {
                self.begin_epoch(fired);
                let said = super::outside::exec(command).await?;
                self.log(format!("`{command}`: {said}"));
                Ok(())
            }
            Action::Http { method, url, body } => {
                self.begin_epoch(fired);
                super::outside::http(method, url, body).await
            }
            Action::Mark { .. } => Ok(()),
        }
    }
}

/// The card's title: short, with the nodes it came to.
fn label(action: &Action, nodes: &[String]) -> String {
    match action {
        Action::Mark { text } => text.clone(),
        Action::SetHash { hash } => format!("hash {hash}"),
        Action::Rate { to, .. } => format!("rate {to}"),
        _ if nodes.is_empty() => action.describe(),
        _ => format!("{} {}", action.name().replace('_', " "), nodes.join(", ")),
    }
}
