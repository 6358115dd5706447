//! The top of the tree: the route of the key's routing prefix (`/region/cluster/key`), else the default route.
//!
//! A `*` in the prefix is any region or cluster: `/*/*/key` goes to all routes. The default route answers if it is one of
//! them, else the first; the others go on by themselves. A region's routes may have a cluster `fallback` for clusters that
//! have no route. Without `routes` in the configuration no key has a prefix, whatever it starts with.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, at_once};
use crate::config::check::UnknownPrefix;
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{OwnedRequest, Routing};

/// The default route and the routes of prefixes, each with its slashes: `/a/b/`.
pub(crate) fn blueprint(
    default: Blueprint,
    prefixed: Vec<(Vec<u8>, Blueprint)>,
    unknown: UnknownPrefix,
) -> Blueprint {
    if prefixed.is_empty() && unknown == UnknownPrefix::PartOfTheKey {
        return default;
    }
    Arc::new(move |builder| {
        Rc::new(RootRoute {
            default: builder.once(&default),
            prefixed: prefixed
                .iter()
                .map(|(prefix, route)| (prefix.clone(), builder.once(route)))
                .collect(),
            unknown,
        })
    })
}

struct RootRoute {
    default: Handle,
    prefixed: Box<[(Vec<u8>, Handle)]>,
    unknown: UnknownPrefix,
}

/// mcrouter's cluster for clusters without a route.
const FALLBACK: &[u8] = b"fallback";

/// `/region/cluster/` of a key, if it begins so.
fn prefix(key: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let rest = key.strip_prefix(b"/")?;
    let region = memchr::memchr(b'/', rest)?;
    let cluster = memchr::memchr(b'/', &rest[region + 1..])?;
    let length = region + cluster + 3;
    let named = region > 0 && cluster > 0 && key.len() > length;
    named.then(|| (&rest[..region], &rest[region + 1..region + 1 + cluster], length))
}

impl RootRoute {
    /// Who is asked for a key with a prefix, who answers first; and how long the prefix is.
    fn prefixed(&self, key: &[u8]) -> Option<(usize, Vec<&Handle>)> {
        if key.first() != Some(&b'/') {
            return None;
        }
        let (region, cluster, length) = prefix(key)?;
        let fits = |wanted: &[u8], name: &[u8]| wanted == b"*" || wanted == name;
        let matching = |region: &[u8], cluster: &[u8]| {
            let mut found: Vec<&Handle> = Vec::new();
            for (known, route) in &self.prefixed {
                let inside = known[1..known.len() - 1].split(|byte| *byte == b'/');
                let [known_region, known_cluster] = inside.collect::<Vec<_>>()[..] else {
                    continue;
                };
                let new = !found.iter().any(|found| Rc::ptr_eq(found, route));
                if new && fits(region, known_region) && fits(cluster, known_cluster) {
                    found.push(route);
                }
            }
            found
        };
        let mut found = matching(region, cluster);
        if found.is_empty() {
            found = matching(region, FALLBACK);
        }
        if found.is_empty() && self.unknown == UnknownPrefix::OfTheDefault {
            found.push(&self.default);
        }
        // Stable: the others stay in the file's order.
        found.sort_by_key(|route| !Rc::ptr_eq(route, &self.default));
        (!found.is_empty()).then_some((length, found))
    }
}

impl RouteHandle for RootRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.prefixed(request.key) {
            Some(_) => Routed::Composite,
            None => self.default.route(request, servers),
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Some((length, routes)) = self.prefixed(&request.key) else {
            return Rc::clone(&self.default).call(request, caller);
        };
        let Some(stripped) = request.with_key(&request.key[length..]).map(Rc::new) else {
            return at_once(Reply::said(
                Kind::ClientError,
                b"CLIENT_ERROR what stands behind the routing prefix is no key\r\n",
            ));
        };
        for other in &routes[1..] {
            caller.start_unheard(other, &stripped);
        }
        let asked = Rc::clone(routes[0]).call(stripped, caller);
        Box::pin(async move { asked.await.naming(&request) })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        match self.prefixed(request.key) {
            Some((length, routes)) => {
                let (prefix, key) = request.key.split_at(length);
                into.handle(format_args!("routing prefix {}", prefix.escape_ascii()), |into| {
                    for route in routes {
                        route.destinations(Routing { key, ..request }, into);
                    }
                });
            }
            None => self.default.destinations(request, into),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::check::{Defaults, UnknownPrefix};
    use crate::route::testing::{POOLS, Recording};

    #[test]
    fn a_prefix_that_no_route_has_is_taken_off_for_the_default_route_if_so_told() {
        let defaults = Defaults {
            unknown_prefix: UnknownPrefix::OfTheDefault,
            route_prefix: Some("/a/a/".to_owned()),
            ..Defaults::default()
        };
        let tree = Recording::with(&format!(r#"{{{POOLS}, "route": "PoolRoute|A"}}"#), &defaults);
        for key in ["/none/none/k", "/a/a/k", "k"] {
            assert_eq!(
                tree.play(&format!("delete {key}~"), &[("a", &["DELETED~"])]),
                "a: delete k~\n=> DELETED~",
                "{key}"
            );
        }
    }

    #[test]
    fn a_star_in_the_prefix_is_every_region_or_cluster() {
        let tree = Recording::of(&format!(
            r#"{{{POOLS}, "routes": [{{"aliases": ["/b/b/"], "route": "PoolRoute|B"}},
                                     {{"aliases": ["/././", "/a/a/"], "route": "PoolRoute|A"}},
                                     {{"aliases": ["/a/fallback/"], "route": "NullRoute"}}]}}"#
        ));
        let play = |line: &str| {
            let story = tree.play(line, &[("a", &["DELETED~"]), ("b", &["NOT_FOUND~"])]);
            let mut told: Vec<String> = story.lines().map(str::to_owned).collect();
            told.sort_unstable();
            told
        };
        assert_eq!(
            play("delete /*/*/k~"),
            ["=> DELETED~", "a: delete k~", "b: delete k~"],
            "the default answers"
        );
        assert_eq!(play("delete /b/*/k~"), ["=> NOT_FOUND~", "b: delete k~"]);
        assert_eq!(
            play("delete /a/none/k~"),
            ["=> NOT_FOUND~"],
            "the region's fallback"
        );
        assert_eq!(
            tree.fast("get /none/none/k~"),
            "a",
            "no prefix that anybody knows: part of the key"
        );
        assert_eq!(tree.fast("get /*/k~"), "a");
    }
}
