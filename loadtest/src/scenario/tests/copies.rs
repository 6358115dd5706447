//! Copies of a key, whose route the router goes by, and what becomes of a dead node's keys.

use super::{HEAD, accepted, refused, refused_with};
use crate::scenario::{OnNodeDown, Overrides};

#[test]
fn copies_are_told_in_words_or_in_numbers() {
    let replicated = |rest: &str| {
        let text = format!("{HEAD}[cluster]\nnodes = 3\nrouter = {{}}\n{rest}\n");
        accepted(&text).cluster.replicated
    };
    assert!(!replicated("replicas = 1"));
    assert!(replicated("replicas = 3"));
    assert!(replicated("replicated = true\nreplicas = 3"));
    refused(
        &format!("{HEAD}[cluster]\nnodes = 3\nrouter = {{}}\nreplicas = 2\n"),
        "
t.toml:9: 2 copies of a key on 3 nodes
  9 | replicas = 2
    |            ^ expected 1 (sharded), 3 (each node has every key), or no `replicas`",
    );
    refused(
        &format!("{HEAD}[cluster]\nnodes = 3\nrouter = {{}}\nreplicated = true\nreplicas = 1\n"),
        "
t.toml:10: `replicas` is not what replicated = true says
  10 | replicas = 1
     |            ^ expected 1 (sharded), 3 (each node has every key), or no `replicas`",
    );
}

#[test]
fn what_becomes_of_a_dead_nodes_keys_is_one_of_five() {
    for (text, expected) in [
        ("miss", OnNodeDown::Miss),
        ("failover", OnNodeDown::Failover),
        ("eject", OnNodeDown::Eject),
        ("error", OnNodeDown::Error),
        ("gutter(2)", OnNodeDown::Gutter(2)),
    ] {
        let text = format!("{HEAD}[cluster]\nrouter = {{}}\non_node_down = \"{text}\"\n");
        assert_eq!(accepted(&text).cluster.on_node_down, expected);
    }
    refused(
        &format!("{HEAD}[cluster]\non_node_down = \"failover\"\n"),
        "
t.toml:7: a failover needs a router before a sharded pool of ours
  7 | on_node_down = \"failover\"
    |                ^^^^^^^^^^ expected router = {} and no `replicated`, or another `on_node_down`",
    );
    refused(
        &format!("{HEAD}[cluster]\nrouter = {{}}\non_node_down = \"failovr\"\n"),
        "
t.toml:8: unknown on_node_down `failovr`
  8 | on_node_down = \"failovr\"
    |                ^^^^^^^^^ did you mean `failover`? expected one of: miss, failover, eject, error, gutter(1)",
    );
}

#[test]
fn a_route_of_the_users_may_not_be_there_yet_but_must_be_one_if_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    let text = format!("{HEAD}[cluster]\nrouter = {{ config = \"router.json\" }}\n");
    std::fs::write(&file, text).unwrap();
    let load = || crate::scenario::load(file.to_str().unwrap(), &Overrides::default());
    let config = load().unwrap().cluster.router.unwrap().config;
    assert_eq!(
        config.unwrap(),
        folder.path().join("router.json"),
        "from where the scenario is"
    );
    std::fs::write(folder.path().join("router.json"), "{\"pools\": {}}").unwrap();
    let told = load().unwrap_err().to_string();
    assert!(told.contains("router.json: there is no `route` in it"), "{told}");
}

#[test]
fn a_warm_up_has_a_route_of_its_own() {
    let text = format!(
        "{HEAD}[cluster]\nrouter = {{ config = \"none-yet.json\" }}\n[[event]]\nat = \"steady+5s\"\ndo = \"warmup_route\"\n"
    );
    refused_with(
        &text,
        &Overrides::default(),
        "
t.toml:10: `warmup_route` puts another route into the router's configuration
  10 | do = \"warmup_route\"
     |      ^^^^^^^^^^^^^^ expected no `config` in [cluster.router]",
    );
}

#[test]
fn stale_reads_are_looked_for_in_every_run() {
    accepted(&format!("{HEAD}[check]\nstaleness = true\n"));
    refused(
        &format!("{HEAD}[check]\nstaleness = false\n"),
        "
t.toml:7: stale reads are always looked for
  7 | staleness = false
    |             ^^^^^ expected staleness = true, or no `staleness`; who does not mind them sets no threshold",
    );
}
