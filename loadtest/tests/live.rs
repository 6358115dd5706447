//! The live page, its stream and its metrics, over real sockets and in a real browser (headless Chromium).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod browser;
mod door;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use door::{DRAWN, held};
use loadtest::live::board::Facts;
use loadtest::live::orders::{Desk, Order, desk};
use loadtest::live::second::{EventNow, NodeNow, Second};
use loadtest::live::sse::{Live, serve_with};
use loadtest::live::{Observer, Update};
use loadtest::measure::outcome::{Generator, HitCount, MissCounts, Outcome, Row, Totals};

const PATIENCE: Duration = Duration::from_secs(20);

/// A run of `seconds` with an event in its middle, told to a page.
fn live(seconds: u32, at_the_end: impl Fn(&mut Second)) -> (Live, SocketAddr) {
    live_with(seconds, None, at_the_end)
}

fn live_with(seconds: u32, desk: Option<Desk>, at_the_end: impl Fn(&mut Second)) -> (Live, SocketAddr) {
    let facts = Facts {
        scenario: "add-node".into(),
        capacity: Some(1000.0),
        phases: vec!["steady".into(), "resize".into()],
        ..Facts::default()
    };
    let live = serve_with(&[SocketAddr::from(([127, 0, 0, 1], 0))], facts, desk).unwrap();
    let address = live.addresses()[0];
    for t in 0..seconds {
        let mut second = second(f64::from(t), f64::from(seconds / 2));
        if t + 1 == seconds {
            at_the_end(&mut second);
        }
        live.update(Update::Second(Box::new(second)));
    }
    live.update(Update::Log {
        elapsed: Duration::from_secs(1),
        text: "phase <b>steady</b>".into(),
    });
    (live, address)
}

fn second(t: f64, event_at: f64) -> Second {
    let after = t >= event_at;
    let hit_rate = if after { 0.7 } else { 0.8 };
    let events = after.then(|| EventNow {
        action: "add_node".into(),
        nodes: vec!["node5".into()],
        label: "add node node5".into(),
        at_seconds: event_at,
        warm: Some(0.8),
        error: None,
    });
    let nodes = (1..=5).map(|n| NodeNow {
        node: format!("node{n}"),
        up: n != 3,
        member: true,
        gets: 800,
        hits: if n == 5 { 80 } else { 640 },
        ..NodeNow::default()
    });
    Second {
        row: Row {
            t,
            seconds: 1.0,
            requests: 4000,
            phase: if after { "resize" } else { "steady" }.into(),
            rate_offered: 4000.0,
            rate_done: 4000.0,
            hit_rate: Some(hit_rate),
            predicted: after.then_some(0.71),
            affected: after.then_some(HitCount { hits: 10, misses: 90 }),
            backend_rate: 4000.0 * (1.0 - hit_rate) / 4.0,
            p50_us: 200,
            p90_us: 500,
            p99_us: 1900,
            p999_us: 4000,
            misses_by_reason: MissCounts {
                remapped: 600,
                evicted: 200,
                ..MissCounts::default()
            },
            ..Row::default()
        },
        warm: Some(0.8),
        events: events.into_iter().collect(),
        nodes: nodes.collect(),
        totals: Totals {
            offered: 4000,
            ..Totals::default()
        },
        backend_capacity: Some(1000.0),
        ..Second::default()
    }
}

/// `GET path`, head and body as long as the server keeps it open or until `enough` of it is there.
fn get(address: SocketAddr, path: &str, enough: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    let mut reader = BufReader::new(stream);
    if enough.is_empty() {
        reader.read_to_string(&mut text).unwrap();
    } else {
        while !text.contains(enough) && reader.read_line(&mut text).unwrap() > 0 {}
    }
    text
}

#[test]
fn a_late_browser_hears_everything_and_then_the_end() {
    let (live, address) = live(10, |_| {});
    let listening = std::thread::spawn(move || get(address, "/events", "event: end\ndata: {"));
    // Told again and again until the browser has it: when it connects is its own affair.
    let outcome = Outcome {
        generator: Generator {
            valid: true,
            ..Generator::default()
        },
        ..Outcome::default()
    };
    while !listening.is_finished() {
        live.finish(&outcome, Path::new("runs/x/report.html"));
        std::thread::yield_now();
    }
    let text = listening.join().unwrap();
    assert!(text.contains("event: start\ndata: {"), "{text}");
    assert!(text.contains("\"word\":\"PASS\""), "{text}");
}

#[test]
fn an_open_browser_does_not_keep_the_run_from_ending() {
    let (live, address) = live(3, |_| {});
    let mut open = TcpStream::connect(address).unwrap();
    write!(open, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut first = [0; 1];
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    open.read_exact(&mut first).unwrap();
    drop(live);
    // The server is gone: the stream ends instead of waiting for us.
    let mut rest = Vec::new();
    let _ = open.read_to_end(&mut rest);
}

#[test]
fn metrics_are_beside_the_page() {
    let (_live, address) = live(4, |_| {});
    let text = get(address, "/metrics", "");
    for line in [
        "loadtest_hit_rate 0.7",
        "loadtest_node_cold{node=\"node5\"} 1",
        "loadtest_node_up{node=\"node3\"} 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(get(address, "/", "").contains("<title>loadtest</title>"));
}

/// What a reader does: hovers, zooms into the right half of the chart, presses a button twice, changes the light.
const READER: &str = r##"
  const pause = () => new Promise((go) => setTimeout(go, 100));
  const until = async (what) => { for (let i = 0; i < 300 && !what(); i++) await pause(); };
  const over = document.querySelector("#chart-hit .u-over");
  const values = () => [...document.querySelectorAll("#chart-hit .u-value")].map((value) => value.textContent);
  const mouse = (kind, share, on) => { const box = over.getBoundingClientRect();
    (on || over).dispatchEvent(new MouseEvent(kind, { clientX: box.left + box.width * share, clientY: box.top + box.height / 2, bubbles: true, button: 0, movementX: 5 })); };
  mouse("mousemove", 0.75);
  await until(() => values().some((text) => text.includes("%")));
  told.hover = values();
  mouse("mousemove", 0.5); mouse("mousedown", 0.5); mouse("mousemove", 0.9); mouse("mouseup", 0.9, document);
  await pause();
  mouse("mousemove", 0.02);
  await until(() => parseFloat(values()[0]) > 20);
  told.zoomed = values()[0];
  over.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
  await pause();
  mouse("mousemove", 0.02);
  await until(() => parseFloat(values()[0]) < 20);
  told.whole = values()[0];
  const button = document.querySelector("[data-order=add_node]");
  told.buttons = document.querySelectorAll("[data-order]").length;
  button.click(); told.asked = button.textContent; button.click();
  const answer = document.querySelector("#orders .note");
  await until(() => answer.textContent);
  told.answer = answer.textContent;
  const light = getComputedStyle(document.body).backgroundColor;
  told.preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.getElementById("theme").click();
  told.light = light; told.other = getComputedStyle(document.body).backgroundColor;
  document.getElementById("theme").click();
  told.again = getComputedStyle(document.body).backgroundColor;
  told.charts = document.querySelectorAll(".uplot").length;
  told.elsewhere = performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith(location.origin)).length;
"##;

#[test]
fn a_watcher_can_hover_zoom_change_the_light_and_press_a_button() {
    if browser::is_missing() {
        return;
    }
    let (desk, orders) = desk(vec![Order::AddNode, Order::Flush]);
    let (_live, address) = live_with(60, Some(desk), |_| {});
    let (door, told) = held(address, READER);
    let shot = shots().join("dark.png");
    browser::run(
        &[
            "--window-size=1300,1900",
            "--blink-settings=preferredColorScheme=0",
            &format!("--screenshot={}", shot.display()),
        ],
        &format!("http://{door}/"),
    );
    let told = told.recv_timeout(DRAWN).unwrap();
    let hover = told["hover"].to_string();
    assert!(hover.matches('%').count() >= 2, "hovering tells figures: {told}");
    let number = |name: &str| {
        told[name]
            .as_str()
            .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
    };
    assert!(
        number("zoomed") > Some(25.0),
        "the right half from its left end: {told}"
    );
    assert!(number("whole") < Some(10.0), "everything again: {told}");
    assert_eq!(told["buttons"], 2, "{told}");
    assert_eq!(
        told["asked"], "Sure? add a node",
        "the first press only asks: {told}"
    );
    assert_eq!(told["answer"], "Asked for: add a node.", "{told}");
    assert_eq!(
        (orders.next(), orders.next()),
        (Some(Order::AddNode), None),
        "once"
    );
    assert_ne!(told["light"], told["other"], "{told}");
    assert_eq!(told["light"], told["again"], "{told}");
    assert_eq!(told["preferred"], "dark", "{told}");
    assert_eq!(told["charts"], 4, "{told}");
    assert_eq!(told["elsewhere"], 0, "nothing comes from anywhere else: {told}");
}

#[test]
fn the_live_page_prints() {
    if browser::is_missing() {
        return;
    }
    let (_live, address) = live(60, |_| {});
    let (door, _told) = held(address, "");
    let pdf = shots().join("live.pdf");
    let _ = std::fs::remove_file(&pdf);
    browser::run(
        &[&format!("--print-to-pdf={}", pdf.display())],
        &format!("http://{door}/"),
    );
    let bytes = std::fs::read(&pdf).unwrap();
    assert!(
        bytes.starts_with(b"%PDF") && bytes.len() > 20_000,
        "{} bytes",
        bytes.len()
    );
}

/// `POST /orders`: the status and what was said.
fn post(address: SocketAddr, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /orders HTTP/1.1\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let said = text.split_once("\r\n\r\n").map_or("", |(_, said)| said);
    (status.unwrap_or(0), said.trim().to_owned())
}

#[test]
fn orders_are_taken_from_the_page_and_from_nobody_else() {
    let (desk, orders) = desk(vec![Order::Flush]);
    let (_live, address) = live_with(3, Some(desk), |_| {});
    let ours = format!("Host: {address}\r\nX-Loadtest-Order: 1\r\n");
    assert_eq!(
        post(address, &format!("Host: {address}\r\n"), "\"flush\"").0,
        403,
        "another site's form"
    );
    assert_eq!(
        post(
            address,
            "Host: evil.example\r\nX-Loadtest-Order: 1\r\n",
            "\"flush\""
        )
        .0,
        403,
        "a name that was pointed here"
    );
    assert_eq!(
        post(address, &ours, "\"kill_node\""),
        (403, "not offered in this run".to_owned())
    );
    assert_eq!(post(address, &ours, "rm -rf").0, 400);
    for _ in 0..4 {
        assert_eq!(post(address, &ours, "\"flush\"").0, 202);
    }
    assert_eq!(post(address, &ours, "\"flush\"").0, 429);
    assert_eq!(orders.next(), Some(Order::Flush));
    drop(orders);
    assert_eq!(post(address, &ours, "\"flush\"").0, 410);
    let (_quiet, address) = live(3, |_| {});
    let ours = format!("Host: {address}\r\nX-Loadtest-Order: 1\r\n");
    assert_eq!(post(address, &ours, "\"flush\"").0, 403, "nothing is offered");
}

fn shots() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_page_draws_a_good_a_bad_and_an_invalid_run() {
    if browser::is_missing() {
        return;
    }
    type Change = fn(&mut Second);
    let cases: [(&str, &str, Change); 4] = [
        ("good", "WARM", |second| second.row.hit_rate = Some(0.79)),
        ("recovering", "RECOVERING", |second| {
            second.row.hit_rate = Some(0.73)
        }),
        ("bad", "OVERLOADED", |second| {
            (
                second.row.backend_rate,
                second.row.backend_queue,
                second.row.errors,
            ) = (990.0, 4_000, 800);
        }),
        ("invalid", "INVALID", |second| second.lag_p99_us = 40_000),
    ];
    for (name, word, change) in cases {
        let (live, address) = live(60, change);
        let shot = shots().join(format!("{name}.png"));
        let (door, _told) = held(address, "");
        browser::run(
            &[
                "--window-size=1300,1250",
                &format!("--screenshot={}", shot.display()),
            ],
            &format!("http://{door}/"),
        );
        let (door, _told) = held(address, "");
        let dom = browser::dom(&[], &format!("http://{door}/"));
        assert!(dom.contains(&format!(">{word}")), "{name}: {dom:.3000}");
        let charts = dom.matches("class=\"uplot").count();
        assert_eq!(charts, 4, "{name}");
        assert!(
            dom.contains(">COLD</em>") && dom.contains(">DOWN</em>"),
            "{name}: badges of nodes"
        );
        assert!(dom.contains("phase &lt;b&gt;steady"), "{name}: text is text");
        assert!(!dom.contains("NaN"), "{name}");
        drop(live);
    }
}
