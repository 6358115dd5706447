use super::parse;
use crate::measure::outcome::{EventCard, Latency, Outcome, Percentiles, Phase, Recovery, Remap, Totals};
use crate::scenario::{Overrides, Scenario, from_text};

const SCENARIO: &str = r#"
name = "t"
[[phase]]
name = "steady"
kind = "baseline"
duration = "10s"
[[phase]]
name = "resize"
kind = "measure"
duration = "10s"
[[event]]
at = "resize+0s"
do = "add_node"
"#;

fn scenario() -> Scenario {
    from_text("t.toml", SCENARIO, &Overrides::default()).unwrap()
}

fn outcome() -> Outcome {
    Outcome {
        totals: Totals {
            offered: 1_000,
            errors: 3,
            ..Totals::default()
        },
        phases: vec![
            Phase {
                name: "steady".into(),
                hit_rate: Some(0.8),
                ..Phase::default()
            },
            Phase {
                name: "resize".into(),
                hit_rate: Some(0.7),
                hit_rate_min: Some(0.661),
                ..Phase::default()
            },
        ],
        events: vec![EventCard {
            action: "add_node".into(),
            phase: "resize".into(),
            warm: Some(0.8),
            low: Some(0.661),
            recovery_95: Recovery::Never,
            remap_measured: Some(Remap {
                request_weighted: 0.206,
                key_fraction: 0.198,
                ..Remap::default()
            }),
            remap_predicted: Some(Remap {
                request_weighted: 0.206,
                key_fraction: 0.198,
                ..Remap::default()
            }),
            ..EventCard::default()
        }],
        latency: vec![Latency {
            phase: "resize".into(),
            response: Percentiles {
                count: 10,
                p99_us: 1_900,
                max_us: 9_000,
                ..Percentiles::default()
            },
            ..Latency::default()
        }],
        ..Outcome::default()
    }
}

#[track_caller]
fn check(expression: &str, passed: bool, detail: &str) {
    let condition =
        parse(expression, &scenario()).unwrap_or_else(|mistake| panic!("{expression}: {mistake:?}"));
    assert_eq!(
        condition.judge(&outcome()),
        (passed, detail.to_owned()),
        "{expression}"
    );
}

#[test]
fn expressions_compare_what_was_measured() {
    check(
        "resize.hit_rate.min >= 0.75 * steady.hit_rate",
        true,
        "0.661 >= 0.6",
    );
    check(
        "resize.hit_rate.min >= 0.9 * steady.hit_rate",
        false,
        "0.661 >= 0.72",
    );
    check(
        "abs(resize.remap.request_weighted - predicted.remap.request_weighted) < 0.01",
        true,
        "0 < 0.01",
    );
    check("abs(resize.remap.key_fraction - 20%) < 1pp", true, "0.002 < 0.01");
    check("p99('resize') < 50ms", true, "1.9 ms < 50 ms");
    check("p99(\"resize\") < 1ms", false, "1.9 ms < 1 ms");
    check(
        "p100('resize') <= 9ms and p99('resize') > 1ms",
        true,
        "9 ms <= 9 ms and 1.9 ms > 1 ms",
    );
    check(
        "errors == 3 && error_rate == 0.3%",
        true,
        "3 == 3 and 0.003 == 0.003",
    );
    check("resize.dip <= 14pp", true, "0.139 <= 0.14");
    check("-resize.dip > -1", true, "-0.139 > -1");
    check(
        "max(steady.hit_rate, resize.hit_rate) - 0.1 * 2 == 0.6000000000000001",
        true,
        "0.6 == 0.6",
    );
    check("1 + 2 * 3 == 7", true, "7 == 7");
    check("(1 + 2) * 3 == 9", true, "9 == 9");
    check("10 - 2 - 3 == 5", true, "5 == 5");
    check("requests >= 1k", true, "1,000 >= 1,000");
    check("metastable == false", true, "false == false");
}

#[test]
fn never_recovered_is_infinite_and_fails_every_upper_bound() {
    check("resize.recovery_95.seconds < 30", false, "never < 30 s");
    check("resize.recovery_95.seconds < 30s", false, "never < 30 s");
    check("resize.recovery_95.requests == never", true, "never == never");
}

#[test]
fn what_was_not_measured_fails_and_says_so() {
    check(
        "resize.amplification < 5",
        false,
        "not measured: resize.amplification",
    );
    check("p99('steady') < 1s", false, "not measured: latency of steady");
    check(
        "resize.hit_rate.first_5k != 0.5",
        false,
        "not measured: resize.hit_rate.first_5k",
    );
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let scenario = scenario();
    for (expression, span, message, expected) in [
        (
            "resize.hitrate > 0",
            "resize.hitrate",
            "unknown metric `resize.hitrate`",
            "did you mean `resize.hit_rate`?",
        ),
        (
            "stael_reads == 0",
            "stael_reads",
            "unknown metric `stael_reads`",
            "did you mean `stale_reads`?",
        ),
        (
            "steady.recovery_95.seconds < 3",
            "steady.recovery_95.seconds",
            "phase `steady` has no event",
            "expected a phase in which",
        ),
        (
            "predicted.remap.kee < 1",
            "predicted.remap.kee",
            "unknown metric",
            "did you mean `predicted.remap.key_fraction`?",
        ),
        (
            "p99('resise') < 1s",
            "'resise'",
            "no phase `resise`",
            "did you mean `resize`?",
        ),
        (
            "p99(resize) < 1s",
            "resize",
            "the phase is not quoted",
            "expected 'resize'",
        ),
        (
            "p99 < 1s",
            "p99",
            "`p99` is a percentile",
            "expected p99('PHASE')",
        ),
        (
            "p99('resize') < 50",
            "p99('resize') < 50",
            "a time and a bare number do not compare",
            "expected 50 with a unit, like 50ms",
        ),
        (
            "p99('resize') * p50() < 5",
            "p99('resize') * p50()",
            "the units make no sense",
            "expected a time times a number",
        ),
        ("resize.hit_rate", "", "nothing is compared", "expected one of: <"),
        (
            "resize.hit_rate >",
            "",
            "the expression ends too soon",
            "expected a metric or a number",
        ),
        (
            "(resize.hit_rate > 1",
            ">",
            "the parenthesis is not closed",
            "expected )",
        ),
        (
            "errors == 0 0",
            "0",
            "something is left over",
            "expected the end, or `and`",
        ),
        (
            "p99('resize) < 1s",
            "'resize) < 1s",
            "the quote is not closed",
            "expected '",
        ),
        ("errors < 5qs", "qs", "unknown unit `qs`", "expected one of: us"),
        ("errors ~ 5", "~", "`~` means nothing here", "expected a metric"),
        ("avg(1) < 5", "avg", "unknown function `avg`", "expected one of"),
        ("abs(1, 2) < 5", "abs(1, 2)", "`abs` takes one value", ""),
        ("1.2.3 < 5", "1.2.3", "not a number", ""),
        ("", "", "the expression ends too soon", ""),
    ] {
        let mistake = parse(expression, &scenario).expect_err(expression);
        assert_eq!(
            &expression[mistake.span.clone()],
            span,
            "{expression}: {mistake:?}"
        );
        assert!(mistake.message.contains(message), "{expression}: {mistake:?}");
        assert!(mistake.expected.contains(expected), "{expression}: {mistake:?}");
    }
}

#[test]
fn no_text_exhausts_the_stack() {
    for text in ["(".repeat(10_000), "-".repeat(10_000), "abs(".repeat(10_000)] {
        assert_eq!(
            parse(&text, &scenario()).unwrap_err().message,
            "nested too deeply"
        );
    }
}
