//! No byte string on a socket crashes or wedges anything: seeded noise, half requests, lies about length, hang-ups.

use std::{io::Read as _, net::TcpStream, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tests::{
    client::Client,
    cluster::{Cluster, Layout},
    eventually,
    process::{Process, Program},
};

/// Rounds of each storm; `HEARTH_STORM_ROUNDS` for a longer one.
fn rounds() -> u64 {
    let wanted = std::env::var("HEARTH_STORM_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    wanted.unwrap_or(300)
}

/// Pieces that real requests are made of, so that the noise gets past the first byte.
const WORDS: &[&str] = &[
    "get",
    "gets",
    "gat",
    "gats",
    "set",
    "add",
    "replace",
    "append",
    "prepend",
    "cas",
    "delete",
    "incr",
    "decr",
    "touch",
    "flush_all",
    "version",
    "verbosity",
    "stats",
    "mg",
    "ms",
    "md",
    "ma",
    "mn",
    "me",
    "config",
    "watch",
    "lru_crawler",
    "metadump",
    "all",
    "noreply",
    "k",
    "key2",
    "Zm9v",
    "0",
    "1",
    "-1",
    "5",
    "250",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "2147483645",
    "1048576",
    "999999999",
    "v",
    "q",
    "k",
    "O1",
    "b",
    "t",
    "T0",
    "N0",
    "R30",
    "C1",
    "E2",
    "I",
    "MS",
    "MA",
    "MZ",
    "F9",
    "S",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    " ",
    "  ",
    "\t",
    "\0",
    "\r",
    "|#|",
    "/*/*/",
    "__mcrouter__.route(get,k)",
    "items",
    "slabs",
    "settings",
    "reset",
    "cachedump",
    "HTTP/1.1",
];

/// One stream of noise: words, raw bytes and lies, ended at any place.
fn noise(rng: &mut SmallRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(1..120) {
        match rng.random_range(0..20) {
            0 => bytes.extend((0..rng.random_range(0..300)).map(|_| rng.random::<u8>())),
            1 => bytes.extend(std::iter::repeat_n(b'a', rng.random_range(0..4000))),
            2 => {
                let announced = rng.random_range(0..2000);
                let sent = rng.random_range(0..2000_usize);
                bytes.extend(format!("set k 0 0 {announced}\r\n").bytes());
                bytes.extend(std::iter::repeat_n(b'x', sent));
                bytes.extend(b"\r\n");
            }
            3 => {
                bytes.extend(format!("ms k {}", rng.random_range(0..100)).bytes());
                bytes.extend(b" v k t\r\nab\r\n");
            }
            _ => {
                let word = WORDS[rng.random_range(0..WORDS.len())];
                bytes.extend(word.bytes());
                if rng.random_bool(0.6) {
                    bytes.push(b' ');
                }
            }
        }
    }
    bytes
}

/// Sends noise on many connections, reads whatever comes, hangs up without a word.
fn storm(addr: std::net::SocketAddr, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut clients: Vec<Client> = (0..10).map(|_| Client::connect(addr)).collect();
    for client in &mut clients {
        let bytes = noise(&mut rng);
        let cut = rng.random_range(0..=bytes.len());
        // The other side may close whenever it likes.
        let _ = client.try_send(&bytes[..cut]);
        let _ = client.try_send(&bytes[cut..]);
    }
    for client in &mut clients {
        if rng.random_bool(0.5) {
            client.finish_sending();
            let mut stream = client.stream();
            let _ = stream.set_read_timeout(Some(Duration::from_millis(2000)));
            let mut reply = [0; 4096];
            while matches!(stream.read(&mut reply), Ok(1..)) {}
        }
    }
}

#[track_caller]
fn still_serves(cluster: &Cluster) {
    let mut client = cluster.client();
    // A `flush_all` of the noise may still be on its way and come between the two.
    eventually(Duration::from_secs(10), "a value is kept", || {
        client.exchange("set after-storm 0 0 1\r\nx\r\n", "STORED\r\n");
        match client.get("after-storm") {
            Some(value) if value == b"x" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    client.expect_nothing_more();
}

fn survives_a_storm(mut cluster: Cluster) {
    still_serves(&cluster);
    for seed in 0..rounds() / 3 {
        storm(cluster.addr(), seed);
    }
    let front = |cluster: &Cluster| {
        cluster
            .router
            .as_ref()
            .map_or(cluster.servers[0].rss(), Process::rss)
    };
    let warm = front(&cluster);
    for seed in rounds() / 3..rounds() {
        storm(cluster.addr(), seed);
        if seed % 50 == 0 {
            still_serves(&cluster);
        }
    }
    still_serves(&cluster);
    // The store may fill with what the noise stored; nothing else may grow.
    let grown = front(&cluster).saturating_sub(warm) / 1024;
    assert!(grown < 8 * 1024, "{grown} KiB more after twice the noise");
    for process in cluster.servers.iter_mut().chain(cluster.router.as_mut()) {
        assert!(process.is_running(), "{:?} is gone", process.program());
    }
    nothing_is_left_open(&cluster);
}

/// Every connection of the storm is gone again.
#[track_caller]
fn nothing_is_left_open(cluster: &Cluster) {
    let process = cluster.router.as_ref().unwrap_or(&cluster.servers[0]);
    eventually(
        Duration::from_secs(20),
        "all connections are closed",
        || match process.fds() {
            ..=80 => Ok(()),
            count => Err(format!("{count} descriptors")),
        },
    );
}

#[test]
fn a_cache_node_survives_a_storm_of_noise() {
    survives_a_storm(Cluster::single(Program::CacheNode, &["-m", "64"]));
}

#[test]
fn a_sharded_router_survives_a_storm_of_noise() {
    survives_a_storm(Cluster::routed(
        Layout::Sharded,
        Program::CacheNode,
        2,
        &["--flush-all", "broadcast"],
    ));
}

#[test]
fn a_replicated_router_survives_a_storm_of_noise() {
    survives_a_storm(Cluster::routed(Layout::Replicated, Program::CacheNode, 2, &[]));
}

/// Announced lengths are not believed before the bytes are there.
fn announced_lengths_cost_nothing(cluster: &Cluster, process: &Process) {
    still_serves(cluster);
    let before = process.rss();
    let mut liars: Vec<Client> = (0..200).map(|_| cluster.client()).collect();
    for (index, client) in liars.iter_mut().enumerate() {
        let line = match index % 4 {
            0 => "set k 0 0 1000000\r\nx",
            1 => "ms k 1000000 T0\r\nx",
            2 => "set k 0 0 2000000000\r\nx",
            _ => "append k 0 0 900000\r\nx",
        };
        client.send(line);
    }
    still_serves(cluster);
    let grown = process.rss().saturating_sub(before) / 1024;
    assert!(grown < 16 * 1024, "{grown} KiB for 200 announced megabytes");
}

#[test]
fn a_cache_node_does_not_allocate_by_announcement() {
    let cluster = Cluster::single(Program::CacheNode, &["-m", "64", "-t", "1"]);
    announced_lengths_cost_nothing(&cluster, &cluster.servers[0]);
}

#[test]
fn a_router_does_not_allocate_by_announcement() {
    let cluster = Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]);
    announced_lengths_cost_nothing(&cluster, cluster.router());
}

fn survives_a_thousand_hang_ups(cluster: &Cluster) {
    still_serves(cluster);
    for batch in 0..10 {
        let clients: Vec<TcpStream> = (0..100)
            .map(|_| TcpStream::connect(cluster.addr()).expect("a connection"))
            .collect();
        for (index, client) in clients.iter().enumerate() {
            let bytes: &[u8] = match index % 4 {
                0 => b"",
                1 => b"get",
                2 => b"get a b c\r\nget a b c\r\nget",
                _ => b"set k 0 0 100\r\nhalf",
            };
            let _ = std::io::Write::write_all(&mut &*client, bytes);
        }
        drop(clients);
        if batch % 3 == 0 {
            still_serves(cluster);
        }
    }
    still_serves(cluster);
    nothing_is_left_open(cluster);
}

#[test]
fn a_cache_node_survives_a_thousand_hang_ups() {
    survives_a_thousand_hang_ups(&Cluster::single(Program::CacheNode, &["-m", "64"]));
}

#[test]
fn a_router_survives_a_thousand_hang_ups() {
    survives_a_thousand_hang_ups(&Cluster::routed(Layout::Sharded, Program::CacheNode, 2, &[]));
}

/// A binary-protocol client must not wedge a text server.
#[test]
fn the_binary_protocol_is_refused_or_hung_up_on() {
    for cluster in [
        Cluster::single(Program::CacheNode, &[]),
        Cluster::routed(Layout::Sharded, Program::CacheNode, 1, &[]),
    ] {
        let mut client = cluster.client();
        // VERSION, and a GET whose header announces four gigabytes.
        let mut request = vec![0x80, 0x0b];
        request.extend([0; 22]);
        request.extend([
            0x80, 0x00, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]);
        client.send(&request);
        let _ = client.try_send(b"\r\n");
        match client.try_read_line() {
            Ok(line) => assert!(
                line.starts_with(b"ERROR") || line.starts_with(b"CLIENT_ERROR"),
                "{}",
                line.escape_ascii()
            ),
            Err(error) => assert!(tests::client::is_close(&error), "{error}"),
        }
        still_serves(&cluster);
    }
}

/// A server that talks nonsense must not take its router down.
#[test]
fn a_server_that_answers_with_noise_is_an_error_and_no_more() {
    use std::{io::Write as _, net::TcpListener, thread};

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound address");
    thread::spawn(move || {
        let mut rng = SmallRng::seed_from_u64(7);
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let reply = match rng.random_range(0..5) {
                0 => (0..200).map(|_| rng.random::<u8>()).collect(),
                1 => b"VALUE other 0 5\r\nwrong\r\nEND\r\n".to_vec(),
                2 => b"VALUE k 0 99999999\r\nx".to_vec(),
                3 => b"STORED\r\nSTORED\r\nSTORED\r\nEND\r\nEND\r\n".to_vec(),
                _ => vec![b'A'; 100_000],
            };
            let _ = stream.write_all(&reply);
        }
    });
    let good = Process::start(Program::CacheNode, &["-m", "64"]);
    let list = format!("bad={addr},good={}", good.addr());
    let router = Process::start(
        Program::Router,
        &["--sharded", &list, "--server-timeout", "300ms"],
    );
    let mut client = Client::connect(router.addr());
    let mut direct = Client::connect(good.addr());
    for index in 0..200 {
        let key = format!("key-{index}");
        let stored = client.try_set(&key, 0, key.as_bytes()).expect("an answer");
        match client.try_get(&key).expect("an answer") {
            Ok(Some(value)) => assert_eq!(value, key.as_bytes()),
            Ok(None) => assert!(direct.get(&key).is_none(), "{key} is on the good server"),
            Err(line) => assert!(line.starts_with("SERVER_ERROR"), "{line}"),
        }
        assert!(
            stored == "STORED" || stored.starts_with("SERVER_ERROR"),
            "{stored}"
        );
    }
    client.expect_nothing_more();
}
