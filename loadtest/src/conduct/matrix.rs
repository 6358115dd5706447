//! Every case of a matrix, each on a fresh cluster with the same workload, beside its reference.

use super::build::Prepared;
use super::{RunError, Stage, timeline};
use crate::clock;
use crate::live::Update;
use crate::measure::outcome::{Case, CaseReference, Outcome, Recovery, SCHEMA_VERSION};
use crate::scenario::{
    Action, Event, Expected, Matrix, MatrixCase, Moment, Offset, Phase, PhaseKind, PhaseLength, Scenario,
};

/// Runs all cases one after the other.
pub(super) async fn run(
    scenario: &Scenario,
    matrix: &Matrix,
    prepared: &Prepared,
    stage: &Stage,
) -> Result<Outcome, RunError> {
    let (started, started_unix) = (clock::now(), clock::unix_now().as_secs());
    let mut whole = Outcome {
        schema: SCHEMA_VERSION,
        scenario: scenario.name.clone(),
        description: scenario.description.clone(),
        seed: scenario.seed,
        started_unix_seconds: started_unix,
        workload: prepared.facts(scenario),
        ..Outcome::default()
    };
    whole.generator.valid = true;
    for case in &matrix.cases {
        // Losing everything costs the same wherever keys live: once is enough.
        let hashes = if matches!(case.action, Action::Flush { .. }) {
            &matrix.hashes[..1]
        } else {
            &matrix.hashes[..]
        };
        for hash in hashes {
            let single = single(scenario, case, *hash);
            let elapsed = clock::now().saturating_duration_since(started);
            stage.observer.update(Update::Log {
                elapsed,
                text: format!("case {}, {hash}", case.name),
            });
            let outcome = timeline::run(&single, prepared, stage).await?;
            let name = if hashes.len() == 1 {
                "any".to_owned()
            } else {
                hash.to_string()
            };
            let expected = case
                .expected
                .iter()
                .find(|expected| expected.hash.is_none_or(|named| named == *hash));
            whole.cases.push(tell(case, name, expected, &outcome));
            take(&mut whole, outcome);
            if whole.interrupted {
                break;
            }
        }
        if whole.interrupted {
            break;
        }
    }
    whole.elapsed_seconds = started.elapsed().as_secs_f64();
    Ok(whole)
}

/// The scenario of one case.
fn single(scenario: &Scenario, case: &MatrixCase, hash: cluster::HashKind) -> Scenario {
    let mut single = scenario.clone();
    single.matrix = None;
    single.cluster.nodes = case.nodes;
    single.cluster.hash = hash;
    single.thresholds.clear();
    let phase = |name: &str, kind, requests| Phase {
        name: name.to_owned(),
        kind,
        length: PhaseLength::Requests(requests),
    };
    single.phases = vec![
        phase(
            "fill",
            PhaseKind::Warmup,
            case.warm_requests - case.baseline_requests.min(case.warm_requests),
        ),
        phase("steady", PhaseKind::Baseline, case.baseline_requests),
        phase("after", PhaseKind::Measure, case.after_requests),
    ];
    single.events = vec![Event {
        at: Moment {
            phase: Some(2),
            offset: Offset::Requests(0),
        },
        action: case.action.clone(),
        at_text: "after+0".to_owned(),
    }];
    single
}

fn tell(case: &MatrixCase, hash: String, expected: Option<&Expected>, outcome: &Outcome) -> Case {
    let card = outcome.events.first().cloned().unwrap_or_default();
    let reference = expected.map(|expected| CaseReference {
        warm: expected.warm,
        first_5k: expected.first_5k,
        first_20k: expected.first_20k,
        recovery_requests: expected.to_95_requests,
        tolerance: expected.tolerance,
    });
    let within = reference.map(|reference| {
        [
            (card.warm, reference.warm),
            (card.first_5k, reference.first_5k),
            (card.first_20k, reference.first_20k),
        ]
        .into_iter()
        .all(|(ours, theirs)| ours.is_some_and(|ours| (ours - theirs).abs() <= reference.tolerance))
    });
    Case {
        event: case.name.clone(),
        hash,
        nodes: u32::try_from(case.nodes).unwrap_or(u32::MAX),
        warm: card.warm,
        first_5k: card.first_5k,
        first_20k: card.first_20k,
        recovery_requests: match card.recovery_95 {
            Recovery::After { requests, .. } => Some(requests),
            Recovery::Never | Recovery::Unknown => None,
        },
        predicted_20k: card.predicted.first_20k,
        remap_predicted: card.remap_predicted,
        remap_measured: card.remap_measured,
        remap_all: card.remap_all,
        key_fraction_formula: card.predicted.key_fraction_formula,
        reference,
        within_tolerance: within,
        mismatches: outcome.totals.mismatches,
        requests: outcome.totals.offered,
        elapsed_seconds: outcome.elapsed_seconds,
    }
}

/// Adds a case's sums to those of the whole.
fn take(whole: &mut Outcome, case: Outcome) {
    let (sum, part) = (&mut whole.totals, &case.totals);
    for (sum, part) in [
        (&mut sum.offered, part.offered),
        (&mut sum.done, part.done),
        (&mut sum.gets, part.gets),
        (&mut sum.hits, part.hits),
        (&mut sum.misses, part.misses),
        (&mut sum.sets, part.sets),
        (&mut sum.deletes, part.deletes),
        (&mut sum.fills, part.fills),
        (&mut sum.fill_errors, part.fill_errors),
        (&mut sum.coalesced, part.coalesced),
        (&mut sum.errors, part.errors),
        (&mut sum.timeouts, part.timeouts),
        (&mut sum.dropped, part.dropped),
        (&mut sum.backend_reads, part.backend_reads),
        (&mut sum.backend_done, part.backend_done),
        (&mut sum.backend_timeouts, part.backend_timeouts),
        (&mut sum.mismatches, part.mismatches),
        (&mut sum.stale_reads, part.stale_reads),
        (&mut sum.lost_deletes, part.lost_deletes),
        (&mut sum.verified, part.verified),
    ] {
        *sum += part;
    }
    sum.misses_by_reason.add(&part.misses_by_reason);
    whole.generator.cpu_seconds += case.generator.cpu_seconds;
    whole.generator.nodes_cpu_seconds += case.generator.nodes_cpu_seconds;
    whole.generator.router_cpu_seconds += case.generator.router_cpu_seconds;
    whole.interrupted |= case.interrupted;
    whole.mismatch_examples.extend(case.mismatch_examples);
    whole.cluster = case.cluster;
    whole.environment = case.environment;
}
