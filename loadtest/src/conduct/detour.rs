//! Where the keys of nodes that are away go instead: to spare nodes, or to the others of the pool.

use cluster::{HashKind, Placement, PlacementError, Server, Topology, hashed_part};

use crate::cluster::FAILOVER_TRIES;

/// Nodes that are away while the pool's list stays, and who is asked for their keys.
#[derive(Debug, Clone)]
pub(super) struct Detour {
    /// Numbers of the nodes that are away.
    pub away: Vec<usize>,
    pub to: To,
}

#[derive(Debug, Clone)]
pub(super) enum To {
    /// A pool of spare nodes; their numbers in list order.
    Spares { topology: Topology, members: Vec<usize> },
    /// The pool's own nodes, in each key's own order: the router's `SaltedFailoverRoute`.
    Others,
}

/// The same, made ready for many keys.
pub(super) struct Way<'a> {
    detour: &'a Detour,
    /// The pool's nodes, in list order.
    pool: &'a [usize],
    placement: Placement,
}

impl Detour {
    pub(super) fn way<'a>(&'a self, pool: &'a [usize]) -> Result<Way<'a>, PlacementError> {
        let topology = match &self.to {
            To::Spares { topology, .. } => topology.clone(),
            // The route's children: the pool as a whole, then each of its nodes.
            To::Others => Topology::new(
                HashKind::Ch3,
                (0..=pool.len()).map(|child| Server::new(child.to_string())),
            ),
        };
        Ok(Way {
            detour: self,
            pool,
            placement: Placement::new(&topology)?,
        })
    }
}

impl Way<'_> {
    /// Who is asked for a key that `owner` owns.
    pub(super) fn past(&self, owner: usize, key: &[u8]) -> usize {
        if !self.detour.away.contains(&owner) {
            return owner;
        }
        match &self.detour.to {
            To::Spares { members, .. } => members[self.placement.owner(key)],
            To::Others => self.next(key).unwrap_or(owner),
        }
    }

    /// The first node of the key's own order that is there: children by the key's hash with the salts 2, 3, …, each once.
    fn next(&self, key: &[u8]) -> Option<usize> {
        let mut asked = vec![0];
        for salt in 2..=100_u32 {
            if asked.len() == FAILOVER_TRIES {
                break;
            }
            let salted = [hashed_part(key), salt.to_string().as_bytes()].concat();
            let child = self.placement.owner_of_part(&salted);
            if asked.contains(&child) {
                continue;
            }
            asked.push(child);
            let number = self.pool[child - 1];
            if !self.detour.away.contains(&number) {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_of_who_is_away_go_elsewhere_and_to_all_the_others() {
        let pool = [0, 1, 2, 3];
        let detour = Detour {
            away: vec![2],
            to: To::Others,
        };
        let way = detour.way(&pool).unwrap();
        let mut taken = [0_u32; 4];
        for key in 0..3_000 {
            let key = format!("k{key}");
            assert_eq!(way.past(1, key.as_bytes()), 1);
            taken[way.past(2, key.as_bytes())] += 1;
        }
        assert_eq!(taken[2], 0);
        assert!(
            [0, 1, 3].iter().all(|node| taken[*node] > 900),
            "evenly: {taken:?}"
        );
    }
}
