//! The program: its flags, what it prints, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::{Client, PATIENCE, eventually};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_router"))
}

/// Exit code, first line on stdout, all of stderr.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = program().args(args).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_says_what_it_is() {
    let (code, said, _) = run(&["--version"]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("router "), "{said}");
    let (code, said, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("--sharded"), "{said}");
}

#[test]
fn what_cannot_be_served_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.json");
    std::fs::write(&file, "{\"route\": \"PoolRoute|A\"}").expect("written");
    let file = file.display().to_string();
    let missing = folder.path().join("none.json").display().to_string();
    for (args, complaint) in [
        (&["--nonsense"][..], "--nonsense"),
        (&[], "no servers"),
        (
            &["--sharded", "nowhere"],
            "pools.main.servers[0]: \"nowhere\": expected HOST:PORT",
        ),
        (&["--sharded", "a:1", "--hash", "ketma"], "unknown hash"),
        (&["--sharded", "a:1", "--embedded", "2"], "cannot be used with"),
        (&["--sharded", "a:1", "--connect-timeout", "5"], "with its unit"),
        (&["--sharded", "a:1", "--server-timeout", "0ms"], "a timeout of 0"),
        (
            &["--sharded", "a:1", "-t", "5000"],
            "--server-timeout 5000ms here",
        ),
        (&["-p", "5000,5001"], "one port"),
        (
            &[
                "--config",
                "{\"route\": \"NullRoute\"}",
                "--runtime-vars-file",
                "/no/such",
            ],
            "/no/such: cannot read",
        ),
        (
            &["--config", "{\"route\": \"PoolRoute|A\"}"],
            "route: unknown pool",
        ),
        (
            &[
                "--config",
                "{\"routes\": {\"/a/b/\": \"NullRoute\"}}",
                "-R",
                "/c/d/",
            ],
            "routes: has no route for the default prefix /c/d/",
        ),
        (&["-c", &file], "route: unknown pool \"A\""),
        (&["-c", &file, "--check"], "route: unknown pool \"A\""),
        (&["-c", &missing], "none.json: cannot read"),
        (
            &["--sharded", "127.0.0.1:1", "-l", "192.0.2.1", "-p", "0"],
            "cannot listen on 192.0.2.1:0",
        ),
    ] {
        let (code, _, said) = run(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(complaint), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
    assert_eq!(run(&["--sharded", "a:1", "--check"]).0, Some(0));
}

#[test]
fn a_command_line_of_mcrouters_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mcrouter.json");
    let config = r#"{"pools": {"A": {"servers": ["127.0.0.1:1"]}},
                     "routes": {"/eu/west/": "PoolRoute|A", "/us/east/": "NullRoute"}}"#;
    std::fs::write(&file, config).expect("written");
    let file = format!("file:{}", file.display());
    let theirs = [
        "--port=5000",
        "--config",
        &file,
        "--proxy-threads=auto",
        "--server-timeout=200",
        "--route-prefix=/eu/west/",
        "--send-invalid-route-to-default",
        "--big-value-split-threshold=100000",
        "--timeouts-until-tko=5",
        "-r",
        "500",
        "--stats-root=/var/mcrouter/stats",
        "--num-listening-sockets=4",
        "--disable-reload-configs",
        "--asynclog-disable",
        "--validate-config",
    ];
    assert_eq!(run(&theirs), (Some(0), "config ok".to_owned(), String::new()));
    let way = |key: &str| {
        let asked = [&theirs[..theirs.len() - 1], &["--explain", "get", key]].concat();
        run(&asked).1
    };
    assert!(way("k").contains("server: 127.0.0.1:1"), "{}", way("k"));
    assert!(
        way("/no/where/k").contains("server: 127.0.0.1:1"),
        "{}",
        way("/no/where/k")
    );
    assert!(!way("/us/east/k").contains("server: "), "{}", way("/us/east/k"));
}

#[test]
fn it_says_when_it_is_ready_and_ends_with_its_last_reply_when_told_to() {
    let mut child = program()
        .args(["-p", "0", "--admin", "127.0.0.1:0", "--embedded", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut ready = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut ready).expect("a line");
    let address = |name: &str| {
        let found = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
        found.and_then(|found| found.parse().ok()).expect("an address")
    };
    assert!(ready.starts_with("ready tcp="), "{ready}");
    let mut client = Client::of(address("tcp="));
    assert_eq!(client.set("k", b"v"), "STORED");
    assert_eq!(client.get("k").as_deref(), Some(b"v".as_slice()));
    assert_eq!(
        crate::support::http(address("admin="), "GET", "/healthz", "").0,
        200
    );
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    let status = eventually("the program ends", || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(status.code(), Some(0), "within {PATIENCE:?}");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "", "one line and no more");
}
