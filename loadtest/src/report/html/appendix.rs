//! Everything needed to run it again and to argue with the figures: scenario, environment, generator health, glossary.

use super::esc;
use crate::measure::outcome::Outcome;
use crate::report::glossary::TERMS;
use crate::report::number::{UNKNOWN, bytes, count, millis, percent, seconds};
use crate::scenario::Scenario;
use crate::scenario::threshold::{PHASE_METRICS, RUN_METRICS};

pub(super) fn section(outcome: &Outcome, scenario_toml: &str, scenario: Option<&Scenario>) -> String {
    let toml = if scenario_toml.is_empty() {
        String::new()
    } else {
        format!(
            "<details><summary>Scenario, with every default spelt out</summary><pre><code>{}</code></pre></details>\n",
            esc(scenario_toml)
        )
    };
    let theory = scenario
        .filter(|scenario| !scenario.theory.is_empty())
        .map_or(String::new(), |scenario| {
            format!(
                "<p class=\"lede\">What the scenario set out to show: {}.</p>\n",
                esc(scenario.theory.trim_end_matches('.'))
            )
        });
    format!(
        "<section><h2>Appendix</h2>\n{theory}{toml}{}{}{}{}</section>\n\
         <footer>Made by loadtest {}. Charts: uPlot 1.6.32 © Leon Sorokin, MIT. This file fetches nothing.</footer>\n",
        generator(outcome),
        phases(outcome),
        environment(outcome),
        glossary(),
        esc(&outcome.environment.loadtest_version),
    )
}

fn pairs(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().map(|(name, value)| {
        format!(
            "<tr><th scope=\"row\">{name}</th><td class=\"text\">{}</td></tr>\n",
            esc(value)
        )
    });
    format!(
        "<div class=\"scroll\"><table class=\"pairs\"><tbody>{}</tbody></table></div>",
        rows.collect::<String>()
    )
}

fn generator(outcome: &Outcome) -> String {
    let generator = &outcome.generator;
    let rows = [
        (
            "kept its schedule",
            if generator.valid {
                "yes".to_owned()
            } else {
                format!("no: {}", generator.why.as_deref().unwrap_or("no reason recorded"))
            },
        ),
        (
            "lateness, 99th percentile",
            format!("{} ms", millis(generator.lag_p99_us)),
        ),
        ("arrivals never sent", percent(Some(generator.dropped_fraction))),
        (
            "CPU of the generator",
            format!(
                "{} ({} of one core)",
                seconds(generator.cpu_seconds),
                percent(Some(generator.cpu_share))
            ),
        ),
        ("CPU of the nodes", seconds(generator.nodes_cpu_seconds)),
        ("CPU of the router", seconds(generator.router_cpu_seconds)),
        (
            "metastable",
            if generator.metastable {
                "yes: the overload outlived its cause".to_owned()
            } else {
                "no".to_owned()
            },
        ),
    ];
    format!(
        "<details{}><summary>Load generator</summary>{}<p class=\"note\">Generator, nodes and router share one machine: these figures compare hit rates, they are not the cluster’s capacity.</p></details>\n",
        if generator.valid { "" } else { " open" },
        pairs(&rows)
    )
}

fn phases(outcome: &Outcome) -> String {
    if outcome.phases.is_empty() {
        return String::new();
    }
    let rows = outcome.phases.iter().map(|phase| {
        let latency = outcome.latency.iter().find(|latency| latency.phase == phase.name);
        let micros = |read: fn(&crate::measure::outcome::Latency) -> u64| {
            latency.map_or(UNKNOWN.to_owned(), |latency| format!("{} ms", millis(read(latency))))
        };
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            esc(&phase.name),
            match phase.is_warm {
                Some(false) => format!("{}, not warm", esc(&phase.kind)),
                Some(true) => format!("{}, warm", esc(&phase.kind)),
                None => esc(&phase.kind).to_string(),
            },
            seconds((phase.end_seconds - phase.start_seconds).max(0.0)),
            count(phase.totals.offered),
            percent(phase.hit_rate),
            percent(phase.hit_rate_min),
            micros(|latency| latency.response.p50_us),
            micros(|latency| latency.response.p99_us),
            count(phase.totals.errors),
        )
    });
    format!(
        "<details><summary>Phases</summary><div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">phase</th><th scope=\"col\">kind</th><th scope=\"col\">length</th><th scope=\"col\">requests</th>\
         <th scope=\"col\">hit rate</th><th scope=\"col\">lowest window</th><th scope=\"col\">p50</th><th scope=\"col\">p99</th><th scope=\"col\">errors</th></tr></thead>\n<tbody>{}</tbody></table></div></details>\n",
        rows.collect::<String>()
    )
}

fn environment(outcome: &Outcome) -> String {
    let environment = &outcome.environment;
    let mut rows = vec![
        ("program", format!("loadtest {}", environment.loadtest_version)),
        ("system", environment.os.clone()),
        (
            "processor",
            format!("{} × {}", environment.cpus, environment.cpu_model),
        ),
        ("nodes run", outcome.cluster.program.clone()),
        ("cluster", outcome.cluster.mode.clone()),
        ("working set", bytes(outcome.workload.footprint_bytes)),
        ("keys", count(outcome.workload.keys)),
    ];
    let versions: Vec<String> = environment
        .versions
        .iter()
        .map(|(node, version)| format!("{node} {version}"))
        .collect();
    rows.push(("versions reported", versions.join(", ")));
    let labels: Vec<String> = environment
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    rows.push(("labels", labels.join(", ")));
    rows.retain(|(_, value)| !value.is_empty());
    format!(
        "<details><summary>Environment</summary>{}</details>\n",
        pairs(&rows)
    )
}

fn glossary() -> String {
    let terms: String = TERMS
        .iter()
        .map(|term| format!("<dt>{}</dt><dd>{}</dd>", term.word, term.meaning))
        .collect();
    let names = RUN_METRICS
        .iter()
        .map(|metric| (metric.name.to_owned(), metric.meaning))
        .chain(
            PHASE_METRICS
                .iter()
                .map(|metric| (format!("PHASE.{}", metric.name), metric.meaning)),
        );
    let names: String = names
        .map(|(name, meaning)| {
            format!(
                "<tr><th scope=\"row\"><code>{name}</code></th><td class=\"text\">{}</td></tr>\n",
                esc(meaning)
            )
        })
        .collect();
    format!(
        "<details><summary>Glossary</summary><dl class=\"glossary\">{terms}</dl></details>\n\
         <details><summary>Metric names for thresholds</summary><div class=\"scroll\"><table class=\"pairs\"><tbody>{names}</tbody></table></div></details>\n\
         <details class=\"js\"><summary>Download</summary><p id=\"downloads\"></p></details>\n"
    )
}
