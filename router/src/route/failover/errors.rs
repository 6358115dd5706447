//! Which failures make a failover try the next child.

use crate::config::check::{ConfigError, Node};
use crate::reply::{Kind, Reply};
use crate::request::Group;
use crate::upstream::error::UpstreamError;

/// mcrouter's words for what went wrong, and ours.
const ERRORS: [(&str, &[Failure]); 10] = [
    ("tko", &[Failure::Upstream(UpstreamError::Tko)]),
    (
        "connect_error",
        &[
            Failure::Upstream(UpstreamError::Connect),
            Failure::Upstream(UpstreamError::Closed),
        ],
    ),
    ("connect_timeout", &[Failure::Upstream(UpstreamError::Connect)]),
    (
        "timeout",
        &[
            Failure::Upstream(UpstreamError::Timeout),
            Failure::Upstream(UpstreamError::Late),
        ],
    ),
    ("busy", &[Failure::Upstream(UpstreamError::Busy)]),
    (
        "remote_error",
        &[Failure::ServerError, Failure::Upstream(UpstreamError::Protocol)],
    ),
    ("local_error", &[Failure::Upstream(UpstreamError::Removed)]),
    ("shutdown", &[]),
    ("try_again", &[]),
    ("deadline_exceeded", &[Failure::Upstream(UpstreamError::Late)]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Upstream(UpstreamError),
    ServerError,
}

impl Failure {
    /// What went wrong, if anything did.
    const fn of(reply: &Reply) -> Option<Self> {
        match reply {
            Reply::Failed { error, .. } => Some(Self::Upstream(*error)),
            Reply::Said {
                kind: Kind::ServerError,
                ..
            } => Some(Self::ServerError),
            Reply::Said { .. } => None,
        }
    }
}

/// A list of failures by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed(Vec<Failure>);

impl Listed {
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        let mut failures = Vec::new();
        for name in node.list()? {
            let text = name.string()?;
            let known = ERRORS.iter().find(|(known, _)| *known == text);
            let Some((_, meant)) = known else {
                return Err(name.unknown("error", text, &ERRORS.map(|(name, _)| name)));
            };
            failures.extend_from_slice(meant);
        }
        Ok(Self(failures))
    }

    pub(super) fn contains(&self, reply: &Reply) -> bool {
        Failure::of(reply).is_some_and(|failure| self.0.contains(&failure))
    }
}

/// `failover_errors`: which failures make it try the next child; `None` is all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct FailoverErrors {
    gets: Option<Listed>,
    updates: Option<Listed>,
    deletes: Option<Listed>,
}

impl FailoverErrors {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        if node.is_list() {
            let all = Some(Listed::read(node)?);
            return Ok(Self {
                gets: all.clone(),
                updates: all.clone(),
                deletes: all,
            });
        }
        node.only(&["gets", "updates", "deletes"])?;
        let group = |name| node.get(name).map(|list| Listed::read(&list)).transpose();
        Ok(Self {
            gets: group("gets")?,
            updates: group("updates")?,
            deletes: group("deletes")?,
        })
    }

    /// Whether the next child is asked after this reply.
    pub(super) fn next_after(&self, reply: &Reply, group: Group) -> bool {
        let listed = match group {
            Group::Gets => &self.gets,
            Group::Updates => &self.updates,
            Group::Deletes => &self.deletes,
            Group::Others => &None,
        };
        match listed {
            Some(listed) => listed.contains(reply),
            None => reply.failed(),
        }
    }
}
