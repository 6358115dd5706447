//! ShadowRoute: a share of what its target is asked is also asked of others, whose answers nobody waits for.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

/// Who else is asked, and about what.
#[derive(Clone)]
pub(crate) struct Shadow {
    target: Blueprint,
    select: Select,
    /// Servers of the pool this is for: from the first to before the second.
    pub index_range: Option<(usize, usize)>,
}

/// Which requests have a shadow.
#[derive(Debug, Clone, PartialEq)]
struct Select {
    /// Shares of the keys, by their hash: from, to.
    keys: (f64, f64),
    /// These and no others, if there are any.
    listed: Vec<Vec<u8>>,
    /// Share of the requests for those keys.
    requests: f64,
}

/// The key by which ShadowRoute has several targets, each with the shadows of its place.
pub(crate) const SEVERAL: &str = "children";

/// ShadowRoute over `children`: a list, as which it can only stand among children.
pub(crate) fn parse_several(
    node: &Node<'_>,
    checker: &mut Checker<'_>,
) -> Result<Vec<Blueprint>, ConfigError> {
    node.only(&["type", "name", SEVERAL, "shadows", "shadow_policy"])?;
    let targets = checker.children(node)?;
    let shadows = read(node, checker)?;
    let wrapped = targets.into_iter().enumerate();
    Ok(wrapped
        .map(|(index, target)| blueprint(target, of_place(&shadows, index)))
        .collect())
}

/// Those that the child or server at `index` has.
pub(crate) fn of_place(shadows: &[Shadow], index: usize) -> Vec<Shadow> {
    let here = |shadow: &&Shadow| {
        let (from, to) = shadow.index_range.unwrap_or((0, usize::MAX));
        (from..to).contains(&index)
    };
    shadows.iter().filter(here).cloned().collect()
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    // `children` is for those that are a list.
    node.only(&["type", "name", "target", "shadows", "shadow_policy", SEVERAL])?;
    let target = checker.route(&node.need("target")?)?;
    let shadows = read(node, checker)?;
    for (index, shadow) in shadows.iter().enumerate() {
        if shadow.index_range.is_some() {
            let why = format!("shadows[{index}].index_range: only a PoolRoute has servers to count");
            return Err(node.error(&why));
        }
    }
    Ok(blueprint(target, shadows))
}

/// Reads `shadows` and `shadow_policy`.
pub(crate) fn read(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Vec<Shadow>, ConfigError> {
    if let Some(policy) = node.get("shadow_policy")
        && policy.string()? != "default"
    {
        return Err(policy.error("only the shadow policy \"default\" is supported"));
    }
    let Some(listed) = node.get("shadows") else {
        return Ok(Vec::new());
    };
    listed
        .list()?
        .iter()
        .map(|shadow| read_one(shadow, checker))
        .collect()
}

fn read_one(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Shadow, ConfigError> {
    node.only(&[
        "target",
        "index_range",
        "key_fraction_range",
        "keys_to_shadow",
        "requests_fraction",
        // Names of runtime variables: what they say stands in their places by now.
        "index_range_rv",
        "key_fraction_range_rv",
    ])?;
    for name in ["index_range_rv", "key_fraction_range_rv"] {
        if let Some(variable) = node.get(name) {
            variable.string()?;
        }
    }
    let mut select = Select {
        keys: (0.0, 1.0),
        listed: Vec::new(),
        requests: 1.0,
    };
    if let Some(range) = node.get("key_fraction_range") {
        let pair = range.list()?;
        let [from, to] = pair.as_slice() else {
            return Err(range.error("expected [from, to]"));
        };
        select.keys = (from.within(0.0, 1.0)?, to.within(0.0, 1.0)?);
        if select.keys.0 > select.keys.1 {
            return Err(range.error("a range goes from the smaller to the larger"));
        }
    }
    let index_range = match node.get("index_range") {
        None => None,
        Some(range) => {
            let pair = range.list()?;
            let [from, to] = pair.as_slice() else {
                return Err(range.error("expected [from, to]"));
            };
            Some((from.count()?, to.count()?))
        }
    };
    if let Some(keys) = node.get("keys_to_shadow") {
        for key in keys.list()? {
            select.listed.push(key.string()?.as_bytes().to_vec());
        }
        if !select.listed.is_empty() && (node.get("key_fraction_range").is_some() || index_range.is_some()) {
            return Err(keys.error("a list of keys and ranges exclude each other"));
        }
    }
    if let Some(share) = node.get("requests_fraction") {
        select.requests = share.within(0.0, 1.0)?;
    }
    Ok(Shadow {
        target: checker.route(&node.need("target")?)?,
        select,
        index_range,
    })
}

/// `target` with its shadows.
pub(crate) fn blueprint(target: Blueprint, shadows: Vec<Shadow>) -> Blueprint {
    if shadows.is_empty() {
        return target;
    }
    Arc::new(move |builder| {
        let shadows = shadows.iter().map(|shadow| {
            let target = builder.once(&shadow.target);
            (target, shadow.select.clone())
        });
        let shadows = shadows.collect();
        Rc::new(ShadowRoute {
            target: builder.once(&target),
            shadows,
        })
    })
}

impl Select {
    fn key(&self, key: &[u8]) -> bool {
        if !self.listed.is_empty() {
            return self.listed.iter().any(|listed| listed == key);
        }
        let (from, to) = self.keys;
        if from <= 0.0 && to >= 1.0 {
            return self.requests > 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let at = cluster::spooky64(cluster::hashed_part(key)) as f64 / u64::MAX as f64;
        (from..to).contains(&at)
    }

    fn drawn(&self) -> bool {
        self.requests >= 1.0 || rand::random_bool(self.requests)
    }
}

struct ShadowRoute {
    target: Handle,
    shadows: Box<[(Handle, Select)]>,
}

impl RouteHandle for ShadowRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if self.shadows.iter().any(|(_, select)| select.key(request.key)) {
            Routed::Composite
        } else {
            self.target.route(request, servers)
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        for (shadow, select) in &self.shadows {
            if select.key(&request.key) && select.drawn() {
                caller.start_unheard(shadow, &request);
            }
        }
        Rc::clone(&self.target).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        self.target.destinations(request, into);
        for (shadow, select) in &self.shadows {
            if select.key(request.key) {
                into.handle("ShadowRoute: nobody waits", |into| {
                    shadow.destinations(request, into)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn route(shadow: &str) -> String {
        format!(
            r#"{{"type": "ShadowRoute", "target": "PoolRoute|A", "shadows": [{{"target": "PoolRoute|B"{shadow}}}]}}"#
        )
    }

    #[test]
    fn a_shadow_is_asked_and_not_waited_for() {
        let story = tree(&route("")).play("set k 0 0 1~x~", &[("a", &["STORED~"]), ("b", &["timeout"])]);
        let mut told: Vec<&str> = story.lines().collect();
        told.sort_unstable();
        assert_eq!(told, ["=> STORED~", "a: set k 0 0 1~x~", "b: set k 0 0 1~x~"]);
    }

    #[test]
    fn only_the_selected_have_a_shadow_and_the_others_go_the_fast_way() {
        let half = tree(&route(r#", "key_fraction_range": [0, 0.5]"#));
        let shadowed = (0..200)
            .filter(|key| half.fast(&format!("get k{key}~")) == "composite")
            .count();
        assert!((70..130).contains(&shadowed), "{shadowed} of 200");
        let listed = tree(&route(r#", "keys_to_shadow": ["this"]"#));
        assert_eq!(
            (listed.fast("get this~"), listed.fast("get k~")),
            ("composite".into(), "a".into())
        );
        let none = tree(&route(r#", "requests_fraction": 0.0"#));
        assert_eq!(none.fast("get k~"), "a");
        let some = tree(&route(r#", "requests_fraction": 0.3"#));
        let says: [(&str, &[&str]); 2] = [("a", &["END~"]), ("b", &["END~"])];
        let shadowed = (0..300)
            .filter(|_| some.play("get k~", &says).contains("b: "))
            .count();
        assert!((50..140).contains(&shadowed), "{shadowed} of 300");
    }

    #[test]
    fn servers_of_a_pool_have_shadows_by_their_place() {
        let route = r#"{"type": "PoolRoute", "pool": "AB", "shadows": [{"target": "PoolRoute|R", "index_range": [0, 1]}]}"#;
        let tree = tree(route);
        let goes: std::collections::HashSet<String> =
            (0..50).map(|key| tree.fast(&format!("get k{key}~"))).collect();
        let expected = ["composite".to_owned(), "b".to_owned()].into();
        assert_eq!(goes, expected, "only the first server has a shadow");
    }
}
