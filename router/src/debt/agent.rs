//! One replica's agent: the shell around [`Watch`] and the replica's account. It looks for other routers' marks, sets
//! ours, and pays what is owed, over a connection of its own.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use protocol::meta::{Base64Scratch, MetaKey};
use protocol::{Delete, FlushAll, Key, Response, encode};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::account::Payment;
use super::lease::Watch;
use super::talk::Talk;
use super::{Debts, Replica, marks, micros};
use crate::clock;
use crate::health::tko;
use crate::pool::Destination;
use crate::settings::Shared;

/// Deletes sent before their replies are read.
const BATCH: usize = 500;
/// The longest that a replica may take to answer the agent where no lease says less.
const PATIENCE_MAX: Duration = Duration::from_secs(1);
/// How often a debt is looked at while it cannot be paid yet.
const TICK_MAX: Duration = Duration::from_millis(50);
/// Tries to change marks that other routers change at the same time, before others get their turn.
const MARK_TRIES: usize = 8;

pub(crate) struct Agent {
    pub shared: Arc<Shared>,
    /// All of the pool; this agent's is at `at`.
    pub replicas: Rc<[Arc<Replica>]>,
    pub watch: Rc<RefCell<Watch>>,
    pub at: usize,
    pub destination: Arc<Destination>,
    /// Per replica, the last [`Replica::forgiven`] that this server's marks were cleared for.
    pub forgiven: RefCell<Vec<u64>>,
}

/// Since when the replica has answered all there is, as far as this router can tell.
struct Calm {
    since: u64,
    troubles: (u64, u64),
}

impl Agent {
    fn debts(&self) -> &Debts {
        &self.shared.debts
    }

    fn replica(&self) -> &Replica {
        &self.replicas[self.at]
    }

    /// Whether there is anything to look at: marks of others, or debts.
    fn has_business(&self) -> bool {
        self.debts().terms.lease.is_some() || self.replica().is_owed()
    }

    fn patience(&self) -> Duration {
        let lease = self.debts().terms.lease.unwrap_or(PATIENCE_MAX);
        lease.clamp(Duration::from_millis(20), PATIENCE_MAX)
    }

    pub(crate) async fn run(self) {
        let mut failures = 0_u32;
        loop {
            if !self.has_business() {
                self.replica().wake.notified().await;
                continue;
            }
            let patience = self.destination.connect_timeout.min(self.patience());
            let error =
                match timeout(patience, Talk::open(&self.destination, &self.shared.settings.tls)).await {
                    Ok(Ok(talk)) => {
                        let started = clock::micros();
                        match self.attend(talk).await {
                            Ok(()) => continue,
                            Err(error) => {
                                if clock::micros() - started > micros(tko::PAUSE_MAX) {
                                    failures = 0;
                                }
                                error
                            }
                        }
                    }
                    Ok(Err(error)) => error,
                    Err(_) => io::ErrorKind::TimedOut.into(),
                };
            debug!(server = %self.destination.name, %error, "debts: the replica does not answer");
            self.watch.borrow_mut().down(self.at);
            self.judge();
            let pause = tko::pause_after(failures, rand::random::<f64>());
            failures = failures.saturating_add(1);
            sleep(pause).await;
        }
    }

    /// Looks after the replica until it fails, or there is no more to do.
    async fn attend(&self, mut talk: Talk) -> io::Result<()> {
        let mut calm = Calm {
            since: clock::micros(),
            troubles: self.troubles(),
        };
        while self.has_business() {
            let asked_at = clock::micros();
            timeout(self.patience(), self.look(&mut talk, asked_at))
                .await
                .map_err(io::Error::from)??;
            self.judge();
            let every = match self.debts().terms.lease {
                Some(lease) => lease / 4,
                None => TICK_MAX,
            };
            if self.replica().is_owed() {
                let until = asked_at + micros(every);
                if self.pay(&mut talk, &mut calm, until).await? {
                    continue;
                }
            }
            let pause = if self.replica().is_owed() {
                every.min(TICK_MAX)
            } else {
                every
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.replica().wake.notified() => {}
            }
        }
        Ok(())
    }

    /// What went wrong between this router and the replica, and what may still arrive there.
    fn troubles(&self) -> (u64, u64) {
        self.shared.registry.troubles(&self.destination)
    }

    /// Whether everything that was ever sent to the replica has arrived or never will.
    fn is_calm(&self, calm: &mut Calm) -> bool {
        let troubles = self.troubles();
        let now = clock::micros();
        if troubles != calm.troubles || troubles.1 > 0 {
            calm.troubles = troubles;
            calm.since = now;
        }
        now - calm.since >= micros(self.debts().terms.settle)
    }

    /// Pays until nothing is owed or `until` has come. True: there is more to do at once.
    async fn pay(&self, talk: &mut Talk, calm: &mut Calm, until: u64) -> io::Result<bool> {
        let (debts, replica) = (self.debts(), self.replica());
        while self.is_calm(calm) {
            let started = clock::now();
            let payment = debts.take(replica, BATCH);
            // A write may have gone astray between the look and the taking: then its debt is among those taken.
            if !self.is_calm(calm) {
                debts.settle(replica, false);
                return Ok(false);
            }
            let count = match &payment {
                Payment::Nothing => return Ok(false),
                Payment::Everything => 1,
                Payment::Keys(keys) => keys.len(),
            };
            let patience = self.destination.server_timeout.max(PATIENCE_MAX);
            match timeout(patience, deliver(talk, &payment)).await {
                Ok(Ok(())) => debts.settle(replica, true),
                Ok(Err(error)) => {
                    debts.settle(replica, false);
                    return Err(error);
                }
                Err(_) => {
                    debts.settle(replica, false);
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            if !replica.is_owed() {
                info!(server = %self.destination.name, "all that was owed is paid");
                return Ok(true);
            }
            let share = u32::try_from(count).unwrap_or(u32::MAX);
            let rate = debts.terms.replay_rate.max(1);
            tokio::time::sleep_until((started + Duration::from_secs(1) * share / rate).into()).await;
            if clock::micros() >= until {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks which replicas are marked, and sets or takes away our own marks. Without marks only whether it answers.
    async fn look(&self, talk: &mut Talk, mut asked_at: u64) -> io::Result<()> {
        if self.debts().terms.lease.is_none() {
            return talk.version().await;
        }
        let router = &self.debts().router_id;
        for _ in 0..MARK_TRIES {
            let found = talk.gets(marks::KEY).await?;
            let stored = found.as_ref().map_or("", |(value, _)| value.as_str());
            let forgiven: Vec<u64> = self
                .replicas
                .iter()
                .map(|replica| replica.forgiven.load(Ordering::Acquire))
                .collect();
            let cleared = self.cleared(stored, &forgiven);
            let value = cleared.as_deref().unwrap_or(stored);
            let wanted: Vec<(&str, bool)> = self
                .replicas
                .iter()
                .map(|replica| (replica.server.as_str(), replica.is_owed()))
                .collect();
            let marked: Vec<bool> = wanted
                .iter()
                .map(|(server, _)| marks::of_others(value, router).any(|mark| marks::names(mark, server)))
                .collect();
            let own: Vec<bool> = wanted
                .iter()
                .map(|(server, wanted)| *wanted && marks::has(value, router, server))
                .collect();
            self.watch
                .borrow_mut()
                .answered(self.at, asked_at, clock::micros(), marked.clone(), &own);
            let changed = match (marks::changed(value, router, &wanted).or(cleared), &found) {
                (Some(changed), _) => changed,
                // An item that is there is a hit for the server's statistics, one that is not a miss.
                (None, None) => String::new(),
                (None, Some(_)) => {
                    self.forgiven.replace(forgiven);
                    return Ok(());
                }
            };
            if changed.len() > marks::VALUE_MAX_BYTES {
                return Err(io::Error::other("too many marks"));
            }
            let cas = found.map(|(_, cas)| cas);
            if talk.store(marks::KEY, &changed, cas).await? {
                let own: Vec<bool> = wanted.iter().map(|(_, wanted)| *wanted).collect();
                self.watch
                    .borrow_mut()
                    .answered(self.at, asked_at, clock::micros(), marked, &own);
                self.forgiven.replace(forgiven);
                return Ok(());
            }
            // Another router was faster.
            asked_at = clock::micros();
        }
        Ok(())
    }

    /// The marks without anybody's of replicas that the operator has forgiven since the last time.
    fn cleared(&self, value: &str, forgiven: &[u64]) -> Option<String> {
        let known = self.forgiven.borrow();
        let mut cleared = None;
        for (at, replica) in self.replicas.iter().enumerate() {
            if known.get(at) != forgiven.get(at) {
                let value = cleared.as_deref().unwrap_or(value);
                cleared = marks::cleared(value, &replica.server).or(cleared);
            }
        }
        cleared
    }

    /// Draws the conclusions for all replicas of the pool.
    fn judge(&self) {
        if self.debts().terms.lease.is_none() {
            return;
        }
        let watch = self.watch.borrow();
        let now = clock::micros();
        for (at, replica) in self.replicas.iter().enumerate() {
            let Some(readable) = watch.readable(at) else {
                // What was found before this agent was started is good for its lease.
                continue;
            };
            if readable.marked && !replica.marked.swap(true, Ordering::Relaxed) {
                info!(server = %replica.server, "another router owes it something: not read");
            }
            if !readable.marked {
                replica.marked.store(false, Ordering::Relaxed);
            }
            if readable.until > 0 && !readable.witnessed {
                replica.unwitnessed.fetch_add(1, Ordering::Relaxed);
            }
            replica.read_until(readable.until);
            if replica.is_owed()
                && let Some(in_force) = watch.in_force(at, now)
                && in_force.from <= now
            {
                self.debts().announce(replica, in_force.most);
            }
        }
    }
}

/// Sends what is owed; done when the replica has said so for all of it.
async fn deliver(talk: &mut Talk, payment: &Payment) -> io::Result<()> {
    let mut request = BytesMut::new();
    let count = match payment {
        Payment::Nothing => 0,
        Payment::Everything => {
            encode::request::flush_all(
                &mut request,
                &FlushAll {
                    delay: None,
                    noreply: false,
                },
            );
            1
        }
        Payment::Keys(keys) => {
            let mut sent = 0;
            for key in keys {
                sent += usize::from(write_delete(key, &mut request));
            }
            sent
        }
    };
    let everything = *payment == Payment::Everything;
    talk.ask(&request, count, |response| match response {
        Response::Deleted | Response::NotFound => true,
        Response::Ok => everything,
        Response::Meta(reply) => matches!(reply.code, protocol::meta::Code::Hd | protocol::meta::Code::Nf),
        _ => false,
    })
    .await
}

/// Appends the delete of a key; false if no request can name it, which means that no server holds it.
fn write_delete(key: &[u8], request: &mut BytesMut) -> bool {
    let Ok(key) = Key::new(key) else { return false };
    if key.is_text() {
        encode::request::delete(request, &Delete { key, noreply: false });
        return true;
    }
    let mut scratch = Base64Scratch::new();
    match MetaKey::sendable(key, &mut scratch) {
        Ok(key) => {
            encode::meta::begin_delete(request, key);
            encode::meta::end(request);
            true
        }
        Err(_) => false,
    }
}
