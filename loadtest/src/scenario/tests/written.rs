//! The scenarios that come with the program, and any scenario written out again.

use std::time::Duration;

use super::{HEAD, accepted};
use crate::scenario::{Overrides, Scenario, builtin, from_text, load};

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
