//! Changing the configuration while requests are under way: from the file, from a signal, from the admin side.
//!
//! A configuration is checked before any worker hears of it. A bad one changes nothing but the status, which says why.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tracing::{error, info};

use super::Config;
use super::check::{ConfigError, Defaults};
use super::source::{self, Source};
use crate::clock;
use crate::debt::agents::Agents;
use crate::health::eject::Ejected;
use crate::request::Op;
use crate::settings::Shared;
use crate::upstream::connection::Order;
use crate::worker::{Control, Mailbox};

/// How long a worker may take to confirm: it does so within a turn unless its thread gets no time at all.
const CONFIRM_MAX: Duration = Duration::from_secs(10);

/// Files and their texts.
type Files = Vec<(PathBuf, String)>;

/// The one place where configurations change.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    workers: Vec<Mailbox>,
    agents: Agents,
    /// The file; and all files that were read for it, with their texts when they were last looked at.
    file: Option<PathBuf>,
    seen: Mutex<Option<Files>>,
    /// Held while a change is made: changes come one by one.
    changing: Mutex<()>,
}

impl Keeper {
    /// `seen` is what the configuration in use was read from.
    pub(crate) fn new(
        shared: Arc<Shared>,
        workers: Vec<Mailbox>,
        agents: Agents,
        file: Option<PathBuf>,
        seen: Option<Files>,
    ) -> Self {
        Self {
            shared,
            workers,
            agents,
            file,
            seen: Mutex::new(seen),
            changing: Mutex::new(()),
        }
    }

    /// Tells every worker what an operator wants of a server.
    pub(crate) fn order(&self, server: &str, order: Order) {
        for worker in &self.workers {
            worker.send(Control::Server(server.to_owned(), order));
        }
    }

    /// The names of the servers that a request may reach, first choice first; waits for a worker to say.
    pub(crate) fn route(&self, op: Op, key: Vec<u8>) -> Option<Vec<String>> {
        let (tell, told) = mpsc::channel();
        self.workers.first()?.send(Control::Route(op, key, tell));
        told.recv_timeout(CONFIRM_MAX).ok()
    }

    /// Takes `source` into use in every worker; the new epoch.
    pub(crate) fn apply(&self, source: Value) -> Result<u64, String> {
        self.apply_of(source, None)
    }

    fn apply_of(&self, source: Value, file: Option<&Path>) -> Result<u64, String> {
        let _one_at_a_time = self.changing.lock();
        let now = clock::unix().as_secs();
        self.shared.status.lock().last_attempt_unix = now;
        let old = self.shared.config.load_full();
        let config = match self.check(&source, old.epoch + 1) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                let error = match file {
                    Some(file) => error.of_file(file),
                    None => error,
                };
                return Err(self.failed(&error.to_string()));
            }
        };
        self.use_it(&config);
        let mut status = self.shared.status.lock();
        status.last_success_unix = now;
        status.last_error = None;
        Ok(config.epoch)
    }

    fn check(&self, source: &Value, epoch: u64) -> Result<Config, ConfigError> {
        let defaults = Defaults {
            ejected: self.shared.ejected.load_full(),
            ..self.shared.settings.defaults.clone()
        };
        Config::check_with_names(source, &defaults, &self.shared.names, epoch)
    }

    /// Takes the configuration into use anew because what its names stand for has changed.
    pub(crate) fn names_changed(&self) {
        let _one_at_a_time = self.changing.lock();
        let old = self.shared.config.load_full();
        match self.check(&old.source, old.epoch + 1) {
            Ok(config) if config.has_the_servers_of(&old) => {}
            Ok(config) => self.use_it(&Arc::new(config)),
            // It has been checked before: only too many or too few servers for a hash can be wrong.
            Err(error) => {
                self.failed(&error.to_string());
            }
        }
    }

    /// Takes the configuration into use anew because servers have left rings or come back.
    pub(crate) fn ejected(&self, ejected: Ejected) {
        let _one_at_a_time = self.changing.lock();
        self.shared.ejected.store(Arc::new(ejected));
        let old = self.shared.config.load_full();
        match self.check(&old.source, old.epoch + 1) {
            Ok(config) => self.use_it(&Arc::new(config)),
            Err(error) => {
                self.failed(&error.to_string());
            }
        }
    }

    /// Has every worker use `config`.
    fn use_it(&self, config: &Arc<Config>) {
        // First, so that new replicas are looked after when they are first asked.
        self.agents.configure(config.replicated.clone());
        let (confirm, confirmed) = mpsc::channel();
        for worker in &self.workers {
            worker.send(Control::Configure(Arc::clone(config), confirm.clone()));
        }
        drop(confirm);
        for _ in &self.workers {
            if confirmed.recv_timeout(CONFIRM_MAX).is_err() {
                break;
            }
        }
        self.shared.config.store(Arc::clone(config));
        let servers = config.pools.iter().flat_map(|view| &view.pool.servers);
        let files = servers.filter_map(|server| Some(&server.tls.as_ref()?.files));
        self.shared.settings.tls.keep(files);
        info!(
            epoch = config.epoch,
            checksum = format!("{:016x}", config.checksum()),
            "configuration in use"
        );
    }

    fn failed(&self, why: &str) -> String {
        let mut status = self.shared.status.lock();
        status.failures += 1;
        status.last_error = Some(why.to_owned());
        error!(why, "bad configuration: the old one stays in use");
        why.to_owned()
    }

    /// Reads the file and certificates again. Without `force` only if its text has changed.
    pub(crate) fn reread(&self, force: Force) {
        // What is wrong with certificates is told where they are.
        let _ = self.shared.settings.tls.reread(force);
        let Some(path) = &self.file else { return };
        // The path is followed anew each time, so that a swapped symbolic link is seen.
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                // A file that is being replaced is gone for a moment; one that stays away is told once.
                let mut seen = self.seen.lock();
                if seen.is_some() {
                    *seen = None;
                    self.failed(&format!("{}: cannot read: {error}", path.display()));
                }
                return;
            }
        };
        {
            let mut seen = self.seen.lock();
            let same = |files: &Files| {
                files.first().is_some_and(|(_, known)| *known == text) && Source::unchanged(files)
            };
            if force == Force::No && seen.as_ref().is_some_and(same) {
                return;
            }
            // Should it be bad, it is told once.
            *seen = Some(vec![(path.clone(), text.clone())]);
        }
        match source::read(path, text, &self.shared.settings.outside) {
            Ok(source) => {
                let sources = source::digests(&source.files);
                *self.seen.lock() = Some(source.files);
                // Already told where it failed.
                if self.apply_of(source.value, Some(path)).is_ok() {
                    self.shared.status.lock().sources = sources;
                }
            }
            Err(error) => {
                self.shared.status.lock().last_attempt_unix = clock::unix().as_secs();
                self.failed(&error.of_file(path).to_string());
            }
        }
    }
}

/// Whether an unchanged file is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    Yes,
    No,
}
