//! Many requests at once: long pipelines, large values, clients that do not read, noise.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Client, Nodes, eventually, metric, router};

#[test]
fn ten_thousand_requests_in_one_breath_are_answered_in_order() {
    let nodes = Nodes::start(4);
    let router = router(&["--sharded", &nodes.list()]);
    let mut client = Client::of(router.addr());
    let mut requests = Vec::new();
    for number in 0..10_000 {
        write!(requests, "set k{number} {number} 0 3\r\nabc\r\n").expect("in memory");
    }
    let mut writer = client.stream().try_clone().expect("another handle");
    let sender = std::thread::spawn(move || {
        writer.write_all(&requests).expect("sent");
        let mut gets = Vec::new();
        for number in 0..10_000 {
            write!(gets, "get k{number}\r\n").expect("in memory");
        }
        writer.write_all(&gets).expect("sent");
    });
    for _ in 0..10_000 {
        assert_eq!(client.line(), "STORED");
    }
    for number in 0..10_000 {
        assert_eq!(client.line(), format!("VALUE k{number} {number} 3"));
        assert_eq!(
            (client.line(), client.line()),
            ("abc".to_owned(), "END".to_owned())
        );
    }
    sender.join().expect("sent");
}

#[test]
fn values_of_a_mebibyte_pass_whole() {
    let nodes = Nodes::start(3);
    let router = router(&["--sharded", &nodes.list()]);
    let mut client = Client::of(router.addr());
    let mut keys = Vec::new();
    for number in 0_u8..8 {
        let key = format!("big{number}");
        let value: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8 ^ number).collect();
        assert_eq!(client.set(&key, &value), "STORED");
        assert_eq!(client.get(&key).as_deref(), Some(value.as_slice()));
        keys.push((key, value));
    }
    let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    client.send(format!("get {}\r\n", names.join(" ")).as_bytes());
    assert_eq!(client.values().expect("a retrieval"), keys);
}

#[test]
fn a_value_over_the_limit_is_refused_and_the_old_one_is_gone() {
    let nodes = Nodes::start(2);
    let router = router(&["--sharded", &nodes.list(), "-I", "64KiB"]);
    let mut client = Client::of(router.addr());
    assert_eq!(client.set("k", b"old"), "STORED");
    assert_eq!(
        client.set("k", &vec![b'x'; 100_000]),
        "SERVER_ERROR object too large for cache"
    );
    assert_eq!(client.get("k"), None);
    assert_eq!(client.set("k", b"new"), "STORED");
}

#[test]
fn a_client_that_does_not_read_is_not_read_and_disturbs_nobody() {
    let nodes = Nodes::start(2);
    let router = router(&["--sharded", &nodes.list()]);
    let mut client = Client::of(router.addr());
    let value = vec![b'v'; 500_000];
    assert_eq!(client.set("big", &value), "STORED");
    assert_eq!(client.get("big").map(|value| value.len()), Some(500_000));

    let mut lazy = Client::of(router.addr());
    let asked = 400;
    lazy.send("get big\r\n".repeat(asked).as_bytes());
    let admin = router.admin_addr().expect("an admin side");
    eventually("the client is not read for a while", || {
        let pauses = metric(admin, "router_client_pauses_total");
        if pauses > 0.0 {
            Ok(())
        } else {
            Err(format!("{pauses} pauses"))
        }
    });
    // Others go on.
    for number in 0..100 {
        assert_eq!(client.set(&format!("k{number}"), b"x"), "STORED");
    }
    let resident = metric(admin, "process_resident_memory_bytes");
    assert!(
        resident < 600e6,
        "{resident} bytes for a client that was owed 200 MB, in a process with its servers"
    );
    // And in the end it gets all it asked for.
    for _ in 0..asked {
        assert_eq!(lazy.values().expect("a retrieval")[0].1.len(), value.len());
    }
}

/// A little generator of noise (xorshift), seeded.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn garbage(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 16] = [
            b"get ",
            b"set k 0 0 5\r\n",
            b"hello\r\n",
            b"\r\n",
            b"mg ",
            b"ms k S5 ",
            b"q k O1 ",
            b" noreply",
            b"\x80\x00\x01",
            b"\xff\xfe\n",
            b"incr k 99999999999999999999999\r\n",
            b"delete k\r\n",
            b"set big 0 0 99999999999\r\n",
            b"gat 0 a b c\r\n",
            b"mn\r\n",
            b"cas k 0 0 1 x\r\ny\r\n",
        ];
        let mut bytes = Vec::new();
        for _ in 0..self.next() % 40 {
            let choice = usize::try_from(self.next() % 20).expect("small");
            match PIECES.get(choice) {
                Some(piece) => bytes.extend_from_slice(piece),
                None => bytes.extend_from_slice(&self.next().to_le_bytes()),
            }
        }
        bytes
    }
}

#[test]
fn noise_on_a_socket_hurts_only_that_socket() {
    let nodes = Nodes::start(3);
    let router = router(&["--sharded", &nodes.list()]);
    let addr = router.addr();
    let mut client = Client::of(addr);
    assert_eq!(client.set("kept", b"value"), "STORED");
    let storms: Vec<_> = (1..=4_u64)
        .map(|seed| {
            std::thread::spawn(move || {
                let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                for _ in 0..200 {
                    let mut stream = TcpStream::connect(addr).expect("the router takes clients");
                    stream.set_nonblocking(false).expect("blocking");
                    // The router may close on us in the middle of it.
                    let _ = stream.write_all(&noise.garbage());
                    if noise.next().is_multiple_of(2) {
                        let _ = stream.shutdown(std::net::Shutdown::Write);
                        let _ = stream.set_read_timeout(Some(crate::support::PATIENCE));
                        let mut said = Vec::new();
                        let ended = stream.read_to_end(&mut said);
                        assert!(
                            ended.is_ok()
                                || ended
                                    .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset),
                            "a connection was left hanging (seed {seed})"
                        );
                    }
                }
            })
        })
        .collect();
    for number in 0..300 {
        let key = format!("quiet{number}");
        assert_eq!(client.set(&key, key.as_bytes()), "STORED");
        assert_eq!(client.get(&key).as_deref(), Some(key.as_bytes()));
    }
    for storm in storms {
        storm.join().expect("no hanging connection");
    }
    assert_eq!(client.get("kept").as_deref(), Some(b"value".as_slice()));
    let admin = router.admin_addr().expect("an admin side");
    eventually("every noisy connection is gone", || {
        let open = metric(admin, "router_client_connections");
        if open <= 1.0 {
            Ok(())
        } else {
            Err(format!("{open} open"))
        }
    });
}
