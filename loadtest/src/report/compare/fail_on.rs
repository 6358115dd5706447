//! `--fail-on 'hit_rate.min < -1pp'`: a change from the baseline that is not accepted.

use super::{Compared, FIGURES, Figure};

/// `METRIC OP CHANGE`.
#[derive(Debug)]
pub struct FailOn {
    text: String,
    figure: &'static Figure,
    below: bool,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    /// In the figure's own unit; points are hundredths.
    Absolute(f64),
    /// A share of the baseline.
    Relative(f64),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FailOnError {
    #[error(
        "--fail-on {0}: expected METRIC < CHANGE or METRIC > CHANGE, such as 'hit_rate.min < -1pp' or 'p99 > 10%'"
    )]
    Form(String),
    #[error("--fail-on {text}: unknown metric `{name}`; did you mean `{nearest}`? one of: {all}")]
    Metric {
        text: String,
        name: String,
        nearest: String,
        all: String,
    },
}

impl std::str::FromStr for FailOn {
    type Err = FailOnError;

    fn from_str(text: &str) -> Result<Self, FailOnError> {
        let form = || FailOnError::Form(text.to_owned());
        let at = text.find(['<', '>']).ok_or_else(form)?;
        let (name, rest) = text.split_at(at);
        let name = name.trim();
        let figure = FIGURES.iter().find(|figure| figure.name == name).ok_or_else(|| {
            let nearest = FIGURES.iter().max_by(|a, b| {
                strsim::jaro_winkler(a.name, name).total_cmp(&strsim::jaro_winkler(b.name, name))
            });
            FailOnError::Metric {
                text: text.to_owned(),
                name: name.to_owned(),
                nearest: nearest.map_or("", |figure| figure.name).to_owned(),
                all: FIGURES.map(|figure| figure.name).join(", "),
            }
        })?;
        let number = rest.get(1..).unwrap_or_default().trim();
        let (number, scale): (&str, fn(f64) -> Change) = if let Some(number) = number.strip_suffix("pp") {
            (number, |points| Change::Absolute(points / 100.0))
        } else if let Some(number) = number.strip_suffix('%') {
            (number, |percent| Change::Relative(percent / 100.0))
        } else if let Some(number) = number.strip_suffix("ms") {
            (number, |ms| Change::Absolute(ms / 1e3))
        } else if let Some(number) = number.strip_suffix('s') {
            (number, Change::Absolute)
        } else {
            (number, Change::Absolute)
        };
        let number: f64 = number
            .trim()
            .replace('−', "-")
            .parse()
            .map_err(|_unparsable| form())?;
        Ok(Self {
            text: text.to_owned(),
            figure,
            below: rest.starts_with('<'),
            change: scale(number),
        })
    }
}

impl FailOn {
    /// What is not accepted about `run`, in words. A figure that one of the two lacks cannot be told from a bad one.
    #[must_use]
    pub fn judge(&self, baseline: &Compared, run: &Compared) -> Option<String> {
        let (before, after) = (self.figure.of(&baseline.outcome), self.figure.of(&run.outcome));
        let (Some(before), Some(after)) = (before, after) else {
            return Some(format!(
                "{}: {} was not measured ({})",
                run.name, self.figure.name, self.text
            ));
        };
        let change = if after == before { 0.0 } else { after - before };
        let limit = match self.change {
            Change::Absolute(limit) => limit,
            Change::Relative(share) => share * before.abs(),
        };
        let broken = if self.below {
            change < limit
        } else {
            change > limit
        };
        broken.then(|| {
            format!(
                "{}: {} went from {} to {} ({})",
                run.name,
                self.figure.name,
                self.figure.text(Some(before)),
                self.figure.text(Some(after)),
                self.text
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{EventCard, Outcome, Recovery};

    fn run(low: f64, recovery: Recovery) -> Compared {
        Compared {
            name: "x".into(),
            outcome: Outcome {
                events: vec![EventCard {
                    low: Some(low),
                    recovery_95: recovery,
                    ..EventCard::default()
                }],
                ..Outcome::default()
            },
        }
    }

    #[test]
    fn a_change_beyond_the_limit_is_told() {
        let after = |seconds| Recovery::After { seconds, requests: 1 };
        let (baseline, near, far) = (
            run(0.70, after(4.0)),
            run(0.695, after(4.2)),
            run(0.60, Recovery::Never),
        );
        for (text, near_breaks, far_breaks) in [
            ("hit_rate.min < -1pp", false, true),
            ("hit_rate.min<-0.1pp", true, true),
            ("recovery_95.seconds > 10%", false, true),
            ("recovery_95.seconds > 100ms", true, true),
        ] {
            let fail_on: FailOn = text.parse().unwrap();
            assert_eq!(fail_on.judge(&baseline, &near).is_some(), near_breaks, "{text}");
            assert_eq!(fail_on.judge(&baseline, &far).is_some(), far_breaks, "{text}");
            assert_eq!(fail_on.judge(&baseline, &baseline), None, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_neighbour() {
        let error = "hit_rate.mni < -1pp".parse::<FailOn>().unwrap_err().to_string();
        assert!(error.contains("did you mean `hit_rate.min`"), "{error}");
        for text in ["hit_rate", "p99 > lots", ""] {
            assert!(
                matches!(text.parse::<FailOn>(), Err(FailOnError::Form(_))),
                "{text}"
            );
        }
    }
}
