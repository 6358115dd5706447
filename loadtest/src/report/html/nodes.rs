//! Nodes: who carried what, and a map of node against time in which a cold node is a dark streak.

use std::fmt::Write as _;

use super::{esc, svg};
use crate::measure::outcome::{NodeRow, Outcome};
use crate::report::number::{UNKNOWN, bytes, count, percent, seconds, three_digits};

/// Cells of the map per row; longer runs are summed into as many.
const CELLS_MAX: usize = 160;
const ROW_HEIGHT: f64 = 22.0;

pub(super) fn section(outcome: &Outcome) -> String {
    if outcome.node_totals.is_empty() && outcome.nodes.is_empty() {
        return String::new();
    }
    format!(
        "<section><h2>Nodes</h2>\n{}{}{}</section>\n",
        skew(outcome),
        table(outcome),
        map(outcome)
    )
}

fn skew(outcome: &Outcome) -> String {
    let skew = &outcome.skew;
    let Some(requests) = skew.requests else {
        return String::new();
    };
    let items = skew.items.map_or(String::new(), |items| {
        format!(" and {} of the items", three_digits(items))
    });
    let sd = skew.predicted_share_sd.map_or(String::new(), |sd| {
        format!(" The hash alone explains a spread of ±{} of the mean between nodes; hot keys add to that for requests.", percent(Some(sd)))
    });
    format!(
        "<p class=\"lede\">The busiest node had {} times the mean of the requests{items}.{sd}</p>\n",
        three_digits(requests)
    )
}

fn table(outcome: &Outcome) -> String {
    if outcome.node_totals.is_empty() {
        return String::new();
    }
    let full = outcome
        .node_totals
        .iter()
        .map(|node| node.get_share.max(node.item_share))
        .fold(0.0, f64::max);
    let rows: String = outcome
        .node_totals
        .iter()
        .map(|node| {
            let state = if node.up { "" } else { " <span class=\"gone\">gone</span>" };
            let is_node = node.role != "router";
            let hit_rate = if is_node { percent(crate::measure::outcome::ratio(node.hits, node.gets)) } else { UNKNOWN.to_owned() };
            let share = |share: f64| {
                if is_node { format!("{}<span class=\"barcell\">{}</span>", percent(Some(share)), svg::bar(share, None, full)) } else { UNKNOWN.to_owned() }
            };
            let number = |value: u64| if is_node { count(value) } else { UNKNOWN.to_owned() };
            format!(
                "<tr><th scope=\"row\">{}{state}</th><td>{}</td><td>{}</td><td>{hit_rate}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                esc(&node.node),
                share(node.get_share),
                share(node.item_share),
                number(node.items),
                if is_node { bytes(node.bytes) } else { UNKNOWN.to_owned() },
                number(node.evictions),
                node.rss_bytes_max.map_or(UNKNOWN.to_owned(), bytes),
                node.cpu_seconds.map_or(UNKNOWN.to_owned(), seconds),
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">node</th><th scope=\"col\">share of gets</th><th scope=\"col\">share of items</th>\
         <th scope=\"col\">hit rate</th><th scope=\"col\">items</th><th scope=\"col\">bytes</th><th scope=\"col\">evicted</th><th scope=\"col\">memory, at most</th><th scope=\"col\">CPU</th></tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )
}

/// Hits and gets of one node in one slice of time.
#[derive(Default, Clone, Copy)]
struct Cell {
    gets: u64,
    hits: u64,
    up: bool,
    seen: bool,
}

fn map(outcome: &Outcome) -> String {
    let end = outcome.nodes.iter().map(|row| row.t + 1.0).fold(0.0, f64::max);
    if end < 3.0 {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for row in &outcome.nodes {
        if !names.contains(&row.node.as_str()) {
            names.push(&row.node);
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded by CELLS_MAX"
    )]
    let cells = (end.ceil() as usize).clamp(1, CELLS_MAX);
    let grid: Vec<(&str, Vec<Cell>)> = names
        .into_iter()
        .map(|name| (name, slices(&outcome.nodes, name, end, cells)))
        .collect();
    // The scale runs from the coldest slice to the warmest of all nodes that had any gets worth the name.
    let rates = grid
        .iter()
        .flat_map(|(_, row)| row)
        .filter(|cell| cell.gets >= 50)
        .map(rate);
    let (low, high) = rates.fold((1.0_f64, 0.0_f64), |(low, high), rate| {
        (low.min(rate), high.max(rate))
    });
    if low >= high {
        return String::new();
    }
    let label_width = 90.0;
    let width = 1_040.0 - label_width;
    let height = grid.len() as f64 * ROW_HEIGHT + 24.0;
    let mut out = format!(
        "<svg class=\"drawing heat\" viewBox=\"0 0 1040 {height}\" role=\"img\" aria-label=\"Hit rate per node over time\">"
    );
    for (index, (name, row)) in grid.iter().enumerate() {
        let y = index as f64 * ROW_HEIGHT;
        let shown: String = name.chars().take(12).collect();
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            label_width - 8.0,
            y + 14.0,
            esc(&shown)
        );
        for (at, cell) in row.iter().enumerate().filter(|(_, cell)| cell.seen) {
            let x = label_width + at as f64 / cells as f64 * width;
            let cell_width = width / cells as f64;
            let share = ((rate(cell) - low) / (high - low)).clamp(0.0, 1.0);
            let look = match (cell.up, cell.gets) {
                (false, _) => "class=\"down\"".to_owned(),
                (true, 0) => "class=\"idle\"".to_owned(),
                (true, _) => format!("class=\"heat-cell\" style=\"--warmth:{share:.2}\""),
            };
            let _ = write!(
                out,
                "<rect {look} x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"/>",
                cell_width + 0.4,
                ROW_HEIGHT - 3.0
            );
        }
    }
    for event in &outcome.events {
        let x = label_width + (event.at_seconds / end).clamp(0.0, 1.0) * width;
        let _ = write!(
            out,
            "<line class=\"event\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{}\"/>",
            height - 24.0
        );
    }
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"{label_width}\" y=\"{y}\">0 s</text><text class=\"axis\" x=\"1040\" y=\"{y}\" text-anchor=\"end\">{end:.0} s</text></svg>",
        y = height - 6.0
    );
    format!(
        "<h3>Hit rate of each node over time</h3>\n<figure class=\"chart\">{out}<figcaption class=\"scale\"><span>{}</span><i></i><span>{}</span><span class=\"note\">a cold node is a dark streak; hatched: down</span></figcaption></figure>\n",
        percent(Some(low)),
        percent(Some(high))
    )
}

fn rate(cell: &Cell) -> f64 {
    cell.hits as f64 / cell.gets.max(1) as f64
}

fn slices(rows: &[NodeRow], name: &str, end: f64, cells: usize) -> Vec<Cell> {
    let mut out = vec![Cell::default(); cells];
    for row in rows.iter().filter(|row| row.node == name && row.t >= 0.0) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "t is between 0 and end"
        )]
        let at = ((row.t / end * cells as f64) as usize).min(cells - 1);
        let cell = &mut out[at];
        cell.gets += row.gets;
        cell.hits += row.hits.min(row.gets);
        cell.up = row.up;
        cell.seen = true;
    }
    // Samples are a second apart, more or less: a slice that none fell into looks like the one before.
    for at in 1..cells.saturating_sub(1) {
        if !out[at].seen && out[at - 1].seen && out[at + 1].seen {
            out[at] = out[at - 1];
        }
    }
    out
}
