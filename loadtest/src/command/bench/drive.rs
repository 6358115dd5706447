//! The driver threads: each has a runtime, a shell and a hammer, and does one piece of work at a time.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc as tokio_mpsc;
use tokio::task::LocalSet;

use super::{Bench, BenchError, OpenLoop};
use crate::clock;
use crate::drive::hammer::{Hammer, Plan, Tally, Task, thread_seed};
use crate::drive::shell::{Shell, nanos};
use crate::workload::arrival::Schedule;
use crate::workload::seed::stream;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long answers may still come after a slice is over, beside the timeout: then the thread is lost, not slow.
const GRACE: Duration = Duration::from_secs(60);

/// One piece of work on one target.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Connect,
    /// Store all keys once.
    Fill,
    Closed {
        lasting: Duration,
    },
    Requests {
        per_connection: u64,
    },
    Open {
        lasting: Duration,
        open: OpenLoop,
    },
}

struct Order {
    target: usize,
    work: Work,
}

type Answer = Result<Tally, BenchError>;

/// All threads. Dropping it ends them.
pub(super) struct Crew {
    orders: Vec<tokio_mpsc::UnboundedSender<Order>>,
    answers: mpsc::Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
    /// Longest a piece of work can take beyond its own length.
    patience: Duration,
}

/// What a thread needs to know.
struct Seat {
    number: u64,
    threads: u64,
    connections: usize,
    addresses: Vec<SocketAddr>,
    versions: Vec<Arc<[AtomicU32]>>,
    plan: Plan,
    seed: u64,
    timeout: Duration,
    epoch: Instant,
}

impl Crew {
    pub(super) fn start(
        bench: &Bench,
        addresses: &[SocketAddr],
        versions: Vec<Arc<[AtomicU32]>>,
    ) -> Result<Self, BenchError> {
        let epoch = clock::now();
        let (answer, answers) = mpsc::channel();
        let mut crew = Self {
            orders: Vec::new(),
            answers,
            threads: Vec::new(),
            patience: GRACE + bench.timeout * 16,
        };
        for number in 0..bench.threads as u64 {
            let (order, mut orders) = tokio_mpsc::unbounded_channel();
            let seat = Seat {
                number,
                threads: bench.threads as u64,
                connections: bench.connections,
                addresses: addresses.to_vec(),
                versions: versions.clone(),
                plan: bench.plan.clone(),
                seed: bench.seed,
                timeout: bench.timeout,
                epoch,
            };
            let answer = answer.clone();
            let thread = std::thread::Builder::new()
                .name(format!("bench-{number}"))
                .spawn(move || {
                    let ended = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .and_then(|runtime| {
                            LocalSet::new().block_on(&runtime, sit(seat, &mut orders, &answer))
                        });
                    if let Err(error) = ended {
                        // Nobody listens any more only if the crew is gone already.
                        let _ = answer.send(Err(error.into()));
                    }
                })?;
            crew.orders.push(order);
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    pub(super) fn connect(&self, target: usize) -> Result<(), BenchError> {
        self.work(target, Work::Connect).map(drop)
    }

    /// All threads do `work` on `target`; their tallies together.
    pub(super) fn work(&self, target: usize, work: Work) -> Result<Tally, BenchError> {
        for order in &self.orders {
            let work = work.clone();
            order
                .send(Order { target, work })
                .map_err(|_closed| BenchError::Gone)?;
        }
        let lasting = match work {
            Work::Closed { lasting } | Work::Open { lasting, .. } => lasting,
            // As long as it takes: a frozen server ends it through timeouts.
            Work::Connect | Work::Fill | Work::Requests { .. } => Duration::from_secs(86_400),
        };
        let mut total = Tally::default();
        for _ in &self.orders {
            let tally = self
                .answers
                .recv_timeout(lasting + self.patience)
                .map_err(|_late| BenchError::Gone)??;
            total.add(&tally);
        }
        Ok(total)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.orders.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr.
            let _ = thread.join();
        }
    }
}

/// A thread's life.
async fn sit(
    seat: Seat,
    orders: &mut tokio_mpsc::UnboundedReceiver<Order>,
    answer: &mpsc::Sender<Answer>,
) -> std::io::Result<()> {
    let random = stream(thread_seed(seat.seed, seat.number), "bench keys", 0);
    let hammer = Hammer::new(seat.plan.clone(), random, seat.versions.clone());
    let shell = Shell::new(hammer, seat.epoch, seat.timeout)?;
    let mut lines: Vec<Option<Range<usize>>> = vec![None; seat.addresses.len()];
    let mut slices = 0;
    while let Some(order) = orders.recv().await {
        slices += 1;
        let target_lines = lines[order.target]
            .get_or_insert_with(|| shell.add_target(seat.addresses[order.target], seat.connections))
            .clone();
        let result = if matches!(order.work, Work::Connect) {
            shell
                .connected(target_lines, CONNECT_PATIENCE)
                .await
                .map(|()| Tally::default())
                .map_err(|source| BenchError::Connect {
                    target: String::new(),
                    source,
                })
        } else {
            let task = task(&seat, order.work, shell.now(), slices);
            shell.with(|hammer, _| hammer.start(order.target, target_lines, task));
            shell.attention().await;
            Ok(shell.with(|hammer, _| std::mem::take(&mut hammer.tally)))
        };
        if answer.send(result).is_err() {
            break;
        }
    }
    Ok(())
}

/// A thread's share of the work.
fn task(seat: &Seat, work: Work, now: u64, slice: u64) -> Task {
    match work {
        Work::Connect => Task::Idle,
        Work::Fill => Task::Fill {
            next: seat.plan.keys.start + seat.number,
            step: seat.threads,
        },
        Work::Closed { lasting } => Task::Closed {
            until: now + nanos(lasting),
            left: u64::MAX,
        },
        Work::Requests { per_connection } => Task::Closed {
            until: u64::MAX,
            left: per_connection.saturating_mul(seat.connections as u64),
        },
        Work::Open { lasting, open } => {
            // The superposition of the threads' Poisson processes is one of the whole rate.
            let random = stream(thread_seed(seat.seed, seat.number), "bench arrivals", slice);
            let schedule = Schedule::with_gaps(open.gaps, open.rate / seat.threads as f64, now, random);
            Task::Open {
                until: now + nanos(lasting),
                schedule: Box::new(schedule),
                max_in_flight: open.max_in_flight,
            }
        }
    }
}
