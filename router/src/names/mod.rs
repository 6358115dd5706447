//! Names of servers: asked of DNS on a thread of its own, never on a worker's; asked again when their time is up. What
//! they stand for is a [`Table`], and a table that has changed is taken into use as a changed configuration is.

mod ask;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as channel};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::clock;
pub(crate) use ask::DNS_PORT;
use ask::Resolver;
use table::{Found, Question, Table};

/// The bounds of a record's time: not to be asked for all the time, and not to be missed for ever.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(300);
/// Pauses after answers that did not come.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How a question stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub last_error: Option<String>,
    /// When it is asked again; none while it is being asked.
    due: Option<Instant>,
    failures: u32,
}

/// Word to the thread that asks.
enum Word {
    /// These are wanted from now on.
    Want(BTreeSet<Question>),
    /// Let go of the channel once these have been asked.
    Ask(Vec<Question>, channel::Sender<()>),
}

/// What names stand for, kept up to date.
#[derive(Clone)]
pub(crate) struct Names(Arc<Inner>);

struct Inner {
    server: Option<SocketAddr>,
    table: ArcSwap<Table>,
    standings: Mutex<BTreeMap<Question, Standing>>,
    /// Raised when the table has changed.
    changed: watch::Sender<u64>,
    words: Mutex<Option<mpsc::UnboundedSender<Word>>>,
    lookups: AtomicU64,
    failures: AtomicU64,
}

impl Names {
    /// Knows nothing, and asks `server` (else those of `/etc/resolv.conf`) when there is something to ask.
    pub(crate) fn new(server: Option<SocketAddr>) -> Self {
        Self(Arc::new(Inner {
            server,
            table: ArcSwap::default(),
            standings: Mutex::default(),
            changed: watch::Sender::new(0),
            words: Mutex::default(),
            lookups: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }))
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.0.table.load_full()
    }

    /// Wakes when the table has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Every question, how it stands and what is known.
    pub(crate) fn standings(&self) -> Vec<(Question, Standing, Option<Found>)> {
        let table = self.table();
        let standings = self.0.standings.lock();
        standings
            .iter()
            .map(|(question, standing)| (question.clone(), standing.clone(), table.get(question).cloned()))
            .collect()
    }

    /// Questions asked so far, and those without an answer.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let counts = [&self.0.lookups, &self.0.failures].map(|count| count.load(Ordering::Relaxed));
        (counts[0], counts[1])
    }

    /// Keeps these up to date from now on, and no others.
    pub(crate) fn want(&self, questions: &BTreeSet<Question>) {
        if self.0.words.lock().is_some() || !questions.is_empty() {
            self.say(Word::Want(questions.clone()));
        }
    }

    /// Waits until those of `questions` that are not known have been asked, but no longer than `patience`.
    pub(crate) fn ask(&self, questions: &BTreeSet<Question>, patience: Duration) {
        let table = self.table();
        let unknown: Vec<_> = questions
            .iter()
            .filter(|question| !table.knows(question))
            .cloned()
            .collect();
        if unknown.is_empty() {
            return;
        }
        let (asking, asked) = channel::channel();
        self.say(Word::Ask(unknown, asking));
        // Nobody ever sends: the end of the channel is the word.
        let _ = asked.recv_timeout(patience);
    }

    fn say(&self, word: Word) {
        let mut words = self.0.words.lock();
        if words.is_none() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let inner = Arc::downgrade(&self.0);
            let server = self.0.server;
            let spawned = std::thread::Builder::new()
                .name("router-names".to_owned())
                .spawn(move || run(server, &inner, receiver));
            match spawned {
                // It ends when nobody can send any more.
                Ok(_detached) => *words = Some(sender),
                Err(error) => warn!(%error, "names cannot be asked for"),
            }
        }
        if let Some(words) = words.as_ref() {
            // A thread that has ended said why.
            let _ = words.send(word);
        }
    }
}

fn run(server: Option<SocketAddr>, inner: &std::sync::Weak<Inner>, words: mpsc::UnboundedReceiver<Word>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            warn!(%error, "names cannot be asked for");
            return;
        }
    };
    runtime.block_on(keep(server, inner, words));
}

/// A question that has been asked.
type Asked = (Question, Result<(Found, Instant), String>);

/// Asks what is due until nobody is left to tell.
async fn keep(
    server: Option<SocketAddr>,
    inner: &std::sync::Weak<Inner>,
    mut words: mpsc::UnboundedReceiver<Word>,
) {
    let resolver = Resolver::new(server);
    let mut asking: JoinSet<Asked> = JoinSet::new();
    // Who waits, and for what.
    let mut waiting: Vec<(BTreeSet<Question>, channel::Sender<()>)> = Vec::new();
    loop {
        let due = match inner.upgrade() {
            Some(inner) => inner.due(),
            None => return,
        };
        tokio::select! {
            word = words.recv() => {
                let (Some(word), Some(inner)) = (word, inner.upgrade()) else { return };
                match word {
                    Word::Want(questions) => inner.want(&questions),
                    Word::Ask(questions, asker) => {
                        waiting.push((inner.add(questions), asker));
                        waiting.retain(|(questions, _)| !questions.is_empty());
                    }
                }
            }
            Some(Ok((question, answer))) = asking.join_next(), if !asking.is_empty() => {
                let Some(inner) = inner.upgrade() else { return };
                inner.told(&question, answer);
                for (questions, _) in &mut waiting {
                    questions.remove(&question);
                }
                waiting.retain(|(questions, _)| !questions.is_empty());
            }
            () = sleep_until(due) => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        for question in inner.take_due() {
            let resolver = resolver.clone();
            inner.lookups.fetch_add(1, Ordering::Relaxed);
            asking.spawn(async move {
                let answer = match &resolver {
                    Ok(resolver) => resolver.ask(&question).await,
                    Err(why) => Err(why.clone()),
                };
                (question, answer)
            });
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

impl Inner {
    fn due(&self) -> Option<Instant> {
        let standings = self.standings.lock();
        standings.values().filter_map(|standing| standing.due).min()
    }

    fn want(&self, questions: &BTreeSet<Question>) {
        self.standings
            .lock()
            .retain(|question, _| questions.contains(question));
        let mut table = Table::clone(&self.table.load());
        table.keep(questions);
        self.table.store(Arc::new(table));
        let _all = self.add(questions.iter().cloned().collect());
    }

    /// Those that are new are asked at once; which of them have yet to be heard of.
    fn add(&self, questions: Vec<Question>) -> BTreeSet<Question> {
        let mut standings = self.standings.lock();
        let table = self.table.load();
        questions
            .into_iter()
            .filter(|question| {
                let standing = standings.entry(question.clone()).or_insert_with(|| Standing {
                    due: Some(clock::now()),
                    ..Standing::default()
                });
                standing.failures == 0 && !table.knows(question)
            })
            .collect()
    }

    fn take_due(&self) -> Vec<Question> {
        let now = clock::now();
        let mut standings = self.standings.lock();
        let due = standings
            .iter_mut()
            .filter(|(_, standing)| standing.due.is_some_and(|due| due <= now));
        due.map(|(question, standing)| {
            standing.due = None;
            question.clone()
        })
        .collect()
    }

    /// Takes note of an answer. What is known stays known when none comes.
    fn told(&self, question: &Question, answer: Result<(Found, Instant), String>) {
        let mut standings = self.standings.lock();
        let Some(standing) = standings.get_mut(question) else {
            return;
        };
        let now = clock::now();
        match answer {
            Ok((found, until)) => {
                let ttl = until.saturating_duration_since(now).clamp(TTL_MIN, TTL_MAX);
                *standing = Standing {
                    due: Some(now + ttl),
                    ..Standing::default()
                };
                drop(standings);
                let told = found.told().join(" ");
                let mut table = Table::clone(&self.table.load());
                if table.learn(question.clone(), found) {
                    info!(
                        name = question.name(),
                        kind = question.kind(),
                        told,
                        "name resolved"
                    );
                    self.table.store(Arc::new(table));
                    self.changed.send_modify(|changes| *changes += 1);
                }
            }
            Err(why) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let pause = RETRY_MIN * 2u32.saturating_pow(standing.failures.min(8));
                standing.due = Some(now + pause.min(RETRY_MAX));
                standing.failures = standing.failures.saturating_add(1);
                if standing.last_error.is_none() {
                    warn!(
                        name = question.name(),
                        kind = question.kind(),
                        why,
                        "name not resolved: what is known of it stays"
                    );
                }
                standing.last_error = Some(why);
            }
        }
    }
}
