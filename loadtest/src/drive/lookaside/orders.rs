//! What the run tells the client, and what it may look at.

use std::sync::Arc;

use super::ttl::earliest_expiry;
use super::{Change, Lookaside, Map, Pace};
use crate::drive::source::Source;
use crate::measure::theory::Mixture;
use crate::scenario::{Distribution, Shift};
use crate::workload::arrival::Nanos;

impl Lookaside {
    /// Begins: the clock of the windows and the schedule start now.
    pub fn start(&mut self, pace: Pace, now: Nanos) {
        self.pace = pace;
        self.recorder.start(now);
        self.mark = 0;
        self.running = true;
    }

    /// Goes on or stops sending.
    pub fn run(&mut self, running: bool) {
        self.running = running;
    }

    /// Wants attention once `issued` requests have been issued; see [`Lookaside::at_mark`].
    pub fn set_mark(&mut self, issued: u64) {
        self.mark = issued;
    }

    /// The mark was reached, and in a closed loop everything before it has ended.
    #[must_use]
    pub fn at_mark(&self) -> bool {
        self.issued >= self.mark && (self.is_open_loop() || self.open == 0)
    }

    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Requests not yet ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.open
    }

    /// No more rows, or not running, and nothing under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.open == 0 && (!self.running || self.source.is_empty())
    }

    /// The source has no more requests.
    #[must_use]
    pub fn source_is_empty(&self) -> bool {
        self.source.is_empty()
    }

    #[must_use]
    pub fn is_open_loop(&self) -> bool {
        matches!(self.pace, Pace::Open { .. })
    }

    /// Another rate from now on; a closed loop has none.
    pub fn set_rate(&mut self, rate: f64, now: Nanos) {
        if let Pace::Open { schedule, .. } = &mut self.pace {
            schedule.set_rate(rate, now);
        }
    }

    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        match &self.pace {
            Pace::Open { schedule, .. } => Some(schedule.rate()),
            Pace::Closed { .. } => None,
        }
    }

    /// Other keys become popular.
    pub fn shift_popularity(&mut self, shift: Shift) {
        self.source.shift(shift);
    }

    /// What is not given stays.
    pub fn change_backend(
        &mut self,
        now: Nanos,
        capacity: Option<f64>,
        latency: Option<&Distribution>,
        fail: Option<f64>,
    ) {
        self.backing.change(now, capacity, latency, fail);
    }

    /// These keys were touched from outside: they expire `ttl` seconds from now (0: at once), or never.
    pub fn touched(&mut self, keys: &[u32], ttl: Option<u32>, now: Nanos) {
        for key in keys {
            self.states[*key as usize].expires_at = match ttl {
                Some(0) => 1,
                Some(ttl) => earliest_expiry(now, ttl, self.early),
                None => 0,
            };
        }
    }

    /// Counts anew from here, though no key moved.
    pub fn begin_epoch(&mut self, now: Nanos, mixture: Option<Mixture>) {
        self.affected = vec![false; self.states.len()].into();
        let base = self.recorder.totals().gets;
        self.recorder.event(now, base, mixture);
    }

    #[must_use]
    pub fn map(&self) -> &Map {
        &self.map
    }

    pub fn map_mut(&mut self) -> &mut Map {
        &mut self.map
    }

    /// The change is in effect from now on.
    pub fn apply(&mut self, change: &Change, now: Nanos) {
        self.map.owners = Arc::clone(&change.owners);
        for node in &change.lost {
            self.lose(*node);
        }
        self.affected = Arc::clone(&change.affected);
        let base = self.recorder.totals().gets;
        self.recorder.event(now, base, change.mixture.clone());
    }

    /// A node's memory is gone.
    pub fn lose(&mut self, node: u16) {
        if let Some(generation) = self.map.generations.get_mut(usize::from(node)) {
            *generation = generation.wrapping_add(1);
        }
    }

    /// Gets so far of every key.
    #[must_use]
    pub fn gets_per_key(&self) -> Vec<u32> {
        self.states.iter().map(|state| state.gets).collect()
    }

    /// Keys acknowledged as stored and not deleted since.
    #[must_use]
    pub fn is_stored(&self, key: u32) -> bool {
        let state = &self.states[key as usize];
        state.stored && !state.deleted
    }

    /// Another value after each store of the key.
    #[must_use]
    pub fn stores_of(&self, key: u32) -> u64 {
        let state = &self.states[key as usize];
        u64::from(state.stored_version) << 32 | u64::from(state.fills)
    }

    /// It was last stored with, or copied to, the node that owns it now.
    #[must_use]
    pub fn is_at_home(&self, key: u32) -> bool {
        self.states[key as usize].home == self.home(key)
    }

    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Reads per second the backing store can answer; `None` when that is unlimited.
    #[must_use]
    pub fn backend_capacity(&self) -> Option<f64> {
        self.backing.capacity()
    }

    /// Reads waiting at the backing store.
    #[must_use]
    pub fn backend_queue(&self) -> u64 {
        self.backing.queue()
    }
}
