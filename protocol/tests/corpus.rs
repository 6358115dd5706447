//! Every case of `corpus/` becomes what it says there, however the bytes come.

use protocol::testing::corpus::{Case, Outcome, cases};
use protocol::testing::{Cut, Event, check_replies, check_requests, check_round_trip, replies, requests};
use protocol::{Limits, ResponseDecoder};

const REQUESTS: &str = include_str!("../corpus/requests.txt");
const REPLIES: &str = include_str!("../corpus/replies.txt");

/// The outcomes of a client's bytes; whether a rest is left over is told by what was consumed.
fn request_outcomes(input: &[u8]) -> Vec<Outcome> {
    let (events, left) = requests(input, Limits::default(), Cut::Whole);
    let mut outcomes: Vec<Outcome> = events
        .into_iter()
        .map(|event| match event {
            Event::Request { plain, .. } => Outcome::Message(plain),
            Event::Reject { error, reply } => Outcome::Refusal {
                line: error.reply_line().to_vec(),
                told: reply,
            },
            Event::Oversized { key } => Outcome::Oversized(key),
            Event::Close { error } => Outcome::End(error.map(|error| error.to_string()).unwrap_or_default()),
        })
        .collect();
    if left {
        outcomes.push(Outcome::Rest);
    }
    outcomes
}

fn reply_outcomes(input: &[u8]) -> Vec<Outcome> {
    let (messages, error, left) = replies(input, ResponseDecoder::REPLY_LEN_BYTES, Cut::Whole);
    let end = error
        .map(|error| Outcome::End(error.to_string()))
        .or(left.then_some(Outcome::Rest));
    messages.into_iter().map(Outcome::Message).chain(end).collect()
}

fn check(table: &str, outcomes: impl Fn(&[u8]) -> Vec<Outcome>) {
    let cases = cases(table);
    assert!(cases.len() > 20, "only {} cases", cases.len());
    for Case {
        rule,
        line,
        input,
        outcomes: expected,
    } in cases
    {
        let found = outcomes(&input);
        assert!(
            found == expected,
            "line {line}: {rule}\nexpected {}\nfound    {}",
            shown(&expected),
            shown(&found)
        );
    }
}

fn shown(outcomes: &[Outcome]) -> String {
    let bytes = |bytes: &[u8]| bytes[..bytes.len().min(200)].escape_ascii().to_string();
    let lines = outcomes.iter().map(|outcome| match outcome {
        Outcome::Message(message) => format!("\n  < {}", bytes(message)),
        Outcome::Refusal { line, told: true } => format!("\n  ! {}", bytes(line)),
        Outcome::Refusal { line, told: false } => format!("\n  ~ {}", bytes(line)),
        Outcome::Oversized(key) => format!("\n  o {}", bytes(key)),
        Outcome::End(reason) => format!("\n  x {reason}"),
        Outcome::Rest => "\n  .".to_owned(),
    });
    lines.collect()
}

#[test]
fn requests_become_what_the_table_says() {
    check(REQUESTS, request_outcomes);
}

#[test]
fn replies_become_what_the_table_says() {
    check(REPLIES, reply_outcomes);
}

#[test]
fn every_case_keeps_the_claims_of_both_sides() {
    for case in cases(REQUESTS).into_iter().chain(cases(REPLIES)) {
        check_requests(&case.input);
        check_replies(&case.input);
        check_round_trip(&case.input);
    }
}
