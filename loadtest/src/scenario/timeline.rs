//! Reads `[[phase]]` and the moments of events; says what lies beyond the end of a phase.

use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin, one_of};
use super::quantity::{parse_plain_number, parse_requests, parse_time};
use super::reader::Table;
use super::{Moment, Offset, Phase, PhaseKind, PhaseLength};

type Result<T> = std::result::Result<T, Diagnostic>;

const PHASES_MAX: usize = 100;
const UNTIL_SHAPE: &str = "expected \"hit_rate.slope < 0.1pp/10s\"";
const MOMENT_SHAPE: &str = "expected \"t+60s\" (since the start), or PHASE+TIME or PHASE+N requests, like";

pub(super) fn phases(tables: Vec<Table<'_>>) -> Result<Vec<Phase>> {
    let mut phases: Vec<Phase> = Vec::with_capacity(tables.len());
    for table in tables {
        if phases.len() == PHASES_MAX {
            return Err(table.error("too many phases", format!("expected at most {PHASES_MAX}")));
        }
        let place = table.place("name");
        let phase = phase(table)?;
        if phases.iter().any(|earlier| earlier.name == phase.name) {
            let message = format!("there is already a phase `{}`", phase.name);
            return Err(Diagnostic::new(&place, message, "expected a name of its own"));
        }
        phases.push(phase);
    }
    Ok(phases)
}

fn phase(mut table: Table<'_>) -> Result<Phase> {
    let Some(name) = table.string("name")?.map(str::to_owned) else {
        return Err(table.error("a phase has no name", "expected name = \"steady\""));
    };
    if !is_phase_name(&name) {
        return Err(Diagnostic::new(
            &table.place("name"),
            format!("`{name}` cannot name a phase"),
            "expected a lower-case letter, then letters, digits or _, and neither `t` nor a run-wide metric: names are used in expressions",
        ));
    }
    let kind = table.word(
        "kind",
        &[
            ("warmup", PhaseKind::Warmup),
            ("baseline", PhaseKind::Baseline),
            ("measure", PhaseKind::Measure),
            ("search", PhaseKind::Search),
            ("cooldown", PhaseKind::Cooldown),
        ],
    )?;
    let Some(kind) = kind else {
        return Err(table.error(
            format!("phase `{name}` has no kind"),
            "expected kind = \"warmup\", \"baseline\", \"measure\", \"search\" or \"cooldown\"",
        ));
    };
    let length = length(&mut table, &name)?;
    table.finish()?;
    Ok(Phase { name, kind, length })
}

fn is_phase_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letters)
        && name.len() <= 40
        && name != "t"
        && !super::threshold::is_reserved(name)
}

fn length(table: &mut Table<'_>, name: &str) -> Result<PhaseLength> {
    let duration_text = table.string("duration")?;
    let until = table.string("until")?;
    let requests = table.integer("requests", 1, u64::MAX >> 1)?;
    let max = table.time("max")?;
    let place = table.place("duration");
    let given = [duration_text.is_some(), until.is_some(), requests.is_some()]
        .iter()
        .filter(|given| **given)
        .count();
    if given != 1 {
        return Err(table.error(
            format!("phase `{name}` must say how long in one way"),
            "expected one of: duration = \"30s\", requests = 100000, until = \"hit_rate.slope < 0.1pp/10s\", until = \"trace_end\"",
        ));
    }
    if until.is_none() && max.is_some() {
        return Err(Diagnostic::new(
            &table.place("max"),
            "`max` bounds an `until`",
            "expected `until`, or no `max`",
        ));
    }
    if let Some(text) = duration_text {
        return match parse_time(text).filter(|time| !time.is_zero()) {
            Some(time) => Ok(PhaseLength::Time(time)),
            None => Err(Diagnostic::new(
                &place,
                "`duration` cannot be read",
                super::quantity::TIME_SHAPE,
            )),
        };
    }
    if let Some(requests) = requests {
        return Ok(PhaseLength::Requests(requests));
    }
    let text = until.unwrap_or_default();
    if text == "trace_end" {
        return Ok(PhaseLength::TraceEnd);
    }
    let Some((slope, over)) = parse_until(text) else {
        return Err(Diagnostic::new(
            &table.place("until"),
            "`until` cannot be read",
            format!("{UNTIL_SHAPE} or \"trace_end\""),
        ));
    };
    let Some(max) = max else {
        return Err(table.error(
            format!("phase `{name}` might never end"),
            "expected a bound beside `until`: max = \"120s\"",
        ));
    };
    Ok(PhaseLength::UntilSteady { slope, over, max })
}

/// `hit_rate.slope < 0.1pp/10s` to (0.001, 10 s).
fn parse_until(text: &str) -> Option<(f64, Duration)> {
    let (metric, limit) = text.split_once('<')?;
    if metric.trim() != "hit_rate.slope" {
        return None;
    }
    let (points, over) = limit.split_once('/')?;
    let slope = parse_plain_number(points.trim().strip_suffix("pp")?)? / 100.0;
    let over = parse_time(over)?;
    (slope > 0.0 && over >= Duration::from_secs(1)).then_some((slope, over))
}

/// `t+60s`, `resize+0s`, `resize+20000 requests`, or a bare phase name.
pub(super) fn moment(text: &str, place: &Origin, phases: &[Phase]) -> Result<Moment> {
    let example = phases.last().map_or("steady", |phase| phase.name.as_str());
    let refuse = || {
        Diagnostic::new(
            place,
            format!("`{text}` is not a moment"),
            format!("{MOMENT_SHAPE} \"{example}+5s\""),
        )
    };
    let (origin, offset) = text.split_once('+').unwrap_or((text, "0s"));
    let origin = origin.trim();
    let phase = match origin {
        "t" => None,
        name => match phases.iter().position(|phase| phase.name == name) {
            Some(index) => Some(index),
            None => {
                let mut names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
                names.push("t");
                return Err(Diagnostic::new(
                    place,
                    format!("no phase `{name}`"),
                    one_of(name, &names),
                ));
            }
        },
    };
    let offset = match (parse_time(offset), parse_requests(offset)) {
        (Some(time), _) => Offset::Time(time),
        (None, Some(requests)) => Offset::Requests(requests),
        (None, None) => return Err(refuse()),
    };
    let moment = Moment { phase, offset };
    if let Some(length) = beyond_end(&moment, phases) {
        return Err(Diagnostic::new(place, format!("`{text}` never comes"), length));
    }
    Ok(moment)
}

/// Why a moment cannot come: its phase (or the whole run) is over before it.
fn beyond_end(moment: &Moment, phases: &[Phase]) -> Option<String> {
    let length = match moment.phase {
        Some(index) => phases.get(index)?.length,
        None => total(phases)?,
    };
    let what = moment.phase.map_or("the run".to_owned(), |index| {
        format!("phase `{}`", phases[index].name)
    });
    match (moment.offset, length) {
        (Offset::Time(at), PhaseLength::Time(end) | PhaseLength::UntilSteady { max: end, .. })
            if at >= end =>
        {
            Some(format!(
                "expected less than {}: {what} is over by then",
                super::quantity::time_text(end)
            ))
        }
        (Offset::Requests(at), PhaseLength::Requests(end)) if at >= end => Some(format!(
            "expected less than {end} requests: {what} is over by then"
        )),
        _ => None,
    }
}

/// The length of the whole run, when all phases count the same thing.
pub(super) fn total(phases: &[Phase]) -> Option<PhaseLength> {
    let mut time = Duration::ZERO;
    let mut requests = 0_u64;
    for phase in phases {
        match phase.length {
            PhaseLength::Time(length) | PhaseLength::UntilSteady { max: length, .. } => time += length,
            PhaseLength::Requests(count) => requests = requests.saturating_add(count),
            PhaseLength::TraceEnd => return None,
        }
    }
    match (time.is_zero(), requests) {
        (false, 0) => Some(PhaseLength::Time(time)),
        (true, 1..) => Some(PhaseLength::Requests(requests)),
        _ => None,
    }
}

/// Events in the order in which they fire, as far as that can be known beforehand; otherwise as written.
pub(super) fn order(moments: &[Moment], phases: &[Phase]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..moments.len()).collect();
    let starts = starts(phases);
    let keys: Option<Vec<(usize, Duration, u64)>> = moments
        .iter()
        .map(|moment| match (moment.phase, moment.offset) {
            (Some(phase), Offset::Time(time)) => Some((phase, time, 0)),
            (Some(phase), Offset::Requests(requests)) => Some((phase, Duration::ZERO, requests)),
            (None, Offset::Time(time)) => {
                let starts = starts.as_ref()?;
                let phase = starts.iter().rposition(|start| *start <= time)?;
                Some((phase, time - starts[phase], 0))
            }
            (None, Offset::Requests(_)) => None,
        })
        .collect();
    if let Some(keys) = keys {
        order.sort_by_key(|index| keys[*index]);
    }
    order
}

/// When each phase begins, if all lengths are times.
fn starts(phases: &[Phase]) -> Option<Vec<Duration>> {
    let mut at = Duration::ZERO;
    let mut starts = Vec::with_capacity(phases.len());
    for phase in phases {
        starts.push(at);
        match phase.length {
            PhaseLength::Time(length) => at += length,
            PhaseLength::UntilSteady { .. } | PhaseLength::Requests(_) | PhaseLength::TraceEnd => {
                return None;
            }
        }
    }
    Some(starts)
}
