//! ModifyKeyRoute: the same request under another key. The client hears of the key it asked for.
//!
//! The fast way is no longer open: the server's bytes differ from the client's.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&[
        "type",
        "name",
        "target",
        "set_routing_prefix",
        "ensure_key_prefix",
        "replace_key_prefix",
        "set_key_suffix",
        "modify_inplace",
    ])?;
    let part = |name| node.get(name).map(|part| key_part(&part)).transpose();
    let routing_prefix = match node.get("set_routing_prefix") {
        None => None,
        Some(prefix) if prefix.string()?.is_empty() => Some(Vec::new()),
        Some(prefix) => Some(crate::config::read_prefix(&prefix, prefix.string()?)?),
    };
    let change = Change {
        routing_prefix,
        ensure: part("ensure_key_prefix")?.unwrap_or_default(),
        replace: part("replace_key_prefix")?,
        suffix: part("set_key_suffix")?.unwrap_or_default(),
        in_place: match node.get("modify_inplace") {
            Some(flag) => flag.flag()?,
            None => false,
        },
    };
    if change.in_place && change.replace.is_some() {
        return Err(node.error("\"replace_key_prefix\" and \"modify_inplace\" exclude each other"));
    }
    let target = checker.route(&node.need("target")?)?;
    let change = Arc::new(change);
    Ok(Arc::new(move |builder| {
        Rc::new(ModifyKeyRoute {
            target: builder.once(&target),
            change: Arc::clone(&change),
        })
    }))
}

fn key_part(node: &Node<'_>) -> Result<Vec<u8>, ConfigError> {
    let part = node.string()?.as_bytes();
    if part.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(node.error("a part of a key has no spaces or control characters"));
    }
    Ok(part.to_vec())
}

/// What is done to a key: `[/region/cluster/]prefix…suffix`.
#[derive(Debug)]
struct Change {
    /// In place of the key's own routing prefix.
    routing_prefix: Option<Vec<u8>>,
    /// Put before keys that do not start with it.
    ensure: Vec<u8>,
    /// Taken off keys that start with it, before `ensure` is put there.
    replace: Option<Vec<u8>>,
    suffix: Vec<u8>,
    /// `ensure` is written over the beginning of the key instead of before it.
    in_place: bool,
}

/// The length of the key's routing prefix, `/region/cluster/`; 0 without.
fn routing_prefix_len(key: &[u8]) -> usize {
    if key.first() != Some(&b'/') {
        return 0;
    }
    memchr::memchr_iter(b'/', key).nth(2).map_or(0, |at| at + 1)
}

impl Change {
    /// The key it makes of `key`; `None` if it leaves it alone.
    fn of(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (own_prefix, rest) = key.split_at(routing_prefix_len(key));
        let prefix = self.routing_prefix.as_deref().unwrap_or(own_prefix);
        let replaced = self
            .replace
            .as_ref()
            .and_then(|replace| rest.strip_prefix(&**replace));
        if let Some(rest) = replaced {
            return Some([prefix, &self.ensure, rest, &self.suffix].concat());
        }
        if !rest.starts_with(&self.ensure) {
            let overwritten = if self.in_place && rest.len() >= self.ensure.len() {
                self.ensure.len()
            } else {
                0
            };
            return Some([prefix, &self.ensure, &rest[overwritten..], &self.suffix].concat());
        }
        if prefix != own_prefix || !self.suffix.is_empty() {
            return Some([prefix, rest, &self.suffix].concat());
        }
        None
    }
}

struct ModifyKeyRoute {
    target: Handle,
    change: Arc<Change>,
}

impl RouteHandle for ModifyKeyRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.change.of(request.key) {
            None => self.target.route(request, servers),
            Some(_) => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Some(key) = self.change.of(&request.key) else {
            return Rc::clone(&self.target).call(request, caller);
        };
        let Some(renamed) = request.with_key(&key) else {
            let why = b"CLIENT_ERROR the key that the route makes of this one is too long\r\n";
            return at_once(Reply::said(Kind::ClientError, why));
        };
        let asked = Rc::clone(&self.target).call(Rc::new(renamed), caller);
        Box::pin(async move { asked.await.naming(&request) })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let changed = self.change.of(request.key);
        let key = changed.as_deref().unwrap_or(request.key);
        into.handle(
            format_args!("ModifyKeyRoute: as {}", key.escape_ascii()),
            |into| {
                self.target.destinations(Routing { key, ..request }, into);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn asked(settings: &str, line: &str) -> String {
        let route = format!(r#"{{"type": "ModifyKeyRoute", "target": "PoolRoute|A", {settings}}}"#);
        let tree = tree(&route);
        let told = tree.play(line, &[("a", &["VALUE other 0 1~x~END~"])]);
        told.lines().next().expect("asked").to_owned()
    }

    #[test]
    fn keys_are_changed_as_mcrouter_changes_them() {
        for (settings, key, sent) in [
            (r#""ensure_key_prefix": "p:""#, "k", "p:k"),
            (r#""ensure_key_prefix": "p:""#, "p:k", "p:k"),
            (r#""set_key_suffix": "@b""#, "k", "k@b"),
            (
                r#""ensure_key_prefix": "p:", "set_key_suffix": "@b""#,
                "p:k",
                "p:k@b",
            ),
            (
                r#""ensure_key_prefix": "new:", "replace_key_prefix": "old:""#,
                "old:k",
                "new:k",
            ),
            (
                r#""ensure_key_prefix": "new:", "replace_key_prefix": "old:""#,
                "k",
                "new:k",
            ),
            (
                r#""ensure_key_prefix": "ab", "modify_inplace": true"#,
                "xyz",
                "abz",
            ),
            (r#""set_routing_prefix": "/a/b/""#, "k", "/a/b/k"),
            (r#""set_routing_prefix": "/a/b/""#, "/c/d/k", "/a/b/k"),
            (r#""set_routing_prefix": """#, "/c/d/k", "k"),
            (
                r#""ensure_key_prefix": "foo", "set_routing_prefix": "/a/b/""#,
                "/b/c/o",
                "/a/b/fooo",
            ),
        ] {
            assert_eq!(
                asked(settings, &format!("get {key}~")),
                format!("a: get {sent}~"),
                "{settings}"
            );
        }
    }

    #[test]
    fn the_client_hears_of_its_own_key() {
        let route = r#"{"type": "ModifyKeyRoute", "target": "PoolRoute|A", "ensure_key_prefix": "p:"}"#;
        let tree = tree(route);
        assert_eq!(tree.fast("get p:k~"), "a");
        assert_eq!(
            tree.play("get k~", &[("a", &["VALUE p:k 0 1~x~END~"])]),
            "a: get p:k~\n=> VALUE k 0 1~x~END~"
        );
        assert_eq!(
            tree.play("mg k k v~", &[("a", &["VA 1 kp:k~x~"])]),
            "a: mg p:k k v~\n=> VA 1 kk~x~"
        );
        let long = "k".repeat(249);
        assert!(tree.play(&format!("get {long}~"), &[]).contains("CLIENT_ERROR"));
    }
}
