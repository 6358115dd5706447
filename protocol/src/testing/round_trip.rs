//! Messages made from any bytes come back as they were.

use bytes::BytesMut;

use crate::decoder::{RequestDecoder, ResponseDecoder, ResponseStep, Step};
use crate::encode;
use crate::exptime::Exptime;
use crate::key::Key;
use crate::limits::Limits;
use crate::meta::{self, Flags, MetaKey};
use crate::request::{
    Admin, AdminVerb, Arith, ArithVerb, Delete, FlushAll, Get, Keys, Request, Store, StoreVerb, Touch,
    Verbosity,
};
use crate::response::Response;

/// Bytes to make messages of. Where they end, zeros follow.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn bool(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| make(self))
    }

    /// Small numbers are as likely as large ones.
    fn u64(&mut self) -> u64 {
        let shift = self.byte() % 64;
        std::array::from_fn::<u8, 8, _>(|_| self.byte())
            .iter()
            .fold(0, |bits, byte| bits << 8 | u64::from(*byte))
            >> shift
    }

    fn u32(&mut self) -> u32 {
        u32::try_from(self.u64() >> 32).unwrap_or(0)
    }

    fn exptime(&mut self) -> Exptime {
        Exptime(i64::from(self.u32().cast_signed()))
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn data(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.bytes(len)
    }

    /// Some bytes that can be a token, else a plain one.
    fn token(&mut self, max: usize) -> &'a [u8] {
        let len = usize::from(self.byte()) % max + 1;
        match Key::new(self.bytes(len)) {
            Ok(key) if key.is_text() => key.as_bytes(),
            _ => b"noreply",
        }
    }

    fn key(&mut self) -> Key<'a> {
        Key::new(self.token(Key::MAX_LEN)).expect("a token of 1 to 250 bytes is a key")
    }
}

/// Any bytes, read as a recipe for a request and a reply: encoding and decoding give the same message back and
/// consume every byte.
///
/// # Panics
/// If they do not.
pub fn check_round_trip(recipe: &[u8]) {
    let mut source = Source(recipe);
    check_request(&mut source);
    check_response(&mut source);
}

fn check_request(source: &mut Source<'_>) {
    let wire_keys = wire_keys(source);
    let wire_flags = wire_flags(source);
    let request = match source.byte() % 17 {
        0 | 1 => Request::Get(Get {
            with_cas: source.bool(),
            touch: source.option(Source::exptime),
            keys: Keys::from_parts(&wire_keys.0, wire_keys.1),
        }),
        2 | 3 => Request::Store(Store {
            verb: store_verb(source),
            key: source.key(),
            flags: source.u32(),
            exptime: source.exptime(),
            noreply: source.bool(),
            data: source.data(),
        }),
        4 => Request::Delete(Delete {
            key: source.key(),
            noreply: source.bool(),
        }),
        5 => Request::Arith(Arith {
            verb: if source.bool() {
                ArithVerb::Incr
            } else {
                ArithVerb::Decr
            },
            key: source.key(),
            delta: source.u64(),
            noreply: source.bool(),
        }),
        6 => Request::Touch(Touch {
            key: source.key(),
            exptime: source.exptime(),
            noreply: source.bool(),
        }),
        7 => Request::FlushAll(FlushAll {
            delay: source.option(Source::exptime),
            noreply: source.bool(),
        }),
        8 => Request::Version,
        9 => Request::Verbosity(Verbosity {
            level: source.u32(),
            noreply: source.bool(),
        }),
        10 => Request::Stats(if source.bool() { b"" } else { source.token(20) }),
        11 => Request::Quit,
        12 => admin(source),
        _ => return check_meta(source, &wire_flags),
    };
    comes_back(&request);
}

fn check_meta(source: &mut Source<'_>, wire_flags: &[u8]) {
    let Ok(flags) = Flags::parse(wire_flags) else {
        return;
    };
    let key = if flags.has(b'b') {
        MetaKey::base64(b"Zm9vIGJhcg==").expect("this is base64")
    } else {
        MetaKey::text(source.key()).expect("a token is a bare key")
    };
    // What the flags say is read by the decoder; here only their spelling is compared.
    let mut out = BytesMut::new();
    let data = source.data();
    match source.byte() % 4 {
        0 => {
            encode::meta::begin_get(&mut out, key);
        }
        1 => {
            encode::meta::begin_delete(&mut out, key);
        }
        2 => {
            encode::meta::begin_arith(&mut out, key);
        }
        _ => {
            encode::meta::begin_set(&mut out, key, data.len());
        }
    }
    for flag in flags.iter().filter(|flag| flag.letter != b'b') {
        encode::meta::flag_bytes(&mut out, flag.letter, flag.arg);
    }
    if out.starts_with(b"ms ") {
        encode::meta::end_with_data(&mut out, data);
    } else {
        encode::meta::end(&mut out);
    }
    match RequestDecoder::new(Limits::default()).next(&out) {
        Step::Request { request, consumed } => {
            assert_eq!(consumed, out.len());
            comes_back(&request);
        }
        // The modes of ms and ma differ, so flags good for one may not be for the other.
        Step::Reject { .. } | Step::Skipped { .. } => assert!(flags.has(b'M'), "{}", out.escape_ascii()),
        other => panic!("{} became {other:?}", out.escape_ascii()),
    }
}

fn comes_back(request: &Request<'_>) {
    let mut out = BytesMut::new();
    encode::request::request(&mut out, request);
    let step = RequestDecoder::new(Limits::default()).next(&out);
    assert_eq!(
        step,
        Step::Request {
            request: *request,
            consumed: out.len()
        },
        "{}",
        out.escape_ascii()
    );
}

fn store_verb(source: &mut Source<'_>) -> StoreVerb {
    match source.byte() % 6 {
        0 => StoreVerb::Set,
        1 => StoreVerb::Add,
        2 => StoreVerb::Replace,
        3 => StoreVerb::Append,
        4 => StoreVerb::Prepend,
        _ => StoreVerb::Cas(source.u64()),
    }
}

fn admin<'a>(source: &mut Source<'a>) -> Request<'a> {
    let verb = match source.byte() % 9 {
        0 => AdminVerb::CacheMemlimit,
        1 => AdminVerb::Shutdown,
        2 => AdminVerb::LruCrawler,
        3 => AdminVerb::Lru,
        4 => AdminVerb::Slabs,
        5 => AdminVerb::Watch,
        6 => AdminVerb::RefreshCerts,
        7 => AdminVerb::Extstore,
        _ => AdminVerb::Config,
    };
    let args = match source.token(30) {
        b"noreply" => b"".as_slice(),
        args => args,
    };
    Request::Admin(Admin {
        verb,
        args,
        noreply: verb != AdminVerb::Watch && source.bool(),
    })
}

fn wire_keys(source: &mut Source<'_>) -> (Vec<u8>, usize) {
    let count = usize::from(source.byte() % 30) + 1;
    let keys: Vec<&[u8]> = (0..count).map(|_| source.key().as_bytes()).collect();
    let mut wire = keys.join(&b' ');
    // A line that is not a get may only be so long; nor is a key at its end a number.
    wire.truncate(1900);
    while wire.last() == Some(&b' ') || wire.last() == Some(&b'\r') {
        wire.pop();
    }
    let count = wire
        .split(|byte| *byte == b' ')
        .filter(|key| !key.is_empty())
        .count();
    if count == 0 {
        (b"k".to_vec(), 1)
    } else {
        (wire, count)
    }
}

fn wire_flags(source: &mut Source<'_>) -> Vec<u8> {
    let count = source.byte() % 12;
    let mut wire = Vec::new();
    for _ in 0..count {
        let letter = b"bcfhklqstuvxCDEFIJMNORTOPL"[usize::from(source.byte()) % 26];
        if !wire.is_empty() {
            wire.push(b' ');
        }
        wire.push(letter);
        match letter {
            b'C' | b'D' | b'E' | b'J' => wire.extend(source.u64().to_string().bytes()),
            b'F' => wire.extend(source.u32().to_string().bytes()),
            b'N' | b'R' | b'T' => wire.extend(source.exptime().0.to_string().bytes()),
            b'M' => wire.push(b"SEAPRID+-"[usize::from(source.byte()) % 9]),
            b'O' | b'P' | b'L' => wire.extend(source.token(31)),
            _ => {}
        }
    }
    wire
}

fn check_response(source: &mut Source<'_>) {
    let response = match source.byte() % 19 {
        0 | 1 => Response::Value {
            key: source.key().as_bytes(),
            flags: source.u32(),
            cas: source.option(Source::u64),
            data: source.data(),
        },
        2 => Response::End,
        3 => Response::Stored,
        4 => Response::NotStored,
        5 => Response::Exists,
        6 => Response::NotFound,
        7 => Response::Deleted,
        8 => Response::Touched,
        9 => Response::Ok,
        10 => Response::Number(source.u64()),
        11 => Response::Version(source.token(40)),
        12 => Response::Stat {
            name: source.token(40),
            value: source.token(40),
        },
        13 => Response::Reset,
        14 | 15 => meta_response(source),
        16 => Response::Error,
        17 => Response::ClientError(source.token(80)),
        _ => Response::ServerError(source.token(80)),
    };
    let mut out = BytesMut::new();
    encode::response::response(&mut out, &response);
    let step = ResponseDecoder::default().next(&out);
    assert_eq!(
        step,
        ResponseStep::Response {
            response,
            consumed: out.len()
        },
        "{}",
        out.escape_ascii()
    );
}

fn meta_response<'a>(source: &mut Source<'a>) -> Response<'a> {
    use meta::Code;
    let codes = [
        Code::Va,
        Code::Hd,
        Code::En,
        Code::Ns,
        Code::Ex,
        Code::Nf,
        Code::Mn,
        Code::Me,
    ];
    let code = codes[usize::from(source.byte()) % codes.len()];
    let data = (code == Code::Va).then(|| source.data());
    let flags = if source.bool() { source.token(100) } else { b"" };
    Response::Meta(meta::Response { code, data, flags })
}
