use super::{GetEnd, Recorder, SECOND, Timing};
use crate::measure::miss_reason::Reason;
use crate::measure::theory::{ColdCurve, Mixture};

fn at(done: u64) -> Timing {
    Timing {
        intended: done - 2000,
        sent: done - 1000,
        done,
    }
}

/// 1,000 gets a second, of which `hits` in every thousand hit.
fn second(recorder: &mut Recorder, start: u64, hits: u64) {
    for i in 0..1000 {
        let get = recorder.totals().gets;
        recorder.offered();
        recorder.get_sent();
        let end = if i % 1000 < hits {
            GetEnd::Hit
        } else {
            GetEnd::Miss(Reason::Remapped)
        };
        let now = (start * 1000 + i + 1) * SECOND / 1000;
        recorder.get(get, end, i % 2 == 0, at(now));
        recorder.tick(now, 3);
    }
}

#[test]
fn seconds_phases_and_steps_add_up_to_the_same_totals() {
    let mut recorder = Recorder::new(1000);
    recorder.start(0);
    recorder.begin_phase(0, "steady", "baseline");
    for start in 0..4 {
        second(&mut recorder, start, 800);
    }
    assert_eq!(recorder.warm(), Some(0.8));
    recorder.begin_phase(4 * SECOND, "resize", "measure");
    let mixture = Mixture {
        cold_at_once: 0.0,
        warm: 0.8,
        cold_share: 1.0,
        cold: ColdCurve(vec![0.5]),
    };
    recorder.event(4 * SECOND, 4000, Some(mixture));
    second(&mut recorder, 4, 500);
    second(&mut recorder, 5, 790);
    recorder.finish(6 * SECOND + SECOND / 2, 0);
    let (totals, phases, series, requests, latency) = recorder.told();
    assert_eq!((totals.gets, totals.hits, totals.misses), (6000, 4490, 1510));
    assert_eq!(totals.misses_by_reason.misses(), totals.misses);
    for rows in [&series, &requests] {
        assert_eq!(rows.iter().map(|row| row.hits).sum::<u64>(), totals.hits);
        assert_eq!(
            rows.iter().map(|row| row.misses_by_reason.misses()).sum::<u64>(),
            totals.misses
        );
    }
    assert_eq!(
        phases.iter().map(|phase| phase.totals.gets).collect::<Vec<_>>(),
        [4000, 2000]
    );
    assert_eq!(
        (phases[1].hit_rate_min, phases[1].hit_rate_max),
        (Some(0.5), Some(0.79))
    );
    assert!(phases[0].hit_rate_slope_pp_per_10s.unwrap().abs() < 1e-9);
    assert_eq!(series.len(), 6);
    assert_eq!(
        (series[4].hit_rate, series[4].phase.as_str()),
        (Some(0.5), "resize")
    );
    assert!((series[4].predicted.unwrap() - 0.5).abs() < 1e-9);
    assert_eq!((series[3].affected, series[3].predicted), (None, None));
    assert_eq!((series[3].p50_us, latency[0].lag.p50_us), (2, 1));
    assert_eq!(recorder.first(0, 1000), Some(0.5));
    assert_eq!(recorder.first(0, 5000), None);
    let (affected, unaffected) = recorder.sides(0);
    assert_eq!(affected.hits + unaffected.hits, 1290);
    let points = recorder.points(0);
    assert_eq!((points.len(), points[1].requests), (2, 2000));
    assert!((points[1].seconds - 2.0).abs() < 1e-9);
}

#[test]
fn silence_is_rows_of_nothing() {
    let mut recorder = Recorder::new(1000);
    recorder.start(0);
    recorder.tick(3 * SECOND + 1, 9);
    assert_eq!(recorder.series().len(), 3);
    assert!(
        recorder
            .series()
            .iter()
            .all(|row| row.requests == 0 && row.hit_rate.is_none())
    );
}

#[test]
fn errors_are_neither_hits_nor_misses() {
    let mut recorder = Recorder::new(1000);
    recorder.start(0);
    recorder.get_sent();
    recorder.get(0, GetEnd::Error, false, at(SECOND / 2));
    recorder.error(true);
    recorder.finish(SECOND, 0);
    let totals = recorder.totals();
    assert_eq!(
        (totals.gets, totals.done, totals.errors, totals.timeouts),
        (1, 0, 1, 1)
    );
    assert_eq!(
        (totals.hit_rate(), totals.effective_hit_rate()),
        (None, Some(0.0))
    );
    assert_eq!(totals.misses_by_reason.error, 1);
}

#[test]
fn a_peak_is_the_fullest_second_wherever_it_begins() {
    let mut recorder = Recorder::new(1000);
    recorder.start(0);
    recorder.begin_phase(0, "calm", "baseline");
    for ms in (0..10_000).step_by(100) {
        recorder.backend_read(ms * SECOND / 1000);
    }
    recorder.begin_phase(10 * SECOND, "herd", "measure");
    // 100 reads from 12.5 s to 13.5 s, then ten a second.
    for n in 0..100 {
        recorder.backend_read(12_500_000_000 + n * SECOND / 100);
    }
    recorder.finish(20 * SECOND, 0);
    let (_, phases, ..) = recorder.told();
    assert_eq!(
        (phases[0].backend_peak, phases[1].backend_peak),
        (Some(10.0), Some(100.0))
    );
}
