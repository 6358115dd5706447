//! What moves when one placement replaces another: by key, by request weight, and per server.
//!
//! Owners are compared by server **name**: a server that keeps its name keeps its keys, whatever its position.

use std::collections::HashMap;

use crate::hash::placement::Placement;

/// What a change of placement moved, out of the keys it was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// Keys looked at.
    pub total: u64,
    /// Keys whose owner has another name.
    pub moved: u64,
    /// The weights of the keys looked at, summed (requests per key, bytes per key).
    pub total_weight: u64,
    /// The weights of the keys that moved, summed.
    pub moved_weight: u64,
    /// One row per server of either side: the old list in its order, then those that are new.
    pub servers: Vec<ServerChange>,
}

/// What one server gave and got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerChange {
    /// The server.
    pub name: String,
    /// Keys it owned before.
    pub before: u64,
    /// Keys it owns after.
    pub after: u64,
    /// Keys that came to it.
    pub gained: u64,
    /// Keys that left it.
    pub lost: u64,
    /// The weight of the keys it owned before.
    pub before_weight: u64,
    /// The weight of the keys it owns after.
    pub after_weight: u64,
    /// The weight of the keys that came.
    pub gained_weight: u64,
    /// The weight of the keys that left.
    pub lost_weight: u64,
}

impl Moved {
    /// The share of keys whose owner changed, from 0 to 1; 0 if there were no keys.
    pub fn key_fraction(&self) -> f64 {
        share(self.moved, self.total)
    }

    /// The share of requests (of weight) to keys whose owner changed, from 0 to 1; 0 if there was no weight.
    pub fn request_fraction(&self) -> f64 {
        share(self.moved_weight, self.total_weight)
    }
}

/// Compares the owners of `keys`, each given with its weight (1, or how often it is asked for), before and after.
pub fn moved<K: AsRef<[u8]>>(
    old: &Placement,
    new: &Placement,
    keys: impl IntoIterator<Item = (K, u64)>,
) -> Moved {
    fn names(placement: &Placement) -> Vec<&str> {
        placement.names().iter().map(|name| &**name).collect()
    }
    let owners = (|key: &[u8]| old.owner(key), |key: &[u8]| new.owner(key));
    moved_by((&names(old), &names(new)), owners, keys)
}

/// The same for placements of any kind: the names of the servers before and after, and which of them owns a key.
pub fn moved_by<K: AsRef<[u8]>>(
    (old_names, new_names): (&[&str], &[&str]),
    (old_owner, new_owner): (impl Fn(&[u8]) -> usize, impl Fn(&[u8]) -> usize),
    keys: impl IntoIterator<Item = (K, u64)>,
) -> Moved {
    let mut rows: Vec<ServerChange> = Vec::new();
    let mut row_of: HashMap<String, usize> = HashMap::new();
    // A server that is listed twice has one row.
    let mut rows_of = |names: &[&str]| -> Vec<usize> {
        let row = |name: &&str| {
            *row_of.entry((*name).to_owned()).or_insert_with(|| {
                rows.push(ServerChange {
                    name: (*name).to_owned(),
                    ..ServerChange::default()
                });
                rows.len() - 1
            })
        };
        names.iter().map(row).collect()
    };
    let (row_of_old, row_of_new) = (rows_of(old_names), rows_of(new_names));

    let mut result = Moved::default();
    for (key, weight) in keys {
        let key = key.as_ref();
        let (from, to) = (row_of_old[old_owner(key)], row_of_new[new_owner(key)]);
        result.total += 1;
        result.total_weight += weight;
        rows[from].before += 1;
        rows[from].before_weight += weight;
        rows[to].after += 1;
        rows[to].after_weight += weight;
        if from != to {
            result.moved += 1;
            result.moved_weight += weight;
            rows[from].lost += 1;
            rows[from].lost_weight += weight;
            rows[to].gained += 1;
            rows[to].gained_weight += weight;
        }
    }
    result.servers = rows;
    result
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share needs no more than a double's 53 bits"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::moved;
    use crate::{HashKind, Placement, Server, Topology};

    fn placement(names: &[&str]) -> Placement {
        Placement::new(&Topology::new(
            HashKind::Jump,
            names.iter().copied().map(Server::new),
        ))
        .unwrap()
    }

    #[test]
    fn owners_are_compared_by_name_and_not_by_position() {
        let keys: Vec<String> = (0..1000).map(|key| format!("key:{key}")).collect();
        let keys = || keys.iter().map(|key| (key, 1));
        let renamed = moved(&placement(&["a", "b", "c"]), &placement(&["a", "x", "c"]), keys());
        let b = &renamed.servers[1];
        assert_eq!((b.lost, b.gained, b.after), (b.before, 0, 0));
        assert_eq!(
            renamed.moved, b.before,
            "only the keys of the server that changed its name"
        );
        let swapped = moved(&placement(&["a", "b"]), &placement(&["b", "a"]), keys());
        assert_eq!(
            swapped.moved, 1000,
            "same servers, other places: under jump everything moves"
        );
    }

    #[test]
    fn a_server_that_is_listed_twice_has_one_row_and_keeps_its_keys() {
        let twice = |names: &[&str]| {
            let servers = names.iter().copied().map(Server::new);
            Placement::new(&Topology::new(HashKind::Ch3, servers)).unwrap()
        };
        let placed = twice(&["a", "b", "a"]);
        let keys = (0..1000).map(|key| (format!("key:{key}"), 1));
        let same = moved(&placed, &placed, keys);
        assert_eq!((same.moved, same.servers.len()), (0, 2));
    }

    #[test]
    fn the_rows_add_up() {
        let keys: Vec<(String, u64)> = (0..5000).map(|key| (format!("key:{key}"), 5000 - key)).collect();
        let keys = keys.iter().map(|(key, weight)| (key, *weight));
        let moved = moved(
            &placement(&["a", "b", "c", "d"]),
            &placement(&["a", "c", "d", "e", "f"]),
            keys,
        );
        let names: Vec<&str> = moved.servers.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
        let sum = |field: fn(&super::ServerChange) -> u64| moved.servers.iter().map(field).sum::<u64>();
        assert_eq!((moved.total, moved.total_weight), (5000, 5000 * 5001 / 2));
        assert_eq!([sum(|row| row.before), sum(|row| row.after)], [moved.total; 2]);
        assert_eq!([sum(|row| row.gained), sum(|row| row.lost)], [moved.moved; 2]);
        assert_eq!(
            [sum(|row| row.before_weight), sum(|row| row.after_weight)],
            [moved.total_weight; 2]
        );
        assert_eq!(
            [sum(|row| row.gained_weight), sum(|row| row.lost_weight)],
            [moved.moved_weight; 2]
        );
        for row in &moved.servers {
            assert_eq!(row.before + row.gained, row.after + row.lost, "{}", row.name);
            assert_eq!(
                row.before_weight + row.gained_weight,
                row.after_weight + row.lost_weight,
                "{}",
                row.name
            );
        }
        assert!(moved.request_fraction() > 0.0 && moved.request_fraction() < 1.0);
    }

    #[test]
    fn no_keys_move_nowhere() {
        let none = moved(
            &placement(&["a"]),
            &placement(&["b"]),
            std::iter::empty::<(&[u8], u64)>(),
        );
        assert_eq!((none.key_fraction(), none.request_fraction()), (0.0, 0.0));
    }
}
