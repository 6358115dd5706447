//! What flags, `extends` and the order of a timeline make of a file.

use std::time::Duration;

use super::{HEAD, accepted, refused, refused_with};
use crate::scenario::{
    Action, Arrival, LoadMode, Mix, Offset, Overrides, PhaseLength, builtin, from_text, load,
};

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
