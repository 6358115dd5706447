//! What a change of the cluster will do to every key, worked out on another thread before it happens; and what it did,
//! found by looking into the nodes.

use std::sync::Arc;

use cluster::{Placement, Topology};

use super::RunError;
use super::build::Prepared;
use super::detour::Detour;
use crate::cluster::Cluster;
use crate::cluster::node_client::NodeClient;
use crate::drive::lookaside::{Change, Lookaside};
use crate::drive::source::Upcoming;
use crate::measure::outcome::Remap;
use crate::measure::theory::{ColdCurve, Mixture};

/// A change and what is predicted of it.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub change: Change,
    /// Over all keys seen.
    pub remap: Option<Remap>,
    /// The scheme's formula for the share of keys.
    pub formula: Option<f64>,
    /// Owners before.
    pub owners_before: Arc<[u16]>,
    /// Gets until the plan was made, of the keys that were looked for.
    pub gets_before: Vec<u32>,
}

/// What the working out needs to know.
pub(super) struct Question {
    /// Members and topology before and after; node numbers of the members after, in list order.
    pub old: Topology,
    pub new: Topology,
    pub new_members: Vec<usize>,
    /// Afterwards, if nodes are away then.
    pub detour: Option<Detour>,
    /// Nodes that lose their memory.
    pub lost: Vec<u16>,
    pub owners: Arc<[u16]>,
    pub gets: Vec<u32>,
    /// Keys that are looked for in the nodes.
    pub sample: Vec<u32>,
    pub upcoming: Option<Upcoming>,
    pub warm: Option<f64>,
    /// Share of the gets for keys asked for once: they miss on a warm cluster too.
    pub lone_get: f64,
}

/// Owners of all keys: node numbers.
pub(super) fn owners(
    prepared: &Prepared,
    topology: &Topology,
    members: &[usize],
    detour: Option<&Detour>,
) -> Result<Arc<[u16]>, RunError> {
    let placement = Placement::new(topology)?;
    let way = detour.map(|detour| detour.way(members)).transpose()?;
    let mut scratch = Vec::new();
    let keys = &prepared.keys;
    Ok((0..keys.len())
        .map(|key| {
            let text = keys.text(key, &mut scratch);
            let owner = members[placement.owner(text)];
            let owner = way.as_ref().map_or(owner, |way| way.past(owner, text));
            u16::try_from(owner).expect("at most a few dozen nodes")
        })
        .collect())
}

/// Works it out. Takes milliseconds to seconds, by the number of keys: not for the driving thread.
pub(super) fn plan(prepared: &Prepared, question: Question) -> Result<Planned, RunError> {
    let Question {
        old,
        new,
        new_members,
        detour,
        lost,
        owners: owners_before,
        gets,
        sample,
        upcoming,
        warm,
        lone_get,
    } = question;
    let moved_at_all = old != new || detour.is_some();
    let owners_after = if moved_at_all {
        owners(prepared, &new, &new_members, detour.as_ref())?
    } else {
        Arc::clone(&owners_before)
    };
    let moved = |key: usize| owners_before[key] != owners_after[key];
    let affected: Arc<[bool]> = (0..owners_before.len())
        .map(|key| moved(key) || lost.contains(&owners_before[key]))
        .collect();
    let remap = moved_at_all.then(|| remap_of((0..gets.len()).filter(|key| gets[*key] > 0), &gets, moved));
    // By keys, not by requests: the few keys that carry much of the load are back after one miss each, so weighing
    // them by their requests would predict a dip that lasts. (`remap` tells both shares.)
    let (mut cold, mut all) = (0_u64, 0_u64);
    for (gets, affected) in gets.iter().zip(affected.iter()).filter(|(gets, _)| **gets > 0) {
        all += u64::from(*gets > 0);
        cold += u64::from(*affected);
    }
    let mixture = warm.filter(|_| all > 0).map(|warm| Mixture {
        warm,
        cold_share: cold as f64 / all as f64,
        cold_at_once: 0.0,
        cold: match (&upcoming, &prepared.popularity) {
            (Some(upcoming), _) => {
                ColdCurve::replayed(upcoming.keys(), vec![false; prepared.keys.len() as usize])
            }
            (None, Some(popularity)) => {
                ColdCurve::independent(|rank| popularity.weight(rank), popularity.keys())
                    .but_for(lone_get)
                    .at_most(warm)
            }
            (None, None) => ColdCurve::default(),
        },
    });
    Ok(Planned {
        change: Change {
            owners: owners_after,
            lost,
            affected,
            mixture,
        },
        remap,
        formula: (old != new).then(|| cluster::predict::remapped(&old, &new)),
        owners_before,
        gets_before: sample.iter().map(|key| gets[*key as usize]).collect(),
    })
}

impl Planned {
    /// The end of a warm-up: cold is what the pool's own nodes were never given, copied or stored. What is asked for
    /// since the beginning has been, so the hit rate goes on from there on the curve of a cluster that began empty.
    pub(super) fn lose_what_stayed_behind(
        &mut self,
        core: &Lookaside,
        prepared: &Prepared,
        gets_since: u64,
        lone_get: f64,
    ) {
        let affected: Arc<[bool]> = (0..prepared.keys.len())
            .map(|key| core.is_stored(key) && !core.is_at_home(key))
            .collect();
        if let Some(mixture) = &mut self.change.mixture {
            mixture.cold_share = 1.0;
            mixture.cold = match (core.source().upcoming(), &prepared.popularity) {
                (Some(upcoming), _) => {
                    let held = (0..prepared.keys.len())
                        .map(|key| core.is_stored(key) && core.is_at_home(key))
                        .collect();
                    ColdCurve::replayed(upcoming.keys(), held)
                }
                (None, Some(popularity)) => {
                    ColdCurve::independent(|rank| popularity.weight(rank), popularity.keys())
                        .after(gets_since)
                        .but_for(lone_get)
                        .at_most(mixture.warm)
                }
                (None, None) => ColdCurve::default(),
            };
            mixture.cold_at_once = mixture.cold.0.first().copied().unwrap_or(0.0);
        }
        self.change.affected = affected;
    }
}

/// The share of these keys that moved, plain and weighted by gets.
fn remap_of(keys: impl Iterator<Item = usize>, gets: &[u32], moved: impl Fn(usize) -> bool) -> Remap {
    let (mut n, mut moved_n, mut weight, mut moved_weight) = (0_u64, 0_u64, 0_u64, 0_u64);
    for key in keys {
        let gets = u64::from(gets[key]);
        n += 1;
        weight += gets;
        if moved(key) {
            moved_n += 1;
            moved_weight += gets;
        }
    }
    let share = |part: u64, whole: u64| {
        if whole == 0 {
            0.0
        } else {
            part as f64 / whole as f64
        }
    };
    Remap {
        keys: n,
        moved: moved_n,
        key_fraction: share(moved_n, n),
        request_weighted: share(moved_weight, weight),
    }
}

/// Which nodes held each of some keys at one moment: one bit per node number.
#[derive(Debug, Clone)]
pub(super) struct Residency {
    pub keys: Vec<u32>,
    pub holders: Vec<u64>,
}

/// The keys worth looking at: stored ones, the most asked for first, since those will be asked for again.
pub(super) fn sample(core: &Lookaside, gets: &[u32], count: usize) -> Vec<u32> {
    let mut keys: Vec<u32> = (0..u32::try_from(gets.len()).unwrap_or(u32::MAX))
        .filter(|key| core.is_stored(*key))
        .collect();
    keys.sort_by_key(|key| std::cmp::Reverse(gets[*key as usize]));
    keys.truncate(count);
    keys
}

/// Looks into every running node. `None` if one does not answer, or speaks no meta commands.
pub(super) async fn look(cluster: &Cluster, prepared: &Prepared, keys: Vec<u32>) -> Option<Residency> {
    let mut scratch = Vec::new();
    let texts: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| prepared.keys.text(*key, &mut scratch).to_vec())
        .collect();
    let mut holders = vec![0_u64; keys.len()];
    // Numbers past the 64th have no bit; a cluster that large is not looked into.
    for (number, node) in cluster
        .nodes()
        .iter()
        .enumerate()
        .filter(|(_, node)| node.is_up())
    {
        let bit = 1_u64.checked_shl(u32::try_from(number).ok()?)?;
        let held = match NodeClient::connect(node.address).await {
            Ok(mut client) => client.holds(&texts).await,
            Err(error) => Err(error),
        };
        match held {
            Ok(held) => {
                for (holders, held) in holders.iter_mut().zip(held) {
                    *holders |= if held { bit } else { 0 };
                }
            }
            Err(error) => {
                tracing::warn!(node = node.name, %error, "the node could not be looked into");
                return None;
            }
        }
    }
    Some(Residency { keys, holders })
}

/// What was predicted and what is found, over the same keys: those that one node held before, that were asked for
/// since, and that no client has deleted.
pub(super) fn compare(
    planned: &Planned,
    before: &Residency,
    after: &Residency,
    core: &Lookaside,
) -> (Remap, Remap) {
    let gets_now = core.gets_per_key();
    let clean: Vec<usize> = (0..before.keys.len())
        .filter(|at| {
            let key = before.keys[*at] as usize;
            before.holders[*at].count_ones() == 1
                && gets_now[key] > planned.gets_before[*at]
                && core.is_stored(before.keys[*at])
        })
        .collect();
    let gets: Vec<u32> = clean.iter().map(|at| planned.gets_before[*at]).collect();
    let predicted = remap_of(0..clean.len(), &gets, |n| {
        let (key, holders) = (before.keys[clean[n]] as usize, before.holders[clean[n]]);
        let holds = |owner: u16| {
            1_u64
                .checked_shl(u32::from(owner))
                .is_some_and(|bit| holders & bit != 0)
        };
        let (owner_before, owner) = (planned.owners_before[key], planned.change.owners[key]);
        // A key that an earlier change moved, and that nobody asked for until now, is still in its old place: asked for,
        // it is found in its new one, whatever this change does to it.
        if holds(owner_before) {
            owner_before != owner
        } else {
            !holds(owner)
        }
    });
    let measured = remap_of(0..clean.len(), &gets, |n| {
        after.holders[clean[n]] & !before.holders[clean[n]] != 0
    });
    (predicted, measured)
}
