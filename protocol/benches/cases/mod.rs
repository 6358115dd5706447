//! The messages that are measured, and what is done with them.

use std::hint::black_box;

use bytes::BytesMut;
use protocol::{Limits, Request, RequestDecoder, ResponseDecoder, ResponseStep, Step, encode};

/// What is measured: some bytes holding `messages` messages (or keys), and the work done on them.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) messages: u64,
    pub(crate) input: Vec<u8>,
    pub(crate) run: fn(&[u8], &mut BytesMut),
}

/// Every case. Keys have 24 bytes, values 100, unless the name says otherwise.
pub(crate) fn all() -> Vec<Case> {
    let key = |index: usize| format!("user:profile:{index:011}");
    let value = "v".repeat(100);
    let keys = |count| (0..count).map(key).collect::<Vec<_>>().join(" ");
    // A message is read sixteen times over, so that the decoder's making weighs little.
    let requests = |name, message: String| Case {
        name,
        messages: 16,
        input: message.repeat(16).into_bytes(),
        run: decode_requests,
    };
    let replies = |name, message: String| Case {
        name,
        messages: 16,
        input: message.repeat(16).into_bytes(),
        run: decode_replies,
    };
    let value_block = |index| format!("VALUE {} 0 100\r\n{value}\r\n", key(index));
    vec![
        requests("get", format!("get {}\r\n", key(1))),
        requests("gets", format!("gets {}\r\n", key(1))),
        Case {
            name: "get 50 keys",
            messages: 50,
            input: format!("get {}\r\n", keys(50)).into_bytes(),
            run: decode_requests,
        },
        Case {
            name: "get 50 keys, visited",
            messages: 50,
            input: format!("get {}\r\n", keys(50)).into_bytes(),
            run: decode_multiget,
        },
        requests("set 100 B", format!("set {} 0 0 100\r\n{value}\r\n", key(1))),
        requests(
            "set noreply",
            format!("set {} 7 3600 100 noreply\r\n{value}\r\n", key(1)),
        ),
        requests("cas", format!("cas {} 0 0 100 12345\r\n{value}\r\n", key(1))),
        requests("delete", format!("delete {}\r\n", key(1))),
        requests("incr", format!("incr {} 1\r\n", key(1))),
        requests("touch", format!("touch {} 3600\r\n", key(1))),
        requests("mg v", format!("mg {} v\r\n", key(1))),
        requests("mg s v t f c k O", format!("mg {} s v t f c k O17\r\n", key(1))),
        requests(
            "ms 100 B T F",
            format!("ms {} 100 T3600 F0\r\n{value}\r\n", key(1)),
        ),
        requests("md q", format!("md {} q\r\n", key(1))),
        requests("ma", format!("ma {} N60 J1 v\r\n", key(1))),
        requests("mn", "mn\r\n".to_owned()),
        replies("VALUE 100 B", value_block(1)),
        replies("END", "END\r\n".to_owned()),
        replies("STORED", "STORED\r\n".to_owned()),
        replies("number", "17\r\n".to_owned()),
        replies("VA 100 B", format!("VA 100 f0 c17\r\n{value}\r\n")),
        replies("HD", "HD\r\n".to_owned()),
        Case {
            name: "write VALUE 100 B",
            messages: 1,
            input: value.clone().into_bytes(),
            run: encode_value,
        },
        Case {
            name: "write set 100 B",
            messages: 1,
            input: value.into_bytes(),
            run: encode_set,
        },
        Case {
            name: "write get",
            messages: 1,
            input: Vec::new(),
            run: encode_get,
        },
    ]
}

fn decode_requests(mut input: &[u8], _out: &mut BytesMut) {
    let mut decoder = started();
    while !input.is_empty() {
        let step = decoder.next(input);
        let Step::Request { consumed, .. } = black_box(&step) else {
            panic!("a whole request")
        };
        input = &input[*consumed..];
    }
}

fn decode_multiget(input: &[u8], _out: &mut BytesMut) {
    let mut decoder = started();
    let Step::Request {
        request: Request::Get(get),
        ..
    } = decoder.next(input)
    else {
        panic!("a whole get")
    };
    for key in get.keys {
        black_box(key);
    }
}

/// A decoder past its first byte, as all but the first request of a connection find it.
fn started() -> RequestDecoder {
    let mut decoder = RequestDecoder::new(Limits::default());
    black_box(decoder.next(b"mn\r\n"));
    decoder
}

fn decode_replies(mut input: &[u8], _out: &mut BytesMut) {
    let mut decoder = ResponseDecoder::default();
    while !input.is_empty() {
        let step = decoder.next(input);
        let ResponseStep::Response { consumed, .. } = black_box(&step) else {
            panic!("a whole reply")
        };
        input = &input[*consumed..];
    }
}

fn encode_value(value: &[u8], out: &mut BytesMut) {
    out.clear();
    encode::response::value(
        out,
        black_box(b"user:profile:00000000001"),
        black_box(0),
        black_box(value),
        black_box(None),
    );
}

fn encode_set(value: &[u8], out: &mut BytesMut) {
    out.clear();
    let request = protocol::Store {
        verb: protocol::StoreVerb::Set,
        key: protocol::Key::new(black_box(b"user:profile:00000000001")).expect("24 bytes are a key"),
        flags: 0,
        exptime: protocol::Exptime(3600),
        data: black_box(value),
        noreply: false,
    };
    encode::request::store(out, &request);
}

fn encode_get(_input: &[u8], out: &mut BytesMut) {
    out.clear();
    let key = protocol::Key::new(black_box(b"user:profile:00000000001")).expect("24 bytes are a key");
    encode::request::get(out, false, None, [key]);
}
