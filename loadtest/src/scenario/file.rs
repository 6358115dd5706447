//! From a file name (or `builtin:NAME`) to a checked `Scenario`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin, Source, one_of};
use super::reader::{Table, as_string};
use super::tree::{self, Node, Value};
use super::{Overrides, PhaseKind, PhaseLength, Scenario, Threshold};
use super::{builtin, event, matrix, overrides, sections, threshold, timeline, workload};

type Result<T> = std::result::Result<T, Diagnostic>;

/// A scenario file larger than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// `extends` of `extends` of …: deeper than this is a loop.
const EXTENDS_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 200;

/// Reads, merges and checks.
pub fn load(name: &str, overrides: &Overrides) -> Result<Scenario> {
    let source = open(name)?;
    let folder = folder_of(name);
    let root = read_merged(&source, folder.as_deref(), 0)?;
    check(root, folder.as_deref(), overrides)
}

/// Checks a text as if it were a file called `name`.
pub fn from_text(name: &str, text: &str, overrides: &Overrides) -> Result<Scenario> {
    let source = Arc::new(Source {
        name: name.to_owned(),
        text: text.to_owned(),
        has_lines: true,
    });
    check(read_merged(&source, None, 0)?, None, overrides)
}

/// The text behind `builtin:NAME` or a path.
fn open(name: &str) -> Result<Arc<Source>> {
    if let Some(builtin_name) = name.strip_prefix("builtin:") {
        return match builtin::text(builtin_name) {
            Some(text) => Ok(Arc::new(Source {
                name: name.to_owned(),
                text: text.to_owned(),
                has_lines: true,
            })),
            None => {
                let origin = argument_origin(name, "builtin:".len());
                let message = format!("no built-in scenario `{builtin_name}`");
                Err(Diagnostic::new(
                    &origin,
                    message,
                    one_of(builtin_name, &builtin::names()),
                ))
            }
        };
    }
    let refuse = |why: String| {
        let hint = if builtin::text(name).is_some() {
            format!("did you mean `builtin:{name}`?")
        } else {
            "expected a scenario file, or builtin:NAME (see `loadtest list`)".to_owned()
        };
        Err(Diagnostic::new(&argument_origin(name, 0), why, hint))
    };
    match std::fs::metadata(name) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return refuse(format!(
                "{} bytes is too large for a scenario (at most {FILE_BYTES_MAX})",
                metadata.len()
            ));
        }
        Ok(metadata) if metadata.is_dir() => return refuse("this is a folder".to_owned()),
        Ok(_) => {}
        Err(error) => return refuse(format!("cannot read: {}", plain_io(&error))),
    }
    match std::fs::read(name).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Arc::new(Source {
            name: name.to_owned(),
            text,
            has_lines: true,
        })),
        Ok(Err(_)) => refuse("not UTF-8 text".to_owned()),
        Err(error) => refuse(format!("cannot read: {}", plain_io(&error))),
    }
}

fn plain_io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn argument_origin(text: &str, from: usize) -> Origin {
    let source = Source {
        name: "scenario".to_owned(),
        text: text.to_owned(),
        has_lines: false,
    };
    Origin {
        span: from..text.len(),
        source: Arc::new(source),
    }
}

fn folder_of(name: &str) -> Option<PathBuf> {
    if name.starts_with("builtin:") {
        None
    } else {
        Path::new(name).parent().map(Path::to_path_buf)
    }
}

/// Parses and lays the text over what it extends.
fn read_merged(source: &Arc<Source>, folder: Option<&Path>, depth: usize) -> Result<Node> {
    let mut node = tree::parse(source)?;
    let Value::Table(entries) = &mut node.value else {
        return Ok(node);
    };
    let Some(at) = entries.iter().position(|entry| entry.key == "extends") else {
        return Ok(node);
    };
    let extends = entries.remove(at).node;
    let name = as_string(&extends, "extends")?;
    if depth == EXTENDS_MAX {
        return Err(Diagnostic::new(
            &extends.origin,
            "`extends` goes round in a circle",
            "",
        ));
    }
    let base_name = match (name.strip_prefix("builtin:"), folder) {
        (None, Some(folder)) => folder.join(name).to_string_lossy().into_owned(),
        _ => name.to_owned(),
    };
    // The mistake is in this file, so point here.
    let base_source = open(&base_name)
        .map_err(|diagnostic| Diagnostic::new(&extends.origin, diagnostic.message, diagnostic.expected))?;
    let base = read_merged(&base_source, folder_of(&base_name).as_deref(), depth + 1)?;
    Ok(tree::merge(base, node))
}

fn check(mut root: Node, folder: Option<&Path>, overrides: &Overrides) -> Result<Scenario> {
    overrides::apply(&mut root, overrides)?;
    let mut table = Table::new(&root, "the scenario")?;
    let Some(name) = table.string("name")?.map(str::to_owned) else {
        return Err(table.error("the scenario has no name", "expected name = \"my-scenario\""));
    };
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Diagnostic::new(
            &table.place("name"),
            "this cannot be a name",
            format!("expected 1 to {NAME_CHARS_MAX} characters on one line"),
        ));
    }
    let description = table.string("description")?.unwrap_or_default().to_owned();
    let theory = table.string("theory")?.unwrap_or_default().to_owned();
    let seed = table.integer("seed", 0, u64::MAX >> 1)?.unwrap_or(1);
    let mut cluster = super::cluster::cluster(
        table.table("cluster", "[cluster]")?,
        folder,
        overrides.allow_remote,
    )?;
    let workload = workload::workload(table.table("workload", "[workload]")?, folder)?;
    workload::tell_nodes(&workload, &mut cluster, &table.place("workload"))?;
    let load = super::load::load(table.table("load", "[load]")?, &workload)?;
    let backend = sections::backend(table.table("backend", "[backend]")?)?;
    let check = sections::check(table.table("check", "[check]")?)?;
    let search = match table.is_written("search") {
        true => Some(sections::search(table.table("search", "[search]")?, &load)?),
        false => table.get("search").and(None),
    };
    let matrix = match table.is_written("matrix") {
        true => Some(matrix::matrix(table.table("matrix", "[matrix]")?)?),
        false => table.get("matrix").and(None),
    };
    let phase_tables = table.tables("phase", "[[phase]]")?;
    let event_tables = table.tables("event", "[[event]]")?;
    match (&matrix, phase_tables.first().or(event_tables.first())) {
        (Some(_), Some(extra)) => {
            return Err(extra.error(
                "a matrix has its own timeline",
                "expected [[matrix.case]] instead of phases and events",
            ));
        }
        (None, _) if phase_tables.is_empty() => {
            return Err(table.error("the scenario has no phases", "expected at least one [[phase]]"));
        }
        _ => {}
    }
    let permission = if overrides.allow_destructive {
        event::Permission::Destructive
    } else {
        event::Permission::Usual
    };
    let phases = timeline::phases(phase_tables)?;
    let events = event::events(event_tables, &cluster, &phases, permission)?;
    let mut scenario = Scenario {
        name,
        description,
        theory,
        seed,
        time_scale: 1.0,
        cluster,
        workload,
        load,
        backend,
        check,
        search,
        phases,
        events,
        thresholds: Vec::new(),
        matrix,
    };
    check_trace_ends(&scenario, &table)?;
    check_search(&scenario, &table)?;
    scenario.thresholds = thresholds(&mut table, &scenario, overrides)?;
    table.finish()?;
    if let Some(factor) = overrides.time_scale {
        overrides::scale_time(&mut scenario, factor);
    }
    Ok(scenario)
}

fn check_trace_ends(scenario: &Scenario, table: &Table<'_>) -> Result<()> {
    let waits_for_end = scenario
        .phases
        .iter()
        .any(|phase| phase.length == PhaseLength::TraceEnd);
    let ends = matches!(&scenario.workload.popularity, super::Popularity::Trace(trace) if !trace.repeat);
    if waits_for_end && !ends {
        return Err(table.error(
            "a phase lasts until the trace ends, but no trace ever does",
            "expected popularity = { dist = \"trace\", file = … } without loop",
        ));
    }
    Ok(())
}

fn check_search(scenario: &Scenario, table: &Table<'_>) -> Result<()> {
    let phases = scenario
        .phases
        .iter()
        .any(|phase| phase.kind == PhaseKind::Search);
    match (phases, scenario.search) {
        (true, None) => Err(table.error(
            "a phase of the kind `search` does not know what for",
            "expected [search] with limit = \"5ms\"",
        )),
        (false, Some(_)) => Err(table.error(
            "[search] has no phase to search in",
            "expected phases with kind = \"search\", one for each rate that may be tried",
        )),
        _ => Ok(()),
    }
}

fn thresholds(table: &mut Table<'_>, scenario: &Scenario, overrides: &Overrides) -> Result<Vec<Threshold>> {
    let mut thresholds = Vec::new();
    for mut row in table.tables("threshold", "[[threshold]]")? {
        let Some(text) = row.string("expr")? else {
            return Err(row.error(
                "a threshold has no expression",
                "expected expr = \"resize.hit_rate.min >= 0.5\"",
            ));
        };
        let place = row.place("expr");
        let why = row.string("why")?.map(str::to_owned);
        let lasting = row.time("for")?.unwrap_or_default();
        let abort = row.boolean("abort")?.unwrap_or(false);
        if scenario.matrix.is_some() && (abort || !lasting.is_zero()) {
            return Err(row.error(
                "the thresholds of a matrix are judged at its end",
                "expected neither `for` nor `abort`",
            ));
        }
        row.finish()?;
        thresholds.push(Threshold {
            lasting,
            abort,
            ..one_threshold(text, why, &place, 1, scenario)?
        });
    }
    if overrides.no_thresholds {
        thresholds.clear();
    }
    for text in &overrides.threshold {
        let source = Source {
            name: "--threshold".to_owned(),
            text: text.clone(),
            has_lines: false,
        };
        let place = Origin {
            source: Arc::new(source),
            span: 0..text.len(),
        };
        thresholds.push(one_threshold(text, None, &place, 0, scenario)?);
    }
    Ok(thresholds)
}

fn one_threshold(
    text: &str,
    why: Option<String>,
    place: &Origin,
    quote: usize,
    scenario: &Scenario,
) -> Result<Threshold> {
    // A string with escapes is longer in the file than in memory: then point at the whole of it.
    let verbatim = place
        .source
        .text
        .get(place.span.clone())
        .is_some_and(|raw| raw.len() == text.len() + 2 * quote);
    match threshold::parse(text, scenario) {
        Ok(condition) => Ok(Threshold {
            expr: text.to_owned(),
            why,
            condition,
            lasting: Duration::ZERO,
            abort: false,
        }),
        Err(mistake) => {
            let origin = if verbatim {
                place.narrowed(quote, mistake.span)
            } else {
                place.clone()
            };
            Err(Diagnostic::new(&origin, mistake.message, mistake.expected))
        }
    }
}

impl Scenario {
    /// How long the run should take, when its phases are timed or the rate is fixed; cluster start and stop not counted.
    #[must_use]
    pub fn planned_time(&self) -> Option<Duration> {
        let course = self.load.course()?;
        // How fast a trace goes is known once it has been read.
        let course = self.workload.popularity.speed().is_none().then_some(course);
        self.phases
            .iter()
            .try_fold(Duration::ZERO, |sum, phase| match phase.length {
                PhaseLength::Time(length) => Some(sum + length),
                PhaseLength::UntilSteady { max, .. } => Some(sum + max),
                #[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^53")]
                PhaseLength::Requests(count) => course.map(|course| {
                    let end = course.requests_until(sum.as_secs_f64()) + count as f64;
                    Duration::from_secs_f64(course.seconds_until(end)).max(sum)
                }),
                PhaseLength::TraceEnd => None,
            })
    }

    /// The baseline an event in `phase` is held against: the nearest baseline phase at or before it.
    #[must_use]
    pub fn baseline_before(&self, phase: usize) -> Option<&super::Phase> {
        self.phases[..=phase.min(self.phases.len().saturating_sub(1))]
            .iter()
            .rev()
            .find(|phase| phase.kind == PhaseKind::Baseline)
    }
}
