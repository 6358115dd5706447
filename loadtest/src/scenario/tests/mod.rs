//! Scenarios as texts: what is read, and exactly what is said about a mistake.

mod copies;
mod rates;

use std::time::Duration;

use super::*;

const HEAD: &str = "name = \"t\"\n[[phase]]\nname = \"steady\"\nkind = \"baseline\"\nduration = \"30s\"\n";

#[track_caller]
fn refused(text: &str, message: &str) {
    refused_with(text, &Overrides::default(), message);
}

#[track_caller]
fn refused_with(text: &str, overrides: &Overrides, message: &str) {
    let diagnostic = from_text("t.toml", text, overrides).expect_err("the scenario should be refused");
    let (found, wanted) = (
        diagnostic.to_string(),
        message.trim_start_matches('\n').trim_end(),
    );
    assert_eq!(found, wanted, "\n--- found\n{found}\n--- wanted\n{wanted}\n");
}

fn accepted(text: &str) -> Scenario {
    from_text("t.toml", text, &Overrides::default()).unwrap_or_else(|diagnostic| panic!("{diagnostic}"))
}

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
fn flags_are_shown_without_line_numbers() {
    let set = |text: &str| Overrides {
        set: vec![text.to_owned()],
        ..Overrides::default()
    };
    refused_with(
        HEAD,
        &set("load.raet=5000"),
        "
--set: unknown key `raet` in [load]
  > | load.raet=5000
    |      ^^^^ did you mean `rate`? expected one of: arrival, connections, max_in_flight, mode, pipeline, rate, retries, stages, threads, timeout",
    );
    refused_with(
        HEAD,
        &set("phase.stedy.duration=5s"),
        "
--set: no item `stedy` in this list
  > | phase.stedy.duration=5s
    |       ^^^^^ expected a number below 1 or the `name` of an item",
    );
    refused_with(
        HEAD,
        &set("load.rate"),
        "
--set: no `=`
  > | load.rate
    | ^^^^^^^^^ expected PATH=VALUE, like load.rate=5000",
    );
    refused_with(
        HEAD,
        &Overrides {
            threshold: vec!["erors == 0".to_owned()],
            ..Overrides::default()
        },
        "
--threshold: unknown metric `erors`
  > | erors == 0
    | ^^^^^ did you mean `errors`? see the metric glossary in docs/loadtest.md",
    );
}

#[test]
fn overrides_change_what_they_name() {
    let overrides = Overrides {
        set: vec![
            "cluster.hash=jump".into(),
            "cluster.node.memory=8MiB".into(),
            "phase.resize.requests=7".into(),
            "workload.mix={ get = 0.5, set = 0.5 }".into(),
        ],
        seed: Some(9),
        rate: Some(123.0),
        ..Overrides::default()
    };
    let text = format!("{HEAD}[[phase]]\nname = \"resize\"\nkind = \"measure\"\nrequests = 5\n");
    let scenario = from_text("t.toml", &text, &overrides).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    assert_eq!(scenario.cluster.hash.to_string(), "jump");
    assert_eq!(scenario.cluster.node.memory_bytes, 8 << 20);
    assert_eq!(scenario.phases[1].length, PhaseLength::Requests(7));
    assert_eq!(
        scenario.workload.mix,
        Mix {
            get: 0.5,
            set: 0.5,
            delete: 0.0
        }
    );
    assert_eq!(
        (scenario.seed, scenario.load.mode),
        (
            9,
            LoadMode::Open {
                rate: 123.0,
                arrival: Arrival::Poisson
            }
        )
    );
}

#[test]
fn time_scale_shrinks_phases_event_times_and_ttls_together() {
    let text = format!(
        "{HEAD}[workload]\nttl = {{ base = \"5m\" }}\n[[event]]\nat = \"steady+20s\"\ndo = \"flush\"\n"
    );
    let overrides = Overrides {
        time_scale: Some(0.1),
        ..Overrides::default()
    };
    let scenario = from_text("t.toml", &text, &overrides).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    assert_eq!(
        scenario.phases[0].length,
        PhaseLength::Time(Duration::from_secs(3))
    );
    assert_eq!(scenario.events[0].at.offset, Offset::Time(Duration::from_secs(2)));
    assert_eq!(
        scenario.workload.ttl.as_ref().unwrap().base,
        Duration::from_secs(30)
    );
}

#[test]
fn a_trace_has_its_own_times_or_those_of_the_load() {
    let trace = |more: &str, load: &str| {
        format!(
            "{HEAD}[workload]\npopularity = {{ dist = \"trace\", file = \"builtin:twitter-c52\"{more} }}\n[load]\n{load}"
        )
    };
    let scenario = accepted(&trace(", speed = 10, amplify = 3", ""));
    assert_eq!(scenario.workload.popularity.speed(), Some(10.0));
    let again = accepted(&scenario.to_toml());
    assert_eq!(again.workload, scenario.workload, "what is written reads back");
    for (load, word) in [("rate = 5\n", "`rate`"), ("mode = \"closed\"\n", "`mode`")] {
        let error = from_text("t.toml", &trace(", speed = 10", load), &Overrides::default())
            .expect_err("two masters")
            .to_string();
        assert!(
            error.contains(word) && error.contains("`speed` of a trace"),
            "{error}"
        );
        accepted(&trace("", load));
    }
}

#[test]
fn events_are_put_in_the_order_in_which_they_fire() {
    let text = format!(
        "{HEAD}[[phase]]\nname = \"later\"\nkind = \"measure\"\nduration = \"30s\"\n\
         [[event]]\nat = \"later+5s\"\ndo = \"mark\"\ntext = \"third\"\n\
         [[event]]\nat = \"t+31s\"\ndo = \"mark\"\ntext = \"second\"\n\
         [[event]]\nat = \"steady+2s\"\ndo = \"mark\"\ntext = \"first\"\n"
    );
    let order: Vec<_> = accepted(&text)
        .events
        .into_iter()
        .map(|event| event.action)
        .collect();
    assert_eq!(
        order,
        ["first", "second", "third"].map(|text| Action::Mark { text: text.into() })
    );
}

#[test]
fn a_scenario_may_extend_another() {
    let text =
        "name = \"mine\"\nextends = \"builtin:add-node\"\n[cluster]\nhash = \"modulo\"\n[load]\nrate = 500\n";
    let scenario = accepted(text);
    let base = load("builtin:add-node", &Overrides::default()).unwrap();
    assert_eq!(
        (scenario.name.as_str(), scenario.cluster.hash.to_string().as_str()),
        ("mine", "modulo")
    );
    assert_eq!(
        scenario.cluster.nodes, base.cluster.nodes,
        "what is not overridden is inherited"
    );
    assert_eq!(scenario.phases, base.phases);
    refused(
        "name = \"t\"\nextends = \"builtin:ad-node\"\n",
        &format!(
            "
t.toml:2: no built-in scenario `ad-node`
  2 | extends = \"builtin:ad-node\"
    |           ^^^^^^^^^^^^^^^^^ did you mean `add-node`? expected one of: {}",
            builtin::names().join(", ")
        ),
    );
}

#[test]
fn every_built_in_is_valid_short_and_tells_its_purpose_and_theory() {
    for name in builtin::names() {
        let scenario = load(&format!("builtin:{name}"), &Overrides::default())
            .unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
        assert_eq!(scenario.name, name);
        assert!(
            !scenario.description.is_empty() && !scenario.theory.is_empty(),
            "{name}"
        );
        assert!(
            scenario.description.len() <= 120 && scenario.theory.len() <= 140,
            "{name}: one line each"
        );
        if let Some(time) = scenario.planned_time() {
            assert!(time <= Duration::from_secs(180), "{name} takes {time:?}");
        }
        assert!(
            !scenario.thresholds.is_empty() || scenario.matrix.is_some(),
            "{name} has a verdict"
        );
    }
}

#[test]
fn what_is_written_out_reads_back_the_same() {
    let mut texts: Vec<String> = builtin::names()
        .iter()
        .filter_map(|name| builtin::text(name))
        .map(str::to_owned)
        .collect();
    texts.push(format!(
        "{HEAD}[[phase]]\nname = \"r\"\nkind = \"measure\"\nuntil = \"hit_rate.slope < 0.1pp/10s\"\nmax = \"90s\"\n\
         [workload]\nkey_size = \"gev:30.7984,8.20449,0.078688\"\nvalue_size = \"lognormal:273,1\"\n\
         popularity = {{ dist = \"hotspot\", data = 0.1 }}\nttl = {{ base = \"1500ms\", jitter = 0.1, mix = [\"2s:0.25\", \"14h:0.75\"] }}\nlone_get = 0.1\nmultiget = 3\nfill = \"none\"\n\
         [load]\narrival = \"constant\"\n[backend]\nlatency = \"uniform:1ms,5ms\"\nqueue = {{ max = 300 }}\n\
         [[event]]\nat = \"r+1500ms\"\ndo = \"restart_node\"\nnode = \"random\"\ndown = \"250ms\"\n\
         [[event]]\nat = \"r+5000 requests\"\ndo = \"rate\"\nto = 99.5\n\
         [[event]]\nat = \"t+1s\"\ndo = \"mark\"\ntext = \"a \\\"quoted\\\" <b>\"\n\
         [[event]]\nat = \"t+2s\"\ndo = \"kill_node\"\nsignal = \"term\"\n\
         [[event]]\nat = \"t+3s\"\ndo = \"start_node\"\n\
         [[event]]\nat = \"t+4s\"\ndo = \"stop_node\"\nnode = \"node3\"\n\
         [[event]]\nat = \"t+5s\"\ndo = \"replace_node\"\nnode = \"node1\"\n\
         [[event]]\nat = \"t+6s\"\ndo = \"rolling_restart\"\nbatch = 2\ngap = \"3s\"\nwarm = true\n\
         [[event]]\nat = \"t+7s\"\ndo = \"drain_node\"\nnode = \"hottest\"\n\
         [[event]]\nat = \"t+8s\"\ndo = \"flush\"\ndelay = \"2s\"\n\
         [[event]]\nat = \"t+9s\"\ndo = \"partition\"\nnode = \"node1\"\ndirection = \"out\"\nmode = \"delay:20ms\"\n\
         [[event]]\nat = \"t+10s\"\ndo = \"heal\"\nnode = \"node1\"\n\
         [[event]]\nat = \"t+11s\"\ndo = \"heal\"\n\
         [[event]]\nat = \"t+12s\"\ndo = \"slow_node\"\nnode = \"node1\"\ndelay = \"5ms\"\nuntil = \"4s\"\n\
         [[event]]\nat = \"t+13s\"\ndo = \"expire_hot\"\nkey = \"rank:3\"\n\
         [[event]]\nat = \"t+14s\"\ndo = \"sync_expiry\"\nfraction = 0.25\n\
         [[event]]\nat = \"t+15s\"\ndo = \"popularity_shift\"\nrotate = 12\n\
         [[event]]\nat = \"t+16s\"\ndo = \"popularity_shift\"\nreshuffle = true\n\
         [[event]]\nat = \"t+17s\"\ndo = \"shed\"\nfraction = 0.92\n\
         [[event]]\nat = \"t+18s\"\ndo = \"backend\"\nlatency = \"exponential:20ms\"\nfail = 0.5\n\
         [[event]]\nat = \"t+19s\"\ndo = \"set_hash\"\nhash = \"ketama\"\n\
         [[threshold]]\nexpr = \"p99('r') < 50ms\"\nwhy = \"be quick\"\n"
    ));
    for down in ["failover", "eject", "error", "gutter(2)"] {
        texts.push(format!(
            "{HEAD}[cluster]\non_node_down = \"{down}\"\nrouter = {{ config = \"of-mine.json\", processes = 2 }}\n"
        ));
    }
    texts.push(format!(
        "{HEAD}[cluster]\nmode = \"attach\"\nnodes = [\"a=127.0.0.1:1\", \"127.0.0.1:2\"]\nrouter = \"127.0.0.1:3\"\n"
    ));
    for text in texts {
        let scenario = accepted(&text);
        let again = scenario.to_toml();
        let read = from_text("again.toml", &again, &Overrides::default())
            .unwrap_or_else(|diagnostic| panic!("{diagnostic}\n{again}"));
        let plain = |scenario: &Scenario| {
            let mut scenario = scenario.clone();
            scenario.events.iter_mut().for_each(|event| event.at_text.clear());
            scenario
        };
        assert_eq!(plain(&read), plain(&scenario), "{again}");
    }
}

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

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Cut, repeat and splice a valid file anyhow: an answer or a diagnostic, never a panic.
        #[test]
        fn never_panics(at in 0_usize..2_000, length in 0_usize..60, junk in "[ -~\\n\"\\[\\]{}=.µ]{0,24}") {
            let mut text = builtin::text("add-node").unwrap().to_owned();
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &junk);
            }
            if let Err(diagnostic) = from_text("t.toml", &text, &Overrides::default()) {
                prop_assert!(diagnostic.to_string().contains(" | "));
            }
        }
    }
}
