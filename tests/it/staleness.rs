//! No acknowledged write is ever unread again: a replicated pool of three, two routers with a spool each, writers and
//! readers through both, and faults from a seed.
//!
//! `HEARTH_STALENESS_SEEDS` says how many schedules are run (2 by default), `HEARTH_STALENESS_FIRST` from which seed on.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tests::{
    client::Client,
    clock::{now, pause},
    fault::Fault,
    history::{End, History, Verdict},
    replicas::Replicas,
    scrape,
};

const REPLICAS: usize = 3;
const ROUTERS: usize = 2;
const WRITERS: usize = 3;
const READERS: usize = 3;
const KEYS_PER_WRITER: usize = 8;
/// How long a schedule of faults takes.
const SCHEDULE: Duration = Duration::from_secs(6);
/// How long a client waits for an answer: longer than any fault.
const PATIENCE: Duration = Duration::from_secs(20);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// What the clients share.
#[derive(Debug)]
struct Run {
    history: History,
    /// Where each router listens; none while it is down.
    routers: Mutex<[Option<SocketAddr>; ROUTERS]>,
    stop: AtomicBool,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    unanswered: AtomicU64,
    stale: Mutex<Vec<String>>,
}

fn name(key: usize) -> String {
    format!("key-{key}")
}

impl Run {
    fn new() -> Self {
        Self {
            history: History::new(WRITERS * KEYS_PER_WRITER),
            routers: Mutex::default(),
            stop: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            stale: Mutex::default(),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// A connection to `router`, if it is up.
    fn connect(&self, router: usize) -> Option<Client> {
        let addr = self.routers.lock().expect("no holder panics")[router]?;
        Client::try_connect(addr, PATIENCE).ok()
    }

    fn note_routers(&self, replicas: &Replicas) {
        let mut routers = self.routers.lock().expect("no holder panics");
        for (addr, router) in routers.iter_mut().zip(&replicas.routers) {
            *addr = router.as_ref().map(tests::process::Process::addr);
        }
    }

    /// One value, as it was found at `place` by a get that began at `since`.
    fn judge(&self, key: usize, since: tests::history::Since, value: &[u8], place: &str) {
        let version = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.split_once(':'))
            .filter(|(named, _)| *named == name(key))
            .and_then(|(_, version)| version.parse().ok());
        let Some(version) = version else {
            let found = String::from_utf8_lossy(value);
            let mut stale = self.stale.lock().expect("no holder panics");
            stale.push(format!("{}: not its value: {found}", name(key)));
            return;
        };
        match self.history.judge(key, since, version) {
            Verdict::Fresh => {}
            Verdict::Unanswered => {
                self.unanswered.fetch_add(1, Ordering::SeqCst);
            }
            Verdict::Stale(why) => {
                let mut stale = self.stale.lock().expect("no holder panics");
                stale.push(format!("{} at {place}: {why}", name(key)));
            }
        }
    }
}

/// Connections to both routers, made when they are needed.
struct Clients<'r> {
    run: &'r Run,
    open: [Option<Client>; ROUTERS],
}

impl<'r> Clients<'r> {
    fn new(run: &'r Run) -> Self {
        Self {
            run,
            open: [None, None],
        }
    }

    /// Asks through `router`; none if there is no connection to be had, an error if it broke.
    fn ask<T>(
        &mut self,
        router: usize,
        ask: impl FnOnce(&mut Client) -> std::io::Result<T>,
    ) -> Option<std::io::Result<T>> {
        if self.open[router].is_none() {
            self.open[router] = self.run.connect(router);
        }
        let answer = ask(self.open[router].as_mut()?);
        if answer.is_err() {
            self.open[router] = None;
        }
        Some(answer)
    }
}

fn write(run: &Run, writer: usize, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut clients = Clients::new(run);
    while run.goes_on() {
        let key = writer * KEYS_PER_WRITER + rng.random_range(0..KEYS_PER_WRITER);
        let router = rng.random_range(0..ROUTERS);
        let delete = rng.random_bool(0.3);
        let mut version = 0;
        let answer = clients.ask(router, |client| {
            version = run.history.begin(key);
            if delete {
                client.try_send(format!("delete {}\r\n", name(key)).as_bytes())?;
                let line = client.try_read_line()?;
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            client.try_set(&name(key), 0, format!("{}:{version}", name(key)).as_bytes())
        });
        let (end, counter) = match answer.as_ref().map(|answer| answer.as_deref()) {
            None => {
                pause(Duration::from_millis(5));
                continue;
            }
            Some(Ok("STORED" | "DELETED" | "NOT_FOUND")) => (End::Acknowledged, &run.acknowledged),
            Some(Ok(line)) => {
                assert!(line.starts_with("SERVER_ERROR"), "{line}");
                (End::Refused, &run.refused)
            }
            Some(Err(_)) => (End::Unknown, &run.unknown),
        };
        counter.fetch_add(1, Ordering::SeqCst);
        run.history.end(key, version, end);
        pause(Duration::from_millis(rng.random_range(0..4)));
    }
}

fn read(run: &Run, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut clients = Clients::new(run);
    while run.goes_on() {
        let key = rng.random_range(0..run.history.len());
        let router = rng.random_range(0..ROUTERS);
        let since = run.history.look(key);
        match clients.ask(router, |client| client.try_get(&name(key))) {
            Some(Ok(Ok(Some(value)))) => {
                run.hits.fetch_add(1, Ordering::SeqCst);
                run.judge(key, since, &value, &format!("router {router}"));
            }
            Some(Ok(Ok(None))) => {
                run.misses.fetch_add(1, Ordering::SeqCst);
            }
            Some(Ok(Err(line))) => panic!("{line}"),
            Some(Err(_)) => {}
            None => pause(Duration::from_millis(5)),
        }
        pause(Duration::from_millis(rng.random_range(0..2)));
    }
}

/// Something that goes wrong and is made good again.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    KillNode(usize),
    FreezeNode(usize),
    CutLink(usize, usize),
    StallLink(usize, usize),
    KillRouter(usize),
}

impl Trouble {
    fn random(rng: &mut SmallRng) -> Self {
        let (router, replica) = (rng.random_range(0..ROUTERS), rng.random_range(0..REPLICAS));
        match rng.random_range(0..5) {
            0 => Self::KillNode(replica),
            1 => Self::FreezeNode(replica),
            2 => Self::CutLink(router, replica),
            3 => Self::StallLink(router, replica),
            _ => Self::KillRouter(router),
        }
    }

    fn begin(self, replicas: &mut Replicas, run: &Run) {
        match self {
            Self::KillNode(replica) => replicas.kill_node(replica),
            Self::FreezeNode(replica) => replicas.freeze(replica),
            Self::CutLink(router, replica) => replicas.fault(router, replica, Fault::Cut),
            Self::StallLink(router, replica) => replicas.fault(router, replica, Fault::Stall),
            Self::KillRouter(router) => {
                replicas.kill_router(router);
                run.note_routers(replicas);
            }
        }
    }

    fn end(self, replicas: &mut Replicas, run: &Run) {
        match self {
            Self::KillNode(replica) => replicas.restart_node(replica),
            Self::FreezeNode(replica) => replicas.thaw(replica),
            Self::CutLink(router, replica) | Self::StallLink(router, replica) => {
                replicas.fault(router, replica, Fault::None);
            }
            Self::KillRouter(router) => {
                replicas.start_router(router);
                run.note_routers(replicas);
            }
        }
    }
}

/// Whether a second trouble may come on top: not the same thing twice, and never two links at a time: routers that see
/// no server in common are the hole that the documentation names.
fn compatible(first: Trouble, second: Trouble) -> bool {
    use Trouble::{CutLink, FreezeNode, KillNode, KillRouter, StallLink};
    match (first, second) {
        (KillNode(one) | FreezeNode(one), KillNode(other) | FreezeNode(other)) => one != other,
        (CutLink(..) | StallLink(..), CutLink(..) | StallLink(..)) => false,
        (KillRouter(one), KillRouter(other)) => one != other,
        _ => true,
    }
}

fn schedule(seed: u64, replicas: &mut Replicas, run: &Run) -> Vec<String> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut told = Vec::new();
    let started = now();
    while started.elapsed() < SCHEDULE {
        let first = Trouble::random(&mut rng);
        let second = Some(Trouble::random(&mut rng))
            .filter(|second| rng.random_bool(0.4) && compatible(first, *second));
        told.push(format!("{:?}: {first:?} {second:?}", started.elapsed()));
        first.begin(replicas, run);
        pause(Duration::from_millis(rng.random_range(10..700)));
        if let Some(second) = second {
            second.begin(replicas, run);
            pause(Duration::from_millis(rng.random_range(10..500)));
        }
        first.end(replicas, run);
        if let Some(second) = second {
            pause(Duration::from_millis(rng.random_range(0..300)));
            second.end(replicas, run);
        }
        pause(Duration::from_millis(rng.random_range(0..900)));
    }
    told
}

/// One schedule of faults.
fn play(seed: u64) {
    let mut replicas = Replicas::start(REPLICAS, ROUTERS, &["--read-lease", "400ms"]);
    let run = Arc::new(Run::new());
    run.note_routers(&replicas);
    let spawn = |work: Box<dyn FnOnce(&Run) + Send>| -> JoinHandle<()> {
        let run = Arc::clone(&run);
        thread::spawn(move || work(&run))
    };
    let mut clients = Vec::new();
    for writer in 0..WRITERS {
        let seed = seed.wrapping_mul(31).wrapping_add(writer as u64);
        clients.push(spawn(Box::new(move |run| write(run, writer, seed))));
    }
    for reader in 0..READERS {
        let seed = seed.wrapping_mul(37).wrapping_add(1000 + reader as u64);
        clients.push(spawn(Box::new(move |run| read(run, seed))));
    }
    let troubles = schedule(seed, &mut replicas, &run);
    for router in 0..ROUTERS {
        for replica in 0..REPLICAS {
            replicas.await_paid(router, replica);
        }
    }
    run.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("clients only meet errors they know");
    }
    // A write may have missed a replica at the very end.
    for router in 0..ROUTERS {
        for replica in 0..REPLICAS {
            replicas.await_paid(router, replica);
        }
    }
    for replica in 0..REPLICAS {
        let mut direct = replicas.direct(replica);
        for key in 0..run.history.len() {
            if let Some(value) = direct.get(&name(key)) {
                run.judge(
                    key,
                    run.history.look(key),
                    &value,
                    &format!("replica {replica}, at the end"),
                );
            }
        }
    }
    let hole: f64 = (0..ROUTERS)
        .map(|router| {
            let metrics = scrape::metrics(replicas.router(router).admin());
            scrape::sum(&metrics, "router_debt_untold_total", &[])
        })
        .sum();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    eprintln!(
        "staleness seed {seed}: {} acknowledged, {} refused, {} unknown; {} hits, {} misses, {} unanswered seen; \
         untold {hole}",
        count(&run.acknowledged),
        count(&run.refused),
        count(&run.unknown),
        count(&run.hits),
        count(&run.misses),
        count(&run.unanswered),
    );
    let stale = run.stale.lock().expect("no holder panics");
    assert!(
        stale.is_empty(),
        "seed {seed}: {} stale: {:#?}\n{}",
        stale.len(),
        stale.iter().take(10).collect::<Vec<_>>(),
        troubles.join("\n")
    );
    assert!(
        count(&run.acknowledged) > 100 && count(&run.hits) > 100,
        "seed {seed}: hardly anything happened"
    );
}

#[test]
fn no_acknowledged_write_is_unread_again_under_any_schedule_of_faults() {
    let first = setting("HEARTH_STALENESS_FIRST", 1);
    for seed in first..first + setting("HEARTH_STALENESS_SEEDS", 2) {
        play(seed);
    }
}
