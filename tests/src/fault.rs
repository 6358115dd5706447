//! A proxy between two of our processes that can hold bytes back, cut connections and refuse new ones.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use crate::clock::pause;

/// What the proxy does to traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Bytes pass.
    None = 0,
    /// Connections stay open and nothing passes: a frozen host.
    Stall = 1,
    /// Connections are closed, new ones too as soon as they are made: a crashed process behind a balancer.
    Cut = 2,
}

impl Fault {
    fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Stall,
            2 => Self::Cut,
            _ => Self::None,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    fault: AtomicU8,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn fault(&self) -> Fault {
        Fault::from_code(self.fault.load(Ordering::SeqCst))
    }

    fn cut_all(&self) {
        for stream in self.open.lock().expect("no holder panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl FaultProxy {
    /// Listens on a free port and passes every connection on to `upstream`.
    #[track_caller]
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.over.load(Ordering::SeqCst) {
                    return;
                }
                if accepting.fault() != Fault::Cut {
                    join(&accepting, &client, upstream);
                }
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn set(&self, fault: Fault) {
        self.shared.fault.store(fault as u8, Ordering::SeqCst);
        if fault == Fault::Cut {
            self.shared.cut_all();
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.cut_all();
        // Wakes the accept loop so that it sees that it is over.
        let _ = TcpStream::connect(self.addr);
    }
}

/// Copies both ways between `client` and a new connection to `upstream`, in two threads.
fn join(shared: &Arc<Shared>, client: &TcpStream, upstream: SocketAddr) {
    let Ok(server) = TcpStream::connect(upstream) else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let clones = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let (Some(one), Some(two), Some(held)) = (clones(), clones(), clones()) else {
        return;
    };
    shared
        .open
        .lock()
        .expect("no holder panics")
        .extend([held.0, held.1]);
    for (from, to) in [one, (two.1, two.0)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || copy(&shared, from, to));
    }
}

fn copy(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        while shared.fault() == Fault::Stall && !shared.over.load(Ordering::SeqCst) {
            pause(Duration::from_millis(5));
        }
        if to.write_all(chunk.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
