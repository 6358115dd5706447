//! The skeleton of the page, whatever the run; hostile names stay text. Looks are judged in a browser (tests/report.rs).

use super::page;
use crate::measure::outcome::{EventCard, Generator, Outcome, Phase, Recovery, Row, ThresholdResult};

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
