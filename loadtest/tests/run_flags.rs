//! `run`, `matrix` and `compare` as somebody at a shell uses them: every flag that leaves something, every exit code.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod browser;
mod terminal;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loadtest::measure::outcome::Outcome;

const SMALL: &str = r#"
name = "small"
seed = 5
[cluster]
nodes = 3
[workload]
keys = 2_000
popularity = { dist = "zipf", alpha = 0.9 }
[load]
mode = "closed"
connections = 4
pipeline = 8
timeout = "20s"
[[phase]]
name = "fill"
kind = "warmup"
requests = 8_000
[[phase]]
name = "steady"
kind = "baseline"
requests = 4_000
[[phase]]
name = "after"
kind = "measure"
requests = 8_000
[[event]]
at = "after+0s"
do = "add_node"
[[threshold]]
expr = "mismatches == 0"
"#;

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("small.toml"), SMALL).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command
            .args(line.split_whitespace())
            .current_dir(self.root.path())
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn run(&self, line: &str, code: i32) -> (String, String) {
        let output = self.command(line).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}\n{out}{err}");
        (out, err)
    }

    /// Folders of runs, oldest first.
    fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("runs")) else {
            return Vec::new();
        };
        let mut folders: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        folders
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_flag_that_leaves_a_file_leaves_it() {
    let place = Place::new();
    let (out, err) = place.run(
        "run small.toml --embedded --view quiet --csv out/csv --hdr out/hdr --html page.html --json run.json \
         --junit junit.xml --label build=7 --seed 9 --threads 1 --threshold errors==0",
        0,
    );
    assert!(out.contains("small   seed 9   PASS 2/2"), "{out}");
    assert_eq!(err, "", "quiet");
    assert_eq!(
        names(&place.path("out/csv")),
        [
            "events.csv",
            "misses.csv",
            "nodes.csv",
            "requests.csv",
            "series.csv"
        ]
    );
    let hdr = names(&place.path("out/hdr"));
    assert!(hdr.contains(&"response-all.hgrm".to_owned()), "{hdr:?}");
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert!(read("page.html").contains("build=7") && read("run.json").contains("\"build\":\"7\""));
    assert!(read("junit.xml").contains("errors==0"));

    let (out, _) = place.run("run small.toml --embedded --view quiet --baseline run.json", 0);
    assert!(
        out.contains("PASS 1/1") && out.contains("\nhit_rate.min ") && out.contains("comparison: runs/"),
        "{out}"
    );
    let last = place.runs().pop().unwrap();
    let page = std::fs::read_to_string(last.join("comparison.html")).unwrap();
    assert!(page.contains("Side by side"));
}

#[test]
fn every_exit_code_means_what_it_says() {
    let place = Place::new();
    let (out, _) = place.run("run small.toml --dry-run", 0);
    assert!(out.ends_with("valid\n"), "{out}");
    place.run("run small.toml --dry-run --set load.rat=5", 2);
    place.run("run small.toml --threads 2", 2);
    let (_, err) = place.run("run small.toml --embedded --baseline nothing.json", 2);
    assert!(err.contains("cannot read nothing.json"), "{err}");
    assert!(place.runs().is_empty(), "nothing was started");

    let (out, _) = place.run(
        "run small.toml --embedded --view quiet --threshold hit_rate>2",
        99,
    );
    assert!(out.contains("FAILED  hit_rate>2"), "{out}");
    let (_, err) = place.run(
        "run small.toml --view quiet --set cluster.node.program=/bin/false",
        1,
    );
    assert!(err.contains("/bin/false ended before it was ready"), "{err}");
    let (_, err) = place.run("run small.toml --embedded --csv small.toml/x", 1);
    assert!(err.contains("a file is in the way"), "{err}");
    let open = "run small.toml --embedded --view quiet --set load={mode=\"open\",rate=20000,connections=1,max_in_flight=1}";
    let (out, _) = place.run(open, 3);
    assert!(
        out.contains("INVALID   (") && out.contains("arrivals were dropped"),
        "{out}"
    );
}

#[test]
fn a_kept_cluster_stays_until_it_is_told_to_go() {
    let place = Place::new();
    let mut child = place
        .command("run small.toml --embedded --view quiet --keep-cluster --set cluster.router={}")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut kept = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        kept = line.unwrap();
        if kept.starts_with("cluster kept") {
            break;
        }
    }
    let at = |name: &str| {
        let word = kept.split(' ').find_map(|word| word.strip_prefix(name));
        word.unwrap_or_else(|| panic!("{name} in {kept:?}")).to_owned()
    };
    for name in ["router=", "node1=", "node4="] {
        TcpStream::connect(at(name)).unwrap();
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0), "the verdict's own code");
    let (_, err) = place.run(
        "matrix small.toml --embedded --keep-cluster --axis hash=modulo,jump",
        2,
    );
    assert!(err.contains("which one should stay"), "{err}");
}

#[test]
fn a_matrix_runs_every_combination_and_lays_them_over_one_another() {
    let place = Place::new();
    let (_, err) = place.run(
        "matrix small.toml --dry-run --axis hash=modulo,rendezvous --axis nodes=2,3",
        0,
    );
    assert!(err.contains("4 combinations, all valid"), "{err}");
    let (_, err) = place.run("matrix small.toml --axis hash=modulo,nonsense", 2);
    assert!(err.starts_with("--axis: unknown hash `nonsense`"), "{err}");
    let (_, err) = place.run(
        "matrix small.toml --axis hash=modulo,jump --set cluster.hahs=jump",
        2,
    );
    assert!(
        err.starts_with("--set: unknown key `hahs`"),
        "not the axis: {err}"
    );
    assert!(place.runs().is_empty());
    // Under modulo most keys move, under rendezvous a quarter: the threshold tells them apart, and the worst decides.
    let line = "matrix small.toml --embedded --view quiet --axis hash=modulo,rendezvous --threshold after.remap.key_fraction<0.5";
    let (out, err) = place.run(line, 99);
    assert!(
        err.contains("[1 of 2] cluster.hash=modulo") && err.contains("[2 of 2]"),
        "{err}"
    );
    assert!(
        out.contains("cluster.hash=modulo") && out.contains("\nremap "),
        "{out}"
    );
    let runs = place.runs();
    assert_eq!(runs.len(), 2, "a folder each");
    let (a, b) = (runs[0].to_str().unwrap(), runs[1].to_str().unwrap());
    let (out, _) = place.run(&format!("compare {a} {b} -o both.html --fail-on remap>10pp"), 0);
    assert!(out.contains("\nremap ") && out.contains(" pp)"), "{out}");
    let (out, _) = place.run(&format!("compare {b} {a} --fail-on remap>10pp"), 99);
    assert!(out.contains("FAILED"), "{out}");
    if browser::is_missing() {
        return;
    }
    for page in ["runs/comparison.html", "both.html"] {
        let page = place.path(page);
        let dom = browser::dom(
            &["--virtual-time-budget=4000"],
            &format!("file://{}", page.display()),
        );
        assert_eq!(dom.matches("class=\"uplot").count(), 3, "{}", page.display());
        assert!(!dom.contains("NaN"), "{}", page.display());
    }
}

/// Long enough for a person; the timeline goes nowhere before a key says so.
const LONG: &str = r#"
name = "long"
seed = 5
[cluster]
nodes = 2
[workload]
keys = 500
[load]
rate = 100
connections = 2
[[phase]]
name = "steady"
kind = "baseline"
duration = "100s"
"#;

#[test]
fn on_a_terminal_keys_hold_the_timeline_report_what_there_is_and_stop_the_run() {
    let place = Place::new();
    std::fs::write(place.path("long.toml"), LONG).unwrap();
    let program = env!("CARGO_BIN_EXE_loadtest");
    let Some(mut terminal) = terminal::Terminal::run(&format!("{program} run long.toml"), place.root.path())
    else {
        return;
    };
    // The page is on where somebody watches, and the terminal says where.
    terminal.until("live page: http://127.0.0.1:");
    terminal.until("s\u{1b}[0m\u{1b}[2m report so far");
    terminal.press("p");
    terminal.until("PAUSED");
    terminal.press("s");
    terminal.until("report so far: ");
    terminal.press("e");
    terminal.until("add a node");
    terminal.press("1");
    terminal.until("add node node3 (by hand)");
    terminal.press("p");
    terminal.until("the timeline goes on");
    terminal.press("q");
    let (text, status) = terminal.end();
    assert_eq!(status.code(), Some(130), "{text}");
    let (_, after) = text
        .rsplit_once("\u{1b}[?25h\u{1b}[?1049l")
        .expect("the screen is given back");
    assert!(
        after.contains("INTERRUPTED") && after.contains("report: runs/"),
        "{after}"
    );
    let folder = &place.runs()[0];
    let pages: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("so-far-"))
        .collect();
    assert_eq!(pages.len(), 1, "{pages:?}");
    let page = std::fs::read_to_string(folder.join(&pages[0])).unwrap();
    assert!(page.contains("long (so far)") && page.contains("The run as it stood after"));
}

/// The scenario that shows the whole language, as a reader finds it, with less of everything.
#[test]
fn the_sample_scenario_is_accepted_as_it_stands_and_runs() {
    const SAMPLE: &str = include_str!("samples/add-node-ketama.toml");
    let place = Place::new();
    std::fs::write(place.path("sample.toml"), SAMPLE).unwrap();
    const SHORT: &str = include_str!("samples/metastable.toml");
    std::fs::write(place.path("short.toml"), SHORT).unwrap();
    let (out, _) = place.run("check short.toml", 0);
    assert!(
        out.contains("flush every node") && out.contains("threshold metastable == true"),
        "{out}"
    );
    let (out, _) = place.run("check sample.toml", 0);
    assert!(
        out.contains("4 nodes of 64 MiB and a router") && out.contains("add a node"),
        "{out}"
    );
    // Five seconds at a fiftieth; a slow machine may lag (the run is invalid then) but must carry it out.
    let line = "run sample.toml --view quiet --time-scale 0.02 --rate 300 --set workload.keys=2000 --set load.timeout=20s --no-thresholds --json run.json";
    let output = place.command(line).output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{told}");
    let outcome: Outcome =
        serde_json::from_str(&std::fs::read_to_string(place.path("run.json")).unwrap()).unwrap();
    let [event] = &outcome.events[..] else {
        panic!("one event: {:?}", outcome.events)
    };
    assert_eq!((event.action.as_str(), &event.error), ("add_node", &None));
    assert!(outcome.totals.hits > 0, "{told}");
    // The route was written where the sample says, and is taken from there by the next run.
    let route = std::fs::read_to_string(place.path("router.json")).unwrap();
    assert!(route.contains("SaltedFailoverRoute"), "{route}");
    place.run("check sample.toml", 0);
}
