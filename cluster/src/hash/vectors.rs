//! Our placements against those of the original programs. The files and how each was made: `vectors/README.md`.

use serde::Deserialize;

use super::ch3;
use super::jump;
use super::key_hash::KeyHash;
use super::spooky::spooky32;
use crate::{HashKind, Placement, Server, Topology, Weight};

/// The key lists of `vectors/keys.py`.
fn keys(list: &str, count: usize) -> Vec<Vec<u8>> {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_-:.";
    match list {
        "user" => (0..count)
            .map(|k| format!("key:{}:user", k * 7919).into_bytes())
            .collect(),
        "utf8" => (0..count)
            .map(|k| format!("ключ:{}:é", k * 7919).into_bytes())
            .collect(),
        "lengths" => (1..=count)
            .map(|n| ALPHABET.repeat(8)[n % ALPHABET.len()..][..n].to_vec())
            .collect(),
        _ => panic!("no such list of keys: {list}"),
    }
}

fn lines<'de, T: Deserialize<'de>>(file: &'de str) -> impl Iterator<Item = T> {
    file.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn check(hash: &str, servers: Vec<Server>, list: &str, picks: &[usize]) {
    let kind: HashKind = hash.parse().unwrap();
    let placement = Placement::new(&Topology::new(kind, servers)).unwrap();
    for (key, &pick) in keys(list, picks.len()).iter().zip(picks) {
        assert_eq!(
            placement.owner(key),
            pick,
            "{hash}: {}",
            String::from_utf8_lossy(key)
        );
    }
}

fn server((name, weight): (String, f64)) -> Server {
    Server::weighted(name, Weight::new(weight).unwrap())
}

/// A placement with servers as (name, weight).
#[derive(Deserialize)]
struct Picks {
    hash: String,
    servers: Vec<(String, f64)>,
    keys: String,
    picks: Vec<usize>,
}

#[test]
fn nutcracker_sends_every_key_where_we_do() {
    let mut checked = 0;
    for line in lines::<Picks>(include_str!("vectors/twemproxy.jsonl")) {
        checked += line.picks.len();
        check(
            &line.hash,
            line.servers.into_iter().map(server).collect(),
            &line.keys,
            &line.picks,
        );
    }
    assert_eq!(checked, 54 * 250);
}

#[test]
fn pylibmc_and_php_ask_the_servers_we_name() {
    let mut checked = 0;
    let files = [
        include_str!("vectors/client-pylibmc.jsonl"),
        include_str!("vectors/client-php.jsonl"),
    ];
    for line in files.into_iter().flat_map(lines::<Picks>) {
        checked += line.picks.len();
        check(
            &line.hash,
            line.servers.into_iter().map(server).collect(),
            &line.keys,
            &line.picks,
        );
    }
    assert_eq!(checked, 13 * 200);
}

#[test]
fn our_own_placements_are_frozen() {
    let mut checked = 0;
    for line in lines::<Picks>(include_str!("vectors/hearth.jsonl")) {
        checked += line.picks.len();
        check(
            &line.hash,
            line.servers.into_iter().map(server).collect(),
            &line.keys,
            &line.picks,
        );
    }
    assert_eq!(checked, 28 * 500);
}

/// A line of libmemcached.jsonl: hash values or picks.
#[derive(Deserialize)]
struct Libmemcached {
    hash: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    servers: Vec<(String, u16, f64)>,
    keys: String,
    #[serde(default)]
    values: Vec<u32>,
    #[serde(default)]
    picks: Vec<usize>,
}

fn addressed((host, port, weight): (String, u16, f64)) -> Server {
    server((format!("{host}:{port}"), weight))
}

#[test]
fn libmemcached_hashes_keys_as_we_do() {
    let mut checked = 0;
    for line in lines::<Libmemcached>(include_str!("vectors/libmemcached.jsonl")) {
        let Some(name) = line.hash else { continue };
        let hash = KeyHash::from_name(&name).unwrap();
        for (key, &value) in keys(&line.keys, line.values.len()).iter().zip(&line.values) {
            assert_eq!(hash.hash(key), value, "{name}: {}", String::from_utf8_lossy(key));
            checked += 1;
        }
    }
    assert_eq!(checked, 10 * 274);
}

#[test]
fn libmemcached_picks_the_servers_we_pick() {
    let mut checked = 0;
    for line in lines::<Libmemcached>(include_str!("vectors/libmemcached.jsonl")) {
        let Some(mode) = line.mode else { continue };
        checked += line.picks.len();
        check(
            &mode,
            line.servers.into_iter().map(addressed).collect(),
            &line.keys,
            &line.picks,
        );
    }
    assert_eq!(checked, 31 * 3 * 250);
}

/// A line of libmemcached-1.1.4-placement.jsonl.
#[derive(Deserialize)]
struct Placed {
    name: String,
    servers: Vec<(String, u16, f64)>,
    picks: Vec<usize>,
}

#[test]
fn a_c_program_linked_with_libmemcached_agrees() {
    let mut checked = 0;
    for line in include_str!("vectors/libmemcached-1.1.4-placement.jsonl").lines() {
        let Ok(line) = serde_json::from_str::<Placed>(line) else {
            assert!(line.starts_with(r#"{"hash_of_foo""#));
            continue;
        };
        let hash = match line.name.as_str() {
            "modula_default" => "modulo",
            "modula_crc32" => "modulo:crc32",
            "modula_fnv1a_32" => "modulo:fnv1a_32",
            "modula_murmur" => "modulo:murmur",
            "ketama_unweighted_default_hash" | "ketama_flag_mixed_weights" => "ketama-libmemcached",
            "ketama_unweighted_md5" => "ketama-libmemcached:md5",
            "ketama_weighted_equal" | "ketama_weighted_mixed" => "ketama",
            "ketama_spy_md5" => "ketama-spy:md5",
            other => panic!("no scheme for {other}"),
        };
        check(
            hash,
            line.servers.into_iter().map(addressed).collect(),
            "user",
            &line.picks,
        );
        checked += 1;
    }
    assert_eq!(checked, 10);
}

#[derive(Deserialize)]
struct Ch3Line {
    m: u32,
    picks: Vec<u32>,
}

#[test]
fn mcrouters_furc_hash_agrees() {
    for line in lines::<Ch3Line>(include_str!("vectors/mcrouter-ch3.jsonl")) {
        for (key, &pick) in keys("user", line.picks.len()).iter().zip(&line.picks) {
            assert_eq!(
                ch3::bucket(key, line.m),
                pick,
                "m={}: {}",
                line.m,
                String::from_utf8_lossy(key)
            );
        }
    }
}

#[derive(Deserialize)]
struct JumpLine {
    buckets: u32,
    keys: Vec<u64>,
    picks: Vec<u32>,
}

#[test]
fn the_papers_own_code_jumps_as_we_do() {
    for line in lines::<JumpLine>(include_str!("vectors/jump.jsonl")) {
        for (&key, &pick) in line.keys.iter().zip(&line.picks) {
            assert_eq!(jump::bucket(key, line.buckets), pick, "{key} of {}", line.buckets);
        }
    }
    // The values that ports of the paper have in common (github.com/lithammer/go-jump-consistent-hash and others).
    for (key, buckets, pick) in [
        (1, 1, 0),
        (42, 57, 43),
        (0xDEAD_10CC, 1, 0),
        (0xDEAD_10CC, 666, 361),
        (256, 1024, 520),
        (128, 100_000_000, 38_172_097),
        (128, 1 << 31, 1_644_467_860),
        (u64::MAX, 128, 92),
    ] {
        assert_eq!(jump::bucket(key, buckets), pick, "{key} of {buckets}");
    }
}

#[derive(Deserialize)]
struct SpookyLine {
    seed: u32,
    values: Vec<u32>,
}

#[test]
fn bob_jenkins_own_spookyhash_agrees() {
    for line in lines::<SpookyLine>(include_str!("vectors/spooky.jsonl")) {
        for (key, &value) in keys("lengths", line.values.len()).iter().zip(&line.values) {
            assert_eq!(
                spooky32(key, line.seed),
                value,
                "seed {} length {}",
                line.seed,
                key.len()
            );
        }
    }
}

/// Expectations published in mcrouter's own unit tests (`mcrouter/lib/test/*HashTest.cpp` and
/// `WeightedCh3HashFuncTest.cpp` of github.com/facebook/mcrouter).
mod published_by_mcrouter {
    use super::{HashKind, Placement, Server, Topology, Weight};

    fn placement(hash: HashKind, weights: &[f64]) -> Placement {
        let servers = weights.iter().enumerate().map(|(index, &weight)| {
            Server::weighted(format!("xxx.{index}.yy"), Weight::new(weight).unwrap())
        });
        Placement::new(&Topology::new(hash, servers)).unwrap()
    }

    /// Every byte once, from 128 up (as C's signed chars count) and the other way round.
    fn longest_keys() -> [Vec<u8>; 2] {
        let up: Vec<u8> = (128..=255).chain(0..=127).collect();
        let down = up.iter().rev().copied().collect();
        [up, down]
    }

    fn counts(placement: &Placement, prefix: &str, keys: usize) -> Vec<u64> {
        let mut counts = vec![0; placement.names().len()];
        for key in 0..keys {
            counts[placement.owner(format!("{prefix}{key}").as_bytes())] += 1;
        }
        counts
    }

    #[test]
    fn ch3() {
        for (servers, key, owner) in [
            (100, "sample", 97),
            (1, "sample", 0),
            (100, "", 72),
            (1, "", 0),
            (1 << 23, "", 6_173_600),
            (1 << 23, "sample", 5_167_780),
        ] {
            assert_eq!(
                super::ch3::bucket(key.as_bytes(), servers),
                owner,
                "{key:?} of {servers}"
            );
        }
        let [up, down] = longest_keys();
        assert_eq!(
            [&up, &down].map(|key| super::ch3::bucket(key, 99_999)),
            [31_015, 67_101]
        );
        assert_eq!(
            counts(&placement(HashKind::Ch3, &[1.0; 3]), "", 1000),
            [307, 342, 351]
        );
        assert_eq!(
            counts(&placement(HashKind::Ch3, &[1.0; 10]), "", 10_000),
            [995, 955, 1046, 968, 1032, 972, 1016, 1038, 1010, 968]
        );
    }

    #[test]
    fn weighted_ch3() {
        let none = placement(HashKind::WeightedCh3, &[0.0; 100]);
        assert_eq!(none.owner(b"sample"), 59);
        assert_eq!(none.owner(b""), 45);
        assert_eq!(placement(HashKind::WeightedCh3, &[0.0]).owner(b"sample"), 0);
        assert_eq!(placement(HashKind::WeightedCh3, &[1.0; 100]).owner(b"sample"), 97);
        assert_eq!(
            counts(&placement(HashKind::WeightedCh3, &[1.0, 1.0, 0.7]), "", 1000),
            [341, 371, 288]
        );
        let weights = [
            0.429, 0.541, 0.117, 0.998, 0.283, 0.065, 0.109, 0.042, 0.676, 0.943,
        ];
        assert_eq!(
            counts(&placement(HashKind::WeightedCh3, &weights), "", 10_000),
            [1016, 1252, 288, 2354, 661, 195, 247, 122, 1668, 2197]
        );
    }

    #[test]
    fn crc32() {
        for (servers, key, owner) in [
            (100, "sample", 7),
            (1, "sample", 0),
            (100, "", 0),
            ((1 << 30) - 1, "sample", 822_834_884),
        ] {
            assert_eq!(
                super::super::modulo::crc32(key.as_bytes(), servers),
                owner,
                "{key:?} of {servers}"
            );
        }
        let [up, down] = longest_keys();
        assert_eq!(
            [&up, &down].map(|key| super::super::modulo::crc32(key, 99_999)),
            [11_697, 97_630]
        );
    }

    #[test]
    fn rendezvous() {
        let three = placement(HashKind::McrouterRendezvous, &[1.0; 3]);
        let [up, _] = longest_keys();
        for key in [&b"sample"[..], b"", b"mykey", &up] {
            assert_eq!(three.owner(key), 1);
        }
        let many = placement(HashKind::McrouterRendezvous, &[1.0; 343]);
        assert_eq!(
            [&up[..], b"sample", b"", b"mykey"].map(|key| many.owner(key)),
            [183, 45, 291, 132]
        );
        assert_eq!(counts(&three, "mykey:", 1000), [337, 353, 310]);
        assert_eq!(
            counts(
                &placement(HashKind::McrouterRendezvous, &[1.0; 10]),
                "mykey:",
                10_000
            ),
            [947, 1026, 1028, 981, 1016, 970, 1013, 939, 1023, 1057]
        );
    }

    #[test]
    fn weighted_rendezvous() {
        let weighted = |weights: &[f64]| placement(HashKind::McrouterWeightedRendezvous, weights);
        let [up, _] = longest_keys();
        let many = weighted(&[1.0; 343]);
        assert_eq!(
            [&up[..], b"sample", b"", b"mykey"].map(|key| many.owner(key)),
            [142, 115, 279, 302]
        );
        for (weights, expected) in [
            (&[1.0, 1.0, 1.0][..], &[3409, 3360, 3231][..]),
            (&[1.0, 0.5, 0.1], &[6292, 3118, 590]),
            (&[1.0, 0.0, 0.5], &[6737, 0, 3263]),
            (
                &[1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5],
                &[1381, 1299, 1283, 1359, 1296, 667, 669, 665, 672, 709],
            ),
        ] {
            assert_eq!(
                counts(&weighted(weights), "mykey:", 10_000),
                expected,
                "{weights:?}"
            );
        }
    }
}
