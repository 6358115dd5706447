//! ErrorRoute: always `SERVER_ERROR` and its text.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::{Answer, Blueprint, Plan, RouteHandle, Routed, Servers, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{OwnedRequest, Routing};

struct ErrorRoute {
    line: Rc<[u8]>,
}

pub(crate) fn parse(node: &Node<'_>, _checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let text = if let Some(argument) = node.argument() {
        argument.to_owned()
    } else if node.is_name() {
        String::new()
    } else {
        node.only(&["type", "name", "response", "enable_logging", "result"])?;
        match node.get("response") {
            Some(response) => response.string()?.to_owned(),
            None => String::new(),
        }
    };
    if text.chars().any(char::is_control) {
        return Err(node.error("the text of an ErrorRoute is one line"));
    }
    Ok(blueprint(&text))
}

/// A route that answers `SERVER_ERROR text`.
pub(crate) fn blueprint(text: &str) -> Blueprint {
    let line = if text.is_empty() {
        "SERVER_ERROR local error\r\n".to_owned()
    } else {
        format!("SERVER_ERROR {text}\r\n")
    };
    Arc::new(move |_| {
        Rc::new(ErrorRoute {
            line: line.as_bytes().into(),
        })
    })
}

impl RouteHandle for ErrorRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Refused(Rc::clone(&self.line))
    }

    fn call(self: Rc<Self>, _request: Rc<OwnedRequest>, _caller: Caller) -> Answer {
        at_once(Reply::Said {
            kind: Kind::ServerError,
            bytes: Bytes::copy_from_slice(&self.line),
        })
    }

    fn destinations(&self, _request: Routing<'_>, into: &mut Plan) {
        let line = self.line.trim_ascii_end().escape_ascii();
        into.handle(format_args!("ErrorRoute: {line}"), |_| {});
    }
}
