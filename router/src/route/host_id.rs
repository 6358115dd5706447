//! HostIdRoute: one child, chosen once and for all by this router's host.

use super::{Blueprint, null};
use crate::config::check::{Checker, ConfigError, Node};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let salt = if node.argument().is_some() {
        String::new()
    } else {
        node.only(&["type", "name", "children", "salt"])?;
        match node.get("salt") {
            Some(salt) => salt.string()?.to_owned(),
            None => String::new(),
        }
    };
    let mut children = checker.children(node)?;
    if children.is_empty() {
        return Ok(null::blueprint());
    }
    let index = pick(checker.host_id(), &salt, children.len());
    Ok(children.swap_remove(index))
}

/// Which of `count` a host takes.
pub(crate) fn pick(host: &str, salt: &str, count: usize) -> usize {
    let hash = cluster::spooky64(format!("{host}{salt}").as_bytes());
    usize::try_from(hash % count.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::pick;
    use crate::route::testing::tree;

    #[test]
    fn a_host_keeps_its_child_and_hosts_differ() {
        let taken: std::collections::HashSet<usize> =
            (0..50).map(|host| pick(&format!("host{host}"), "", 3)).collect();
        assert_eq!(taken.len(), 3);
        assert_eq!(pick("host", "salt", 7), pick("host", "salt", 7));
        let route = r#"{"type": "HostIdRoute", "children": ["PoolRoute|A", "PoolRoute|B"], "salt": "s"}"#;
        let first = tree(route).fast("get k~");
        assert!((0..20).all(|key| tree(route).fast(&format!("get k{key}~")) == first));
    }
}
