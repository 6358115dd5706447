//! The skeleton of the page, whatever the run; hostile names stay text. Looks are judged in a browser (tests/report.rs).

use super::page;
use crate::measure::outcome::{EventCard, Generator, Outcome, Phase, Recovery, Row, ThresholdResult, Totals};

fn hostile() -> Outcome {
    let evil = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\u{2028}&\"".to_owned();
    Outcome {
        scenario: evil.clone(),
        description: evil.clone(),
        phases: vec![Phase {
            name: evil.clone(),
            end_seconds: 9.0,
            ..Phase::default()
        }],
        events: vec![EventCard {
            label: evil.clone(),
            action: evil.clone(),
            error: Some(evil.clone()),
            warm: Some(0.8),
            low: Some(0.5),
            recovery_95: Recovery::Never,
            ..EventCard::default()
        }],
        series: (0..10)
            .map(|t| Row {
                t: f64::from(t),
                seconds: 1.0,
                hit_rate: Some(0.5),
                phase: evil.clone(),
                ..Row::default()
            })
            .collect(),
        thresholds: vec![ThresholdResult {
            expr: evil.clone(),
            why: evil.clone(),
            passed: false,
            detail: evil.clone(),
        }],
        generator: Generator {
            valid: false,
            why: Some(evil.clone()),
            ..Generator::default()
        },
        ..Outcome::default()
    }
}

#[test]
fn nothing_from_a_run_can_become_markup() {
    let page = page(&hostile(), "name = \"</code><script>alert(3)</script>\"");
    let own = page.matches("<script").count();
    assert_eq!(
        own, 4,
        "the data, the chart library, what charts share, the report's own script"
    );
    assert!(!page.contains("<img") && !page.contains("alert(1)</script>") && !page.contains("<script>alert"));
    assert!(
        page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"),
        "shown as text"
    );
    assert!(
        !page.contains('\u{2028}')
            || !page
                .split("id=\"run\"")
                .nth(1)
                .unwrap()
                .split("</script>")
                .next()
                .unwrap()
                .contains('\u{2028}')
    );
}

#[test]
fn the_page_fetches_nothing() {
    let page = page(&hostile(), "");
    let markup = page.split("<script type=").next().unwrap();
    for link in ["src=\"", "href=\"http", "url(", "@import", "<link"] {
        assert!(!markup.contains(link), "{link}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn an_empty_outcome_still_makes_a_page() {
    let page = page(
        &Outcome {
            generator: Generator {
                valid: true,
                ..Generator::default()
            },
            ..Outcome::default()
        },
        "",
    );
    assert!(page.contains("No expectation was set for this run."));
    assert!(
        !page.contains("What was done") && !page.contains("NaN"),
        "no section without figures"
    );
}

#[test]
fn sections_come_in_the_order_in_which_people_look() {
    let mut outcome = hostile();
    outcome.events[0].error = None;
    let page = page(&outcome, "");
    let page = page.split("<main>").nth(1).unwrap();
    let order = [
        "class=\"verdict",
        "What was done",
        "Hit rate over time",
        "Backing store<",
        "Why requests missed",
        "Latency<",
        "Appendix",
        "Glossary",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|mark| page.find(mark).unwrap_or_else(|| panic!("{mark} is missing")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

/// A run of one failed and one held expectation, whose baseline was still warming up, with a stale read.
fn failed() -> Outcome {
    let threshold = |expr: &str, why: &str, passed: bool| ThresholdResult {
        expr: expr.into(),
        why: why.into(),
        passed,
        detail: "never < 30 s".into(),
    };
    Outcome {
        scenario: "x".into(),
        phases: vec![Phase {
            name: "steady".into(),
            kind: "baseline".into(),
            is_warm: Some(false),
            hit_rate_slope_pp_per_10s: Some(0.84),
            ..Phase::default()
        }],
        totals: Totals {
            offered: 10,
            stale_reads: 1,
            ..Totals::default()
        },
        thresholds: vec![
            threshold("errors == 0", "nothing breaks", true),
            threshold(
                "grow.recovery_95.seconds < 30",
                "the heirs refill what was lost",
                false,
            ),
        ],
        stale_examples: vec!["12.000 s: key k<1>: version 3".into()],
        generator: Generator {
            valid: true,
            ..Generator::default()
        },
        ..Outcome::default()
    }
}

#[test]
fn the_top_names_what_failed_and_what_to_be_careful_about() {
    let outcome = failed();
    let html = page(&outcome, "");
    let top = html.split("</header>").next().unwrap();
    for part in [
        "FAIL <span class=\"score\">1/2</span>",
        "1 of 2 expectations did not hold, “the heirs refill what was lost” (never, expected &lt; 30\u{a0}s).",
        "Not warm: in “steady”, which the changes are measured against, the hit rate was still rising by 0.84\u{a0}points in 10\u{a0}s.",
    ] {
        assert!(top.contains(part), "{part} is missing in {top}");
    }
    assert!(
        html.contains("<li>12.000 s: key k&lt;1&gt;: version 3</li>") && html.contains("baseline, not warm")
    );
    let card = crate::report::end_card(&outcome);
    assert!(
        card.contains("first stale read: 12.000 s") && card.contains("Not warm:"),
        "{card}"
    );
    let markdown = crate::report::markdown::text(&outcome);
    assert!(
        markdown.contains("> Not warm:") && markdown.contains("- 12.000 s: key"),
        "{markdown}"
    );
}

#[test]
fn theory_has_a_word_for_phases_and_tells_how_near_it_came() {
    let mut outcome = failed();
    let steady = &mut outcome.phases[0];
    (steady.hit_rate, steady.hit_rate_predicted) = (Some(0.897), Some(0.905));
    (steady.backend_peak, steady.backend_peak_predicted) = (Some(450.0), Some(416.0));
    let row = |outcome: &Outcome, name: &str| {
        let html = page(outcome, "");
        let theory = html.split("Theory beside measurement").nth(1).unwrap();
        let at = theory.find(name).unwrap_or_else(|| panic!("{name}: {theory}"));
        theory[at..].split("</tr>").next().unwrap().to_owned()
    };
    let expiring = row(&outcome, ">hit rate<");
    assert!(
        expiring.contains("rT/(1 + rT)") && expiring.contains(">differs <small>±0.5 pp"),
        "{expiring}"
    );
    let peak = row(&outcome, "busiest second");
    assert!(
        peak.contains(">416<") && peak.contains(">agrees <small>±15 %"),
        "{peak}"
    );
    outcome.phases[0].totals.misses_by_reason.evicted = 1;
    let full = row(&outcome, ">hit rate<");
    assert!(
        full.contains("of the eviction") && full.contains(">agrees <small>±2 pp"),
        "{full}"
    );
}

#[test]
fn an_invalid_run_is_not_judged() {
    let mut outcome = failed();
    outcome.generator.valid = false;
    let html = page(&outcome, "");
    let top = html.split("</header>").next().unwrap();
    assert!(
        top.contains("INVALID</span>") && top.contains("not judged"),
        "{top}"
    );
    assert!(
        !top.contains("class=\"held\"") && !top.contains("class=\"missed\""),
        "{top}"
    );
    assert!(crate::report::end_card(&outcome).starts_with("x   seed 0   INVALID   ("));
    let markdown = crate::report::markdown::text(&outcome);
    assert!(
        !markdown.contains('✅') && !markdown.contains("1/2"),
        "{markdown}"
    );
}
