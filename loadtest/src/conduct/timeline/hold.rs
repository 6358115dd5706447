//! The timeline held by hand: the load goes on, but no phase ends and no event comes until it is let go.

use super::Run;
use crate::workload::arrival::Nanos;

/// Whether it is held, and by how much it was put off so far.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Time and requests issued when it was held.
    since: Option<(Nanos, u64)>,
    put_off: (Nanos, u64),
}

impl Run<'_> {
    pub(super) fn pause_or_go_on(&mut self) {
        let text = if self.is_held() {
            let (time, requests) = self.standing();
            self.hold.since = None;
            self.hold.put_off.0 += time;
            self.hold.put_off.1 += requests;
            self.phase_started.0 += time;
            self.phase_started.1 += requests;
            format!("the timeline goes on, {:.1} s later", time as f64 / 1e9)
        } else {
            let issued = self.shell.core().issued();
            self.hold.since = Some((self.shell.now(), issued));
            "the timeline is held by hand; the load goes on".to_owned()
        };
        self.log(text);
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.since.is_some()
    }

    /// How long, and for how many requests, it has been held this time.
    pub(super) fn standing(&self) -> (Nanos, u64) {
        self.hold.since.map_or((0, 0), |(since, issued)| {
            let core = self.shell.core();
            (
                self.shell.now().saturating_sub(since),
                core.issued().saturating_sub(issued),
            )
        })
    }

    /// By how much moments counted from the start of the run come later than the scenario says, by now.
    pub(super) fn put_off(&self) -> (Nanos, u64) {
        let (time, requests) = self.standing();
        (self.hold.put_off.0 + time, self.hold.put_off.1 + requests)
    }

    /// A new phase begins, for there is nothing left to send: whoever held the last one held it in vain.
    pub(super) fn let_go(&mut self) {
        self.hold.since = None;
    }
}
