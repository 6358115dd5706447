use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::frame::{Look, Shown, Size, Stage};
use super::second::{NodeNow, Second};
use super::{Progress, Update, json, plain};
use crate::measure::outcome::Row;
use crate::scenario::{Overrides, load};

fn stage() -> Stage {
    Stage::new(&load("builtin:add-node", &Overrides::default()).unwrap())
}

fn progress(seconds: f64) -> Progress {
    Progress {
        elapsed: Duration::from_secs_f64(seconds),
        phase: 2,
        phase_done: 0.5,
        requests: 240_123,
        rate: 4_012.0,
        hit_rate: Some(0.824),
        hit_rate_warm: Some(0.866),
        hit_rate_predicted: Some(0.826),
        backend_rate: 706.0,
        backend_capacity: Some(4_000.0),
        p99: Some(Duration::from_micros(1_900)),
        nodes_up: 5,
        nodes: 5,
        ..Progress::default()
    }
}

fn text(shown: &Shown, width: usize) -> Vec<String> {
    text_on(shown, Size { width, height: 40 })
}

fn text_on(shown: &Shown, size: Size) -> Vec<String> {
    let keys = vec![vec![(Look::Dim, "  q stop".to_owned())]];
    shown
        .lines(&stage(), size, keys)
        .into_iter()
        .map(|line| {
            line.into_iter()
                .map(|(_, text)| text)
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[test]
fn the_frame_says_where_the_run_is_and_how_warm_the_cluster_is() {
    let mut shown = Shown::default();
    shown.take(Update::Log {
        elapsed: Duration::from_secs(60),
        text: "add node5\u{7}".into(),
    });
    shown.take(Update::Progress(progress(61.0)));
    let lines = text(&shown, 100);
    assert!(
        lines[0].starts_with("add-node · seed 42") && lines[0].ends_with("1m01s of ~1m45s"),
        "{lines:#?}"
    );
    assert_eq!(lines[1], "✓ fill   ✓ steady   ▶ resize 50 %");
    let marks: String = lines[2].chars().filter(|c| !"━─".contains(*c)).collect();
    assert_eq!(marks, "┃◆", "phases and events, one on the other: {lines:#?}");
    assert!(lines[2].ends_with('─') && lines[2].starts_with('━'), "{lines:#?}");
    for line in [
        "  hit rate   82.4 %  █                     warm 86.6 % (−4.2 pp)",
        "  theory     82.6 %  █",
        "  backend    706     ████░░░░░░░░░░░░░░░░  of 4 k reads/s",
        "  requests   4.01 k  per second   240,123 so far",
        "  p99        1.9 ms",
        "  cluster    5 of 5 nodes   errors 0   dropped 0   wrong values 0",
        "  60.0s  add node5",
    ] {
        assert!(lines.iter().any(|told| told == line), "{line}: {lines:#?}");
    }
}

#[test]
fn a_run_that_is_held_says_so() {
    let mut shown = Shown::default();
    shown.take(Update::Progress(Progress {
        held: true,
        ..progress(61.0)
    }));
    assert!(text(&shown, 100)[1].ends_with("PAUSED (p goes on)"));
}

#[test]
fn the_frame_says_whether_all_is_well_and_which_node_is_not() {
    let node = |name: &str, up, hits| NodeNow {
        node: name.into(),
        up,
        member: true,
        gets: 1000,
        hits,
        items: 5140,
        ..NodeNow::default()
    };
    let mut shown = Shown::default();
    shown.take(Update::Second(Box::new(Second {
        row: Row {
            t: 61.0,
            hit_rate: Some(0.86),
            ..Row::default()
        },
        warm: Some(0.866),
        nodes: vec![
            node("node1", true, 850),
            node("node2", false, 850),
            node("node5", true, 100),
        ],
        ..Second::default()
    })));
    shown.take(Update::Progress(progress(61.0)));
    let lines = text(&shown, 100);
    assert!(lines[3].starts_with("WARM  86.0 % of the gets hit"), "{lines:#?}");
    let tells = |start: &str, part: &str| {
        let line = lines.iter().find(|line| line.trim_start().starts_with(start));
        assert!(
            line.is_some_and(|line| line.contains(part)),
            "{start}: {part}: {lines:#?}"
        );
    };
    tells("node1", "85.0 %");
    tells("node1", "5,140 items");
    tells("node2", "DOWN");
    tells("node5", "COLD");
}

#[test]
fn a_small_terminal_keeps_the_state_the_figures_and_the_keys() {
    let mut shown = Shown::default();
    let nodes = (1..=9).map(|n| NodeNow {
        node: format!("node{n}"),
        up: true,
        member: true,
        ..NodeNow::default()
    });
    shown.take(Update::Second(Box::new(Second {
        row: Row {
            hit_rate: Some(0.86),
            ..Row::default()
        },
        warm: Some(0.866),
        nodes: nodes.collect(),
        ..Second::default()
    })));
    for text in ["first", "last"] {
        shown.take(Update::Log {
            elapsed: Duration::ZERO,
            text: text.into(),
        });
    }
    shown.take(Update::Progress(progress(61.0)));
    for height in [4, 8, 14, 18, 24] {
        let lines = text_on(&shown, Size { width: 60, height });
        assert!(lines.len() <= height, "{height}: {lines:#?}");
        assert!(lines[0].starts_with("add-node"), "{height}: {lines:#?}");
        let has = |part: &str| lines.iter().any(|line| line.contains(part));
        if height >= 8 {
            // The sentence takes two lines of this width.
            assert!(
                lines[3].starts_with("WARM  86.0 %") && !lines[4].is_empty(),
                "{lines:#?}"
            );
            assert_eq!(lines.last().map(String::as_str), Some("  q stop"), "{height}");
        }
        if height >= 14 {
            assert!(
                has("hit rate") && has("cluster") && has("last"),
                "{height}: {lines:#?}"
            );
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut shown = Shown::default();
    shown.take(Update::Log {
        elapsed: Duration::ZERO,
        text: "x".repeat(500),
    });
    shown.take(Update::Progress(progress(61.0)));
    for width in [20, 40, 79, 200] {
        for line in text(&shown, width) {
            assert!(line.chars().count() < width, "{width}: {line}");
        }
    }
}

#[test]
fn plain_and_json_say_one_line_a_second_and_every_log() {
    let feed = |updates: Vec<Update>| {
        let (sender, receiver) = sync_channel(64);
        updates
            .into_iter()
            .for_each(|update| sender.send(update).unwrap());
        receiver
    };
    let updates = || {
        let mut updates: Vec<Update> = (0..30)
            .map(|tenth| Update::Progress(progress(f64::from(tenth) / 10.0)))
            .collect();
        updates.insert(
            15,
            Update::Log {
                elapsed: Duration::from_millis(1_500),
                text: "add node5".into(),
            },
        );
        feed(updates)
    };
    let mut out = Vec::new();
    plain::draw(&stage(), &updates(), &mut out);
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.lines().count(), 4, "{out}");
    assert_eq!(
        out.lines().next().unwrap(),
        "[   0.0s] resize  50 %  hit rate 82.4 % (warm 86.6 %, predicted 82.6 %)  4.01 k req/s  backend 706/s  p99 1.9 ms  errors 0  nodes 5/5"
    );
    assert_eq!(out.lines().nth(2).unwrap(), "[   1.5s] add node5");
    let mut out = Vec::new();
    json(&updates(), &mut out);
    let values: Vec<serde_json::Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(values.len(), 4);
    assert_eq!(
        (&values[0]["type"], &values[2]["text"]),
        (&"progress".into(), &"add node5".into())
    );
}
