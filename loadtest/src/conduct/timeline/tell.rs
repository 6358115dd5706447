//! The end of a run: the last requests come home, and what was measured becomes an [`Outcome`].

use std::time::Duration;

use super::{Fired, Run, TICK};
use crate::clock;
use crate::conduct::{facts, verdict};
use crate::measure::outcome::{EventCard, Generator, Outcome, SCHEMA_VERSION};
use crate::measure::recovery::dip;

/// How often reports that are still being written are looked for.
const WRITING_TICK: Duration = Duration::from_millis(20);
/// Beyond its timeout a request has this long to end when the run stops.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

impl Run<'_> {
    /// Lets what is under way end, and looks into the nodes a last time.
    pub(super) async fn settle(&mut self) {
        self.shell.with(|core, _| {
            core.run(false);
            core.set_mark(u64::MAX);
        });
        let patience = self.scenario.load.timeout + self.scenario.backend.timeout + DRAIN_GRACE;
        let deadline = clock::now() + patience;
        while self.shell.core().in_flight() > 0 && clock::now() < deadline {
            tokio::select! {
                () = self.shell.attention() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        let now = self.shell.now();
        self.shell.with(|core, _| {
            let queue = core.backend_queue();
            core.recorder.finish(now, queue);
        });
        self.close_last_event().await;
        while !self.writing.is_empty() {
            self.tell_written();
            tokio::time::sleep(WRITING_TICK).await;
        }
    }

    pub(super) fn tell(&mut self, own_cpu_seconds: f64, drove_seconds: f64) -> Outcome {
        let cards: Vec<EventCard> = self.fired.iter().map(|fired| self.card(fired)).collect();
        let core = self.shell.core();
        let (totals, mut phases, series, request_series, latency) = core.recorder.told();
        self.foretell(&mut phases);
        let members: Vec<String> = self
            .cluster
            .members()
            .iter()
            .map(|number| self.cluster.nodes()[*number].name.clone())
            .collect();
        let watch = self.watch.borrow();
        let (nodes, node_totals, skew, versions) = watch.told(&members);
        let (nodes_cpu_seconds, router_cpu_seconds) = watch.cpu_seconds();
        let mut generator = Generator {
            valid: true,
            why: None,
            lag_p99_us: latency.first().map_or(0, |all| all.lag.p99_us),
            dropped_fraction: totals.dropped as f64 / totals.offered.max(1) as f64,
            cpu_seconds: own_cpu_seconds,
            cpu_share: own_cpu_seconds / drove_seconds.max(1e-9),
            nodes_cpu_seconds,
            router_cpu_seconds,
            metastable: false,
        };
        verdict::judge(&mut generator, core.is_open_loop());
        let mut outcome = Outcome {
            schema: SCHEMA_VERSION,
            scenario: self.scenario.name.clone(),
            description: self.scenario.description.clone(),
            seed: self.scenario.seed,
            interrupted: self.interrupted,
            workload: self.prepared.facts(self.scenario),
            totals,
            phases,
            events: cards,
            series,
            request_series,
            nodes,
            node_totals,
            skew,
            latency,
            generator,
            environment: facts::environment(versions),
            ..Outcome::default()
        };
        // As it was at the end: an event may have changed it.
        outcome.workload.backend_capacity = core.backend_capacity();
        outcome.breaches = self.guard.breaches();
        outcome.search = self.found();
        outcome.generator.metastable = verdict::is_metastable(&outcome);
        outcome.mismatch_examples.clone_from(&core.mismatches);
        outcome.stale_examples.clone_from(&core.stale);
        outcome.skew.predicted_share_sd = Some(verdict::share_sd(
            self.cluster.hash(),
            members.len(),
            core.map().owners.len(),
        ));
        outcome
    }

    /// Everything about one event.
    fn card(&self, fired: &Fired) -> EventCard {
        let mut card = fired.card.clone();
        let Some(epoch) = fired.epoch else { return card };
        let core = self.shell.core();
        let recorder = &core.recorder;
        let dip = dip(&recorder.points(epoch), card.warm, fired.felt_after_seconds);
        card.low = dip.low;
        card.low_at_seconds = dip.low_at_seconds;
        card.recovery_95 = dip.recovery;
        card.amplification = dip.amplification;
        card.miss_debt = dip.debt;
        card.miss_debt_seconds = dip
            .debt
            .zip(recorder.warm_backend_rate())
            .filter(|(_, rate)| *rate > 0.0)
            .map(|(debt, rate)| debt / rate);
        card.first_1k = recorder.first(epoch, 1_000);
        card.first_5k = recorder.first(epoch, 5_000);
        card.first_10k = recorder.first(epoch, 10_000);
        card.first_20k = recorder.first(epoch, 20_000);
        (card.affected, card.unaffected) = recorder.sides(epoch);
        card.misses = recorder.reasons(epoch, dip.windows);
        card
    }
}
