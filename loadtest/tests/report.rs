//! report.html in a real browser (headless Chromium, when the machine has one) and through the `report` command.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod browser;
mod fixture;

use std::path::{Path, PathBuf};
use std::process::Command;

use loadtest::measure::outcome::Outcome;
use loadtest::report::{Artefacts, Verdict, html_page, read};

/// A run's folder under the target directory, kept so that a person can look at it.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn scenario_toml() -> String {
    loadtest::scenario::load("builtin:add-node", &loadtest::scenario::Overrides::default())
        .unwrap()
        .to_toml()
}

fn page(name: &str, outcome: &Outcome) -> PathBuf {
    let path = folder(name).join("report.html");
    std::fs::write(&path, html_page(outcome, &scenario_toml())).unwrap();
    path
}

fn all() -> [(&'static str, Outcome); 6] {
    [
        ("good", fixture::good()),
        ("failed", fixture::failed()),
        ("invalid", fixture::invalid()),
        ("uneventful", fixture::uneventful()),
        ("extreme", fixture::extreme()),
        ("shootout", fixture::shootout()),
    ]
}

fn rendered(page: &Path) -> String {
    browser::dom(
        &["--virtual-time-budget=4000"],
        &format!("file://{}", page.display()),
    )
}

#[test]
fn every_kind_of_run_draws_in_a_browser_without_a_complaint() {
    if browser::is_missing() {
        return;
    }
    for (name, outcome) in all() {
        let dom = rendered(&page(name, &outcome));
        let charts = dom.matches("class=\"uplot").count();
        let expected = if outcome.series.is_empty() { 0 } else { 5 };
        assert_eq!(charts, expected, "{name}: live charts");
        assert!(dom.contains(Verdict::of(&outcome).word()), "{name}");
        assert!(!dom.contains("NaN"), "{name}: no figure is a NaN");
    }
}

/// Does to the page what a reader does, and says in the title what the page did.
const READER: &str = r##"<script>
const told = {}, over = document.querySelector("#chart-hit .u-over"), box = over.getBoundingClientRect();
const values = () => [...document.querySelectorAll("#chart-hit .u-value")].map((value) => value.textContent);
told.hover = (over.dispatchEvent(new MouseEvent("mousemove", { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true })), values().filter((text) => text.includes("%")).length);
setTimeout(() => {
  told.hover = values().filter((text) => text.includes("%")).length;
  document.getElementById("y-toggle").click();
  told.zoomed = document.getElementById("y-toggle").textContent;
  document.querySelector("[data-zoom='0']").click();
  told.event = document.querySelector("[data-zoom='0']").getAttribute("aria-pressed");
  const before = getComputedStyle(document.body).backgroundColor;
  document.getElementById("theme").click();
  told.theme = getComputedStyle(document.body).backgroundColor !== before;
  told.charts = document.querySelectorAll(".uplot").length;
  told.links = [...document.querySelectorAll("#downloads a")].filter((link) => link.href.startsWith("data:")).length;
  told.fetched = performance.getEntriesByType("resource").length;
  document.title = JSON.stringify(told);
}, 300);
</script>"##;

#[test]
fn a_reader_can_hover_zoom_and_change_the_light() {
    if browser::is_missing() {
        return;
    }
    let path = page("read", &fixture::good());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("</body>", &format!("{READER}</body>"))).unwrap();
    let dom = rendered(&path);
    let title = dom
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next());
    let told: serde_json::Value = serde_json::from_str(title.unwrap()).unwrap();
    assert!(
        told["hover"].as_u64() >= Some(2),
        "hovering tells figures: {told}"
    );
    assert_eq!(told["zoomed"], "Show 0–100 %", "{told}");
    assert_eq!(told["event"], "true", "{told}");
    assert_eq!(told["theme"], true, "{told}");
    assert_eq!(told["charts"], 5, "all are there after every change: {told}");
    assert_eq!(told["links"], 3, "downloads need no server: {told}");
    assert_eq!(told["fetched"], 0, "nothing is fetched: {told}");
}

#[test]
fn a_run_prints() {
    if browser::is_missing() {
        return;
    }
    let path = page("print", &fixture::good());
    let pdf = path.with_extension("pdf");
    let _ = std::fs::remove_file(&pdf);
    browser::run(
        &[&format!("--print-to-pdf={}", pdf.display())],
        &format!("file://{}", path.display()),
    );
    let bytes = std::fs::read(&pdf).unwrap();
    assert!(
        bytes.starts_with(b"%PDF") && bytes.len() > 30_000,
        "{} bytes",
        bytes.len()
    );
}

#[test]
fn without_scripts_the_verdict_the_cards_and_the_drawing_are_there() {
    for (name, outcome) in all() {
        let text = html_page(&outcome, "");
        let markup = text.split("<script type=").next().unwrap();
        assert!(
            markup.contains(&format!("</span> {}", Verdict::of(&outcome).word())),
            "{name}: verdict"
        );
        assert_eq!(
            markup.matches("<article").count(),
            outcome.events.len(),
            "{name}: a card for every event"
        );
        let drawn = markup.contains("aria-label=\"Hit rate over time")
            && markup.contains("class=\"line measured\" d=\"M");
        assert_eq!(drawn, !outcome.series.is_empty(), "{name}: drawing");
        assert!(text.len() < 2 << 20, "{name}: {} bytes", text.len());
    }
}

#[test]
fn a_run_is_drawn_again_from_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let outcome = fixture::good();
    let artefacts = Artefacts::create(root.path(), &outcome.scenario, &scenario_toml()).unwrap();
    artefacts.write(&outcome, &scenario_toml()).unwrap();
    let (again, toml) = read(artefacts.folder()).unwrap();
    assert_eq!(
        (again, toml),
        (outcome.clone(), scenario_toml()),
        "run.json round trip"
    );
    let out = root.path().join("again.html");
    let run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .arg("report")
        .arg(artefacts.folder())
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap();
    let card = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(0), "{card}");
    assert!(card.starts_with("trace-c52   seed 52   PASS 4/4   (1m28s, 1,000,000 requests, generator ok: lag p99 0.42 ms, 0 dropped)\n"), "{card}");
    assert_eq!(
        std::fs::read_to_string(&out).unwrap(),
        std::fs::read_to_string(artefacts.report_html()).unwrap()
    );
}

#[test]
fn what_is_not_a_run_is_said_plainly() {
    let root = tempfile::tempdir().unwrap();
    let report = |path: &Path| {
        let run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .arg("report")
            .arg(path)
            .output()
            .unwrap();
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };
    let json = root.path().join("run.json");
    assert_eq!(
        report(root.path()),
        (
            Some(2),
            format!(
                "loadtest: cannot read {}: no such file or folder\n",
                json.display()
            )
        )
    );
    std::fs::write(&json, "{\"schema\":999}").unwrap();
    assert_eq!(
        report(root.path()),
        (
            Some(2),
            format!(
                "loadtest: {} is not a run: its schema is 999, this program reads 1\n",
                json.display()
            )
        )
    );
    std::fs::write(&json, "not json").unwrap();
    assert!(
        report(&json)
            .1
            .contains("is not a run: expected ident at line 1 column 2"),
        "{:?}",
        report(&json)
    );
}
