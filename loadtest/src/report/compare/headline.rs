//! What changed between runs, in a sentence each: better, worse or level, by how much, and which expectations flipped.

use super::{Compared, FIGURES, Figure};
use crate::report::Verdict;

/// Sentences about single runs at most; the table has the others.
const RUNS_TOLD: usize = 8;
/// Figures named in one sentence, and expectations.
const NAMED: usize = 3;

/// A figure that decides whether a run is better, and by how much it must differ to count.
struct Deciding {
    name: &'static str,
    words: &'static str,
    /// In the figure's own unit.
    at_least: f64,
    /// And this share of the baseline.
    share: f64,
}

/// What is wrong first, then what is slow.
const DECIDING: [Deciding; 7] = [
    deciding("stale_reads", "stale reads", 0.5, 0.0),
    deciding("errors", "errors", 0.5, 0.1),
    deciding("hit_rate.min", "the lowest hit rate after an event", 0.01, 0.0),
    deciding("recovery_95.seconds", "the way back to 95 %", 1.0, 0.2),
    deciding("hit_rate", "the hit rate of the whole run", 0.01, 0.0),
    deciding("amplification", "the peak of the backing store", 0.1, 0.2),
    deciding("p99", "the p99 of the response time", 0.001, 0.5),
];

const fn deciding(name: &'static str, words: &'static str, at_least: f64, share: f64) -> Deciding {
    Deciding {
        name,
        words,
        at_least,
        share,
    }
}

/// How a run differs from the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Better,
    Worse,
    /// Better in one thing and worse in another.
    Mixed,
    Level,
    /// One of the two says nothing about its cluster.
    Unknown,
}

/// What changed: the first sentence is about all runs, the others about one each.
#[derive(Debug)]
pub struct Headline {
    pub change: Change,
    pub sentence: String,
    pub runs: Vec<String>,
}

/// How the other runs differ from the first.
#[must_use]
pub fn headline(runs: &[Compared]) -> Headline {
    let Some((baseline, others)) = runs.split_first() else {
        return Headline {
            change: Change::Unknown,
            sentence: String::new(),
            runs: Vec::new(),
        };
    };
    let told: Vec<(Change, String)> = others.iter().map(|run| compared(baseline, run)).collect();
    if let [(change, sentence)] = &told[..] {
        return Headline {
            change: *change,
            sentence: sentence.clone(),
            runs: Vec::new(),
        };
    }
    let number = |wanted: Change| told.iter().filter(|(change, _)| *change == wanted).count();
    let counts: Vec<String> = [
        (Change::Better, "better"),
        (Change::Worse, "worse"),
        (Change::Mixed, "better in one thing and worse in another"),
        (Change::Level, "level"),
        (Change::Unknown, "not comparable"),
    ]
    .into_iter()
    .filter(|(change, _)| number(*change) > 0)
    .map(|(change, word)| format!("{} {word}", number(change)))
    .collect();
    let change = match (
        number(Change::Better),
        number(Change::Worse),
        number(Change::Mixed),
    ) {
        (0, 0, 0) if number(Change::Level) > 0 => Change::Level,
        (0, 0, 0) => Change::Unknown,
        (_, 0, 0) => Change::Better,
        (0, _, 0) => Change::Worse,
        _ => Change::Mixed,
    };
    Headline {
        change,
        sentence: format!(
            "Of {} runs held against {}: {}.",
            others.len(),
            baseline.name,
            counts.join(", ")
        ),
        runs: told
            .into_iter()
            .map(|(_, sentence)| sentence)
            .take(RUNS_TOLD)
            .collect(),
    }
}

fn compared(baseline: &Compared, run: &Compared) -> (Change, String) {
    let (ours, theirs) = (&run.name, &baseline.name);
    if let Some(void) = [baseline, run].into_iter().find(|run| {
        matches!(
            Verdict::of(&run.outcome),
            Verdict::Invalid | Verdict::Broken | Verdict::Interrupted
        )
    }) {
        let word = Verdict::of(&void.outcome).word();
        let sentence = format!(
            "{ours} cannot be held against {theirs}: {} ended {word}.",
            void.name
        );
        return (Change::Unknown, sentence);
    }
    let (mut better, mut worse) = (Vec::new(), Vec::new());
    for deciding in &DECIDING {
        match deciding.judge(baseline, run) {
            Some((true, told)) => better.push(told),
            Some((false, told)) => worse.push(told),
            None => {}
        }
    }
    let flipped = flipped(baseline, run);
    let (change, what) = match (better.is_empty(), worse.is_empty()) {
        (true, true) => (
            Change::Level,
            format!(
                "{ours} is level with {theirs}: no hit rate differs by a point, no way back by a fifth, no p99 by half"
            ),
        ),
        (false, true) => (
            Change::Better,
            format!("{ours} is better than {theirs}: {}", some(&better)),
        ),
        (true, false) => (
            Change::Worse,
            format!("{ours} is worse than {theirs}: {}", some(&worse)),
        ),
        (false, false) => (
            Change::Mixed,
            format!(
                "{ours} is worse than {theirs} in one thing and better in another: worse {}; better {}",
                some(&worse),
                some(&better)
            ),
        ),
    };
    (change, format!("{what}. {flipped}").trim_end().to_owned())
}

/// The first few, and how many there are beside.
fn some(told: &[String]) -> String {
    let named = told[..told.len().min(NAMED)].join(", ");
    match told.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl Deciding {
    /// Whether the run is better by this figure, in words; `None` if it is level.
    fn judge(&self, baseline: &Compared, run: &Compared) -> Option<(bool, String)> {
        let figure: &Figure = FIGURES.iter().find(|figure| figure.name == self.name)?;
        let (before, after) = (figure.of(&baseline.outcome), figure.of(&run.outcome));
        let better = figure.is_better(before, after)?;
        let (was, is) = (before?, after?);
        let moved = (is - was).abs();
        // Who never came back is another case than who did; two who never did are not.
        let counts = moved.is_infinite() || moved >= self.at_least.max(self.share * was.abs());
        counts.then(|| {
            let (is, was) = (figure.text(after), figure.text(before));
            (better, format!("{} is {is} instead of {was}", self.words))
        })
    }
}

/// Expectations of both that held in one of the two and not in the other.
fn flipped(baseline: &Compared, run: &Compared) -> String {
    let mut sentences = Vec::new();
    for (holds, verb) in [(false, "No longer holds"), (true, "Holds now")] {
        let flips = run.outcome.thresholds.iter().filter(|threshold| {
            threshold.passed == holds
                && baseline
                    .outcome
                    .thresholds
                    .iter()
                    .any(|before| before.expr == threshold.expr && before.passed != holds)
        });
        let told: Vec<String> = flips
            .map(|threshold| match threshold.why.as_str() {
                "" => format!("“{}”", threshold.expr),
                why => format!("“{why}”"),
            })
            .collect();
        if !told.is_empty() {
            sentences.push(format!("{verb}: {}.", some(&told)));
        }
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{EventCard, Generator, Outcome, Recovery, ThresholdResult, Totals};

    fn run(name: &str, low: f64, recovery: Recovery, held: bool) -> Compared {
        Compared {
            name: name.into(),
            outcome: Outcome {
                generator: Generator {
                    valid: true,
                    ..Generator::default()
                },
                totals: Totals {
                    hits: 800,
                    misses: 200,
                    ..Totals::default()
                },
                events: vec![EventCard {
                    warm: Some(0.8),
                    low: Some(low),
                    recovery_95: recovery,
                    ..EventCard::default()
                }],
                thresholds: vec![ThresholdResult {
                    expr: "after.hit_rate.min > 0.6".into(),
                    why: "a quarter of the keys moved".into(),
                    passed: held,
                    ..ThresholdResult::default()
                }],
                ..Outcome::default()
            },
        }
    }

    fn after(seconds: f64) -> Recovery {
        Recovery::After { seconds, requests: 1 }
    }

    #[test]
    fn one_sentence_says_what_changed_and_by_how_much() {
        let baseline = run("ketama", 0.7, after(3.0), true);
        let told = headline(&[baseline.clone(), run("modulo", 0.3, Recovery::Never, false)]);
        assert_eq!(told.change, Change::Worse);
        assert_eq!(
            told.sentence,
            "modulo is worse than ketama: the lowest hit rate after an event is 30.0 % instead of 70.0 %, \
             the way back to 95 % is never instead of 3 s. No longer holds: “a quarter of the keys moved”."
        );
        let told = headline(&[run("modulo", 0.3, Recovery::Never, false), baseline.clone()]);
        assert_eq!(told.change, Change::Better);
        assert!(
            told.sentence.contains("Holds now: “a quarter"),
            "{}",
            told.sentence
        );
        let told = headline(&[baseline.clone(), run("again", 0.705, after(3.4), true)]);
        assert_eq!(told.change, Change::Level, "{}", told.sentence);
        let told = headline(&[baseline.clone(), run("odd", 0.75, after(9.0), true)]);
        assert_eq!(told.change, Change::Mixed, "{}", told.sentence);
    }

    #[test]
    fn of_several_runs_each_has_its_sentence() {
        let baseline = run("ketama", 0.7, after(3.0), true);
        let others = [
            run("modulo", 0.3, Recovery::Never, false),
            run("jump", 0.7, after(3.0), true),
        ];
        let told = headline(&[&[baseline][..], &others].concat());
        assert_eq!(told.sentence, "Of 2 runs held against ketama: 1 worse, 1 level.");
        assert_eq!((told.change, told.runs.len()), (Change::Worse, 2));
    }

    #[test]
    fn a_run_that_says_nothing_is_not_compared() {
        let mut lagging = run("late", 0.1, Recovery::Never, false);
        lagging.outcome.generator.valid = false;
        let told = headline(&[run("ketama", 0.7, after(3.0), true), lagging]);
        assert_eq!(told.change, Change::Unknown);
        assert!(
            told.sentence.ends_with("late ended INVALID."),
            "{}",
            told.sentence
        );
    }
}
