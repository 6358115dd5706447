//! The run so far, as if it had ended now: for whoever asks while it goes on. Taking it costs the load a few
//! milliseconds; drawing and writing it are done elsewhere.

use std::time::Instant;

use super::Run;
use crate::clock;
use crate::cluster::procfs;
use crate::conduct::facts;

/// When driving began, and our own CPU time then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Driving {
    pub(super) began: Instant,
    own_cpu: Option<u64>,
}

impl Driving {
    pub(super) fn begin() -> Self {
        Self {
            began: clock::now(),
            own_cpu: procfs::cpu_nanos(std::process::id()),
        }
    }

    /// CPU seconds of our own since then.
    pub(super) fn cpu_seconds(self) -> f64 {
        let now = procfs::cpu_nanos(std::process::id());
        let nanos = now.zip(self.own_cpu).map(|(now, then)| now.saturating_sub(then));
        nanos.unwrap_or(0) as f64 / 1e9
    }
}

impl Run<'_> {
    pub(super) fn snapshot(&mut self) {
        let stage = self.stage;
        let Some(draw) = &stage.snapshots else {
            self.log("not done by hand: nobody writes reports of this run".to_owned());
            return;
        };
        let driving = self.driving;
        let mut outcome = self.tell(driving.cpu_seconds(), driving.began.elapsed().as_secs_f64());
        outcome.cluster = facts::cluster(self.scenario, &self.cluster);
        outcome.interrupted = true;
        outcome.elapsed_seconds = self.epoch.elapsed().as_secs_f64();
        outcome.started_unix_seconds = clock::unix_now()
            .as_secs()
            .saturating_sub(self.epoch.elapsed().as_secs());
        self.writing.spawn_blocking(draw(outcome));
    }

    /// Says which reports have been written meanwhile.
    pub(super) fn tell_written(&mut self) {
        while let Some(written) = self.writing.try_join_next() {
            match written {
                Ok(Ok(path)) => self.log(format!("report so far: {}", path.display())),
                Ok(Err(error)) => self.log(format!("report so far: {error}")),
                Err(_panicked) => self.log("report so far: it could not be drawn".to_owned()),
            }
        }
    }
}
