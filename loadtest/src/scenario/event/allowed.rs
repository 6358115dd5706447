//! What an event may do to whose cluster: processes are only ours to end if we started them, and nobody's command is
//! run, no one's URL asked, without having been told that this is wanted.

use super::Result;
use crate::scenario::diagnostic::{Diagnostic, Origin};
use crate::scenario::{Action, ClusterMode, ClusterSpec};

/// `--allow-destructive` was given, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Permission {
    Usual,
    Destructive,
}

/// What an action needs of the cluster it is done to.
enum Needs {
    Nothing,
    /// Changes what an attached cluster holds, or whom its router asks: through the protocol or its admin address.
    Destructive,
    RouterAdmin,
    OwnProcesses,
}

fn needs(action: &Action) -> Needs {
    match action {
        Action::Rate { .. }
        | Action::Shed { .. }
        | Action::Backend { .. }
        | Action::PopularityShift { .. }
        | Action::Mark { .. } => Needs::Nothing,
        Action::Flush { .. }
        | Action::FlushNode { .. }
        | Action::ExpireHot { .. }
        | Action::SyncExpiry { .. }
        | Action::Exec { .. }
        | Action::Http { .. } => Needs::Destructive,
        Action::RemoveNode { .. } | Action::DrainNode { .. } | Action::SetHash { .. } => Needs::RouterAdmin,
        Action::AddNode { .. }
        | Action::KillNode { .. }
        | Action::StopNode { .. }
        | Action::StartNode { .. }
        | Action::RestartNode { .. }
        | Action::ReplaceNode { .. }
        | Action::RollingRestart { .. }
        | Action::WarmupRoute { .. }
        | Action::Partition { .. }
        | Action::Heal { .. }
        | Action::SlowNode { .. } => Needs::OwnProcesses,
    }
}

pub(super) fn check(
    action: &Action,
    cluster: &ClusterSpec,
    permission: Permission,
    place: &Origin,
) -> Result<()> {
    let refuse = |message: String, expected: &str| Err(Diagnostic::new(place, message, expected));
    let name = action.name();
    if action.reaches_out() && permission != Permission::Destructive {
        return refuse(
            format!("`{name}` does whatever the file says, with your rights"),
            "expected --allow-destructive if you have read it and want that",
        );
    }
    if action.keeps_memory() && cluster.mode == ClusterMode::Embedded {
        return refuse(
            "a node in this process cannot keep its memory across a restart".to_owned(),
            "expected mode = \"managed\", or warm = false",
        );
    }
    if matches!(action, Action::WarmupRoute { .. })
        && !matches!(cluster.mode, ClusterMode::Attach { .. })
        && (cluster.router.is_none() || cluster.replicated)
    {
        return refuse(
            format!("`{name}` needs a router before a sharded pool"),
            "expected router = {} and no `replicated` in [cluster]",
        );
    }
    let own_route = cluster
        .router
        .as_ref()
        .is_some_and(|router| router.config.is_some());
    if matches!(action, Action::WarmupRoute { .. }) && own_route {
        return refuse(
            format!("`{name}` puts another route into the router's configuration"),
            "expected no `config` in [cluster.router]",
        );
    }
    let ClusterMode::Attach {
        router, router_admin, ..
    } = &cluster.mode
    else {
        return Ok(());
    };
    match needs(action) {
        Needs::Nothing => Ok(()),
        Needs::OwnProcesses => refuse(
            format!("`{name}` needs nodes that loadtest started"),
            "expected mode = \"managed\"; or drive the orchestrator of an attached cluster with `exec` or `http`",
        ),
        Needs::Destructive | Needs::RouterAdmin if permission != Permission::Destructive => refuse(
            format!("`{name}` changes a cluster that loadtest did not start"),
            "expected --allow-destructive if that cluster is yours to change",
        ),
        Needs::RouterAdmin if router.is_some() && router_admin.is_none() => refuse(
            format!("`{name}` changes the router's list of nodes"),
            "expected the router's admin address in [cluster]: admin = \"127.0.0.1:9101\"",
        ),
        Needs::Destructive | Needs::RouterAdmin => Ok(()),
    }
}
