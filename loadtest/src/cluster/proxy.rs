//! A relay on loopback in front of one node, so that the node can be cut off, half cut off or slowed down without root
//! and without touching it.
//!
//! Bytes that may not pass are held, not lost: a network that drops packets resends them once it is whole again, and a
//! connection that survived goes on where it stood. It runs on a thread of its own; the generator's is busy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock;
use crate::scenario::{Cut, Direction};

/// Read at once from one side.
const CHUNK_LEN: usize = 16 * 1024;
/// Chunks under way in one direction of one connection while they are delayed: beyond it nothing more is read.
const DELAYED_MAX: usize = 256;

/// What passes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passage {
    #[default]
    Open,
    Cut {
        direction: Direction,
        cut: Cut,
    },
}

impl Passage {
    /// For bytes that go towards the node (`In`) or away from it (`Out`).
    fn way(self, way: Direction) -> Way {
        match self {
            Self::Cut { direction, cut } if direction == Direction::Both || direction == way => match cut {
                Cut::Drop => Way::Held,
                Cut::Reset => Way::Reset,
                Cut::Delay(delay) => Way::After(delay),
            },
            Self::Open | Self::Cut { .. } => Way::After(Duration::ZERO),
        }
    }

    fn resets(self) -> bool {
        matches!(self, Self::Cut { cut: Cut::Reset, .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    After(Duration),
    Held,
    Reset,
}

/// A running relay; dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    passage: watch::Sender<Passage>,
    target: watch::Sender<SocketAddr>,
    _stop: mpsc::Sender<()>,
}

impl Proxy {
    /// Begins to relay to `target`.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (passage, passages) = watch::channel(Passage::Open);
        let (target, targets) = watch::channel(target);
        let (stop, stopped) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name(format!("relay {}", address.port()))
            .spawn(move || runtime.block_on(relay(listener, passages, targets, stopped)))?;
        Ok(Self {
            address,
            passage,
            target,
            _stop: stop,
        })
    }

    /// From now on this much passes.
    pub fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }

    /// New connections go there.
    pub fn set_target(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }
}

async fn relay(
    listener: std::net::TcpListener,
    passages: watch::Receiver<Passage>,
    targets: watch::Receiver<SocketAddr>,
    mut stopped: mpsc::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a relay could not listen");
            return;
        }
    };
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            // Nothing is ever sent: the sender's end is the end.
            _ = stopped.recv() => return,
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connection(client, passages.clone(), targets.clone()));
                }
                Err(error) => tracing::warn!(%error, "a relay could not accept"),
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// One client until either side ends, or the connection is to be reset.
async fn connection(
    client: TcpStream,
    mut passages: watch::Receiver<Passage>,
    targets: watch::Receiver<SocketAddr>,
) {
    let target = *targets.borrow();
    if passages.borrow().resets() {
        reset(&client);
        return;
    }
    // A node that is down shows as a connection that ends at once, as close to a refusal as a relay can be.
    let Ok(node) = TcpStream::connect(target).await else {
        reset(&client);
        return;
    };
    let (Ok(()), Ok(())) = (client.set_nodelay(true), node.set_nodelay(true)) else {
        return;
    };
    let mut client = client;
    let mut node = node;
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_node, to_node) = node.split();
        tokio::select! {
            () = carry(from_client, to_node, passages.clone(), Direction::In) => false,
            () = carry(from_node, to_client, passages.clone(), Direction::Out) => false,
            reset = passages.wait_for(|passage| passage.resets()) => reset.is_ok(),
        }
    };
    if ended {
        reset(&client);
        reset(&node);
    }
}

/// Ends a connection with a reset instead of a goodbye.
fn reset(stream: &TcpStream) {
    // Without the option it ends politely: the other side sees an end either way.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Moves bytes one way; ends when they end.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passages: watch::Receiver<Passage>,
    way: Direction,
) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(DELAYED_MAX);
    let read = async move {
        let mut chunk = vec![0; CHUNK_LEN];
        loop {
            match from.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    let came = clock::now().into();
                    if sender.send((came, chunk[..n].to_vec())).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let write = async {
        while let Some((came, chunk)) = chunks.recv().await {
            if !may_pass(came, &mut passages, way).await || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // Its end closes the channel; what is under way is still written.
        () = async { read.await; std::future::pending().await } => {}
        () = write => {}
    }
}

/// Waits until bytes that came at `came` may go on; false when the relay ends.
async fn may_pass(came: Instant, passages: &mut watch::Receiver<Passage>, way: Direction) -> bool {
    loop {
        let now = passages.borrow_and_update().way(way);
        match now {
            Way::After(delay) => {
                tokio::time::sleep_until(came + delay).await;
                return true;
            }
            Way::Held | Way::Reset => {
                if passages.changed().await.is_err() {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{Passage, Proxy};
    use crate::clock;
    use crate::scenario::{Cut, Direction};

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets, and a relay before it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Proxy::start(address).unwrap()
    }

    async fn comes_back(stream: &mut TcpStream, within: Duration) -> bool {
        let mut byte = [0];
        matches!(
            tokio::time::timeout(within, stream.read_exact(&mut byte)).await,
            Ok(Ok(_))
        )
    }

    #[tokio::test]
    async fn what_was_held_passes_once_the_network_is_whole() {
        let proxy = echo().await;
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        assert!(comes_back(&mut stream, LONG).await);
        for direction in [Direction::In, Direction::Out, Direction::Both] {
            proxy.set(Passage::Cut {
                direction,
                cut: Cut::Drop,
            });
            stream.write_all(b"b").await.unwrap();
            assert!(!comes_back(&mut stream, SHORT).await, "{direction:?}");
            proxy.set(Passage::Open);
            assert!(comes_back(&mut stream, LONG).await, "{direction:?}");
        }
    }

    #[tokio::test]
    async fn a_reset_ends_old_and_new_connections() {
        let proxy = echo().await;
        let mut old = TcpStream::connect(proxy.address).await.unwrap();
        old.write_all(b"a").await.unwrap();
        assert!(comes_back(&mut old, LONG).await);
        proxy.set(Passage::Cut {
            direction: Direction::Both,
            cut: Cut::Reset,
        });
        let mut byte = [0];
        assert!(old.read_exact(&mut byte).await.is_err());
        // The reset may come as early as in the connecting.
        if let Ok(mut new) = TcpStream::connect(proxy.address).await {
            assert!(new.read_exact(&mut byte).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_delay_adds_up_and_nothing_is_reordered() {
        let proxy = echo().await;
        proxy.set(Passage::Cut {
            direction: Direction::Out,
            cut: Cut::Delay(SHORT),
        });
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let began = clock::now();
        stream.write_all(b"abc").await.unwrap();
        let mut heard = [0; 3];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"abc");
        assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_node_that_is_down_looks_down() {
        let proxy = Proxy::start(([127, 0, 0, 1], 1).into()).unwrap();
        // It may hang up before we have heard that we are connected.
        if let Ok(mut stream) = TcpStream::connect(proxy.address).await {
            let mut byte = [0];
            assert!(stream.read_exact(&mut byte).await.is_err());
        }
    }
}
