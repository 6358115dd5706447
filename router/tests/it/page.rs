//! The live page, in a real browser (headless Chromium, where there is one).

use std::path::Path;
use std::process::Command;

use crate::support::{Client, Nodes, http, router};

const CHROMIUM: &str = "/usr/bin/chromium";

/// The page at `url` as the browser has it after its scripts ran, without a complaint on the console.
fn rendered(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a folder");
    let output = Command::new(CHROMIUM)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
        ])
        .args([
            "--no-first-run",
            "--dump-dom",
            "--virtual-time-budget=5000",
            "--enable-logging=stderr",
        ])
        .args([
            "--log-level=0",
            &format!("--user-data-dir={}", profile.path().display()),
            url,
        ])
        .output()
        .expect("the browser runs");
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_page_shows_servers_shares_health_and_the_last_error() {
    let nodes = Nodes::start(3);
    // A server that nobody starts, and a name that would be markup if it were not put in as text.
    let list = format!("{},<b>gone</b>=127.0.0.1:1", nodes.list());
    let router = router(&["--sharded", &list]);
    let admin = router.admin_addr().expect("an admin side");
    let mut client = Client::of(router.addr());
    for key in 0..200 {
        client.send(format!("set k{key} 0 0 1\r\nv\r\nget k{key}\r\n").as_bytes());
        client.line();
        let _ = client.values();
    }
    let (status, _) = http(admin, "POST", "/topology", r#"{"servers": ["nowhere"]}"#);
    assert_eq!(status, 400);
    let (status, told) = http(admin, "GET", "/status", "");
    assert_eq!(status, 200);
    assert!(
        told.contains("\"share\": 0.25") && told.contains("\"hot_keys\""),
        "{told}"
    );
    if !Path::new(CHROMIUM).exists() {
        eprintln!("skipped: no {CHROMIUM}");
        return;
    }
    let dom = rendered(&format!("http://{admin}/"));
    let dom = dom.split("<script>").next().expect("what is before the script");
    assert!(dom.contains("data-drawn=\"yes\""), "{dom}");
    for words in [
        "Pool main",
        "rendezvous",
        "n0 (127",
        "25.0 %",
        "hard_tko",
        "expected HOST:PORT",
    ] {
        assert!(dom.contains(words), "{words}: {dom}");
    }
    assert!(
        dom.contains("&lt;b&gt;gone&lt;/b&gt;") && !dom.contains("<b>gone"),
        "a name is text"
    );
    assert!(!dom.contains("NaN") && !dom.contains("undefined"), "{dom}");
}
