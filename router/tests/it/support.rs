//! Nodes, routers and a client that speaks bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use router::Options;
use router::embedded::Handle;

/// How long anything may take before a test fails: far more than it takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `found` to find something, and says what it saw last if it does not.
pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Result<T, String>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        match found() {
            Ok(found) => return found,
            Err(seen) => assert!(now() < deadline, "{what}: last seen {seen}"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests against real sockets need real time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A node on `port`; 0 takes any.
pub(crate) fn node(port: u16) -> cache_node::embedded::Handle {
    let config = cache_node::embedded::Config {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], port)).into()],
        item_size_max_bytes: 2 * 1024 * 1024,
        connections_max: 10_000,
        ..cache_node::embedded::Config::embedded()
    };
    // A port that was just left may take a moment to be free again.
    eventually("start a node", || {
        cache_node::embedded::start(config.clone()).map_err(|error| error.to_string())
    })
}

/// Nodes and their names `n0`, `n1`, …
pub(crate) struct Nodes {
    pub nodes: Vec<cache_node::embedded::Handle>,
}

impl Nodes {
    pub(crate) fn start(count: usize) -> Self {
        Self {
            nodes: (0..count).map(|_| node(0)).collect(),
        }
    }

    /// As `--sharded` and `--replicated` want them.
    pub(crate) fn list(&self) -> String {
        let servers: Vec<String> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| format!("n{index}={}", node.addr()))
            .collect();
        servers.join(",")
    }
}

/// A router on any port, with an admin side.
pub(crate) fn router(args: &[&str]) -> Handle {
    let always = ["router", "-p", "0", "--admin", "127.0.0.1:0", "-t", "2"];
    let options = Options::read(always.iter().chain(args)).expect("flags as the router takes them");
    router::embedded::start(options).expect("the router starts")
}

/// A client that speaks bytes.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn of(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        Self {
            reader: BufReader::new(stream),
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("send");
    }

    /// One line, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).expect("a line in time");
        assert!(read > 0, "the router closed the connection");
        String::from_utf8_lossy(&line)
            .trim_end_matches(['\r', '\n'])
            .to_owned()
    }

    /// What one line of request is answered by, for requests answered by one line.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.send(request.as_bytes());
        self.send(b"\r\n");
        self.line()
    }

    pub(crate) fn set(&mut self, key: &str, value: &[u8]) -> String {
        self.send(format!("set {key} 0 0 {}\r\n", value.len()).as_bytes());
        self.send(value);
        self.send(b"\r\n");
        self.line()
    }

    /// The values of a retrieval that has been sent, key by key.
    pub(crate) fn values(&mut self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut values = Vec::new();
        loop {
            let line = self.line();
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["END"] => return Ok(values),
                ["VALUE", key, _flags, length, ..] => {
                    let mut value = vec![0; length.parse::<usize>().expect("a length") + 2];
                    self.reader.read_exact(&mut value).expect("a value in time");
                    assert!(value.ends_with(b"\r\n"), "a value ends its block");
                    value.truncate(value.len() - 2);
                    values.push(((*key).to_owned(), value));
                }
                _ => return Err(line),
            }
        }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.send(format!("get {key}\r\n").as_bytes());
        let mut values = self.values().expect("a retrieval");
        assert!(values.len() <= 1);
        values.pop().map(|(found, value)| {
            assert_eq!(found, key, "the value of another key");
            value
        })
    }
}

/// An HTTP request to the admin side: status and body.
pub(crate) fn http(addr: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).expect("connect to the admin side");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: router\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("send");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer");
    let status = reply
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let body = reply
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body)
        .to_owned();
    (status, body)
}

/// A number of /metrics, over all labels.
pub(crate) fn metric(addr: SocketAddr, name: &str) -> f64 {
    let (_, page) = http(addr, "GET", "/metrics", "");
    page.lines()
        .filter(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// A server that does as `serve` says with each connection, one after the other.
pub(crate) fn fake_server(mut serve: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            serve(stream);
        }
    });
    addr
}

/// A pause that a test cannot do without, because a server is to be slow.
pub(crate) fn slowly(pause: Duration) {
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(pause);
}

/// Debian's memcached, if it is installed; ends with the test.
pub(crate) struct Memcached {
    child: Child,
    pub addr: SocketAddr,
}

impl Memcached {
    pub(crate) fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = free.local_addr().expect("bound");
        drop(free);
        let port = addr.port().to_string();
        let child = Command::new("memcached")
            .args([
                "-u",
                "nobody",
                "-l",
                "127.0.0.1",
                "-U",
                "0",
                "-t",
                "1",
                "-p",
                &port,
            ])
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let memcached = Self { child, addr };
        eventually("memcached listens", || {
            TcpStream::connect(addr).map_err(|error| error.to_string())
        });
        Some(memcached)
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
