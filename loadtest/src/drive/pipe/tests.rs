//! Requests as they are spelled, replies however they are cut.

use super::{Broken, Done, Failure, Item, Listener, Pipe};

/// Tickets are the keys; what was heard is written down.
#[derive(Default)]
struct Heard(Vec<String>);

impl Listener<&'static str> for Heard {
    fn is_key(&mut self, ticket: &&'static str, key: &[u8]) -> bool {
        ticket.as_bytes() == key
    }
    fn value(&mut self, ticket: &'static str, flags: u32, data: &[u8]) {
        self.0.push(format!("{ticket}={}/{flags}", data.escape_ascii()));
    }
    fn miss(&mut self, ticket: &'static str) {
        self.0.push(format!("{ticket} miss"));
    }
    fn done(&mut self, ticket: &'static str, done: Done) {
        self.0.push(format!("{ticket} {done:?}"));
    }
    fn failed(&mut self, ticket: &'static str, why: Failure) {
        self.0.push(format!("{ticket} {why:?}"));
    }
    fn won(&mut self, ticket: &'static str, cas: u64) {
        self.0.push(format!("{ticket} won {cas}"));
    }
    fn lost(&mut self, ticket: &'static str) {
        self.0.push(format!("{ticket} lost"));
    }
}

fn asked(requests: &[&'static str]) -> Pipe<&'static str> {
    let mut pipe = Pipe::default();
    for (now, request) in (0..).zip(requests) {
        let (verb, key) = request.split_once(' ').unwrap();
        match verb {
            "get" => {
                let mut keys = key.split(' ');
                pipe.multiget(
                    |out| {
                        let key = keys.next()?;
                        out.extend_from_slice(key.as_bytes());
                        Some(key)
                    },
                    now,
                );
            }
            "lease" => pipe.get_or_lease(key.as_bytes(), 2, key, now),
            "set" => {
                let item = Item {
                    key: key.as_bytes(),
                    flags: 3,
                    exptime: 0,
                    value_len: 2,
                    lease: None,
                };
                pipe.set(&item, |out| out.extend_from_slice(b"vv"), key, now);
            }
            _ => pipe.delete(key.as_bytes(), key, now),
        }
    }
    pipe
}

fn check(requests: &[&'static str], replies: &str, expected: &[&str]) {
    for step in [1, 7, 10_000] {
        let (mut pipe, mut heard) = (asked(requests), Heard::default());
        let mut result = Ok(());
        for piece in replies.as_bytes().chunks(step) {
            pipe.input().extend_from_slice(piece);
            result = result.and(pipe.read(&mut heard));
        }
        if result == Err(Broken) {
            heard.0.push("broken".into());
            pipe.reset(Failure::Nonsense, &mut heard);
        }
        assert_eq!(heard.0, expected, "in pieces of {step}: {requests:?} {replies:?}");
    }
}

#[test]
fn replies_find_their_requests_however_they_are_cut() {
    check(
        &["get a", "set b", "delete c", "get d"],
        "VALUE a 5 2\r\nxy\r\nEND\r\nSTORED\r\nNOT_FOUND\r\nEND\r\n",
        &["a=xy/5", "b Stored", "c NotFound", "d miss"],
    );
    check(
        &["get a b c", "get d"],
        "VALUE b 0 1\r\nB\r\nEND\r\nEND\r\n",
        &["a miss", "b=B/0", "c miss", "d miss"],
    );
    check(
        &["get a b", "get d"],
        "VALUE b 0 1\r\nB\r\nEND\r\nVALUE d 0 0\r\n\r\nEND\r\n",
        &["a miss", "b=B/0", "d=/0"],
    );
}

#[test]
fn errors_answer_the_request_they_stand_for() {
    check(
        &["get a", "set b", "get c"],
        "SERVER_ERROR down\r\nERROR\r\nEND\r\n",
        &["a Refused", "b Refused", "c miss"],
    );
    check(
        &["get a b c", "get d"],
        "VALUE a 0 1\r\nA\r\nSERVER_ERROR x\r\nEND\r\n",
        &["a=A/0", "b Refused", "c Refused", "d miss"],
    );
}

#[test]
fn a_lease_is_a_value_won_or_lost() {
    check(
        &["lease a", "lease b", "lease c", "lease d", "set e", "lease f"],
        "VA 2 f7 c1\r\nxy\r\nVA 0 f0 c9 W\r\n\r\nVA 0 f0 c9 Z\r\n\r\nEN\r\nEX\r\nVA 1 f3 c4 Z X\r\nz\r\n",
        &["a=xy/7", "b won 9", "c lost", "d miss", "e NotStored", "f=z/3"],
    );
    check(&["lease a"], "END\r\n", &["broken", "a Nonsense"]);
    check(&["get a"], "EN\r\n", &["broken", "a Nonsense"]);
    let mut pipe: Pipe<&'static str> = Pipe::default();
    let item = Item {
        key: b"k",
        flags: 3,
        exptime: 60,
        value_len: 2,
        lease: Some(77),
    };
    pipe.set(&item, |out| out.extend_from_slice(b"vv"), "k", 0);
    pipe.get_or_lease(b"k", 2, "k", 0);
    assert_eq!(pipe.unsent(), b"ms k 2 F3 T60 C77\r\nvv\r\nmg k v f c N2\r\n");
}

#[test]
fn an_answer_to_another_question_breaks_the_stream() {
    check(
        &["get a", "get b"],
        "VALUE z 0 1\r\nZ\r\nEND\r\n",
        &["broken", "a Nonsense", "b Nonsense"],
    );
    check(&["get a"], "STORED\r\n", &["broken", "a Nonsense"]);
    check(&["set a"], "END\r\n", &["broken", "a Nonsense"]);
    check(&["get a"], "END\r\nEND\r\n", &["a miss", "broken"]);
    check(
        &["get a"],
        "VALUE a 0 1\r\nA\r\nVALUE a 0 1\r\nA\r\nEND\r\n",
        &["a=A/0", "broken"],
    );
}

#[test]
fn a_late_reply_is_read_and_dropped() {
    let (mut pipe, mut heard) = (asked(&["get a", "set b", "get c"]), Heard::default());
    pipe.give_up(2, &mut heard);
    pipe.give_up(2, &mut heard);
    assert_eq!(heard.0, ["a Timeout", "b Timeout"]);
    assert_eq!(pipe.oldest(), Some(0));
    pipe.input()
        .extend_from_slice(b"VALUE a 0 1\r\nA\r\nEND\r\nSTORED\r\nEND\r\n");
    assert_eq!(pipe.read(&mut heard), Ok(()));
    assert_eq!(heard.0, ["a Timeout", "b Timeout", "c miss"]);
    assert_eq!(pipe.in_flight(), 0);
}

#[test]
fn requests_are_spelled_as_the_protocol_says() {
    let mut pipe = asked(&["get a b", "set c", "delete d"]);
    pipe.get(b"e", "e", 9);
    pipe.multiget(|_| None, 9);
    assert_eq!(
        pipe.unsent(),
        b"get a b\r\nset c 3 0 2\r\nvv\r\ndelete d\r\nget e\r\n"
    );
    pipe.sent(9);
    assert!(pipe.unsent().starts_with(b"set c"));
}
