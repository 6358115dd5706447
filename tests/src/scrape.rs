//! The admin port as an operator's tools see it: HTTP by hand, Prometheus text as a map.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::client::REPLY_DEADLINE;

/// `GET path`: status and body.
#[track_caller]
pub fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    request(admin, "GET", path, "")
}

/// `POST path` with a JSON body: status and body.
#[track_caller]
pub fn post(admin: SocketAddr, path: &str, json: &str) -> (u16, String) {
    request(admin, "POST", path, json)
}

#[track_caller]
fn request(admin: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&admin, REPLY_DEADLINE).expect("the admin port accepts");
    stream
        .set_read_timeout(Some(REPLY_DEADLINE))
        .expect("a timeout can be set");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n");
    let head = head + &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    stream
        .write_all((head + body).as_bytes())
        .expect("the request is sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("the reply ends");
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let (head, body) = reply
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{method} {path}: {reply:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { dechunk(body) } else { body.to_owned() };
    (
        status.unwrap_or_else(|| panic!("{method} {path}: {head:?}")),
        body,
    )
}

/// Joins the chunks of a chunked body.
fn dechunk(mut body: &str) -> String {
    let mut joined = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
        joined.push_str(rest.get(..size).expect("a whole chunk"));
        body = rest
            .get(size..)
            .and_then(|rest| rest.strip_prefix("\r\n"))
            .unwrap_or_default();
    }
    joined
}

/// `/metrics` as `name{labels}` to value.
#[track_caller]
pub fn metrics(admin: SocketAddr) -> BTreeMap<String, f64> {
    let (status, body) = get(admin, "/metrics");
    assert_eq!(status, 200, "{body}");
    let samples = body
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let parse = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("sample {line:?}"));
        (
            name.to_owned(),
            value
                .parse()
                .unwrap_or_else(|error| panic!("sample {line:?}: {error}")),
        )
    };
    samples.map(parse).collect()
}

/// The sum of every sample of `name` whose labels contain all of `labels`.
pub fn sum(metrics: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let of_name = |sample: &str| {
        sample == name
            || sample
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
    };
    let wanted = |sample: &str| of_name(sample) && labels.iter().all(|label| sample.contains(label));
    metrics
        .iter()
        .filter(|(sample, _)| wanted(sample))
        .map(|(_, value)| value)
        .sum()
}
