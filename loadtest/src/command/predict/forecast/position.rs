//! Where in the stream of requests a moment of the timeline lies.

use super::{BASELINE_REQUESTS, Theory};
use crate::scenario::{Course, Moment, Offset, PhaseKind, PhaseLength};

impl Theory<'_> {
    /// The rate over time, in the open loop.
    fn course(&self) -> Option<Course<'_>> {
        let rate = self.prepared.rate(self.scenario)?;
        Some(Course {
            rate,
            stages: &self.scenario.load.stages,
        })
    }

    /// Requests per second at request `position`.
    pub(super) fn rate_at(&self, position: u64) -> Option<f64> {
        let course = self.course()?;
        Some(course.rate_at(course.seconds_until(position as f64)))
    }

    /// Requests in `time`, from request `position` on.
    fn requests(&self, position: u64, time: std::time::Duration) -> Result<u64, String> {
        // A phase's own start needs no rate.
        if time.is_zero() {
            return Ok(0);
        }
        let course = self.course().ok_or(
            "a closed loop goes as fast as it can: give phases and events in requests to predict them",
        )?;
        let end = course.seconds_until(position as f64) + time.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a week at a million a second fits"
        )]
        let requests = (course.requests_until(end) - position as f64).round().max(0.0) as u64;
        Ok(requests)
    }

    /// Requests in the first `phases` phases.
    pub(super) fn length(&self, phases: usize) -> Result<u64, String> {
        let mut sum = 0;
        for phase in &self.scenario.phases[..phases] {
            sum += match phase.length {
                PhaseLength::Requests(requests) => requests,
                PhaseLength::Time(time) | PhaseLength::UntilSteady { max: time, .. } => {
                    self.requests(sum, time)?
                }
                PhaseLength::TraceEnd => self
                    .prepared
                    .rows
                    .as_ref()
                    .map_or(0, |rows| rows.len() as u64)
                    .saturating_sub(sum),
            };
        }
        Ok(sum)
    }

    pub(super) fn position(&self, moment: &Moment) -> Result<u64, String> {
        let start = self.length(moment.phase.unwrap_or(0))?;
        Ok(start
            + match moment.offset {
                Offset::Time(time) => self.requests(start, time)?,
                Offset::Requests(requests) => requests,
            })
    }

    /// Requests over which the warm rate before a moment is read: the latest baseline phase, if it ends there.
    pub(super) fn baseline(&self, moment: &Moment) -> u64 {
        let before = moment
            .phase
            .and_then(|index| self.scenario.phases[..index].last());
        match before {
            Some(phase) if phase.kind == PhaseKind::Baseline => match phase.length {
                PhaseLength::Requests(requests) => requests,
                PhaseLength::Time(time) => {
                    let start = self.length(moment.phase.unwrap_or(0).saturating_sub(1));
                    start
                        .and_then(|start| self.requests(start, time))
                        .unwrap_or(BASELINE_REQUESTS)
                }
                PhaseLength::UntilSteady { .. } | PhaseLength::TraceEnd => BASELINE_REQUESTS,
            },
            _ => BASELINE_REQUESTS,
        }
    }
}
