//! What the session makes of streams: pipelines, pieces, floods and garbage.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::Talk;
use crate::session::{Next, REPLIES_HIGH_BYTES};

#[test]
fn quit_answers_what_came_before_and_nothing_after() {
    let mut talk = Talk::new();
    let (reply, next) = talk.send(b"set a 0 0 1\r\nx\r\nquit\r\n");
    assert_eq!((reply.as_slice(), next), (&b"STORED\r\n"[..], Next::Close));
    let (reply, next) = Talk::new().send(b"version\r\nquit\r\nversion\r\n");
    assert_eq!(
        (reply.as_slice(), next),
        (&b"VERSION 1.6.40\r\n"[..], Next::Close)
    );
}

#[test]
fn half_a_request_waits_for_its_other_half() {
    let mut talk = Talk::new();
    let whole = b"set a 0 0 5\r\nhello\r\nget a b\r\nmg a v k\r\n";
    let (expected, _) = talk.send(whole);
    for cut in 1..whole.len() {
        let mut told = Vec::new();
        let mut input = Vec::new();
        for piece in [&whole[..cut], &whole[cut..]] {
            input.extend_from_slice(piece);
            let (served, reply) = talk.serve(&input, usize::MAX);
            told.extend_from_slice(&reply);
            input.drain(..served.consumed);
        }
        assert_eq!(
            told.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "cut at {cut}"
        );
    }
}

#[test]
fn replies_beyond_the_high_mark_wait_and_none_is_lost_or_repeated() {
    let mut talk = Talk::new();
    let value = "v".repeat(50_000);
    for n in 0..20 {
        talk.send(format!("set k{n} {n} 0 50000\r\n{value}\r\n").as_bytes());
    }
    // 40 requests of 3 keys: some 6 MB of replies out of a small buffer of requests, then more behind it.
    let mut input = Vec::new();
    let mut expected = Vec::new();
    for n in 0..40 {
        let keys = [n % 20, (n + 1) % 20, 99];
        input.extend_from_slice(format!("get k{} k{} k{}\r\n", keys[0], keys[1], keys[2]).as_bytes());
        for key in &keys[..2] {
            expected.extend_from_slice(format!("VALUE k{key} {key} 50000\r\n{value}\r\n").as_bytes());
        }
        expected.extend_from_slice(b"END\r\n");
    }
    input.extend_from_slice(b"version\r\nget k");
    expected.extend_from_slice(b"VERSION 1.6.40\r\n");
    let mut told = Vec::new();
    let mut rounds = 0;
    loop {
        let (served, replies) = talk.serve(&input, usize::MAX);
        assert!(
            replies.len() <= REPLIES_HIGH_BYTES + 51_000,
            "{} bytes gathered",
            replies.len()
        );
        told.extend_from_slice(&replies);
        input.drain(..served.consumed);
        rounds += 1;
        if served.next != Next::Again {
            break;
        }
    }
    assert_eq!(input, b"get k");
    assert!(rounds > 10, "{rounds} rounds");
    assert_eq!(told.len(), expected.len());
    assert!(told == expected);
    assert_eq!(talk.node.totals().cmd_get, 120);
}

#[test]
fn gat_over_the_high_mark_goes_on_where_it_stopped() {
    let mut talk = Talk::new();
    let value = "v".repeat(100_000);
    let mut line = String::from("gats 0");
    for n in 0..10 {
        talk.send(format!("set k{n} 0 0 100000\r\n{value}\r\n").as_bytes());
        line.push_str(&format!(" k{n}"));
    }
    let mut input = format!("{line}\r\nmn\r\n").into_bytes();
    let mut told = Vec::new();
    loop {
        let (served, replies) = talk.serve(&input, usize::MAX);
        told.extend_from_slice(&replies);
        input.drain(..served.consumed);
        if served.next != Next::Again {
            break;
        }
    }
    let text = String::from_utf8(told).unwrap();
    assert_eq!(text.matches("VALUE ").count(), 10);
    assert!(text.ends_with("\r\nEND\r\nMN\r\n"));
    assert_eq!(talk.node.totals().touch_hits, 10);
}

#[test]
fn a_turn_ends_after_so_many_requests() {
    let mut talk = Talk::new();
    let input = b"mn\r\n".repeat(10);
    let (served, replies) = talk.serve(&input, 4);
    assert_eq!(
        (served.consumed, served.requests, served.next),
        (16, 4, Next::Again)
    );
    assert_eq!(replies, b"MN\r\n".repeat(4));
}

#[test]
fn a_multiget_of_many_keys_is_one_answer() {
    let mut talk = Talk::new();
    let mut line = String::from("get");
    for n in 0..1000 {
        talk.send(format!("set key{n} 0 0 3\r\nabc\r\n").as_bytes());
        line.push_str(&format!(" key{n} no{n}"));
    }
    let (reply, _) = talk.send(format!("{line}\r\n").as_bytes());
    let text = String::from_utf8(reply).unwrap();
    assert_eq!(
        (text.matches("VALUE ").count(), text.matches("END\r\n").count()),
        (1000, 1)
    );
}

#[test]
fn a_binary_client_is_told_so_and_let_go() {
    let mut talk = Talk::new();
    let (reply, next) = talk.send(b"\x80\x0b\x00\x00\x00\x00\x00\x00");
    assert_eq!(next, Next::HangUp);
    assert!(reply.starts_with(b"CLIENT_ERROR ") && reply.ends_with(b"\r\n"));
}

#[test]
fn garbage_never_panics_and_always_makes_progress() {
    let seed = 0x5eed;
    let mut rng = SmallRng::seed_from_u64(seed);
    let words: &[&[u8]] = &[
        b"get ",
        b"gets ",
        b"set ",
        b"ms ",
        b"mg ",
        b"md ",
        b"ma ",
        b"me ",
        b"mn",
        b"cas ",
        b"incr ",
        b"gat ",
        b"touch ",
        b"stats ",
        b"flush_all ",
        b"k",
        b"key",
        b" 0 0 5\r\n",
        b" 3 ",
        b"hello",
        b"\r\n",
        b"\n",
        b" ",
        b"noreply",
        b"v",
        b" T0",
        b" N1",
        b" b",
        b" Zm9v",
        b" I",
        b" x",
        b" q",
        b"\x00",
        b"\xff\xfe",
        b"99999999999999999999",
        b"-1",
        b"cache_memlimit ",
        b"lru_crawler ",
        b"verbosity ",
        b"config get cluster",
        b"slabs ",
        b"watch ",
    ];
    for round in 0..1000 {
        let mut talk = Talk::new();
        let mut input = Vec::new();
        for _ in 0..rng.random_range(1..30) {
            if rng.random_bool(0.1) {
                let noise: Vec<u8> = (0..rng.random_range(1..40)).map(|_| rng.random()).collect();
                input.extend_from_slice(&noise);
            } else {
                input.extend_from_slice(words[rng.random_range(0..words.len())]);
            }
        }
        let calls_max = input.len() + 2;
        let mut calls = 0;
        loop {
            calls += 1;
            assert!(calls <= calls_max, "no progress: seed {seed:#x} round {round}");
            let (served, _) = talk.serve(&input, 3);
            assert!(served.consumed <= input.len());
            input.drain(..served.consumed);
            match served.next {
                Next::Again => {}
                Next::Read { additional } => {
                    assert!(additional > 0, "seed {seed:#x} round {round}");
                    break;
                }
                Next::Close | Next::HangUp | Next::Shutdown | Next::Feed(_) => break,
            }
        }
    }
}
