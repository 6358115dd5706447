use super::{Talk, check};

#[test]
fn what_was_set_is_what_is_got() {
    check(
        r"> get k
          < END
          > set k 5 0 3\r\nabc
          < STORED
          > get k
          < VALUE k 5 3
          < abc
          < END
          > set k 0 0 0\r\n
          < STORED
          > get k
          < VALUE k 0 0
          <
          < END",
    );
}

#[test]
fn a_retrieval_answers_hits_in_order_and_repeats_what_is_repeated() {
    check(
        r"> set a 1 0 1\r\nA\r\nset b 2 0 1\r\nB
          < STORED
          < STORED
          > get a missing b a
          < VALUE a 1 1
          < A
          < VALUE b 2 1
          < B
          < VALUE a 1 1
          < A
          < END",
    );
}

#[test]
fn gets_of_one_buffer_are_answered_each_with_its_own_end() {
    check(
        r"> set a 0 0 1\r\nA\r\nset b 0 0 1\r\nB
          < STORED
          < STORED
          > get a\r\nget x y\r\ngets b\r\nget b a\r\nversion\r\nget a
          < VALUE a 0 1
          < A
          < END
          < END
          < VALUE b 0 1 {cas:b}
          < B
          < END
          < VALUE b 0 1
          < B
          < VALUE a 0 1
          < A
          < END
          < VERSION 1.6.40
          < VALUE a 0 1
          < A
          < END",
    );
}

#[test]
fn add_stores_only_what_is_not_there_and_replace_only_what_is() {
    check(
        r"> replace k 0 0 1\r\na
          < NOT_STORED
          > add k 0 0 1\r\nb
          < STORED
          > add k 0 0 1\r\nc
          < NOT_STORED
          > replace k 7 0 2\r\ndd
          < STORED
          > get k
          < VALUE k 7 2
          < dd
          < END",
    );
}

#[test]
fn append_and_prepend_keep_flags_and_need_an_item() {
    check(
        r"> append k 0 0 1\r\na
          < NOT_STORED
          > prepend k 0 0 1\r\na
          < NOT_STORED
          > set k 42 0 3\r\nmid
          < STORED
          > append k 9 0 4\r\n-end
          < STORED
          > prepend k 9 0 6\r\nstart-
          < STORED
          > get k
          < VALUE k 42 13
          < start-mid-end
          < END",
    );
}

#[test]
fn a_stale_cas_unique_is_refused() {
    check(
        r"> cas k 0 0 1 1\r\na
          < NOT_FOUND
          > set k 0 0 1\r\na
          < STORED
          > gets k
          < VALUE k 0 1 {cas:one}
          < a
          < END
          > cas k 0 0 1 0\r\nb
          < EXISTS
          > cas k 3 0 1 {one}\r\nb
          < STORED
          > cas k 0 0 1 {one}\r\nc
          < EXISTS
          > gets k
          < VALUE k 3 1 {cas:two}
          < b
          < END
          > touch k 0
          < TOUCHED
          > gets k
          < VALUE k 3 1 {two}
          < b
          < END",
    );
}

#[test]
fn every_change_gives_a_new_cas_unique() {
    let mut talk = Talk::new();
    let mut seen = Vec::new();
    for change in [
        "set k 0 0 1\r\n5",
        "incr k 0",
        "append k 0 0 1\r\n6",
        "replace k 0 0 1\r\n7",
        "decr k 1",
    ] {
        talk.send(format!("{change}\r\n").as_bytes());
        let (reply, _) = talk.send(b"gets k\r\n");
        let line = String::from_utf8(reply).unwrap();
        let unique = line
            .lines()
            .next()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned();
        assert!(
            !seen.contains(&unique) && unique != "0",
            "{change}: {unique} after {seen:?}"
        );
        seen.push(unique);
    }
}

#[test]
fn delete_removes_once() {
    check(
        r"> delete k
          < NOT_FOUND
          > set k 0 0 1\r\na
          < STORED
          > delete k 0
          < DELETED
          > get k
          < END
          > delete k
          < NOT_FOUND",
    );
}

#[test]
fn incr_wraps_decr_stops_and_neither_touches_flags() {
    check(
        r"> incr n 1
          < NOT_FOUND
          > set n 3 0 2\r\n10
          < STORED
          > incr n 5
          < 15
          > decr n 6
          < 9
          > get n
          < VALUE n 3 1
          < 9
          < END
          > decr n 100
          < 0
          > set n 0 0 20\r\n18446744073709551615
          < STORED
          > incr n 2
          < 1
          > set n 0 0 1\r\nx
          < STORED
          > incr n 1
          < CLIENT_ERROR cannot increment or decrement non-numeric value
          > set n 0 0 0\r\n
          < STORED
          > decr n 1
          < CLIENT_ERROR cannot increment or decrement non-numeric value
          > incr n x
          < CLIENT_ERROR invalid numeric delta argument",
    );
}

#[test]
fn noreply_is_silence_whatever_happens() {
    let mut talk = Talk::new();
    for silent in [
        "set k 0 0 1 noreply\r\n1",
        "add k 0 0 1 noreply\r\n2",
        "replace k 0 0 1 noreply\r\n3",
        "append k 0 0 1 noreply\r\n4",
        "cas k 0 0 1 99 noreply\r\n5",
        "incr k 1 noreply",
        "incr none 1 noreply",
        "touch k 0 noreply",
        "delete none noreply",
        "flush_all 100 noreply",
        "verbosity 1 noreply",
        "delete k noreply",
        "set k 0 0 bad-chunk noreply",
    ] {
        let (reply, _) = talk.send(format!("{silent}\r\n").as_bytes());
        let reply = reply.escape_ascii().to_string();
        // A length that cannot be read is answered even so: what follows is no data block.
        let expected = if silent.contains("bad-chunk") {
            "CLIENT_ERROR bad command line format\\r\\n"
        } else {
            ""
        };
        assert_eq!(reply, expected, "{silent}");
    }
    talk.play("> get k\n < END");
}

#[test]
fn a_value_over_the_limit_is_refused_and_takes_the_older_one_with_it() {
    let mut talk = Talk::with(|config| config.item_size_max_bytes = 2048);
    let big = "x".repeat(3000);
    talk.play("> set k 0 0 1\\r\\na\n < STORED");
    talk.play(&format!(
        "> add k 0 0 3000\\r\\n{big}\n < SERVER_ERROR object too large for cache"
    ));
    talk.play("> get k\n < VALUE k 0 1\n < a\n < END");
    talk.play(&format!(
        "> set k 0 0 3000\\r\\n{big}\n < SERVER_ERROR object too large for cache"
    ));
    talk.play("> get k\n < END");
    assert_eq!(talk.node.totals().store_too_large, 2);
}

#[test]
fn an_append_beyond_the_limit_changes_nothing() {
    let mut talk = Talk::with(|config| config.item_size_max_bytes = 2048);
    let half = "x".repeat(1200);
    talk.play(&format!("> set k 0 0 1200\\r\\n{half}\n < STORED"));
    talk.play(&format!("> append k 0 0 1200\\r\\n{half}\n < NOT_STORED"));
    talk.play(&format!("> get k\n < VALUE k 0 1200\n < {half}\n < END"));
}

#[test]
fn keys_are_bytes_up_to_250_of_them() {
    let mut talk = Talk::new();
    let longest = "k".repeat(250);
    talk.play(&format!(
        "> set {longest} 0 0 1\\r\\na\n < STORED\n > get {longest}\n < VALUE {longest} 0 1\n < a\n < END"
    ));
    talk.play(&format!(
        "> get {longest}k\n < CLIENT_ERROR bad command line format"
    ));
    let (reply, _) = talk.send(b"set \x01\xff\x00\t 0 0 1\r\nz\r\nget \x01\xff\x00\t\r\n");
    assert_eq!(reply, b"STORED\r\nVALUE \x01\xff\x00\t 0 1\r\nz\r\nEND\r\n");
}

#[test]
fn counters_say_what_happened() {
    let mut talk = Talk::new();
    talk.send(
        b"set a 0 0 1\r\n1\r\nadd a 0 0 1\r\n2\r\nget a b\r\nget a\r\ngat 0 a b\r\ntouch b 0\r\nincr a 1\r\n",
    );
    talk.send(b"incr b 1\r\ndecr a 1\r\ndecr b 1\r\ndelete b\r\ndelete a\r\ncas a 0 0 1 1\r\nx\r\nmg a v\r\nme a\r\n");
    let totals = talk.node.totals();
    assert_eq!((totals.cmd_get, totals.get_hits, totals.get_misses), (4, 2, 2));
    assert_eq!(
        (
            totals.cmd_set,
            totals.cmd_touch,
            totals.touch_hits,
            totals.touch_misses
        ),
        (3, 3, 1, 2)
    );
    assert_eq!(
        (
            totals.incr_hits,
            totals.incr_misses,
            totals.decr_hits,
            totals.decr_misses
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(
        (
            totals.delete_hits,
            totals.delete_misses,
            totals.cas_misses,
            totals.cmd_meta
        ),
        (1, 1, 1, 1)
    );
}
