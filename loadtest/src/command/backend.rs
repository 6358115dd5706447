//! `loadtest backend`: the simulated store behind a cache, on its own: a capacity, a queue, a service time, behind
//! memcached's `get`. For rehearsing with a client of your own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::{Limits, Request, RequestDecoder, Step, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

use crate::clock;
use crate::drive::backing_store::{Answer, BackingStore};
use crate::exit::Exit;
use crate::scenario::{self, Overrides};
use crate::workload::seed::stream;

/// Bytes of values; the same for every key.
const VALUE_LEN_MAX: usize = 1 << 20;
const VERSION: &[u8] = b"loadtest-backend";

/// Everything `backend` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct BackendArgs {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:11300")]
    pub listen: SocketAddr,
    /// The scenario whose `[backend]` this is; change it with e.g. `--set backend.capacity=400`.
    #[arg(value_name = "FILE|builtin:NAME", default_value = "builtin:smoke")]
    pub scenario: String,
    #[command(flatten)]
    pub overrides: Overrides,
    /// Length of every value, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    pub value_size: usize,
}

/// Serves until it is stopped.
#[must_use]
pub fn main(args: &BackendArgs) -> Exit {
    let scenario = match scenario::load(&args.scenario, &args.overrides) {
        Ok(scenario) => scenario,
        Err(diagnostic) => {
            eprintln!("{diagnostic}");
            return Exit::BadInput;
        }
    };
    if args.value_size > VALUE_LEN_MAX {
        eprintln!(
            "loadtest: --value-size {}: expected at most {VALUE_LEN_MAX}",
            args.value_size
        );
        return Exit::BadInput;
    }
    let store = BackingStore::new(&scenario.backend, stream(scenario.seed, "backing store", 0));
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            LocalSet::new().block_on(&runtime, serve(args.listen, store, vec![b'x'; args.value_size]))
        });
    match served {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("loadtest: {}: {error}", args.listen);
            Exit::RunError
        }
    }
}

/// The store, and who waits for it.
struct Desk {
    store: RefCell<BackingStore<u64>>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Answer>>>,
    next_ticket: RefCell<u64>,
    asked: Notify,
    epoch: Instant,
    value: Vec<u8>,
}

async fn serve(listen: SocketAddr, store: BackingStore<u64>, value: Vec<u8>) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    // The same line as the other programs: scripts wait for it.
    println!("ready tcp={}", listener.local_addr()?);
    let desk = Rc::new(Desk {
        store: RefCell::new(store),
        waiting: RefCell::default(),
        next_ticket: RefCell::default(),
        asked: Notify::new(),
        epoch: clock::now(),
        value,
    });
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn_local(answer(Rc::clone(&desk)));
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                let desk = Rc::clone(&desk);
                tasks.spawn_local(async move {
                    // A client that goes away is no news.
                    let _ = client(socket, &desk).await;
                });
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
        // Connections that have ended.
        while tasks.try_join_next().is_some() {}
    }
}

/// Hands answers out when their time comes.
async fn answer(desk: Rc<Desk>) {
    loop {
        let now = desk.now();
        loop {
            let answered = desk.store.borrow_mut().answered(now);
            let Some((ticket, answer)) = answered else { break };
            if let Some(asker) = desk.waiting.borrow_mut().remove(&ticket) {
                // The client may have left.
                let _ = asker.send(answer);
            }
        }
        let next = desk.store.borrow().next_at();
        let pause = next.map_or(Duration::from_secs(3600), |at| {
            Duration::from_nanos(at.saturating_sub(desk.now()))
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = desk.asked.notified() => {}
        }
    }
}

impl Desk {
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Asks for one key.
    fn ask(&self) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let mut next = self.next_ticket.borrow_mut();
            *next += 1;
            *next
        };
        self.waiting.borrow_mut().insert(ticket, sender);
        self.store.borrow_mut().ask(self.now(), ticket);
        self.asked.notify_one();
        receiver
    }
}

async fn client(mut socket: TcpStream, desk: &Desk) -> std::io::Result<()> {
    let mut decoder = RequestDecoder::new(Limits::default());
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    loop {
        let (consumed, keys) = match decoder.next(&input) {
            Step::Request { request, consumed } => match request {
                Request::Get(get) => {
                    let keys: Vec<Vec<u8>> = get.keys.iter().map(|key| key.as_bytes().to_vec()).collect();
                    (consumed, keys)
                }
                Request::Version => {
                    encode::response::version(&mut output, VERSION);
                    (consumed, Vec::new())
                }
                Request::Quit => return Ok(()),
                _ => {
                    encode::response::client_error(&mut output, b"the backing store only reads");
                    (consumed, Vec::new())
                }
            },
            Step::Reject {
                error,
                reply,
                consumed,
            } => {
                if reply {
                    output.extend_from_slice(error.reply_line());
                    output.extend_from_slice(b"\r\n");
                }
                (consumed, Vec::new())
            }
            Step::Oversized { consumed, .. } | Step::Skipped { consumed } => (consumed, Vec::new()),
            Step::NeedMore { .. } => {
                socket.write_all(&output).await?;
                output.clear();
                if socket.read_buf(&mut input).await? == 0 {
                    return Ok(());
                }
                continue;
            }
            Step::Close { .. } => return Ok(()),
        };
        let _ = input.split_to(consumed);
        if !keys.is_empty() {
            get(&keys, desk, &mut output).await;
        }
    }
}

/// All keys are asked for at once; one that could not be had makes the reply an error, for a part of a row is none.
async fn get(keys: &[Vec<u8>], desk: &Desk, output: &mut BytesMut) {
    let asked: Vec<oneshot::Receiver<Answer>> = keys.iter().map(|_| desk.ask()).collect();
    let start = output.len();
    for (key, answer) in keys.iter().zip(asked) {
        let answer = answer.await;
        if matches!(answer, Ok(Answer::Found | Answer::Late)) {
            encode::response::value(output, key, 0, &desk.value, None);
            continue;
        }
        let why: &[u8] = if answer == Ok(Answer::Refused) {
            b"the backing store's queue is full"
        } else {
            b"the backing store did not answer in time"
        };
        output.truncate(start);
        encode::response::server_error(output, why);
        return;
    }
    output.extend_from_slice(b"END\r\n");
}
