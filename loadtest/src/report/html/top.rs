//! The verdict strip: is all well, and why. Somebody who reads nothing else must know.

use super::{esc, prose};
use crate::clock;
use crate::measure::outcome::Outcome;
use crate::report::number::{self, count, millis, percent, seconds, whole};
use crate::report::verdict::{Verdict, score};
use crate::report::words;

pub(super) fn section(outcome: &Outcome) -> String {
    let verdict = Verdict::of(outcome);
    let tone = match verdict {
        Verdict::Passed => "good",
        Verdict::Failed | Verdict::WrongValues | Verdict::Broken => "bad",
        Verdict::Invalid | Verdict::Interrupted => "warn",
    };
    let mark = match verdict {
        Verdict::Passed => "✓",
        Verdict::Failed | Verdict::WrongValues | Verdict::Broken => "✕",
        Verdict::Invalid | Verdict::Interrupted => "!",
    };
    let (held, all) = score(outcome);
    let counts = matches!(verdict, Verdict::Passed | Verdict::Failed);
    let score = if all == 0 || !counts {
        String::new()
    } else {
        format!(" <span class=\"score\">{held}/{all}</span>")
    };
    format!(
        "<header class=\"verdict {tone}\">\n<div class=\"title\"><span class=\"pill\"><span aria-hidden=\"true\">{mark}</span> {}{score}</span>\
         <h1>{}</h1><button type=\"button\" class=\"js\" id=\"theme\" aria-label=\"Switch between light and dark\">◐</button></div>\n\
         <p class=\"headline\">{}</p>\n{}<p class=\"description\">{}</p>\n{}{}{}</header>\n",
        verdict.word(),
        esc(&outcome.scenario),
        prose(&words::headline(outcome)),
        caveats(outcome),
        esc(&outcome.description),
        facts(outcome),
        expectations(outcome),
        command(outcome),
    )
}

fn caveats(outcome: &Outcome) -> String {
    let caveats = words::caveats(outcome);
    let told = caveats
        .iter()
        .map(|caveat| format!("<p class=\"caveat\">{}</p>\n", prose(caveat)));
    told.collect()
}

fn facts(outcome: &Outcome) -> String {
    let cluster = &outcome.cluster;
    let requests = outcome
        .totals
        .offered
        .max(outcome.cases.iter().map(|case| case.requests).sum());
    let nodes = match (cluster.nodes.len(), cluster.router) {
        (0, _) => String::new(),
        (nodes, true) => format!(
            "{nodes} nodes of {}, a router, {}",
            number::bytes(cluster.node_memory_bytes),
            cluster.hash
        ),
        (nodes, false) => format!(
            "{nodes} nodes of {}, {}",
            number::bytes(cluster.node_memory_bytes),
            cluster.hash
        ),
    };
    let generator = &outcome.generator;
    let health = if generator.valid {
        format!(
            "on schedule: 99 % within {} ms, {} dropped",
            millis(generator.lag_p99_us),
            count(outcome.totals.dropped)
        )
    } else {
        "could not keep its schedule".to_owned()
    };
    let facts = [
        ("Cluster", nodes),
        ("Load", load(outcome)),
        (
            "Requests",
            format!("{} in {}", count(requests), seconds(outcome.elapsed_seconds)),
        ),
        ("Hit rate, whole run", percent(outcome.totals.hit_rate())),
        ("Generator", health),
        (
            "Started",
            clock::utc_text(outcome.started_unix_seconds)
                .replace('T', " ")
                .replace('Z', " UTC"),
        ),
        ("Seed", outcome.seed.to_string()),
    ];
    let cells = facts
        .iter()
        .filter(|(_, value)| !value.is_empty() && value != number::UNKNOWN)
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", prose(value)));
    format!("<dl class=\"facts\">{}</dl>\n", cells.collect::<String>())
}

/// What is asked for, and how fast.
fn load(outcome: &Outcome) -> String {
    let workload = &outcome.workload;
    match (workload.rate, workload.mode.as_str()) {
        (Some(rate), _) => {
            let stages = workload
                .rate_at_end
                .map_or(String::new(), |rate| format!(", in stages to {}", whole(rate)));
            format!(
                "{}; {} requests/s{stages}, open loop",
                workload.describe,
                whole(rate)
            )
        }
        (None, "closed") => format!("{}; as fast as it is answered", workload.describe),
        (None, _) => workload.describe.clone(),
    }
}

fn expectations(outcome: &Outcome) -> String {
    if outcome.thresholds.is_empty() {
        return String::new();
    }
    let judged = Verdict::of(outcome).is_judged();
    // What failed comes first: that is what the reader is here for.
    let mut thresholds: Vec<_> = outcome.thresholds.iter().collect();
    thresholds.sort_by_key(|threshold| threshold.passed);
    let items = thresholds.into_iter().map(|threshold| {
        let (class, mark, word) = match (judged, threshold.passed) {
            (false, _) => ("void", "–", "not judged"),
            (true, true) => ("held", "✓", "held"),
            (true, false) => ("missed", "✕", "did not hold"),
        };
        let detail = if class == "missed" { words::expected(&threshold.detail) } else { threshold.detail.clone() };
        let why = if threshold.why.is_empty() { String::new() } else { format!("<span class=\"why\">{}</span>", esc(&threshold.why)) };
        format!(
            "<li class=\"{class}\"><span class=\"mark\" role=\"img\" aria-label=\"{word}\">{mark}</span><span class=\"what\">{why}\
             <code>{}</code></span><code class=\"detail\">{}</code></li>\n",
            esc(&threshold.expr),
            esc(&detail)
        )
    });
    format!(
        "{}<ul class=\"expectations\">\n{}</ul>\n",
        if judged {
            ""
        } else {
            "<p class=\"note unjudged\">Expectations, not judged: what was measured does not bear it.</p>\n"
        },
        items.collect::<String>()
    )
}

fn command(outcome: &Outcome) -> String {
    let command = &outcome.environment.command;
    if command.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"command\"><code id=\"command\">{}</code><button type=\"button\" class=\"js\" data-copy=\"command\">Copy</button></div>\n",
        command
            .split(' ')
            .map(|word| format!("<span>{}</span>", esc(word)))
            .collect::<Vec<_>>()
            .join(" ")
    )
}
