//! One connection over an in-memory pipe of a chosen width.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::UnixSeconds;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::{End, serve};
use crate::clients::{Client, Peer, State};
use crate::clock::Clock;
use crate::config::Config;
use crate::node::Node;
use crate::store::Seconds;

struct Served {
    pipe: DuplexStream,
    node: Arc<Node>,
    client: Arc<Client>,
    task: JoinHandle<End>,
}

/// A served connection whose pipe holds `width` bytes each way.
fn connect(width: usize, change: impl FnOnce(&mut Config)) -> Served {
    let mut config = Config {
        shutdown_enabled: true,
        ..Config::embedded()
    };
    change(&mut config);
    let node = Arc::new(Node::new(config, Clock::manual(UnixSeconds(1_700_000_000))).unwrap());
    let client = Arc::new(Client::new(
        Peer::Unix {
            path: Arc::new("/test".into()),
        },
        9,
        Seconds(0),
    ));
    let (pipe, served) = duplex(width);
    let task = {
        let (node, client) = (Arc::clone(&node), Arc::clone(&client));
        tokio::spawn(async move { serve(served, &node, 0, &client).await })
    };
    Served {
        pipe,
        node,
        client,
        task,
    }
}

impl Served {
    async fn expect(&mut self, expected: &[u8]) {
        let mut told = vec![0; expected.len()];
        self.pipe.read_exact(&mut told).await.unwrap();
        assert_eq!(
            told.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    /// Lets the connection do all it can.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn requests_are_answered_in_order_and_the_end_is_clean() {
    let mut served = connect(1 << 16, |_| {});
    served
        .pipe
        .write_all(b"set a 0 0 1\r\nx\r\nget a\r\nversion\r\n")
        .await
        .unwrap();
    served
        .expect(b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nVERSION 1.6.40\r\n")
        .await;
    drop(served.pipe);
    assert!(matches!(served.task.await.unwrap(), End::Closed));
}

#[tokio::test]
async fn quit_closes_after_the_replies() {
    let mut served = connect(1 << 16, |_| {});
    served.pipe.write_all(b"mn\r\nquit\r\n").await.unwrap();
    let mut told = Vec::new();
    served.pipe.read_to_end(&mut told).await.unwrap();
    assert_eq!(told, b"MN\r\n");
    assert!(matches!(served.task.await.unwrap(), End::Closed));
}

#[tokio::test]
async fn shutdown_ends_the_connection_with_that_wish() {
    let mut served = connect(1 << 16, |_| {});
    served.pipe.write_all(b"shutdown\r\n").await.unwrap();
    assert!(matches!(served.task.await.unwrap(), End::Shutdown));
}

#[tokio::test]
async fn a_request_may_come_one_byte_at_a_time() {
    let mut served = connect(1 << 16, |_| {});
    for byte in b"set key 5 0 5\r\nhello\r\ngets key none\r\n" {
        served.pipe.write_all(&[*byte]).await.unwrap();
        served.settle().await;
    }
    served.expect(b"STORED\r\nVALUE key 5 5 ").await;
}

#[tokio::test]
async fn a_value_longer_than_any_buffer_comes_and_goes_whole() {
    let value: Vec<u8> = (0..900_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut served = connect(3000, |_| {});
    let request = [
        b"set big 0 0 900000\r\n".as_slice(),
        &value,
        b"\r\nget big\r\nmn\r\n",
    ]
    .concat();
    let (mut read, mut write) = tokio::io::split(served.pipe);
    let writer = tokio::spawn(async move {
        write.write_all(&request).await.unwrap();
        write
    });
    let expected = [
        b"STORED\r\nVALUE big 0 900000\r\n".as_slice(),
        &value,
        b"\r\nEND\r\nMN\r\n",
    ]
    .concat();
    let mut told = vec![0; expected.len()];
    read.read_exact(&mut told).await.unwrap();
    assert!(told == expected);
    drop((read, writer.await.unwrap()));
    served.pipe = duplex(1).0;
    assert!(matches!(served.task.await.unwrap(), End::Closed));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from() {
    let mut served = connect(4096, |_| {});
    let value = "v".repeat(100_000);
    let (mut read, mut write) = tokio::io::split(served.pipe);
    let writer = tokio::spawn(async move {
        write
            .write_all(format!("set k 0 0 100000\r\n{value}\r\n").as_bytes())
            .await
            .unwrap();
        // Far more gets than their replies could be kept for: this must get stuck until somebody reads.
        write.write_all(&b"get k\r\n".repeat(1_000)).await.unwrap();
        write
    });
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    assert!(
        !writer.is_finished(),
        "a thousand requests were taken in, and no reply was read"
    );
    assert_eq!(served.client.state(), State::Writing);
    let read_so_far = served.node.totals().bytes_read;
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(served.node.totals().bytes_read, read_so_far, "went on reading");
    // Once the client reads, all of it comes.
    let mut told = vec![0; 1 << 16];
    let mut total = 0;
    let wanted = 8 + 1_000 * (b"VALUE k 0 100000\r\n".len() + 100_000 + b"\r\nEND\r\n".len());
    while total < wanted {
        total += read.read(&mut told).await.unwrap();
    }
    assert_eq!(total, wanted);
    drop((read, writer.await.unwrap()));
    served.pipe = duplex(1).0;
    assert!(matches!(served.task.await.unwrap(), End::Closed));
}

#[tokio::test]
async fn an_idle_client_holds_no_buffer_and_half_a_request_only_itself() {
    let mut served = connect(1 << 20, |_| {});
    assert_eq!(served.client.state(), State::Idle);
    served.pipe.write_all(b"set k 0 0 10\r\nhalf").await.unwrap();
    served.settle().await;
    assert_eq!(served.client.state(), State::Reading);
    served.pipe.write_all(b"+other\r\n").await.unwrap();
    served.expect(b"STORED\r\n").await;
    served.settle().await;
    assert_eq!(served.client.state(), State::Idle);
}

#[tokio::test]
async fn an_announced_length_costs_nothing_until_it_comes() {
    let mut served = connect(1 << 20, |config| {
        config.memory_limit_bytes = 4 << 30;
        config.item_size_max_bytes = 1 << 30;
    });
    served
        .pipe
        .write_all(b"set k 0 0 1000000000\r\nfirst bytes")
        .await
        .unwrap();
    served.settle().await;
    assert_eq!(served.client.state(), State::Reading);
    // The process would not survive a hundred of these if memory followed the announcement.
    drop(served.pipe);
    assert!(matches!(served.task.await.unwrap(), End::Closed));
}

#[tokio::test]
async fn a_long_turn_is_broken_up() {
    let mut served = connect(1 << 20, |config| config.requests_per_turn = 10);
    served.pipe.write_all(&b"mn\r\n".repeat(95)).await.unwrap();
    served.expect(&b"MN\r\n".repeat(95)).await;
    assert_eq!(served.node.totals().conn_yields, 9);
}

#[tokio::test]
async fn a_draining_node_lets_clients_go_once_they_are_answered() {
    let mut served = connect(1 << 16, |_| {});
    served.pipe.write_all(b"set k 0 0 3\r\na").await.unwrap();
    served.settle().await;
    served.node.draining.store(true, Ordering::Relaxed);
    served.pipe.write_all(b"bc\r\n").await.unwrap();
    let mut told = Vec::new();
    served.pipe.read_to_end(&mut told).await.unwrap();
    assert_eq!(told, b"STORED\r\n");
    assert!(matches!(served.task.await.unwrap(), End::Closed));
}

#[tokio::test]
async fn bytes_are_counted_both_ways() {
    let mut served = connect(1 << 16, |_| {});
    served.pipe.write_all(b"version\r\n").await.unwrap();
    served.expect(b"VERSION 1.6.40\r\n").await;
    let totals = served.node.totals();
    assert_eq!((totals.bytes_read, totals.bytes_written), (9, 16));
}
