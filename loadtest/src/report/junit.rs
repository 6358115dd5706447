//! JUnit XML: one test case per threshold, so that a CI server shows which expectation did not hold.

use std::fmt::Write as _;

use super::verdict::Verdict;
use super::words;
use crate::measure::outcome::Outcome;

/// The whole document.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let mut cases = String::new();
    let (mut tests, mut failures, mut errors) = (0_u32, 0_u32, 0_u32);
    let suite = escaped(&outcome.scenario);
    let mut case = |name: &str, problem: Option<(&str, String)>| {
        tests += 1;
        let name = escaped(name);
        let Some((kind, text)) = problem else {
            let _ = writeln!(cases, "    <testcase classname=\"{suite}\" name=\"{name}\"/>");
            return;
        };
        *(if kind == "failure" {
            &mut failures
        } else {
            &mut errors
        }) += 1;
        let _ = writeln!(
            cases,
            "    <testcase classname=\"{suite}\" name=\"{name}\"><{kind} message=\"{}\"/></testcase>",
            escaped(&text)
        );
    };
    // What makes every figure worthless comes first, as a case of its own.
    let sound = match Verdict::of(outcome) {
        Verdict::Passed | Verdict::Failed => None,
        Verdict::WrongValues => Some(("failure", words::headline(outcome))),
        Verdict::Invalid | Verdict::Broken | Verdict::Interrupted => {
            Some(("error", words::headline(outcome)))
        }
    };
    case("the run is sound", sound);
    for threshold in &outcome.thresholds {
        let problem = (!threshold.passed).then(|| {
            let why = if threshold.why.is_empty() {
                String::new()
            } else {
                format!(" ({})", threshold.why)
            };
            ("failure", format!("{}{why}", threshold.detail))
        });
        case(&threshold.expr, problem);
    }
    for compared in &outcome.cases {
        let name = format!("{}, {}, {} nodes", compared.event, compared.hash, compared.nodes);
        let off = compared.within_tolerance == Some(false);
        case(
            &name,
            off.then(|| ("failure", "not within its tolerance of the reference".to_owned())),
        );
    }
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    let time = outcome.elapsed_seconds;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts} time=\"{time:.3}\">\n  \
         <testsuite name=\"{suite}\" {counts} time=\"{time:.3}\">\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

/// Text in an attribute. XML has no way to write most control characters: they become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{Generator, ThresholdResult};

    fn outcome(valid: bool) -> Outcome {
        Outcome {
            scenario: "a & \"b\"".into(),
            elapsed_seconds: 1.5,
            generator: Generator {
                valid,
                ..Generator::default()
            },
            thresholds: vec![
                ThresholdResult {
                    expr: "errors == 0".into(),
                    passed: true,
                    ..ThresholdResult::default()
                },
                ThresholdResult {
                    expr: "hit_rate < 0.5".into(),
                    why: "1 > 0\u{1}".into(),
                    detail: "0.7 < 0.5".into(),
                    passed: false,
                },
            ],
            ..Outcome::default()
        }
    }

    #[test]
    fn each_threshold_is_a_case() {
        let text = text(&outcome(true));
        for line in [
            "<testsuites tests=\"3\" failures=\"1\" errors=\"0\" time=\"1.500\">",
            "<testcase classname=\"a &amp; &quot;b&quot;\" name=\"errors == 0\"/>",
            "name=\"hit_rate &lt; 0.5\"><failure message=\"0.7 &lt; 0.5 (1 &gt; 0\u{fffd})\"/></testcase>",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn an_invalid_run_is_an_error_of_its_own() {
        assert!(
            text(&outcome(false))
                .contains("name=\"the run is sound\"><error message=\"These figures say nothing")
        );
    }
}
