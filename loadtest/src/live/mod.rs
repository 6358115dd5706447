//! Progress while a run happens. The run loop sends `Update`s; a view draws them on a thread of its own and never slows
//! or breaks the run: what it cannot take it loses.

pub mod board;
mod frame;
mod metrics;
pub mod orders;
mod page;
mod plain;
pub mod second;
pub mod sse;
pub mod status;
mod tui;

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use self::orders::Desk;
use self::second::Second;
pub use self::tui::give_back as give_terminal_back;
use crate::scenario::Scenario;

/// Updates a slow terminal may fall behind before the newest are lost.
const QUEUE_MAX: usize = 256;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ViewKind {
    /// `tui` if stderr is a terminal, `plain` elsewhere.
    Auto,
    /// The whole screen, redrawn in place, with keys; on stderr.
    Tui,
    /// One line a second, on stderr.
    Plain,
    /// One JSON object a second on stdout, and the outcome as the last line.
    Json,
    /// Nothing until the end card.
    Quiet,
}

/// What is known right now; sent up to ten times a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Since the start of the run.
    pub elapsed: Duration,
    /// Index into the scenario's phases and the share of it that is done, 0 to 1.
    pub phase: usize,
    pub phase_done: f64,
    /// Share of the whole run that is done, 0 to 1.
    pub run_done: f64,
    pub requests: u64,
    /// Over the last second.
    pub rate: f64,
    pub hit_rate: Option<f64>,
    pub hit_rate_predicted: Option<f64>,
    /// Mean over the baseline phase; `None` before there is one.
    pub hit_rate_warm: Option<f64>,
    /// Queries per second at the backing store, and how many wait.
    pub backend_rate: f64,
    pub backend_queue: u64,
    /// How many it can answer a second, as things stand; `None` when unlimited.
    pub backend_capacity: Option<f64>,
    pub p99: Option<Duration>,
    /// Since the start of the run.
    pub errors: u64,
    pub dropped: u64,
    pub mismatches: u64,
    /// Nodes in the pool now.
    pub nodes_up: usize,
    pub nodes: usize,
    /// The timeline is held by hand.
    pub held: bool,
}

/// What the run loop tells a view.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Update {
    Progress(Progress),
    /// A line worth keeping: a phase began, an event fired, a node answered.
    Log {
        elapsed: Duration,
        text: String,
    },
    /// A second is over; sent only to who [`Observer::wants_seconds`].
    Second(Box<Second>),
}

/// Where the run loop sends updates. Must return at once.
pub trait Observer: Send + Sync {
    fn update(&self, update: Update);

    /// Whether `Update::Second` is of any use to it: making one costs more than the other updates.
    fn wants_seconds(&self) -> bool {
        false
    }
}

/// Tells two observers.
pub struct Both(pub Arc<dyn Observer>, pub Arc<dyn Observer>);

impl Observer for Both {
    fn update(&self, update: Update) {
        self.0.update(update.clone());
        self.1.update(update);
    }

    fn wants_seconds(&self) -> bool {
        self.0.wants_seconds() || self.1.wants_seconds()
    }
}

/// Swallows everything (`--view quiet`, tests).
pub struct Silent;

impl Observer for Silent {
    fn update(&self, _update: Update) {}
}

/// What a view can do beside showing.
pub struct Hands {
    /// Takes orders; `None` where nobody may give any.
    pub desk: Option<Desk>,
    /// Ends the run as Ctrl-C does.
    pub stop: Box<dyn Fn() + Send>,
    /// Where the live page is.
    pub page: Option<String>,
}

/// Starts the view that was asked for. Dropping it ends the view and leaves the terminal as it was.
#[must_use]
pub fn start(kind: ViewKind, scenario: &Scenario, hands: Hands) -> Arc<dyn Observer> {
    let stage = frame::Stage::new(scenario);
    match kind.resolved() {
        ViewKind::Tui => threaded(Wants::Seconds, move |updates| {
            tui::draw(&stage, &updates, &hands);
        }),
        ViewKind::Plain => threaded(Wants::Progress, move |updates| {
            plain::draw(&stage, &updates, std::io::stderr());
        }),
        ViewKind::Json => threaded(Wants::Progress, |updates| json(&updates, std::io::stdout())),
        ViewKind::Auto | ViewKind::Quiet => Arc::new(Silent),
    }
}

impl ViewKind {
    /// `auto` decided: a terminal that can move its cursor gets the tui.
    #[must_use]
    pub fn resolved(self) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match self {
            Self::Auto if std::io::stderr().is_terminal() && !dumb => Self::Tui,
            Self::Auto => Self::Plain,
            chosen => chosen,
        }
    }
}

/// What a view draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Progress,
    Seconds,
}

struct Threaded {
    wants: Wants,
    updates: Option<SyncSender<Update>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn threaded(wants: Wants, draw: impl FnOnce(Receiver<Update>) + Send + 'static) -> Arc<dyn Observer> {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    match std::thread::Builder::new()
        .name("view".to_owned())
        .spawn(move || draw(receiver))
    {
        Ok(thread) => Arc::new(Threaded {
            wants,
            updates: Some(sender),
            thread: Mutex::new(Some(thread)),
        }),
        // A run without a view is still a run.
        Err(_) => Arc::new(Silent),
    }
}

impl Observer for Threaded {
    fn update(&self, update: Update) {
        if let Some(updates) = &self.updates {
            // Full or gone: the view is behind or its output is closed; the run goes on.
            let _ = updates.try_send(update);
        }
    }

    fn wants_seconds(&self) -> bool {
        self.wants == Wants::Seconds
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        self.updates = None;
        let thread = self.thread.get_mut().ok().and_then(Option::take);
        if let Some(thread) = thread {
            // A view that panicked has nothing left to clear.
            let _ = thread.join();
        }
    }
}

/// One object a second: logs as they come, the latest progress of each second.
fn json(updates: &Receiver<Update>, mut out: impl Write) {
    let mut next_second = 0;
    for update in updates {
        match &update {
            Update::Progress(progress) if progress.elapsed.as_secs() < next_second => continue,
            Update::Progress(progress) => next_second = progress.elapsed.as_secs() + 1,
            Update::Log { .. } => {}
            // The page's, which has its own door.
            Update::Second(_) => continue,
        }
        let written = serde_json::to_string(&update).map(|line| writeln!(out, "{line}"));
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
