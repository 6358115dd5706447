//! What an event leaves to be done after a while: a node that comes back, a ramp, the next batch of a rolling restart.
//!
//! In the open loop the load and the timeline go on meanwhile. A closed loop stands still during an event, so there
//! the rest follows at once, after the same time has passed.

use std::time::Duration;

use super::Run;
use crate::cluster::proxy::Passage;
use crate::conduct::RunError;
use crate::drive::shell::nanos;
use crate::scenario::{Action, Memory};
use crate::workload::arrival::Nanos;

/// Ramps of rate and weight go in so many steps, …
const RAMP_STEPS: u32 = 20;
/// … none shorter than this.
const RAMP_STEP_MIN: Duration = Duration::from_millis(200);

/// One thing to be done.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// An event of its own, with its own card.
    Event(Action),
    /// The node runs again and takes its place in the pool.
    Return {
        number: usize,
        memory: Memory,
    },
    /// The node's weight in the pool; nothing is left of it at 0.
    Weigh {
        number: usize,
        weight: f64,
    },
    Stop(usize),
    /// Everything passes to the node again.
    Open(usize),
    Rate(f64),
}

#[derive(Debug)]
pub(super) struct Later {
    pub at: Nanos,
    step: Step,
}

impl Run<'_> {
    /// When the next of them is due.
    pub(super) fn next_step_at(&self) -> Nanos {
        self.later
            .iter()
            .map(|later| later.at)
            .min()
            .unwrap_or(Nanos::MAX)
    }

    /// Does what is due first; a failure breaks the run.
    pub(super) async fn do_next_step(&mut self) {
        let Some(first) = (0..self.later.len()).min_by_key(|place| self.later[*place].at) else {
            return;
        };
        let later = self.later.remove(first);
        if let Err(error) = self.step(later.step).await {
            self.log(format!("what an event left to be done failed: {error}"));
            if let Some(fired) = self.fired.last_mut() {
                fired.card.error = Some(error.to_string());
            }
            self.broken = true;
        }
    }

    pub(super) async fn leave(&mut self, after: Duration, step: Step) -> Result<(), RunError> {
        if self.shell.core().is_open_loop() && !after.is_zero() {
            self.later.push(Later {
                at: self.shell.now().saturating_add(nanos(after)),
                step,
            });
            return Ok(());
        }
        tokio::time::sleep(after).await;
        Box::pin(self.step(step)).await
    }

    async fn step(&mut self, step: Step) -> Result<(), RunError> {
        match step {
            Step::Event(action) => Box::pin(self.fire_action(&action)).await,
            Step::Return { number, memory } => {
                self.bring_back(number, memory).await?;
                let name = &self.cluster.nodes()[number].name;
                self.log(format!("{name} is back"));
            }
            Step::Weigh { number, weight } => self.weigh(number, weight).await?,
            Step::Stop(number) => {
                self.cluster.stop_node(number).await;
                self.hang_up(number);
            }
            Step::Open(number) => {
                self.cluster.set_passage(number, Passage::Open)?;
                self.reachable(number, true);
                let name = &self.cluster.nodes()[number].name;
                self.log(format!("{name} is fast again"));
            }
            Step::Rate(rate) => self.shell.with(|core, now| core.set_rate(rate, now)),
        }
        Ok(())
    }

    /// The rate goes its course from now on.
    pub(super) fn plan_stages(&mut self) {
        let (Some(course), now) = (self.scenario.load.course(), self.shell.now()) else {
            return;
        };
        let mut from = Duration::ZERO;
        for stage in course.stages {
            let steps = ramp_steps(stage.duration);
            let within = |n: f64| from + stage.duration.mul_f64(n / f64::from(steps));
            // A step has the rate that the line has in its middle.
            let along = (0..steps).map(f64::from).map(|n| {
                let rate = course.rate_at(within(n + 0.5).as_secs_f64());
                (within(n), rate)
            });
            let end = from + stage.duration;
            for (after, rate) in along.chain([(end, stage.target)]) {
                self.later.push(Later {
                    at: now.saturating_add(nanos(after)),
                    step: Step::Rate(rate),
                });
            }
            from = end;
        }
    }

    /// From one value to another in a straight line over `over`, beginning `after` from now.
    pub(super) async fn ramp(
        &mut self,
        after: Duration,
        over: Duration,
        from: f64,
        to: f64,
        step: impl Fn(f64) -> Step,
    ) -> Result<(), RunError> {
        let steps = ramp_steps(over);
        for n in 1..=steps {
            let share = f64::from(n) / f64::from(steps);
            let pause = if self.shell.core().is_open_loop() {
                after + over.mul_f64(share)
            } else {
                over / steps
            };
            self.leave(pause, step(from + (to - from) * share)).await?;
        }
        Ok(())
    }
}

fn ramp_steps(over: Duration) -> u32 {
    let fit = over.as_millis() / RAMP_STEP_MIN.as_millis();
    u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, RAMP_STEPS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ramp_steps;

    #[test]
    fn a_ramp_has_at_most_twenty_steps_and_at_least_one() {
        for (ms, steps) in [(0, 1), (100, 1), (450, 2), (4_000, 20), (60_000, 20)] {
            assert_eq!(ramp_steps(Duration::from_millis(ms)), steps, "{ms} ms");
        }
    }
}
