//! From what was seen to a verdict. Pure.

use std::collections::BTreeMap;

use cluster::Placement;

use super::probe::Seen;
use crate::report::number::{count, percent};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Every key on exactly one node.
    Sharded,
    /// Every key on every node, of two or more.
    Replicated,
    /// One node, and everything on it.
    Single,
    /// Every key on the same number of nodes, more than one and fewer than all.
    PartlyReplicated,
    /// Nothing the router stored is on any of these nodes.
    Elsewhere,
    /// The router stored nothing.
    NothingStored,
    /// No rule fits.
    Mixed,
}

impl Shape {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Sharded => "sharded",
            Self::Replicated => "replicated",
            Self::Single => "one node",
            Self::PartlyReplicated => "partly replicated",
            Self::Elsewhere => "elsewhere",
            Self::NothingStored => "nothing stored",
            Self::Mixed => "neither sharded nor replicated",
        }
    }

    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Sharded => "sharded",
            Self::Replicated => "replicated",
            Self::Single => "single",
            Self::PartlyReplicated => "partly_replicated",
            Self::Elsewhere => "elsewhere",
            Self::NothingStored => "nothing_stored",
            Self::Mixed => "mixed",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) shape: Shape,
    pub(super) sentence: String,
    /// What is not as it should be, a sentence each.
    pub(super) problems: Vec<String>,
    /// How many keys have how many copies, counting nodes with a memory of their own.
    pub(super) copies: BTreeMap<usize, usize>,
    /// Whether every key is where the hash that was asked about puts it.
    pub(super) hash_agreement: Option<String>,
}

pub(super) fn judge(seen: &Seen, placement: Option<&Placement>) -> Finding {
    // Two addresses of one process count once; a node that does not answer is unknown, not empty.
    let distinct: Vec<usize> = (0..seen.nodes.len())
        .filter(|index| seen.nodes[*index].same_as == Some(*index) && seen.nodes[*index].problem.is_none())
        .collect();
    let stored: Vec<usize> = (0..seen.keys).filter(|key| seen.was_stored[*key]).collect();
    let mut copies: BTreeMap<usize, usize> = BTreeMap::new();
    for key in &stored {
        let held = distinct
            .iter()
            .filter(|node| seen.nodes[**node].holds[*key])
            .count();
        *copies.entry(held).or_default() += 1;
    }
    let used: Vec<usize> = distinct
        .iter()
        .copied()
        .filter(|node| seen.nodes[*node].keys() > 0)
        .collect();
    let (shape, sentence) = shape(seen, &copies, &distinct, &used);
    let mut problems = problems(seen, &copies, shape, &used);
    let mut hash_agreement = None;
    match placement.map(|placement| agreement(seen, placement, &stored)) {
        Some(Ok(text)) => hash_agreement = Some(text),
        Some(Err(problem)) => problems.push(problem),
        None => {}
    }
    Finding {
        shape,
        sentence,
        problems,
        copies,
        hash_agreement,
    }
}

fn shape(
    seen: &Seen,
    copies: &BTreeMap<usize, usize>,
    distinct: &[usize],
    used: &[usize],
) -> (Shape, String) {
    let keys = count(seen.stored as u64);
    if seen.stored == 0 {
        return (Shape::NothingStored, "the router refused every key".to_owned());
    }
    let names = |nodes: &[usize]| {
        nodes
            .iter()
            .map(|node| seen.nodes[*node].name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let held: Vec<usize> = copies.keys().copied().filter(|held| *held > 0).collect();
    match (held.as_slice(), copies.get(&0).copied().unwrap_or(0)) {
        ([], _) => (
            Shape::Elsewhere,
            format!("none of the {keys} keys the router stored is on any of these nodes"),
        ),
        ([1], 0) if distinct.len() == 1 => (
            Shape::Single,
            format!("all {keys} keys are on {}", names(distinct)),
        ),
        ([1], 0) => (
            Shape::Sharded,
            format!(
                "each of {keys} keys is on exactly one of {} nodes; an even share is {}",
                distinct.len(),
                percent(Some(1.0 / distinct.len() as f64))
            ),
        ),
        ([all], 0) if *all == distinct.len() => (
            Shape::Replicated,
            format!("each of {keys} keys is on all {} nodes", distinct.len()),
        ),
        ([some], 0) if used.len() == *some => (
            Shape::PartlyReplicated,
            format!("each of {keys} keys is on {}, and on no other node", names(used)),
        ),
        ([some], 0) => (
            Shape::PartlyReplicated,
            format!(
                "each of {keys} keys is on {some} of {} nodes, not always the same ones",
                distinct.len()
            ),
        ),
        _ => {
            let list: Vec<String> = copies
                .iter()
                .map(|(held, keys)| match held {
                    0 => format!("{} on none", count(*keys as u64)),
                    1 => format!("{} on one node", count(*keys as u64)),
                    held => format!("{} on {held} nodes", count(*keys as u64)),
                })
                .collect();
            (Shape::Mixed, format!("of {keys} keys, {}", list.join(", ")))
        }
    }
}

fn problems(seen: &Seen, copies: &BTreeMap<usize, usize>, shape: Shape, used: &[usize]) -> Vec<String> {
    let mut problems = Vec::new();
    let number = |n: usize| count(n as u64);
    for (index, node) in seen.nodes.iter().enumerate() {
        if let Some(problem) = &node.problem {
            problems.push(format!(
                "{} is not answering ({problem}): its keys are unknown",
                node.name
            ));
        } else if let Some(other) = node.same_as.filter(|other| *other != index) {
            problems.push(format!(
                "{} and {} are one and the same memory",
                seen.nodes[other].name, node.name
            ));
        } else if !used.contains(&index) && !matches!(shape, Shape::Elsewhere | Shape::NothingStored) {
            problems.push(format!("{} is not used: none of the keys is on it", node.name));
        }
        if node.wrong > 0 {
            problems.push(format!(
                "{} holds another value than was set for {} keys",
                node.name,
                number(node.wrong)
            ));
        }
        if node.left_after_delete > 0 {
            problems.push(format!(
                "{} still has {} keys after they were deleted through the router",
                node.name,
                number(node.left_after_delete)
            ));
        }
    }
    if seen.stored < seen.keys {
        problems.push(format!(
            "the router did not store {} of {} keys",
            number(seen.keys - seen.stored),
            number(seen.keys)
        ));
    }
    if seen.wrong > 0 {
        problems.push(format!(
            "the router answered another value than was set for {} keys",
            number(seen.wrong)
        ));
    }
    if seen.read_back + seen.wrong < seen.stored {
        problems.push(format!(
            "{} keys that were stored could not be read back through the router",
            number(seen.stored - seen.read_back - seen.wrong)
        ));
    }
    if let (Some(missing), Shape::Mixed) = (copies.get(&0), shape) {
        problems.push(format!(
            "{} keys are on none of these nodes: is one not listed, or do copies expire at once?",
            number(*missing)
        ));
    }
    problems
}

fn agreement(seen: &Seen, placement: &Placement, stored: &[usize]) -> Result<String, String> {
    let right = stored
        .iter()
        .filter(|key| seen.nodes[placement.owner(seen.sampled[**key].as_bytes())].holds[**key])
        .count();
    let hash = placement.hash();
    if right == stored.len() {
        Ok(format!(
            "all {} keys are where {hash} puts them",
            count(right as u64)
        ))
    } else {
        Err(format!(
            "only {} of {} keys are where {hash} puts them with these names in this order",
            count(right as u64),
            count(stored.len() as u64)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::NodeSeen;
    use super::*;

    /// Nodes as strings of `#` (has the key) and `.` (has not), one character per key.
    fn cluster_of(nodes: &[&str]) -> Seen {
        let keys = nodes[0].len();
        let node = |(index, holds): (usize, &&str)| NodeSeen {
            name: format!("n{index}"),
            address: "127.0.0.1:1".parse().unwrap(),
            version: "1.6".into(),
            problem: None,
            holds: holds.chars().map(|c| c == '#').collect(),
            wrong: 0,
            left_after_delete: 0,
            same_as: Some(index),
        };
        Seen {
            router_address: "127.0.0.1:2".parse().unwrap(),
            router_version: "r".into(),
            keys,
            stored: keys,
            read_back: keys,
            wrong: 0,
            sampled: (0..keys).map(|n| format!("k{n}")).collect(),
            was_stored: vec![true; keys],
            nodes: nodes.iter().enumerate().map(node).collect(),
        }
    }

    #[track_caller]
    fn check(seen: &Seen, shape: Shape, sentence: &str, problems: &[&str]) {
        let finding = judge(seen, None);
        assert_eq!((finding.shape, finding.sentence.as_str()), (shape, sentence));
        assert_eq!(finding.problems, problems);
    }

    #[test]
    fn copies_decide_the_shape() {
        check(
            &cluster_of(&["##..", "..#.", "...#"]),
            Shape::Sharded,
            "each of 4 keys is on exactly one of 3 nodes; an even share is 33.3 %",
            &[],
        );
        check(
            &cluster_of(&["####", "####"]),
            Shape::Replicated,
            "each of 4 keys is on all 2 nodes",
            &[],
        );
        check(&cluster_of(&["####"]), Shape::Single, "all 4 keys are on n0", &[]);
        check(
            &cluster_of(&["####", "####", "...."]),
            Shape::PartlyReplicated,
            "each of 4 keys is on n0, n1, and on no other node",
            &["n2 is not used: none of the keys is on it"],
        );
        check(
            &cluster_of(&["##..", "####", "..##"]),
            Shape::PartlyReplicated,
            "each of 4 keys is on 2 of 3 nodes, not always the same ones",
            &[],
        );
        check(
            &cluster_of(&["....", "...."]),
            Shape::Elsewhere,
            "none of the 4 keys the router stored is on any of these nodes",
            &[],
        );
        check(
            &cluster_of(&["###.", "#..."]),
            Shape::Mixed,
            "of 4 keys, 1 on none, 2 on one node, 1 on 2 nodes",
            &["1 keys are on none of these nodes: is one not listed, or do copies expire at once?"],
        );
        check(
            &cluster_of(&["####", "...."]),
            Shape::Sharded,
            "each of 4 keys is on exactly one of 2 nodes; an even share is 50.0 %",
            &["n1 is not used: none of the keys is on it"],
        );
    }

    #[test]
    fn two_addresses_of_one_process_count_once() {
        let mut seen = cluster_of(&["####", "####"]);
        seen.nodes[1].same_as = Some(0);
        check(
            &seen,
            Shape::Single,
            "all 4 keys are on n0",
            &["n0 and n1 are one and the same memory"],
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut seen = cluster_of(&["##..", "..##"]);
        (
            seen.nodes[0].wrong,
            seen.nodes[1].left_after_delete,
            seen.read_back,
            seen.wrong,
        ) = (1, 2, 2, 1);
        check(
            &seen,
            Shape::Sharded,
            "each of 4 keys is on exactly one of 2 nodes; an even share is 50.0 %",
            &[
                "n0 holds another value than was set for 1 keys",
                "n1 still has 2 keys after they were deleted through the router",
                "the router answered another value than was set for 1 keys",
                "1 keys that were stored could not be read back through the router",
            ],
        );
        let mut seen = cluster_of(&["##..", "..##"]);
        (seen.stored, seen.read_back, seen.was_stored) = (0, 0, vec![false; 4]);
        check(
            &seen,
            Shape::NothingStored,
            "the router refused every key",
            &["the router did not store 4 of 4 keys"],
        );
    }
}
