//! `--explain`, `--diff`, `--schema`: what the program tells without serving.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

fn told(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_router"))
        .args(args)
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn file(folder: &TempDir, name: &str, servers: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    let text = format!(
        r#"{{"pools": {{"A": {{"servers": {servers:?}, "hash": "rendezvous"}}}},
            "route": {{"type": "FailoverRoute", "children": ["PoolRoute|A", "NullRoute"]}}}}"#
    );
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn a_requests_way_is_told_with_its_reasons() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "a.json", &["n1=h:1", "n2=h:2"]);
    let told = told(&[
        "--explain",
        "get",
        "user:1|#|x",
        "-c",
        &path.display().to_string(),
    ]);
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("FailoverRoute: in turn"), "{told}");
    assert!(
        lines[1].starts_with("PoolRoute A: rendezvous of \"user:1\" is "),
        "{told}"
    );
    assert!(lines[2].starts_with('n') && lines[2].contains(" at h:"), "{told}");
    assert!(lines[3].starts_with("NullRoute"), "{told}");
    assert_eq!(lines[4], format!("server: {}", &lines[2][..2]), "{told}");
}

#[test]
fn a_change_is_told_by_pool_and_server_before_it_is_made() {
    let folder = TempDir::new().expect("a folder");
    let old = file(&folder, "old.json", &["n1=h:1", "n2=h:2", "n3=h:3"]);
    let new = file(&folder, "new.json", &["n1=h:1", "n3=h:3"]);
    let told = told(&["--diff", &old.display().to_string(), &new.display().to_string()]);
    let share = told
        .strip_prefix("pool A: ")
        .and_then(|rest| rest.split(' ').next());
    let share: f64 = share.and_then(|share| share.parse().ok()).expect("a share");
    assert!((32.0..35.0).contains(&share), "a third moves, no more: {told}");
    assert!(
        told.contains("n2 (gone)") && told.contains("n1: ") && told.contains("gives 0.0 %"),
        "{told}"
    );
}

#[test]
fn the_schema_is_json_and_knows_the_handles() {
    let schema: serde_json::Value = serde_json::from_str(&told(&["--schema"])).expect("JSON");
    let text = schema.to_string();
    assert!(text.contains("NearCacheRoute") && text.contains("split_threshold"));
}
