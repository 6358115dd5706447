//! The run as tables for a spreadsheet or pandas: RFC 4180, one header row, fractions and µs as in run.json, empty for "not measured".

use std::fmt::Write as _;

use crate::measure::outcome::{HitCount, MissCounts, Outcome, Recovery, Row};

const SERIES_HEADER: &str = "t,seconds,first_request,requests,phase,rate_offered,rate_done,hit_rate,eff_hit_rate,predicted_hit_rate,\
hit_affected,hit_unaffected,backend_qps,backend_queue,p50_us,p90_us,p99_us,p999_us,max_us,errors,stale,dropped";

/// `series.csv` (one row a second) or `requests.csv` (windows of equal numbers of gets).
#[must_use]
pub(super) fn series(rows: &[Row]) -> String {
    let mut out = format!("{SERIES_HEADER}\n");
    for row in rows {
        let share = |count: Option<HitCount>| optional(count.and_then(|count| count.rate()));
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            decimal(row.t),
            decimal(row.seconds),
            row.first_request,
            row.requests,
            field(&row.phase),
            decimal(row.rate_offered),
            decimal(row.rate_done),
            optional(row.hit_rate),
            optional(row.effective_hit_rate),
            optional(row.predicted),
            share(row.affected),
            share(row.unaffected),
            decimal(row.backend_rate),
            row.backend_queue,
            row.p50_us,
            row.p90_us,
            row.p99_us,
            row.p999_us,
            row.max_us,
            row.errors,
            row.stale,
            row.dropped,
        );
    }
    out
}

/// `nodes.csv`: one row per node and second.
#[must_use]
pub(super) fn nodes(outcome: &Outcome) -> String {
    let mut out = "t,node,gets,hits,sets,items,bytes,evictions,up,rss_bytes,cpu_seconds\n".to_owned();
    for row in &outcome.nodes {
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{}",
            decimal(row.t),
            field(&row.node),
            row.gets,
            row.hits,
            row.sets,
            row.items,
            row.bytes,
            row.evictions,
            u8::from(row.up),
            row.rss_bytes.map_or(String::new(), |bytes| bytes.to_string()),
            optional(row.cpu_seconds),
        );
    }
    out
}

/// `misses.csv`: long form, reasons that happened.
#[must_use]
pub(super) fn misses(outcome: &Outcome) -> String {
    let mut out = "t,reason,n\n".to_owned();
    for row in &outcome.series {
        for (name, n) in MissCounts::NAMES
            .into_iter()
            .zip(row.misses_by_reason.values())
            .filter(|(_, n)| *n > 0)
        {
            let _ = writeln!(out, "{},{name},{n}", decimal(row.t));
        }
    }
    out
}

/// `events.csv`: one row per event.
#[must_use]
pub(super) fn events(outcome: &Outcome) -> String {
    let mut out = "t,request,action,label,nodes,phase,took_seconds,warm,low,predicted_low,first_1k,first_5k,first_10k,first_20k,\
predicted_5k,predicted_20k,recovery_95_seconds,recovery_95_requests,amplification,predicted_amplification,miss_debt,\
remap_keys,remap_requests,predicted_remap_keys,predicted_remap_requests,error\n"
        .to_owned();
    for card in &outcome.events {
        let (seconds, requests) = match card.recovery_95 {
            Recovery::After { seconds, requests } => (decimal(seconds), requests.to_string()),
            Recovery::Never => ("inf".to_owned(), "inf".to_owned()),
            Recovery::Unknown => (String::new(), String::new()),
        };
        let (measured, predicted) = (card.remap_measured, card.remap_predicted);
        let fields = [
            decimal(card.at_seconds),
            card.at_request.to_string(),
            field(&card.action),
            field(&card.label),
            field(&card.nodes.join(" ")),
            field(&card.phase),
            decimal(card.took_seconds),
            optional(card.warm),
            optional(card.low),
            optional(card.predicted.low),
            optional(card.first_1k),
            optional(card.first_5k),
            optional(card.first_10k),
            optional(card.first_20k),
            optional(card.predicted.first_5k),
            optional(card.predicted.first_20k),
            seconds,
            requests,
            optional(card.amplification),
            optional(card.predicted.amplification),
            optional(card.miss_debt),
            optional(measured.map(|remap| remap.key_fraction)),
            optional(measured.map(|remap| remap.request_weighted)),
            optional(predicted.map(|remap| remap.key_fraction)),
            optional(predicted.map(|remap| remap.request_weighted)),
            field(card.error.as_deref().unwrap_or_default()),
        ];
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}

/// Up to six decimals, none that are zero.
fn decimal(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn optional(value: Option<f64>) -> String {
    value.map_or(String::new(), decimal)
}

/// Quoted where RFC 4180 asks for it; a leading `=`, `+`, `-` or `@` is kept from being a spreadsheet's formula.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::EventCard;

    #[test]
    fn every_row_has_as_many_fields_as_the_header_whatever_the_names() {
        let card = EventCard {
            label: "add \"n,5\"".into(),
            action: "=cmd()".into(),
            recovery_95: Recovery::Never,
            ..EventCard::default()
        };
        let row = Row {
            phase: "steady".into(),
            t: 1.25,
            hit_rate: Some(1.0 / 3.0),
            ..Row::default()
        };
        let outcome = Outcome {
            events: vec![card],
            series: vec![row],
            ..Outcome::default()
        };
        let series = series(&outcome.series);
        let lines: Vec<&str> = series.lines().collect();
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert!(
            lines[1].starts_with("1.25,0,0,0,steady,0,0,0.333333,,"),
            "{}",
            lines[1]
        );
        let events = events(&outcome);
        assert!(events.contains("'=cmd(),\"add \"\"n,5\"\"\","), "{events}");
        assert_eq!(events.lines().next().unwrap().split(',').count(), 26);
        assert_eq!(
            events
                .lines()
                .nth(1)
                .unwrap()
                .replace("n,5", "n5")
                .split(',')
                .count(),
            26
        );
        assert!(events.contains(",inf,inf,"), "never is infinite: {events}");
    }
}
