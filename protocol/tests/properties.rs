//! The claims of `protocol::testing`, on bytes that resemble the protocol and on bytes that do not.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::testing::corpus::cases;
use protocol::testing::{check_replies, check_requests, check_round_trip};

/// The words of the protocol and what stands between them, so that random lines come close to good ones.
fn piece(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        3 => Just(b" ".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => vec(any::<u8>(), 0..4),
        1 => (0_u64..40).prop_map(|number| number.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        1 => (245_usize..255).prop_map(|len| vec![b'k'; len]),
    ]
}

fn lines(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    vec(piece(words), 0..40).prop_map(|pieces| pieces.concat())
}

const REQUEST_WORDS: &[&str] = &[
    "get ",
    "gets ",
    "gat 0 ",
    "gats 5 ",
    "get k\r\n",
    "gets a b c\r\n",
    "set ",
    "set k 0 0 3\r\nabc\r\n",
    "add k 1 -1 0",
    "replace k 4294967296 +5 1\r\nx\r\n",
    "append ",
    "prepend ",
    "cas k 0 0 1 5\r\n",
    "cas ",
    "delete ",
    "delete k\r\n",
    "incr ",
    "decr k 1",
    "touch k 0",
    "flush_all",
    "version\r\n",
    "verbosity 1",
    "stats",
    "quit\r\n",
    "noreply",
    " noreply\r\n",
    "cache_memlimit 64",
    "shutdown",
    "lru_crawler ",
    "lru ",
    "slabs ",
    "watch ",
    "refresh_certs",
    "config get cluster",
    "mg ",
    "mg k v\r\n",
    "mg k v f c t s k O123 q\r\n",
    "ms ",
    "ms k 2 T0 F1\r\nhi\r\n",
    "md k q",
    "ma k N0 J13 v",
    "me k",
    "mn\r\n",
    "b",
    " b",
    "v",
    "q",
    "O",
    "T30",
    "N",
    "R30",
    "C1",
    "E9",
    "MS",
    "ME",
    "MX",
    "M+",
    "I",
    "x",
    "Zm9v",
    "k",
    "F5",
    "D1",
    "J2",
    "0",
    "-1",
    "007",
    "18446744073709551615",
    "HTTP/1.1",
    "get / HTTP/1.1",
    "\n",
    "\r",
    "\t",
    "\u{80}",
];

const REPLY_WORDS: &[&str] = &[
    "VALUE ",
    "VALUE k 0 3\r\nabc\r\n",
    "VALUE k 4294967295 1 18446744073709551615\r\nx\r\n",
    "END\r\n",
    "STORED\r\n",
    "NOT_STORED\r\n",
    "EXISTS\r\n",
    "NOT_FOUND\r\n",
    "DELETED\r\n",
    "TOUCHED\r\n",
    "OK\r\n",
    "5\r\n",
    "VERSION 1.6.45\r\n",
    "STAT ",
    "STAT pid 1\r\n",
    "RESET\r\n",
    "VA 2 f0\r\nhi\r\n",
    "VA ",
    "HD",
    "HD c5 t-1\r\n",
    "EN\r\n",
    "NS",
    "EX",
    "NF k5\r\n",
    "MN\r\n",
    "ME k exp=-1 la=2\r\n",
    "ERROR",
    "ERROR\r\n",
    "CLIENT_ERROR ",
    "SERVER_ERROR out of memory\r\n",
    "SERVER_ERROR: ",
    "ITEM k [5 b; 0 s]\r\n",
    "CONFIG cluster 0 10\r\n",
    "BUSY ",
    "MEMLIMIT_TOO_SMALL ",
    "k",
    "0",
    "\n",
    "\r",
];

/// A case of the corpus with a few of its bytes changed, left out or put in.
fn mutated(table: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let inputs: Vec<Vec<u8>> = cases(table)
        .into_iter()
        .map(|case| case.input)
        .filter(|input| input.len() < 3000)
        .collect();
    let change = (any::<proptest::sample::Index>(), any::<u8>(), 0_u8..3);
    (proptest::sample::select(inputs), vec(change, 1..4)).prop_map(|(mut input, changes)| {
        for (index, byte, kind) in changes {
            let at = index.index(input.len() + 1);
            match kind {
                0 if at < input.len() => input[at] = byte,
                1 if at < input.len() => drop(input.remove(at)),
                _ => input.insert(at, byte),
            }
        }
        input
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_like_requests_keep_every_claim(input in lines(REQUEST_WORDS)) {
        check_requests(&input);
    }

    #[test]
    fn lines_like_replies_keep_every_claim(input in lines(REPLY_WORDS)) {
        check_replies(&input);
    }

    #[test]
    fn mutated_cases_keep_every_claim(
        request in mutated(include_str!("../corpus/requests.txt")),
        reply in mutated(include_str!("../corpus/replies.txt")),
    ) {
        check_requests(&request);
        check_replies(&reply);
    }

    #[test]
    fn any_bytes_keep_every_claim(input in vec(any::<u8>(), 0..300)) {
        check_requests(&input);
        check_replies(&input);
    }

    #[test]
    fn messages_come_back_as_they_were(recipe in vec(any::<u8>(), 0..400)) {
        check_round_trip(&recipe);
    }
}
