//! What may not be done to whose cluster.

use super::{HEAD, refused, refused_with};
use crate::scenario::{Overrides, from_text};

#[test]
fn an_attached_cluster_stays_on_this_machine_and_is_not_changed() {
    let attach = |rest: &str| format!("{HEAD}[cluster]\nmode = \"attach\"\n{rest}");
    refused(
        &attach("nodes = [\"10.1.2.3:11211\"]\n"),
        "
t.toml:8: `10.1.2.3:11211` is not on this machine
  8 | nodes = [\"10.1.2.3:11211\"]
    |         ^^^^^^^^^^^^^^^^^^ expected a loopback address, or --allow-remote if that cluster is yours to load",
    );
    refused(
        &attach("nodes = [\"127.0.0.1:11211\"]\n[[event]]\nat = \"steady+1s\"\ndo = \"flush\"\n"),
        "
t.toml:11: `flush` changes a cluster that loadtest did not start
  11 | do = \"flush\"
     |      ^^^^^^^ expected --allow-destructive if that cluster is yours to change",
    );
    let destructive = Overrides {
        allow_destructive: true,
        ..Overrides::default()
    };
    let with = |action: &str| {
        attach(&format!(
            "nodes = [\"127.0.0.1:11211\"]\n[[event]]\nat = \"steady+1s\"\ndo = \"{action}\"\n"
        ))
    };
    for action in ["flush", "expire_hot", "sync_expiry"] {
        from_text("t.toml", &with(action), &destructive).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    }
    refused_with(
        &with("restart_node"),
        &destructive,
        "
t.toml:11: `restart_node` needs nodes that loadtest started
  11 | do = \"restart_node\"
     |      ^^^^^^^^^^^^^^ expected mode = \"managed\"; or drive the orchestrator of an attached cluster with `exec` or `http`",
    );
}

#[test]
fn what_a_file_would_run_needs_your_word() {
    let text = format!("{HEAD}[[event]]\nat = \"steady+1s\"\ndo = \"exec\"\ncmd = \"true\"\n");
    refused(
        &text,
        "
t.toml:8: `exec` does whatever the file says, with your rights
  8 | do = \"exec\"
    |      ^^^^^^ expected --allow-destructive if you have read it and want that",
    );
}
