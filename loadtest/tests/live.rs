//! The live page, its stream and its metrics, over real sockets and in a real browser (headless Chromium).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod browser;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use loadtest::live::board::Facts;
use loadtest::live::second::{EventNow, NodeNow, Second};
use loadtest::live::sse::{Live, serve};
use loadtest::live::{Observer, Update};
use loadtest::measure::outcome::{Generator, HitCount, MissCounts, Outcome, Row, Totals};

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a busy machine to draw.
const HELD: Duration = Duration::from_secs(3);

/// A run of `seconds` with an event in its middle, told to a page.
fn live(seconds: u32, at_the_end: impl Fn(&mut Second)) -> (Live, SocketAddr) {
    let facts = Facts {
        scenario: "add-node".into(),
        capacity: Some(1000.0),
        phases: vec!["steady".into(), "resize".into()],
        ..Facts::default()
    };
    let live = serve(&[SocketAddr::from(([127, 0, 0, 1], 0))], facts).unwrap();
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

/// The page of `address` behind a door that keeps its last bytes back for a while. A headless browser looks at a page
/// when it has loaded, and this one is drawn by what it hears after that.
fn held(address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // A browser that goes away in the middle is no failure.
            std::thread::spawn(move || drop(pass(client, address)));
        }
    });
    door
}

fn pass(mut client: TcpStream, address: SocketAddr) -> std::io::Result<()> {
    let mut request = String::new();
    BufReader::new(client.try_clone()?).read_line(&mut request)?;
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut server = TcpStream::connect(address)?;
    write!(
        server,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    if path != "/" {
        return std::io::copy(&mut server, &mut client).map(drop);
    }
    let mut page = Vec::new();
    server.read_to_end(&mut page)?;
    let (most, rest) = page.split_at(page.len() - 4);
    client.write_all(most)?;
    // A timer: nothing is ever sent.
    let (_sender, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(HELD);
    client.write_all(rest)
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
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live");
        std::fs::create_dir_all(&folder).unwrap();
        let shot = folder.join(format!("{name}.png"));
        let door = held(address);
        browser::run(
            &[
                "--window-size=1300,1250",
                &format!("--screenshot={}", shot.display()),
            ],
            &format!("http://{door}/"),
        );
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
