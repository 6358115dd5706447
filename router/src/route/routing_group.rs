//! RoutingGroupRoute: a child per group of operations: `get_like`, `update_like`, `delete_like`, `arithmetic_like`.

use super::{Blueprint, operation};
use crate::config::check::{Checker, ConfigError, Node};
use crate::request::Op;

/// mcrouter's groups, which files call `get_like` and so on; without the `_like` they are understood too. `touch` is in
/// none of them.
const GROUPS: [(&str, &[Op]); 4] = [
    ("get_like", &[Op::Get, Op::Gets, Op::Gat, Op::Gats]),
    (
        "update_like",
        &[Op::Set, Op::Add, Op::Replace, Op::Append, Op::Prepend, Op::Cas],
    ),
    ("delete_like", &[Op::Delete]),
    ("arithmetic_like", &[Op::Incr, Op::Decr]),
];

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "default_policy", "routing_group_policies"])?;
    let default = node
        .get("default_policy")
        .map(|route| checker.route(&route))
        .transpose()?;
    let mut by_op: operation::ByOp = std::array::from_fn(|_| None);
    if let Some(policies) = node.get("routing_group_policies") {
        for (name, route) in policies.entries()? {
            let is = |group: &str| group == name || group.strip_suffix("_like") == Some(name);
            let Some((_, ops)) = GROUPS.iter().find(|(group, _)| is(group)) else {
                return Err(route.unknown("group of operations", name, &GROUPS.map(|(group, _)| group)));
            };
            let child = checker.route(&route)?;
            for op in *ops {
                by_op[op.index()] = Some(child.clone());
            }
        }
    }
    Ok(operation::blueprint("RoutingGroupRoute", by_op, default))
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn operations_go_by_their_group() {
        let tree = tree(
            r#"{"type": "RoutingGroupRoute", "default_policy": "ErrorRoute|other",
                "routing_group_policies": {"get_like": "PoolRoute|A", "update": "PoolRoute|B", "delete_like": "NullRoute"}}"#,
        );
        for (line, goes) in [
            ("get k~", "a"),
            ("gat 5 k~", "a"),
            ("mg k v~", "a"),
            ("append k 0 0 1~x~", "b"),
            ("ms k 1~x~", "b"),
            ("delete k~", "nothing"),
            ("incr k 1~", "SERVER_ERROR other"),
            ("touch k 1~", "SERVER_ERROR other"),
        ] {
            assert_eq!(tree.fast(line), goes, "{line}");
        }
    }
}
