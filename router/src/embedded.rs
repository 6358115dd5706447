//! A router in this process, and the whole program behind one function: the doors `loadtest` and the tests come in by.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::args::Options;
use crate::running::{Running, Signals};
use crate::service;

/// A running router. Dropping it stops it; [`Handle::shutdown`] lets it answer what it was asked first.
pub struct Handle {
    running: Running,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("addr", &self.addr())
            .field("admin_addr", &self.admin_addr())
            .finish()
    }
}

impl Handle {
    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// Where the admin HTTP server listens, if it does.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.running.admin_addr
    }

    /// Answers what was asked, then stops; waits for that.
    pub fn shutdown(mut self) {
        self.running.drain();
    }
}

/// Starts a router on threads of its own and returns once it accepts clients.
///
/// # Errors
/// A bad configuration, or an address that cannot be listened on.
pub fn start(options: Options) -> anyhow::Result<Handle> {
    let running = service::start(options, Signals::Ignore)?;
    Ok(Handle { running })
}

/// Exit code of a command line or configuration that cannot be served.
const BAD_CONFIG: u8 = 2;

/// The whole program: `args` starts with the program's name.
pub fn process_main<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let options = match Options::read(args) {
        Ok(options) => options,
        Err(error) => {
            use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
            if matches!(error.kind(), DisplayHelp | DisplayVersion) {
                print!("{error}");
                return ExitCode::SUCCESS;
            }
            // One line: what is wrong, and with which argument.
            let text = error.to_string();
            let told = text.strip_prefix("error: ").unwrap_or(&text);
            let lines: Vec<&str> = told
                .lines()
                .map(str::trim)
                .take_while(|line| !line.starts_with("Usage:"))
                .filter(|line| !line.is_empty())
                .collect();
            eprintln!("router: {}", lines.join("; "));
            return ExitCode::from(BAD_CONFIG);
        }
    };
    if let Some(told) = tell(&options) {
        return match told {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(why) => refuse(&why),
        };
    }
    log_to_stderr();
    match service::start(options, Signals::Obey) {
        Ok(mut running) => {
            let mut ready = format!("ready tcp={}", running.addr);
            if let Some(tls) = running.tls_addr {
                ready.push_str(&format!(" tls={tls}"));
            }
            if let Some(unix) = &running.unix {
                ready.push_str(&format!(" unix={}", unix.display()));
            }
            if let Some(admin) = running.admin_addr {
                ready.push_str(&format!(" admin={admin}"));
            }
            println!("{ready}");
            let _ = std::io::stdout().flush();
            running.wait();
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error.to_string()),
    }
}

/// What is to be told instead of serving, if that is what was asked for.
fn tell(options: &Options) -> Option<Result<String, String>> {
    let configuration =
        |options: &Options| service::configuration(options).map_err(|error| error.to_string());
    if options.schema {
        return Some(Ok(crate::schema::schema()));
    }
    if let Some([old, new]) = options.diff.as_deref() {
        let read = |path: &std::path::PathBuf| {
            configuration(&Options {
                config: Some(path.clone()),
                sharded: Vec::new(),
                replicated: Vec::new(),
                embedded: None,
                ..options.clone()
            })
        };
        return Some(read(old).and_then(|old| Ok(crate::compare::compare(&old, &read(new)?))));
    }
    if let Some([op, key]) = options.explain.as_deref() {
        return Some(configuration(options).and_then(|config| crate::explain::explain(&config, op, key)));
    }
    let checked = || configuration(options).map(|_| "config ok\n".to_owned());
    options.check.then(checked)
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("router: {why}");
    ExitCode::from(BAD_CONFIG)
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ROUTER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Another subscriber may be there already: the program around us logs then.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
