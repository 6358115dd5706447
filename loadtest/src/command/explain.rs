//! `loadtest explain`: what a word of the report, a metric, a miss reason or an exit code means.

use std::fmt::Write as _;

use crate::exit::Exit;
use crate::report::glossary::{EXIT_CODES, MISS_REASONS, STATES, TERMS, Term};
use crate::scenario::threshold::{PHASE_METRICS, RUN_METRICS};

/// Everything `explain` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct ExplainArgs {
    /// A miss reason (`remapped`), a metric (`hit_rate.min`), an exit code (`99`), a state of the live page, or a word
    /// of the report (`miss debt`). Without one: everything.
    #[arg(value_name = "WORD", num_args = 0..)]
    pub word: Vec<String>,
}

/// Prints the meaning.
#[must_use]
pub fn main(args: &ExplainArgs) -> Exit {
    let all = all();
    let asked = args.word.join(" ").to_lowercase();
    if asked.is_empty() {
        return super::print(&everything(&all));
    }
    // `steady.hit_rate.min` is a metric of a phase.
    let of_phase = asked.split_once('.').map_or("", |(_, metric)| metric);
    let fits = |word: &str| {
        let word = word.to_lowercase();
        word == asked
            || (!of_phase.is_empty() && word == of_phase)
            || word.split(", ").any(|part| part == asked)
    };
    let mut found: Vec<&Entry> = all.iter().filter(|entry| fits(entry.word)).collect();
    if found.is_empty() {
        // `recovery_95` is two metrics.
        let family = format!("{asked}.");
        found.extend(all.iter().filter(|entry| entry.word.starts_with(&family)));
    }
    if found.is_empty() {
        let nearest = super::nearest(&asked, all.iter().map(|entry| entry.word));
        eprintln!(
            "loadtest: nothing is called `{asked}`; did you mean `{nearest}`? `loadtest explain` lists everything"
        );
        return Exit::BadInput;
    }
    let told = found
        .iter()
        .map(|entry| format!("{} ({}): {}\n", entry.word, entry.what, entry.meaning));
    super::print(&told.collect::<String>())
}

struct Entry {
    what: &'static str,
    word: &'static str,
    meaning: &'static str,
}

fn all() -> Vec<Entry> {
    let terms = |what: &'static str, terms: &'static [Term]| {
        terms.iter().map(move |term| Entry {
            what,
            word: term.word,
            meaning: term.meaning,
        })
    };
    terms("miss reason", &MISS_REASONS)
        .chain(terms("exit code", &EXIT_CODES))
        .chain(terms("state of the live page", &STATES))
        .chain(terms("in the report", &TERMS))
        .chain(RUN_METRICS.iter().map(|metric| Entry {
            what: "metric of the run",
            word: metric.name,
            meaning: metric.meaning,
        }))
        .chain(PHASE_METRICS.iter().map(|metric| Entry {
            what: "metric of a phase, PHASE.NAME",
            word: metric.name,
            meaning: metric.meaning,
        }))
        .collect()
}

fn everything(all: &[Entry]) -> String {
    let mut out = String::new();
    let mut last = "";
    for entry in all {
        if entry.what != last {
            let gap = if last.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{}", entry.what);
            last = entry.what;
        }
        let _ = writeln!(out, "  {:<26} {}", entry.word, entry.meaning);
    }
    out
}
