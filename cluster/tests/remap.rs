//! Promises about what moves: measured on 200,000 keys and held to the formulas, and the consistency property to the
//! key.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows test functions but not their helpers"
)]

use cluster::diff::{Moved, moved};
use cluster::predict::{remapped, ring_share_cv, shares};
use cluster::{HashKind, Placement, Server, Topology, Weight};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

const KEYS: u32 = 200_000;
const NAME_SETS: u32 = 20;

fn topology(hash: &str, names: impl IntoIterator<Item = String>) -> Topology {
    Topology::new(hash.parse().unwrap(), names.into_iter().map(Server::new))
}

/// Server names as people have them; another `set`, other names. They sort as they are listed.
fn names(set: u32, count: u32) -> Vec<String> {
    (0..count)
        .map(|index| match set % 4 {
            0 => format!("127.0.0.1:{}", 21_000 + 100 * set + index),
            1 => format!("cache-{index:02}.set{set}.internal:11211"),
            2 => format!("n{set}-{index:02}"),
            _ => format!("10.{set}.0.{}:11211", index + 10),
        })
        .collect()
}

fn keys(count: u32) -> Vec<String> {
    (0..count).map(|key| format!("key:{}:user", key * 7919)).collect()
}

fn measure(old: &Topology, new: &Topology, keys: &[String]) -> Moved {
    let (old, new) = (Placement::new(old).unwrap(), Placement::new(new).unwrap());
    moved(&old, &new, keys.iter().map(|key| (key.as_bytes(), 1)))
}

fn without(topology: &Topology, position: u32) -> Topology {
    let mut changed = topology.clone();
    changed.servers.remove(position as usize);
    changed
}

#[track_caller]
fn near(what: &str, measured: f64, expected: f64, tolerance: f64) {
    assert!(
        (measured - expected).abs() <= tolerance,
        "{what}: {measured} is not {expected} +- {tolerance}"
    );
}

/// Add one, remove the last, remove the middle: what, old, new, for `n` servers.
fn changes(hash: &str, set: u32, n: u32) -> [(&'static str, Topology, Topology); 3] {
    let all = topology(hash, names(set, n + 1));
    let before = without(&all, n);
    [
        ("add", before.clone(), all),
        ("remove the last", before.clone(), without(&before, n - 1)),
        ("remove the middle", before.clone(), without(&before, n / 2)),
    ]
}

/// The formulas of the table in the docs of `remapped`.
fn by_table(hash: &str, n: u32) -> [f64; 3] {
    let (size, middle) = (f64::from(n), f64::from(n / 2));
    match hash {
        "modulo" | "Crc32" | "modulo-twemproxy" => {
            [size / (size + 1.0), (size - 1.0) / size, (size - 1.0) / size]
        }
        "jump" | "Ch3" | "ConstShard" | "WeightedCh3" => {
            let shifted = (size - 1.0 - middle) / size + (1.0 - 1.0 / (size - 1.0)) / size;
            [1.0 / (size + 1.0), 1.0 / size, shifted]
        }
        _ => [1.0 / (size + 1.0), 1.0 / size, 1.0 / size],
    }
}

#[test]
fn the_prediction_is_the_table_for_one_server_more_or_less() {
    for name in HashKind::NAMES {
        for n in 3..=17 {
            for ((what, old, new), expected) in changes(name, 0, n).iter().zip(by_table(name, n)) {
                near(
                    &format!("{name}, {n} servers, {what}"),
                    remapped(old, new),
                    expected,
                    1e-9,
                );
            }
        }
    }
}

/// Every scheme that is even by design, at every size of the table, within 0.004.
#[test]
fn even_schemes_move_what_the_formula_says() {
    let keys = keys(KEYS);
    for n in [3, 4, 5, 8, 10, 16] {
        for hash in [
            "rendezvous",
            "jump",
            "modulo",
            "Ch3",
            "Crc32",
            "mcrouter-rendezvous",
            "modulo-twemproxy",
        ] {
            // Names matter to rendezvous alone; the others see positions. All name sets where they cost least and most.
            let sets = if hash == "rendezvous" && (n == 4 || n == 16) {
                NAME_SETS
            } else {
                1
            };
            for set in 0..sets {
                for (what, old, new) in changes(hash, set, n) {
                    let measured = measure(&old, &new, &keys).key_fraction();
                    let what = format!("{hash}, {n} servers, set {set}, {what}");
                    near(&what, measured, remapped(&old, &new), 0.004);
                }
            }
        }
    }
}

/// Rings stray from the formula by how uneven they are: within four times the coefficient of variation of a share.
#[test]
fn rings_move_what_the_formula_says_within_their_unevenness() {
    let keys = keys(5_000);
    let rings = [
        ("ketama", 160),
        ("ketama-twemproxy", 160),
        ("ketama-libmemcached", 100),
        ("ring", 160),
    ];
    for n in [3, 4, 5, 8, 10, 16] {
        // The houses differ in their key hash, so one of them will do at every size.
        for &(hash, points) in if n == 8 { &rings[..] } else { &rings[..1] } {
            let cv = ring_share_cv(n, points);
            let mut means = [0.0; 3];
            for set in 0..NAME_SETS {
                for ((what, old, new), mean) in changes(hash, set, n).into_iter().zip(&mut means) {
                    let measured = measure(&old, &new, &keys).key_fraction();
                    let expected = remapped(&old, &new);
                    let what = format!("{hash}, {n} servers, set {set}, {what}");
                    near(&what, measured, expected, 4.0 * cv * expected);
                    *mean += measured / f64::from(NAME_SETS);
                }
            }
            for (mean, expected) in means.into_iter().zip(by_table(hash, n)) {
                near(
                    &format!("{hash}, {n} servers, mean of the name sets"),
                    mean,
                    expected,
                    0.08 * expected,
                );
            }
        }
    }
}

#[test]
fn a_prediction_across_schemes_assumes_nothing_in_common() {
    let old = topology("jump", names(0, 4));
    let new = Topology {
        hash: HashKind::Rendezvous,
        ..old.clone()
    };
    let measured = measure(&old, &new, &keys(KEYS)).key_fraction();
    near("jump to rendezvous", measured, remapped(&old, &new), 0.004);
}

#[test]
fn a_server_that_is_down_in_its_place_loses_its_share() {
    let keys = keys(KEYS);
    for hash in [
        "rendezvous",
        "jump",
        "modulo",
        "Ch3",
        "Crc32",
        "mcrouter-weighted-rendezvous",
    ] {
        let topology = topology(hash, names(0, 5));
        let placement = Placement::new(&topology).unwrap();
        let lost: u32 = keys
            .iter()
            .map(|key| u32::from(placement.owner(key.as_bytes()) == 2))
            .sum();
        near(
            hash,
            f64::from(lost) / f64::from(KEYS),
            shares(&topology)[2],
            0.004,
        );
    }
}

#[test]
fn weights_are_shares() {
    let keys = keys(KEYS);
    let weights = [1.0, 2.0, 0.5, 4.0, 0.0, 2.5];
    for (hash, scale, tolerance) in [
        ("rendezvous", 1.0, 0.004),
        ("mcrouter-weighted-rendezvous", 1.0, 0.004),
        ("WeightedCh3", 0.25, 0.004),
        ("modulo-twemproxy", 2.0, 0.004),
        ("ring:2560", 1.0, 0.02),
        ("ketama", 2.0, 0.05),
        ("ketama-twemproxy", 2.0, 0.05),
    ] {
        let servers = weights.iter().enumerate().map(|(index, weight)| {
            Server::weighted(format!("n{index}"), Weight::new(weight * scale).unwrap())
        });
        let topology = Topology::new(hash.parse().unwrap(), servers);
        let placement = Placement::new(&topology).unwrap();
        let mut owned = [0; 6];
        for key in &keys {
            owned[placement.owner(key.as_bytes())] += 1;
        }
        for ((owned, weight), share) in owned.into_iter().zip(weights).zip(shares(&topology)) {
            near(hash, f64::from(owned) / f64::from(KEYS), weight / 10.0, tolerance);
            near(hash, share, weight / 10.0, 0.02);
        }
    }
}

/// Any change of several servers and weights at once, not only one server more or less.
#[test]
fn the_prediction_holds_for_any_change() {
    let keys = keys(KEYS);
    for (hash, old, new) in [
        ("rendezvous", "a=1 b=2 c=3", "b=2 c=1 d=2 e=0.5"),
        ("rendezvous", "a=1 b=2 c=3", "c=1 b=2 a=3"),
        ("mcrouter-weighted-rendezvous", "a=1 b=0.5", "b=1 c=0.25"),
        ("modulo", "a=1 b=1 c=1 d=1", "d=1 a=1 x=1 b=1 c=1 y=1"),
        ("modulo-twemproxy", "a=1 b=3 c=2", "a=2 c=2 d=2"),
        ("jump", "a=1 b=1 c=1 d=1 e=1", "a=1 e=1 c=1"),
        ("Ch3", "a=1 b=1", "b=1 a=1 c=1 b2=1"),
        ("WeightedCh3", "a=1 b=0.5 c=0.7", "a=1 b=0.8 d=0.7 c=0.3"),
        ("WeightedCh3", "a=0.9 b=0.5 c=0.2", "c=0.6 b=0.2"),
    ] {
        let topology = |servers: &str| {
            let server = |text: &str| {
                let (name, weight) = text.split_once('=').unwrap();
                Server::weighted(name, Weight::new(weight.parse().unwrap()).unwrap())
            };
            Topology::new(hash.parse().unwrap(), servers.split(' ').map(server))
        };
        let measured = measure(&topology(old), &topology(new), &keys).key_fraction();
        let predicted = remapped(&topology(old), &topology(new));
        near(&format!("{hash}: {old} to {new}"), measured, predicted, 0.004);
    }
}

fn by_name() -> impl Strategy<Value = HashKind> {
    prop_oneof![
        Just(HashKind::Rendezvous),
        Just("ring".parse().unwrap()),
        Just("ketama".parse().unwrap()),
        Just("ketama-libmemcached".parse().unwrap()),
        Just("ketama-twemproxy".parse().unwrap()),
        Just(HashKind::McrouterRendezvous),
        Just(HashKind::McrouterWeightedRendezvous),
    ]
}

fn server_names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::hash_set("[a-z0-9.-]{1,12}(:[0-9]{2,5})?", 2..12)
        .prop_map(|names| names.into_iter().collect())
}

fn some_keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=250), 100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Read the other way: a server that joins takes keys, and nobody else gets any.
    #[test]
    fn a_server_that_leaves_moves_its_own_keys_and_no_others(
        hash in by_name(), names in server_names(), keys in some_keys(), place in any::<prop::sample::Index>(),
    ) {
        let place = place.index(names.len());
        let before = Topology::new(hash, names.into_iter().map(Server::new));
        let mut after = before.clone();
        let gone = after.servers.remove(place).name;
        let (old, new) = (Placement::new(&before).unwrap(), Placement::new(&after).unwrap());
        for key in &keys {
            let owner = old.owner_name(key);
            prop_assert_eq!(owner == gone, new.owner_name(key) != owner);
        }
    }

    #[test]
    fn at_the_end_of_the_list_jump_and_ch3_move_only_the_last_servers_keys(
        names in server_names(), keys in some_keys(), jump in any::<bool>(),
    ) {
        let hash = if jump { HashKind::Jump } else { HashKind::Ch3 };
        let before = Topology::new(hash, names.into_iter().map(Server::new));
        let mut after = before.clone();
        after.servers.pop();
        let (old, new) = (Placement::new(&before).unwrap(), Placement::new(&after).unwrap());
        for key in &keys {
            prop_assert_eq!(old.owner(key) == after.servers.len(), old.owner(key) != new.owner(key));
        }
    }

    #[test]
    fn the_order_of_the_list_is_nothing_to_schemes_by_name(
        hash in by_name(), names in server_names(), keys in some_keys(),
    ) {
        let listed = Topology::new(hash, names.iter().map(Server::new));
        let reversed = Topology::new(hash, names.iter().rev().map(Server::new));
        let (listed, reversed) = (Placement::new(&listed).unwrap(), Placement::new(&reversed).unwrap());
        for key in &keys {
            prop_assert_eq!(listed.owner_name(key), reversed.owner_name(key));
        }
    }

    #[test]
    fn raising_one_weight_moves_keys_to_that_server_alone(
        names in server_names(), keys in some_keys(), place in any::<prop::sample::Index>(),
        weight in 1.0..100.0_f64, more in 1.0..100.0_f64, rendezvous in any::<bool>(),
    ) {
        let hash = if rendezvous { HashKind::Rendezvous } else { "ring".parse().unwrap() };
        let place = place.index(names.len());
        let mut before = Topology::new(hash, names.into_iter().map(Server::new));
        before.servers[place].weight = Weight::new(weight).unwrap();
        let mut after = before.clone();
        after.servers[place].weight = Weight::new(weight + more).unwrap();
        let (old, new) = (Placement::new(&before).unwrap(), Placement::new(&after).unwrap());
        for key in &keys {
            prop_assert!(old.owner(key) == new.owner(key) || new.owner(key) == place);
        }
    }

    #[test]
    fn every_scheme_names_a_server_for_every_key(names in server_names(), keys in some_keys()) {
        for name in HashKind::NAMES {
            let placement = Placement::new(&topology(name, names.clone())).unwrap();
            for key in &keys {
                prop_assert!(placement.owner(key) < names.len());
            }
        }
    }

    #[test]
    fn what_stands_behind_a_hash_stop_never_moves_a_key(
        names in server_names(), front in "[a-z:]{1,20}", back in "[a-z:|#]{0,20}",
    ) {
        for name in HashKind::NAMES {
            let placement = Placement::new(&topology(name, names.clone())).unwrap();
            let whole = format!("{front}|#|{back}");
            prop_assert_eq!(placement.owner(whole.as_bytes()), placement.owner(front.as_bytes()));
        }
    }

    #[test]
    fn a_prediction_is_a_share(before in server_names(), after in server_names(), common in server_names()) {
        for name in HashKind::NAMES {
            let of = |own: &[String], tag: &str| {
                topology(name, own.iter().map(|one| format!("{tag}{one}")).chain(common.iter().cloned()))
            };
            let (old, new) = (of(&before, "A"), of(&after, "B"));
            let share = remapped(&old, &new);
            prop_assert!((-1e-9..=1.0 + 1e-9).contains(&share), "{}: {}", name, share);
            prop_assert!((remapped(&old, &old)).abs() < 1e-9, "{}: nothing changed", name);
            prop_assert!((share - remapped(&new, &old)).abs() < 1e-9, "{}: there and back", name);
        }
    }
}
