//! Commands as somebody at a shell uses them: what they print, and the code they end with.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod browser;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use loadtest::clock;
use loadtest::measure::outcome::{EventCard, Generator, Outcome, Row, SCHEMA_VERSION};
use loadtest::report::Artefacts;

fn loadtest(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A run of a minute with an event in its middle that took the hit rate down to `low`.
fn outcome(low: f64) -> Outcome {
    let row = |t: u32| Row {
        t: f64::from(t),
        seconds: 1.0,
        hit_rate: Some(if t == 30 { low } else { 0.8 }),
        p99_us: 1_900,
        ..Row::default()
    };
    Outcome {
        schema: SCHEMA_VERSION,
        scenario: "add-node".into(),
        generator: Generator {
            valid: true,
            ..Generator::default()
        },
        events: vec![EventCard {
            label: "add node node5".into(),
            at_seconds: 30.0,
            warm: Some(0.8),
            low: Some(low),
            ..EventCard::default()
        }],
        series: (0..60).map(row).collect(),
        ..Outcome::default()
    }
}

fn folder(root: &Path, outcome: &Outcome) -> PathBuf {
    let artefacts = Artefacts::create(root, &outcome.scenario, "").unwrap();
    artefacts.write(outcome, "").unwrap();
    artefacts.folder().to_owned()
}

#[test]
fn two_runs_are_compared_and_a_change_for_the_worse_fails() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (
        folder(root.path(), &outcome(0.7)),
        folder(root.path(), &outcome(0.5)),
    );
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let page = root.path().join("comparison.html");
    let (code, told, _) = loadtest(&["compare", a, b, "-o", page.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("(−20.0 pp)"), "{told}");
    let (code, told, _) = loadtest(&["compare", a, b, "--fail-on", "hit_rate.min < -1pp"]);
    assert_eq!(code, Some(99), "{told}");
    assert!(
        told.contains("FAILED") && told.contains("hit_rate.min went from"),
        "{told}"
    );
    let (code, _, error) = loadtest(&["compare", a, b, "--fail-on", "hitrate < -1pp"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("did you mean `hit_rate`"), "{error}");
    if browser::is_missing() {
        return;
    }
    let dom = browser::dom(
        &["--virtual-time-budget=4000"],
        &format!("file://{}", page.display()),
    );
    assert_eq!(dom.matches("class=\"uplot").count(), 3);
    assert!(dom.contains("class=\"worse\"") && !dom.contains("NaN"));
}

#[test]
fn a_built_in_is_a_scenario_to_start_from() {
    let (code, text, _) = loadtest(&["new", "smoke"]);
    assert_eq!(code, Some(0));
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("my.toml");
    std::fs::write(&path, text).unwrap();
    let (code, told, error) = loadtest(&["check", path.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}{error}");
    let (code, _, error) = loadtest(&["new", "smoek"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("did you mean `smoke`"), "{error}");
}

#[test]
fn words_are_explained() {
    for (words, part) in [
        (["remapped"].as_slice(), "miss reason"),
        (&["99"], "threshold did not hold"),
        (&["miss", "debt"], "extra reads"),
        (&["steady.hit_rate.min"], "metric of a phase"),
        (&["metastable"], "feeds itself"),
    ] {
        let args: Vec<&str> = ["explain"].iter().chain(words).copied().collect();
        let (code, told, error) = loadtest(&args);
        assert_eq!(code, Some(0), "{words:?}: {error}");
        assert!(told.contains(part), "{words:?}: {told}");
    }
    let (code, _, error) = loadtest(&["explain", "remaped"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("did you mean `remapped`"), "{error}");
    assert!(loadtest(&["explain"]).1.lines().count() > 40);
}

#[test]
fn completions_and_man_page_know_every_command() {
    let commands = ["run", "compare", "matrix", "explain", "trace", "backend"];
    for shell in ["bash", "zsh", "fish"] {
        let (code, text, _) = loadtest(&["completions", shell]);
        assert_eq!(code, Some(0));
        assert!(commands.iter().all(|command| text.contains(command)), "{shell}");
    }
    let (code, page, _) = loadtest(&["man"]);
    assert_eq!(code, Some(0));
    assert!(page.contains(".TH loadtest 1"), "{page:.200}");
    for command in commands {
        assert!(
            page.contains(&format!("LOADTEST {}", command.to_uppercase())),
            "{command}"
        );
    }
    assert!(page.contains("fail\\-on"), "flags of the commands are told");
}

#[test]
fn a_trace_is_looked_into() {
    let (code, told, error) = loadtest(&["trace", "stat", "builtin:twitter-c52", "--limit", "20000"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        told.contains("rows                   20,000") && told.contains("Zipf exponent"),
        "{told}"
    );
    let (code, told, _) = loadtest(&["trace", "head", "builtin:twitter-c52", "-n", "3"]);
    assert_eq!((code, told.lines().count()), (Some(0), 4), "{told}");
    assert_eq!(loadtest(&["trace", "stat", "/no/such/trace.csv"]).0, Some(2));
}

#[test]
fn the_backing_store_answers_in_its_time_and_refuses_when_full() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["backend", "--listen", "127.0.0.1:0", "--value-size", "5"])
        .args([
            "--set",
            "backend.capacity=20",
            "--set",
            "backend.latency=\"fixed:1ms\"",
            "--set",
            "backend.queue={max=4}",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .trim()
        .strip_prefix("ready tcp=")
        .unwrap_or_else(|| panic!("{line:?}"));
    let ask = |request: &str, end: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut told = String::new();
        let mut byte = [0; 1];
        while !told.ends_with(end) && stream.read(&mut byte).unwrap() > 0 {
            told.push(char::from(byte[0]));
        }
        told
    };
    let started = clock::now();
    assert_eq!(
        ask("get a b c\r\n", "END\r\n"),
        "VALUE a 0 5\r\nxxxxx\r\nVALUE b 0 5\r\nxxxxx\r\nVALUE c 0 5\r\nxxxxx\r\nEND\r\n"
    );
    // 20 a second: the third is not answered before a tenth of a second.
    assert!(
        started.elapsed() >= Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );
    let told = ask("get 1 2 3 4 5 6 7 8 9\r\n", "\r\n");
    assert!(told.starts_with("SERVER_ERROR"), "{told}");
    assert!(ask("set k 0 0 1\r\nx\r\n", "\r\n").starts_with("CLIENT_ERROR"));
    server.kill().unwrap();
    server.wait().unwrap();
}
