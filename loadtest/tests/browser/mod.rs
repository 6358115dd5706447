//! A real browser without a window: Chromium.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

const CHROMIUM: &str = "/usr/bin/chromium";

/// True when there is no browser here, which is said past the capture of output; where everything can be installed it
/// is a failure.
pub(crate) fn is_missing() -> bool {
    if Path::new(CHROMIUM).exists() {
        return false;
    }
    assert!(
        std::env::var_os("HEARTH_REQUIRE_ALL").is_none(),
        "pages could not be drawn: no {CHROMIUM}"
    );
    let _ = writeln!(std::io::stderr(), "skipped: pages in a browser: no {CHROMIUM}");
    true
}

/// Opens `address`, does what `args` say, ends. Fails if the page complained on its console.
pub(crate) fn run(args: &[&str], address: &str) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(CHROMIUM)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--window-size=1180,900"])
        .args(["--enable-logging=stderr", "--log-level=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .arg(address)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(
        complaints.is_empty(),
        "the console of {address} is not silent: {complaints:#?}"
    );
    output
}

/// The page as the browser has it; `args` say when to look.
pub(crate) fn dom(args: &[&str], address: &str) -> String {
    let args: Vec<&str> = args.iter().copied().chain(["--dump-dom"]).collect();
    let output = run(&args, address);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
