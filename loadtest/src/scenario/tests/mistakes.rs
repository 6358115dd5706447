//! Exactly what is said about a mistake: line, caret, nearest name.

use std::time::Duration;

use super::{HEAD, accepted, refused};
use crate::scenario::{Action, Memory, NodeRef, Overrides, builtin, from_text, load};

#[test]
fn an_unknown_key_shows_its_line_a_caret_and_the_nearest_name() {
    refused(
        &format!("{HEAD}[cluster]\nnodes = 4\n  hahs = \"ketama\"\n"),
        "
t.toml:8: unknown key `hahs` in [cluster]
  8 |   hahs = \"ketama\"
    |   ^^^^ did you mean `hash`? expected one of: hash, mode, node, nodes, on_node_down, replicas, replicated, router, vnodes",
    );
    refused(
        &format!("{HEAD}[laod]\nrate = 5\n"),
        "
t.toml:6: unknown key `laod` in the scenario
  6 | [laod]
    |  ^^^^ did you mean `load`? expected one of: backend, check, cluster, description, event, load, matrix, name, phase, search, seed, theory, threshold, workload",
    );
}

#[test]
fn an_unknown_action_hash_or_kind_names_the_nearest() {
    refused(
        &format!("{HEAD}[[event]]\nat = \"steady+5s\"\ndo = \"ad_node\"\n"),
        "
t.toml:8: unknown action `ad_node`
  8 | do = \"ad_node\"
    |      ^^^^^^^^^ did you mean `add_node`? expected one of: add_node, remove_node, kill_node, stop_node, start_node, restart_node, replace_node, rolling_restart, drain_node, flush, flush_node, set_hash, warmup_route, partition, heal, slow_node, expire_hot, sync_expiry, popularity_shift, rate, shed, backend, exec, http, mark",
    );
    refused(
        "name = \"t\"\n[[phase]]\nname = \"a\"\nkind = \"warm\"\nduration = \"30s\"\n",
        "
t.toml:4: unknown kind `warm`
  4 | kind = \"warm\"
    |        ^^^^^^ did you mean `warmup`? expected one of: warmup, baseline, measure, search, cooldown",
    );
    let diagnostic = from_text(
        "t.toml",
        &format!("{HEAD}[cluster]\nhash = \"ketma\"\n"),
        &Overrides::default(),
    );
    let text = diagnostic.unwrap_err().to_string();
    assert!(
        text.starts_with(
            "t.toml:7: unknown hash `ketma`\n  7 | hash = \"ketma\"\n    |        ^^^^^^^ did you mean `"
        ),
        "{text}"
    );
}

#[test]
fn an_unknown_metric_points_into_the_expression() {
    refused(
        &format!("{HEAD}[[threshold]]\nexpr = \"steady.hit_rat > 0.5\"\n"),
        "
t.toml:7: unknown metric `steady.hit_rat`
  7 | expr = \"steady.hit_rat > 0.5\"
    |         ^^^^^^^^^^^^^^ did you mean `steady.hit_rate`? see the metric glossary in docs/loadtest.md",
    );
}

#[test]
fn amounts_need_their_units_and_numbers_their_range() {
    refused(
        "name = \"t\"\n[[phase]]\nname = \"a\"\nkind = \"measure\"\nduration = \"30\"\n",
        "
t.toml:5: `duration` cannot be read
  5 | duration = \"30\"
    |            ^^^^ expected a time with its unit, like \"30s\", \"250ms\", \"5m\" (us, ms, s, m, h)",
    );
    refused(
        &format!("{HEAD}[load]\ntimeout = 250\n"),
        "
t.toml:7: `timeout` has no unit
  7 | timeout = 250
    |           ^^^ expected a time with its unit, like \"30s\", \"250ms\", \"5m\" (us, ms, s, m, h)",
    );
    refused(
        &format!("{HEAD}[cluster]\nnode = {{ memory = \"64 megs\" }}\n"),
        "
t.toml:7: `memory` cannot be read
  7 | node = { memory = \"64 megs\" }
    |                   ^^^^^^^^^ expected a size with its unit, like \"64MiB\", \"512KiB\", \"1GiB\"",
    );
    refused(
        &format!("{HEAD}[cluster]\nnodes = 0\n"),
        "
t.toml:7: `nodes` is out of range
  7 | nodes = 0
    |         ^ expected a whole number from 1 to 64",
    );
    refused(
        &format!("{HEAD}[workload]\nmix = {{ get = 0.9, set = 0.2 }}\n"),
        "
t.toml:7: the shares of `mix` sum to 1.1
  7 | mix = { get = 0.9, set = 0.2 }
    |       ^^^^^^^^^^^^^^^^^^^^^^^^ expected get + set + delete = 1",
    );
    refused(
        &format!("{HEAD}[workload]\nvalue_size = \"gev:1,2\"\n"),
        "
t.toml:7: `value_size` cannot be read
  7 | value_size = \"gev:1,2\"
    |              ^^^^^^^^^ expected a number, or fixed:X, uniform:MIN,MAX, normal:MEAN,SD, exponential:MEAN, \
         lognormal:MEAN,SIGMA, pareto:LOC,SCALE,SHAPE, gev:LOC,SCALE,SHAPE, fb_key or fb_value",
    );
}

#[test]
fn an_event_that_cannot_happen_is_refused() {
    refused(
        &format!("{HEAD}[[event]]\nat = \"steady+40s\"\ndo = \"flush\"\n"),
        "
t.toml:7: `steady+40s` never comes
  7 | at = \"steady+40s\"
    |      ^^^^^^^^^^^^ expected less than 30s: phase `steady` is over by then",
    );
    refused(
        &format!("{HEAD}[[event]]\nat = \"stedy+1s\"\ndo = \"flush\"\n"),
        "
t.toml:7: no phase `stedy`
  7 | at = \"stedy+1s\"
    |      ^^^^^^^^^^ did you mean `steady`? expected one of: steady, t",
    );
    refused(
        &format!("{HEAD}[[event]]\nat = \"steady+1s\"\ndo = \"kill_node\"\nnode = \"node5\"\n"),
        "
t.toml:9: no node `node5` at that moment
  9 | node = \"node5\"
    |        ^^^^^^^ did you mean `node4`? expected one of: node1, node2, node3, node4, last, random, hottest",
    );
    refused(
        &format!(
            "{HEAD}[[event]]\nat = \"steady+2s\"\ndo = \"restart_node\"\nnode = \"node2\"\n\
             [[event]]\nat = \"steady+1s\"\ndo = \"kill_node\"\nnode = \"node2\"\n"
        ),
        "
t.toml:9: node `node2` is down at that moment
  9 | node = \"node2\"
    |        ^^^^^^^ did you mean `node4`? expected one of: node1, node3, node4, last, random, hottest",
    );
    refused(
        &format!("{HEAD}[cluster]\nnodes = 1\n[[event]]\nat = \"t+5s\"\ndo = \"remove_node\"\n"),
        "
t.toml:10: no node would be left
  10 | do = \"remove_node\"
     |      ^^^^^^^^^^^^^ expected a cluster of at least two nodes here",
    );
}

#[test]
fn what_is_not_toml_is_said_with_its_place() {
    let diagnostic = from_text("t.toml", "name = \"t\nseed = 4\n", &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(
        diagnostic.starts_with("t.toml:1: not TOML\n  1 | name = \"t\n    | "),
        "{diagnostic}"
    );
    refused(
        "seed = 1\n",
        "\nt.toml:1: the scenario has no name\n  1 | seed = 1\n    | ^ expected name = \"my-scenario\"",
    );
}

#[test]
fn arguments_of_events_are_checked_as_strictly_as_their_names() {
    let event = |rest: &str| format!("{HEAD}[[event]]\nat = \"steady+1s\"\n{rest}\n");
    for (rest, message) in [
        (
            "do = \"slow_node\"",
            "
t.toml:6: `slow_node` does not say how slow
  6 | [[event]]
    | ^^^^^^^^^ expected delay = \"20ms\"",
        ),
        (
            "do = \"partition\"\nmode = \"dealy:20ms\"",
            "
t.toml:9: unknown mode `dealy:20ms`
  9 | mode = \"dealy:20ms\"
    |        ^^^^^^^^^^^^ expected drop, reset or delay:TIME, like delay:20ms",
        ),
        (
            "do = \"expire_hot\"\nkey = \"rank:0\"",
            "
t.toml:9: `rank:0` is no key
  9 | key = \"rank:0\"
    |       ^^^^^^^^ expected rank:N; rank:1 is the most popular",
        ),
        (
            "do = \"start_node\"",
            "
t.toml:8: every node is up at that moment
  8 | do = \"start_node\"
    |      ^^^^^^^^^^^^ expected a `kill_node` or `stop_node` before it",
        ),
        (
            "do = \"drain_node\"\nover = 60",
            "
t.toml:9: `over` has no unit
  9 | over = 60
    |        ^^ expected a time with its unit, like \"30s\", \"250ms\", \"5m\" (us, ms, s, m, h)",
        ),
    ] {
        refused(&event(rest), message);
    }
}

#[test]
fn a_missing_file_says_so_and_offers_the_built_in() {
    let refused = |name: &str, message: &str| {
        assert_eq!(
            load(name, &Overrides::default()).unwrap_err().to_string(),
            message.trim_start_matches('\n')
        );
    };
    refused(
        "smoke",
        "\nscenario: cannot read: no such file\n  > | smoke\n    | ^^^^^ did you mean `builtin:smoke`?",
    );
    refused(
        "builtin:smok",
        &format!(
            "
scenario: no built-in scenario `smok`
  > | builtin:smok
    |         ^^^^ did you mean `smoke`? expected one of: {}",
            builtin::names().join(", ")
        ),
    );
}

#[test]
fn arguments_that_say_the_usual_are_read_and_what_cannot_be_is_refused() {
    let event =
        |rest: &str| format!("{HEAD}[cluster]\nrouter = {{}}\n[[event]]\nat = \"steady+5s\"\n{rest}\n");
    let actions = |rest: &str| -> Vec<Action> {
        let scenario = accepted(&event(rest));
        scenario.events.into_iter().map(|event| event.action).collect()
    };
    assert_eq!(actions("do = \"remove_node\"\ncount = 2").len(), 2);
    for (rest, memory) in [
        ("do = \"kill_node\"\ndown = \"2s\"", Memory::Cold),
        ("do = \"stop_node\"\ndown = \"2s\"\nwarm = true", Memory::Warm),
    ] {
        let restart = Action::RestartNode {
            node: NodeRef::Last,
            down: Duration::from_secs(2),
            memory,
        };
        assert_eq!(actions(rest), [restart], "{rest}");
    }
    for rest in [
        "do = \"replace_node\"\nspare = \"empty\"",
        "do = \"drain_node\"\ncopy = false",
        "do = \"warmup_route\"\nfrom = \"main\"",
        "do = \"partition\"\nreplica = \"node2\"",
    ] {
        assert_eq!(actions(rest).len(), 1, "{rest}");
    }
    refused(
        &event("do = \"drain_node\"\ncopy = true"),
        "
t.toml:11: a node that is drained copies nothing
  11 | copy = true
     |        ^^^^ expected copy = false; `warmup_route` fills new nodes from old ones",
    );
    refused(
        &event("do = \"remove_node\"\nnode = \"node1\"\ncount = 2"),
        "
t.toml:12: a node is removed once
  12 | count = 2
     |         ^ expected no `count`, or node = \"last\", \"random\" or \"hottest\"",
    );
}
