//! What clients lean on, while others do the same at the same moment: every test races real connections.

use std::collections::BTreeSet;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::thread;

use super::{eventually, line};
use crate::support::{LOOPBACK, Running, ask};

const RACERS: usize = 8;

fn start(args: &[&str]) -> Running {
    Running::start(&[&LOOPBACK[..], &["-t", "4", "--ttl-jitter", "0"], args].concat())
}

/// Runs `act` on as many connections at once; `round` begins when all are there.
fn race<T: Send + 'static>(
    node: &Running,
    rounds: usize,
    act: impl Fn(usize, usize, &mut BufReader<TcpStream>) -> T + Send + Sync + 'static,
) -> Vec<Vec<T>> {
    let (act, start) = (Arc::new(act), Arc::new(Barrier::new(RACERS)));
    let racers = (0..RACERS).map(|racer| {
        let (act, start) = (Arc::clone(&act), Arc::clone(&start));
        let mut client = BufReader::new(node.connect());
        thread::spawn(move || {
            let run = |round| {
                start.wait();
                act(racer, round, &mut client)
            };
            (0..rounds).map(run).collect::<Vec<T>>()
        })
    });
    let racers: Vec<_> = racers.collect();
    racers.into_iter().map(|racer| racer.join().unwrap()).collect()
}

fn said(client: &mut BufReader<TcpStream>, request: &str) -> String {
    client.get_mut().write_all(request.as_bytes()).unwrap();
    line(client)
}

/// `gets`: the value and its cas unique.
fn gets(client: &mut BufReader<TcpStream>, key: &str) -> (String, u64) {
    let head = said(client, &format!("gets {key}\r\n"));
    let unique = head.rsplit(' ').next().unwrap().parse().unwrap();
    let value = line(client);
    assert_eq!(line(client), "END");
    (value, unique)
}

#[test]
fn every_change_by_cas_counts_and_none_is_lost() {
    const ROUNDS: usize = 200;
    let node = start(&[]);
    ask(&mut node.connect(), b"set n 0 0 1\r\n0\r\n", b"STORED\r\n");
    race(&node, ROUNDS, |_, _, client| {
        loop {
            let (value, unique) = gets(client, "n");
            let next = (value.parse::<u64>().unwrap() + 1).to_string();
            let request = format!("cas n 0 0 {} {unique}\r\n{next}\r\n", next.len());
            match said(client, &request).as_str() {
                "STORED" => return,
                reply => assert_eq!(reply, "EXISTS"),
            }
        }
    });
    let (value, _) = gets(&mut BufReader::new(node.connect()), "n");
    assert_eq!(value, (RACERS * ROUNDS).to_string());
}

#[test]
fn a_cas_unique_never_comes_again_not_even_after_eviction() {
    let node = start(&["-m", "8"]);
    let uniques = race(&node, 300, |racer, round, client| {
        // Values large enough that the cache turns over many times.
        let value = "v".repeat(20_000);
        let key = format!("k{}", (racer * 7 + round) % 5);
        let request = format!("ms {key} 20000 c\r\n{value}\r\n");
        let reply = said(client, &request);
        let unique: u64 = reply.strip_prefix("HD c").unwrap().parse().unwrap();
        (key, unique)
    });
    // A unique is asked for with its key: two keys may have the same one.
    let all: Vec<(String, u64)> = uniques.concat();
    let distinct: BTreeSet<&(String, u64)> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    // A token of an item that was evicted meanwhile opens nothing.
    let mut client = BufReader::new(node.connect());
    // Never read, so that nothing speaks for keeping it.
    let reply = said(&mut client, "ms old 1 c\r\nx\r\n");
    let token: u64 = reply.strip_prefix("HD c").unwrap().parse().unwrap();
    let filler = "f".repeat(20_000);
    let mut fillers = 0;
    eventually("the old item is evicted", || {
        for _ in 0..200 {
            fillers += 1;
            let request = format!("set filler-{fillers} 0 0 20000\r\n{filler}\r\n");
            assert_eq!(said(&mut client, &request), "STORED");
        }
        said(&mut client, "mg old u\r\n") == "EN"
    });
    assert_eq!(said(&mut client, "set old 0 0 1\r\ny\r\n"), "STORED");
    assert_eq!(
        said(&mut client, &format!("cas old 0 0 1 {token}\r\nz\r\n")),
        "EXISTS"
    );
}

#[test]
fn incr_and_decr_of_many_clients_add_up_and_wrap_at_64_bits() {
    let node = start(&[]);
    ask(
        &mut node.connect(),
        b"set up 5 0 1\r\n0\r\nset wrap 0 0 20\r\n18446744073709551615\r\nset down 0 0 4\r\n1000\r\n",
        b"STORED\r\nSTORED\r\nSTORED\r\n",
    );
    race(&node, 200, |_, _, client| {
        said(client, "incr up 3\r\n").parse::<u64>().unwrap();
        said(client, "incr wrap 1\r\n").parse::<u64>().unwrap();
        said(client, "decr down 1\r\n").parse::<u64>().unwrap();
    });
    let each = RACERS * 200;
    let wrapped = (each - 1).to_string();
    let reply = format!(
        "VALUE up 5 4\r\n{}\r\nVALUE wrap 0 4\r\n{wrapped}\r\nVALUE down 0 1\r\n0\r\nEND\r\n",
        each * 3
    );
    ask(&mut node.connect(), b"get up wrap down\r\n", reply.as_bytes());
}

#[test]
fn appended_pieces_of_many_clients_are_all_there_and_flags_and_ttl_stay() {
    let node = start(&[]);
    ask(&mut node.connect(), b"set k 77 1000 1\r\n|\r\n", b"STORED\r\n");
    race(&node, 100, |racer, round, client| {
        let verb = if racer % 2 == 0 { "append" } else { "prepend" };
        let piece = format!("<{racer}.{round:02}>");
        let request = format!("{verb} k 1 1 {}\r\n{piece}\r\n", piece.len());
        assert_eq!(said(client, &request), "STORED");
    });
    let mut client = BufReader::new(node.connect());
    let head = said(&mut client, "mg k v f t\r\n");
    let fields: Vec<&str> = head.split(' ').collect();
    assert_eq!((fields[0], fields[2]), ("VA", "f77"), "{head}");
    let ttl: u32 = fields[3].strip_prefix('t').unwrap().parse().unwrap();
    assert!((900..=1000).contains(&ttl), "{head}");
    let value = line(&mut client);
    assert_eq!(value.len(), 1 + RACERS * 100 * "<0.00>".len());
    for racer in 0..RACERS {
        for round in 0..100 {
            assert!(
                value.contains(&format!("<{racer}.{round:02}>")),
                "{racer} {round}"
            );
        }
    }
}

#[test]
fn add_has_one_winner_also_on_an_expired_item() {
    let node = start(&[]);
    let stored = race(&node, 50, |_, round, client| {
        said(client, &format!("add fresh-{round} 0 0 1\r\nx\r\n")) == "STORED"
    });
    for round in 0..50 {
        assert_eq!(
            stored.iter().filter(|rounds| rounds[round]).count(),
            1,
            "round {round}"
        );
    }
    let mut client = BufReader::new(node.connect());
    for round in 0..50 {
        assert_eq!(
            said(&mut client, &format!("set old-{round} 0 1 1\r\nx\r\n")),
            "STORED"
        );
        assert_eq!(
            said(&mut client, &format!("set gone-{round} 0 -1 1\r\nx\r\n")),
            "STORED"
        );
    }
    eventually("the old items expire", || {
        said(&mut client, "mg old-49 u\r\n") == "EN"
    });
    let stored = race(&node, 50, |_, round, client| {
        ["old", "gone"].map(|kind| said(client, &format!("add {kind}-{round} 0 0 1\r\ny\r\n")) == "STORED")
    });
    for round in 0..50 {
        for kind in 0..2 {
            assert_eq!(
                stored.iter().filter(|rounds| rounds[round][kind]).count(),
                1,
                "round {round}"
            );
        }
    }
}

#[test]
fn a_lease_has_exactly_one_winner() {
    let node = start(&[]);
    // On a miss, on a stale item, and on one about to expire: once each, however many ask at once.
    let won = race(&node, 60, |_, round, client| {
        let vivified = said(client, &format!("mg miss-{round} N30\r\n")).contains(" W");
        [vivified]
    });
    assert_one_winner(&won, 60);
    let mut client = BufReader::new(node.connect());
    for round in 0..60 {
        assert_eq!(
            said(&mut client, &format!("set stale-{round} 0 0 1\r\nx\r\n")),
            "STORED"
        );
        assert_eq!(said(&mut client, &format!("md stale-{round} I T60\r\n")), "HD");
        assert_eq!(
            said(&mut client, &format!("set late-{round} 0 20 1\r\nx\r\n")),
            "STORED"
        );
    }
    let won = race(&node, 60, |_, round, client| {
        let stale = said(client, &format!("mg stale-{round} t\r\n"));
        assert!(stale.contains(" X"), "{stale}");
        let late = said(client, &format!("mg late-{round} t R30\r\n"));
        [stale.contains(" W"), late.contains(" W")]
    });
    assert_one_winner(&won, 60);
    // Marked stale again, the item can be won again.
    assert_eq!(said(&mut client, "md stale-0 I T60\r\n"), "HD");
    assert!(said(&mut client, "mg stale-0 t\r\n").contains(" W"));
}

fn assert_one_winner<const N: usize>(won: &[Vec<[bool; N]>], rounds: usize) {
    for round in 0..rounds {
        for kind in 0..N {
            let winners = won.iter().filter(|racer| racer[round][kind]).count();
            assert_eq!(winners, 1, "round {round}, kind {kind}");
        }
    }
}

#[test]
fn a_flush_takes_what_was_answered_before_it_and_nothing_stored_after() {
    let node = start(&[]);
    race(&node, 30, |racer, round, client| {
        // Each racer has its own keys; the flushes of all of them fall into the same second.
        let old = format!("old-{racer}-{round}");
        assert_eq!(said(client, &format!("set {old} 0 0 1\r\nx\r\n")), "STORED");
        assert_eq!(said(client, "flush_all\r\n"), "OK");
        assert_eq!(said(client, &format!("get {old}\r\n")), "END");
    });
    let mut client = BufReader::new(node.connect());
    for round in 0..100 {
        let request = format!("flush_all\r\nset new-{round} 0 0 1\r\nx\r\nget new-{round}\r\n");
        assert_eq!(said(&mut client, &request), "OK");
        for expected in ["STORED", &format!("VALUE new-{round} 0 1"), "x", "END"] {
            assert_eq!(line(&mut client), *expected);
        }
    }
}

#[test]
fn touch_and_gat_move_the_expiry_while_others_read() {
    let node = start(&[]);
    ask(
        &mut node.connect(),
        b"set short 3 2 1\r\nx\r\nset long 3 2 1\r\nx\r\nset dead 0 0 1\r\nx\r\n",
        b"STORED\r\nSTORED\r\nSTORED\r\n",
    );
    race(&node, 50, |racer, _, client| {
        if racer % 2 == 0 {
            assert_eq!(said(client, "touch long 1000\r\n"), "TOUCHED");
        } else {
            assert_eq!(said(client, "gat 1000 long\r\n"), "VALUE long 3 1");
            assert_eq!((line(client), line(client)), ("x".to_owned(), "END".to_owned()));
        }
    });
    let mut client = BufReader::new(node.connect());
    eventually("the untouched item expires", || {
        said(&mut client, "mg short u\r\n") == "EN"
    });
    let head = said(&mut client, "mg long t f\r\n");
    let ttl: u32 = head.split(' ').nth(1).unwrap()[1..].parse().unwrap();
    assert!(head.ends_with(" f3") && (900..=1000).contains(&ttl), "{head}");
    // A negative exptime and one in the past end an item at once; absolute ones name a moment.
    assert_eq!(said(&mut client, "touch dead -1\r\n"), "TOUCHED");
    assert_eq!(said(&mut client, "get dead\r\n"), "END");
    assert_eq!(said(&mut client, "set past 0 2592001 1\r\nx\r\n"), "STORED");
    assert_eq!(said(&mut client, "get past\r\n"), "END");
    client.get_mut().write_all(b"stats\r\n").unwrap();
    let mut now = 0_u64;
    loop {
        let told = line(&mut client);
        if let Some(time) = told.strip_prefix("STAT time ") {
            now = time.parse().unwrap();
        }
        if told == "END" {
            break;
        }
    }
    assert_eq!(
        said(&mut client, &format!("set then 0 {} 1\r\nx\r\n", now + 500)),
        "STORED"
    );
    let head = said(&mut client, "mg then t\r\n");
    let ttl: u64 = head.strip_prefix("HD t").unwrap().parse().unwrap();
    assert!((490..=500).contains(&ttl), "{head}");
}

#[test]
fn keys_of_250_bytes_may_hold_any_byte_that_is_no_separator() {
    let node = start(&[]);
    let bytes: Vec<u8> = (1..=255)
        .filter(|byte| !matches!(byte, b' ' | b'\n' | b'\r'))
        .collect();
    let mut client = node.connect();
    for shift in 0..bytes.len() {
        let key: Vec<u8> = bytes.iter().cycle().skip(shift).take(250).copied().collect();
        let value = shift.to_string();
        let store = [
            b"set ",
            &key[..],
            format!(" 0 0 {}\r\n{value}\r\n", value.len()).as_bytes(),
        ]
        .concat();
        ask(&mut client, &store, b"STORED\r\n");
    }
    for shift in 0..bytes.len() {
        let key: Vec<u8> = bytes.iter().cycle().skip(shift).take(250).copied().collect();
        let value = shift.to_string();
        let reply = [
            b"VALUE ",
            &key[..],
            format!(" 0 {}\r\n{value}\r\nEND\r\n", value.len()).as_bytes(),
        ]
        .concat();
        ask(&mut client, &[b"get ", &key[..], b"\r\n"].concat(), &reply);
    }
    let long = "k".repeat(251);
    ask(
        &mut client,
        format!("get {long}\r\n").as_bytes(),
        b"CLIENT_ERROR bad command line format\r\n",
    );
    client.write_all(b"quit\r\n").unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
}
