//! Values in chunks: written whole, read whole, and nothing left behind.

use crate::route::testing::tree;

fn play(line: &str, says: &[&str]) -> Vec<String> {
    let route =
        r#"{"type": "BigValueRoute", "target": "PoolRoute|A", "split_threshold": 64, "batch_size": 2}"#;
    let story = tree(route).play(line, &[("a", says)]);
    story.lines().map(str::to_owned).collect()
}

fn suffix(index: &str) -> String {
    let text = index.split('~').nth(1).expect("an index");
    text.rsplit('-').next().expect("a suffix").to_owned()
}

#[test]
fn a_large_value_is_chunks_and_then_their_index() {
    let value = "x".repeat(130);
    let told = play(&format!("set k 5 60 130~{value}~"), &["EN~", "STORED~"]);
    assert_eq!(told[0], "a: mg k f~");
    let suffix = suffix(&told[4]);
    assert_eq!(
        told[1],
        format!("a: set k:0:{suffix} 0 60 64~{}~", "x".repeat(64))
    );
    assert_eq!(told[3], format!("a: set k:2:{suffix} 0 60 2~xx~"));
    assert!(told[4].starts_with("a: set k 32773 60 "), "{}", told[4]);
    assert_eq!(told[5..], ["=> STORED~"]);
}

#[test]
fn it_is_read_whole_or_not_at_all() {
    let index = "VALUE k 32773 6~1-2-77~END~";
    assert_eq!(
        play(
            "get k~",
            &[index, "VALUE k:0:77 0 2~ab~END~", "VALUE k:1:77 0 1~c~END~"]
        ),
        [
            "a: get k~",
            "a: get k:0:77~",
            "a: get k:1:77~",
            "=> VALUE k 5 3~abc~END~"
        ]
    );
    assert_eq!(
        play("get k~", &[index, "END~"]).last().expect("an answer"),
        "=> END~"
    );
    assert_eq!(
        play("get k~", &[index, "timeout"]).last().expect("an answer"),
        "=> timeout"
    );
    assert_eq!(
        play("get k~", &["VALUE k 5 1~x~END~"]),
        ["a: get k~", "=> VALUE k 5 1~x~END~"]
    );
    let with_cas = "VALUE k 32773 6 99~1-1-77~END~";
    assert_eq!(
        play("gets k~", &[with_cas, "VALUE k:0:77 0 2~ab~END~"])
            .last()
            .expect("an answer"),
        "=> VALUE k 5 2 99~ab~END~"
    );
    assert_eq!(
        play(
            "mg k s f v c~",
            &[
                "HD f32773~",
                "VA 6 t-1 f32773~1-1-77~",
                "VALUE k:0:77 0 2~ab~END~",
                "HD s6 f32773 c99~"
            ]
        )
        .last()
        .expect("an answer"),
        "=> VA 2 s2 f5 c99~ab~"
    );
}

#[test]
fn no_chunk_is_left_behind() {
    let old: [&str; 2] = ["HD f32768~", "VA 6 t-1 f32768~1-2-77~"];
    let deletes = ["a: delete k:0:77~", "a: delete k:1:77~"];
    for (line, says) in [
        ("delete k~", [old[0], old[1], "DELETED~"]),
        ("set k 0 0 1~x~", [old[0], old[1], "STORED~"]),
        ("ms k 1~x~", [old[0], old[1], "HD~"]),
    ] {
        let mut says: Vec<&str> = says.into();
        says.push("DELETED~");
        let told = play(line, &says);
        assert_eq!(told[told.len() - 2..], deletes, "{line}: {told:?}");
    }
    // A store that fails half way takes back what it stored.
    let value = "x".repeat(130);
    let told = play(
        &format!("add k 0 0 130~{value}~"),
        &["EN~", "STORED~", "SERVER_ERROR full~", "DELETED~"],
    );
    assert_eq!(
        told.iter().filter(|line| line.contains("delete k:")).count(),
        3,
        "{told:?}"
    );
    assert!(told.contains(&"=> SERVER_ERROR full~".to_owned()));
    // An index that is refused takes its chunks with it.
    let told = play(
        &format!("add k 0 0 70~{}~", "x".repeat(70)),
        &["EN~", "STORED~", "STORED~", "NOT_STORED~", "DELETED~"],
    );
    assert_eq!(
        told.iter().filter(|line| line.contains("delete k:")).count(),
        2,
        "{told:?}"
    );
}

#[test]
fn what_cannot_be_done_to_chunks_is_refused() {
    let told = play("append k 0 0 1~x~", &["HD f32768~", "VA 6 t-1 f32768~1-2-77~"]);
    assert!(
        told.last()
            .expect("an answer")
            .starts_with("=> SERVER_ERROR a split value"),
        "{told:?}"
    );
    let told = play(
        "touch k 9~",
        &["HD f32768~", "VA 6 t-1 f32768~1-1-77~", "TOUCHED~"],
    );
    assert_eq!(told[2..], ["a: touch k:0:77 9~", "a: touch k 9~", "=> TOUCHED~"]);
}
