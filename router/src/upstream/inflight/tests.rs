//! What was asked and what came back, as tables.

use super::{InFlight, Matched, Micros};
use crate::request::{Expect, Op};

/// What each request expects, and its keys.
type Asked<'a> = &'a [(Expect, &'a str)];

/// Asks each of `asked` (what it expects and its keys), then feeds `bytes` in pieces of `step`. One word per reply:
/// its number, kind and which keys it answered; then how it ended.
fn replies(asked: &[(Expect, &str)], bytes: &str, step: usize) -> String {
    let mut flight = InFlight::new(1 << 20);
    for (number, (expect, keys)) in asked.iter().enumerate() {
        flight.note().extend_from_slice(keys.as_bytes());
        flight.push(number, (Op::Get, *expect), false, Micros(number as u64));
    }
    let mut said = Vec::new();
    let (mut at, mut end) = (0, 0);
    while end < bytes.len() {
        end = (end + step).min(bytes.len());
        while at < end {
            match flight.next(&bytes.as_bytes()[at..end]) {
                Matched::Reply { entry, kind, body } => {
                    let keys: Vec<String> = flight
                        .values()
                        .iter()
                        .map(|value| value.key.to_string())
                        .collect();
                    said.push(format!("{}:{}[{}]", entry.to, kind.name(), keys.join(",")));
                    at += body.len();
                    flight.reply_done();
                }
                Matched::NeedMore { .. } => break,
                Matched::Broken(why) => {
                    said.push(why.to_owned());
                    return said.join(" ");
                }
            }
        }
    }
    assert_eq!(at, bytes.len(), "bytes left over: {said:?}");
    said.join(" ")
}

#[test]
fn replies_find_their_requests_in_any_split() {
    use Expect::{Arith, Delete, MetaGet, MetaSet, Retrieval, Store};
    let cases: &[(Asked<'_>, &str, &str)] = &[
        (&[(Retrieval, "a")], "END\r\n", "0:miss[]"),
        (
            &[(Retrieval, "a"), (Retrieval, "b")],
            "VALUE a 0 1\r\nx\r\nEND\r\nEND\r\n",
            "0:found[0] 1:miss[]",
        ),
        (
            &[(Retrieval, "a bb c bb")],
            "VALUE bb 0 1\r\nx\r\nVALUE bb 0 1\r\nx\r\nEND\r\n",
            "0:found[1,3]",
        ),
        (
            &[(Retrieval, "ab a b")],
            "VALUE a 0 5\r\nEND\r\n\r\nVALUE b 7 0 99\r\n\r\nEND\r\n",
            "0:found[1,2]",
        ),
        (
            &[(Store, ""), (Delete, ""), (Arith, ""), (MetaSet, "")],
            "STORED\r\nNOT_FOUND\r\n12\r\nHD\r\n",
            "0:stored[] 1:not_found[] 2:number[] 3:stored[]",
        ),
        (&[(MetaGet, "")], "VA 2 f1\r\nhi\r\n", "0:found[]"),
        (
            &[(Retrieval, "a"), (Store, "")],
            "SERVER_ERROR out of memory\r\nSTORED\r\n",
            "0:remote_error[] 1:stored[]",
        ),
        // From here on: replies that would otherwise reach somebody they are not for.
        (
            &[(Retrieval, "a")],
            "VALUE b 0 1\r\nx\r\nEND\r\n",
            "a value for a key that was not asked for",
        ),
        (
            &[(Retrieval, "a b")],
            "VALUE b 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
            "a value for a key that was not asked for",
        ),
        (
            &[(Retrieval, "aa")],
            "VALUE a 0 1\r\nx\r\nEND\r\n",
            "a value for a key that was not asked for",
        ),
        (
            &[(Retrieval, "a")],
            "STORED\r\n",
            "a reply of another kind than asked for",
        ),
        (
            &[(Store, "")],
            "END\r\n",
            "a reply of another kind than asked for",
        ),
        (
            &[(Store, "")],
            "STORED\r\nSTORED\r\n",
            "0:stored[] bytes nobody asked for",
        ),
        (
            &[],
            "ERROR Too many open connections\r\n",
            "bytes nobody asked for",
        ),
    ];
    for (asked, bytes, expected) in cases {
        for step in [1, 2, 3, 7, bytes.len()] {
            assert_eq!(
                replies(asked, bytes, step),
                *expected,
                "{bytes:?} in pieces of {step}"
            );
        }
    }
}

#[test]
fn a_late_reply_is_dropped_and_the_next_one_still_finds_its_request() {
    let mut flight = InFlight::new(1 << 20);
    for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
        flight.note().extend_from_slice(key.as_bytes());
        flight.push(
            number,
            (Op::Get, Expect::Retrieval),
            false,
            Micros(number as u64 * 10),
        );
    }
    let (place, entry, note) = flight.give_up(Micros(5)).expect("the first is older");
    assert_eq!((place, entry.to, note), (0, 0, b"a".as_slice()));
    assert!(flight.give_up(Micros(5)).is_none(), "the second is younger");
    assert_eq!(flight.oldest(), Some(Micros(10)));

    let bytes = b"VALUE a 0 1\r\nx\r\nEND\r\nVALUE b 0 1\r\ny\r\nEND\r\n";
    let Matched::Reply { entry, body, .. } = flight.next(bytes) else {
        panic!("the late reply is a reply");
    };
    assert!(entry.given_up);
    let rest = &bytes[body.len()..];
    flight.reply_done();
    let Matched::Reply { entry, .. } = flight.next(rest) else {
        panic!("the next reply is a reply");
    };
    assert_eq!((entry.to, entry.given_up), (1, false));
}

#[test]
fn what_is_taken_back_leaves_the_others_their_replies() {
    let mut flight = InFlight::new(1 << 20);
    for (number, key) in ["a", "bb", "ccc", "dddd"].into_iter().enumerate() {
        flight.note().extend_from_slice(key.as_bytes());
        flight.push(number, (Op::Get, Expect::Retrieval), false, Micros(number as u64));
    }
    let mut given_up = Vec::new();
    while let Some((place, entry, note)) = flight.give_up(Micros(2)) {
        given_up.push((place, entry.to, note.to_vec()));
    }
    assert_eq!(given_up[2], (2, 2, b"ccc".to_vec()));
    assert_eq!(flight.take_back(1), 2, "all but the first, which was sent");
    assert_eq!(flight.take_back(1), 0);
    assert_eq!((flight.len(), flight.oldest()), (2, Some(Micros(3))));
    let bytes = b"VALUE a 0 1\r\nx\r\nEND\r\nVALUE dddd 0 1\r\ny\r\nEND\r\n";
    let mut at = 0;
    let mut answered = Vec::new();
    while let Matched::Reply { entry, body, .. } = flight.next(&bytes[at..]) {
        at += body.len();
        answered.push((entry.to, entry.given_up));
        flight.reply_done();
        if flight.is_empty() {
            break;
        }
    }
    assert_eq!(answered, [(0, true), (3, false)]);
}

#[test]
fn when_the_connection_is_gone_each_request_still_waited_for_is_told_once() {
    let mut flight = InFlight::new(1 << 20);
    for (number, key) in ["a", "bb", "ccc"].into_iter().enumerate() {
        flight.note().extend_from_slice(key.as_bytes());
        flight.push(number, (Op::Get, Expect::Retrieval), false, Micros(number as u64));
    }
    flight.give_up(Micros(0));
    let mut told = Vec::new();
    flight.abandon(|entry, note| told.push((entry.to, note.to_vec())));
    assert_eq!(told, [(1, b"bb".to_vec()), (2, b"ccc".to_vec())]);
    assert!(flight.is_empty());
    assert!(matches!(flight.next(b"END\r\n"), Matched::Broken(_)));
}

#[test]
fn notes_do_not_pile_up_on_a_connection_that_is_never_idle() {
    let mut flight = InFlight::new(1 << 20);
    let key = [b'k'; 250];
    for round in 0..10_000 {
        flight.note().extend_from_slice(&key);
        flight.push(round, (Op::Get, Expect::Retrieval), false, Micros(0));
        if round > 0 {
            assert!(matches!(flight.next(b"END\r\n"), Matched::Reply { .. }));
        }
    }
    assert!(flight.notes.bytes.len() < 4 * super::Notes::SLACK);
}
