//! The log: lines on stderr, as text or JSON, at a level that `verbosity` changes while the node runs.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::LogFormat;

/// The level of the log that [`to_stderr`] started; a process has one log. An embedded node has none of its own.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Starts the log. Another log of this process keeps its place.
pub(crate) fn to_stderr(verbosity: u8, format: LogFormat) {
    let (level, handle) = reload::Layer::new(level_of(verbosity));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
    };
    if tracing_subscriber::registry()
        .with(level)
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _first = LEVEL.set(handle);
    }
}

/// From now on, logs as `-v` given so many times.
pub(crate) fn set_verbosity(verbosity: u8) {
    if let Some(handle) = LEVEL.get() {
        // It fails only once the log is gone, and then there is nothing to change.
        let _gone = handle.reload(level_of(verbosity));
    }
}

const fn level_of(verbosity: u8) -> LevelFilter {
    match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _more => LevelFilter::TRACE,
    }
}
