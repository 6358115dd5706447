//! Streams of requests: made ones from a seed, and real ones from a trace.

use std::io::{BufRead, BufReader};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// One request: a look-aside read, or a write that nobody asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) key: u64,
    /// Bytes of the value to be stored, on a miss or by a write.
    pub(crate) value_len: u32,
    pub(crate) write: bool,
    /// Seconds to live, in thousands of requests; zero: no end.
    pub(crate) ttl: u32,
}

const REQUESTS: u64 = 3_000_000;
const KEYS: u64 = 1_000_000;

/// All requests of a workload, in order. `NAMExN`: with N times the keys and the requests.
pub(crate) fn requests(name: &str) -> Vec<Request> {
    if let Some(file) = name.strip_prefix("trace:") {
        return trace(file);
    }
    let (name, times) = name.split_once('x').map_or((name, 1), |(name, times)| {
        (name, times.parse().expect("a number of times"))
    });
    let (requests, keys) = (REQUESTS * times, KEYS * times);
    let mut rng = SmallRng::seed_from_u64(7);
    let exponent = match name {
        "zipf80" => 0.8,
        "zipf120" => 1.2,
        "zipf99" | "wonders" | "drift" | "overwrite" | "overwrite60" | "ttl" => 0.99,
        _ => panic!("there is no workload {name}"),
    };
    let zipf = Zipf::new(keys as f64, exponent).expect("the exponent is positive");
    (0..requests)
        .map(|at| {
            let rank = zipf.sample(&mut rng) as u64;
            let key = match name {
                "wonders" if rng.random_ratio(3, 10) => keys + at,
                // The popular keys change: one in a hundred thousand with each request.
                "drift" => rank + at / 10,
                _ => rank,
            };
            let write = match name {
                "overwrite" => rng.random_ratio(3, 10),
                "overwrite60" => rng.random_ratio(6, 10),
                _ => false,
            };
            let size_of = if write { key ^ at << 32 } else { key };
            let ttl = match (name, mix(key) % 10) {
                ("ttl", 0..4) => 200 + (mix(key) % 200) as u32,
                ("ttl", 4..7) => 1000 + (mix(key) % 600) as u32,
                _ => 0,
            };
            Request {
                key: mix(key),
                value_len: 100 + (mix(size_of) % 201) as u32,
                write,
                ttl,
            }
        })
        .collect()
}

/// Spreads ranks over the key space, so that hot keys are not neighbours.
fn mix(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

/// A trace of lines `time_s,key,size` (gzip), where size is that of key and value together; keys become 16 bytes, or
/// as many as the size leaves room for with one byte of value.
fn trace(file: &str) -> Vec<Request> {
    let file = std::fs::File::open(file).expect("the trace can be read");
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    lines
        .skip(1)
        .map(|line| {
            let line = line.expect("the trace is whole");
            let mut fields = line
                .split(',')
                .skip(1)
                .map(|field| field.parse::<u64>().expect("a number"));
            let (key, size) = (fields.next().expect("a key"), fields.next().expect("a size"));
            let value_len = u32::try_from(size.saturating_sub(TRACE_KEY_LEN as u64)).expect("a size");
            Request {
                key,
                value_len,
                write: false,
                ttl: 0,
            }
        })
        .collect()
}

/// Bytes of the keys of a replayed trace.
pub(crate) const TRACE_KEY_LEN: usize = 16;

/// Writes the key of a request.
pub(crate) fn write_key(workload: &str, request: &Request, key: &mut Vec<u8>) {
    key.clear();
    if workload.starts_with("trace:") {
        key.extend_from_slice(format!("{:0width$}", request.key, width = TRACE_KEY_LEN).as_bytes());
    } else {
        key.extend_from_slice(&crate::support::key_of(request.key));
    }
}
