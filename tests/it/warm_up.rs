//! A cold pool that fills itself from a warm one, while what is copied is deleted.

use std::net::SocketAddr;

use tempfile::TempDir;
use tests::{
    client::Client,
    process::{Process, Program},
};

const KEYS: usize = 64;

/// A router before a cold and a warm node, in this order.
fn start(route: &str) -> (Process, [Process; 2], TempDir) {
    let nodes = [(); 2].map(|()| Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]));
    let [cold, warm]: [SocketAddr; 2] = [nodes[0].addr(), nodes[1].addr()];
    let config = format!(
        r#"{{"pools": {{"cold": {{"servers": ["{cold}"]}}, "warm": {{"servers": ["{warm}"]}}}}, "route": {route}}}"#
    );
    let folder = TempDir::new().expect("a scratch folder");
    let router = Process::start_router(folder.path(), &config, &["-t", "2"]);
    (router, nodes, folder)
}

/// Keys that are there although both a delete and the gets that came at the same time have been answered.
fn come_back(route: &str, rounds: usize) -> Vec<String> {
    let (router, nodes, _folder) = start(route);
    let mut warm = Client::connect(nodes[1].addr());
    let [mut reader, mut deleter] = [(); 2].map(|()| Client::connect(router.addr()));
    let mut back = Vec::new();
    for round in 0..rounds {
        let keys: Vec<String> = (0..KEYS).map(|number| format!("{round}:{number}")).collect();
        let all = |before: &str, after: &str| -> String {
            keys.iter()
                .map(|key| format!("{before} {key}{after}\r\n"))
                .collect()
        };
        warm.exchange(all("set", " 0 0 1 noreply\r\nx") + "mn\r\n", "MN\r\n");
        // In turns, who goes first.
        let mut ask: [(&mut Client, String); 2] =
            [(&mut reader, all("get", "")), (&mut deleter, all("delete", ""))];
        ask.rotate_left(round % 2);
        ask.iter_mut()
            .for_each(|(client, request)| client.send(&*request));
        let mut answered = 0;
        while answered < KEYS {
            answered += usize::from(reader.read_line() == "END");
        }
        keys.iter().for_each(|_key| {
            deleter.read_line();
        });
        back.extend(keys.into_iter().filter(|key| deleter.get(key).is_some()));
    }
    back
}

#[test]
fn what_is_deleted_while_it_is_copied_stays_deleted() {
    let both =
        r#"{"type": "WarmUpRoute", "cold": "PoolRoute|cold", "warm": "PoolRoute|warm", "deletes": "both"}"#;
    assert_eq!(come_back(both, 100), Vec::<String>::new());
}
