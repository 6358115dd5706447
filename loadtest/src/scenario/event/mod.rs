//! Reads `[[event]]`: what to do, to which node, when; and plays the node list through so that no event meets a node that is not there.

mod action;
mod allowed;
mod play;

use super::diagnostic::{Diagnostic, Origin};
use super::reader::Table;
use super::timeline;
use super::{Action, ClusterSpec, Event, Moment, NodeRef, Phase};

pub(super) use self::action::action;
pub(super) use self::allowed::Permission;

type Result<T> = std::result::Result<T, Diagnostic>;

const EVENTS_MAX: usize = 1_000;

/// Reads every event, in the order in which they fire as far as that is known.
pub(super) fn events(
    tables: Vec<Table<'_>>,
    cluster: &ClusterSpec,
    phases: &[Phase],
    permission: Permission,
) -> Result<Vec<Event>> {
    if let Some(table) = tables.get(EVENTS_MAX) {
        return Err(table.error("too many events", format!("expected at most {EVENTS_MAX}")));
    }
    let mut read = Vec::with_capacity(tables.len());
    for mut table in tables {
        let Some(at_text) = table.string("at")?.map(str::to_owned) else {
            return Err(table.error(
                "an event has no moment",
                "expected at = \"t+60s\" or \"PHASE+5s\"",
            ));
        };
        let at = timeline::moment(&at_text, &table.place("at"), phases)?;
        let place = table.place("node");
        let do_place = table.place("do");
        let action = action(&mut table)?;
        let times = times(&action, &mut table)?;
        allowed::check(&action, cluster, permission, &do_place)?;
        table.finish()?;
        let place = if place == do_place {
            do_place.clone()
        } else {
            place
        };
        let event = (Event { at, action, at_text }, place, do_place);
        read.extend(std::iter::repeat_n(event, times));
    }
    let moments: Vec<Moment> = read.iter().map(|(event, ..)| event.at.clone()).collect();
    let ordered: Vec<(Event, Origin, Origin)> = timeline::order(&moments, phases)
        .into_iter()
        .map(|index| read[index].clone())
        .collect();
    play::through(&ordered, cluster)?;
    Ok(ordered.into_iter().map(|(event, ..)| event).collect())
}

/// `count` of a `remove_node`: as many events, one after the other.
fn times(action: &Action, table: &mut Table<'_>) -> Result<usize> {
    let Action::RemoveNode { node, .. } = action else {
        return Ok(1);
    };
    let times = table.count("count", 1, play::NODES_MAX)?.unwrap_or(1);
    if times > 1 && matches!(node, NodeRef::Name(_)) {
        return Err(Diagnostic::new(
            &table.place("count"),
            "a node is removed once",
            "expected no `count`, or node = \"last\", \"random\" or \"hottest\"",
        ));
    }
    Ok(times)
}
