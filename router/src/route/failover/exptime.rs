//! FailoverWithExptimeRoute: what goes to the failover children (the *gutter*) stays there for a short while only, so that
//! it is not found stale when the normal child is back.

use protocol::Exptime;

use super::{Settings, blueprint};
use crate::config::check::{Checker, ConfigError, Node};
use crate::route::{Blueprint, modify_exptime};

/// mcrouter's default, in seconds.
const GUTTER_EXPTIME: i64 = 60;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let known: Vec<&str> = ["type", "name", "normal", "failover", "failover_exptime"]
        .into_iter()
        .chain(super::KEYS)
        .collect();
    node.only(&known)?;
    let normal = checker.route(&node.need("normal")?)?;
    let mut gutter = Vec::new();
    if let Some(failover) = node.get("failover") {
        checker.collect(&failover, &mut gutter)?;
    }
    let exptime = match node.get("failover_exptime") {
        Some(given) => given.integer()?,
        None => GUTTER_EXPTIME,
    };
    let change = modify_exptime::Change::Min(Exptime(exptime));
    let gutter = gutter.into_iter().map(|child| match exptime {
        0 => child,
        _ => modify_exptime::blueprint(child, change),
    });
    let children: Vec<Blueprint> = [normal].into_iter().chain(gutter).collect();
    let settings = Settings::read(node, children.len(), checker)?;
    Ok(blueprint(children, settings))
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn what_falls_into_the_gutter_does_not_stay_there() {
        let route = r#"{"type": "FailoverWithExptimeRoute", "normal": "PoolRoute|A", "failover": "PoolRoute|B",
                        "failover_exptime": 10}"#;
        let tree = tree(route);
        assert_eq!(tree.fast("get k~"), "a?");
        assert_eq!(
            tree.play("set k 0 0 1~x~", &[("a", &["timeout"]), ("b", &["STORED~"])]),
            "a: set k 0 0 1~x~\nb: set k 0 10 1~x~\n=> STORED~"
        );
        assert_eq!(
            tree.play("set k 0 5 1~x~", &[("a", &["STORED~"])]),
            "a: set k 0 5 1~x~\n=> STORED~"
        );
        assert_eq!(
            tree.play("delete k~", &[("a", &["timeout"]), ("b", &["NOT_FOUND~"])]),
            "a: delete k~\nb: delete k~\n=> NOT_FOUND~"
        );
    }
}
