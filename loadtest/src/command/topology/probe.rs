//! The experiment: set through the router, read back through it, look at each node, delete through it, look again.
//! Keys carry a prefix of this run and a short expiry, and are deleted from every node at the end whatever happened.

use std::net::SocketAddr;
use std::time::Duration;

use super::Target;
use super::client::{Client, plain};
use crate::clock;

/// Expiry of what is written, should the clean-up not happen.
const EXPTIME_SECONDS: u32 = 60;
/// Replicas written asynchronously get this many further looks …
const LOOKS_MAX: u32 = 5;
/// … so far apart.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What was found at a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeSeen {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) version: String,
    /// Why nothing is known of it.
    pub(super) problem: Option<String>,
    /// Per sampled key: is it here?
    pub(super) holds: Vec<bool>,
    /// Keys that are here with another value than was set.
    pub(super) wrong: usize,
    /// Keys still here after they were deleted through the router.
    pub(super) left_after_delete: usize,
    /// The first node whose memory this one shows: itself, unless two addresses are one process.
    pub(super) same_as: Option<usize>,
}

impl NodeSeen {
    pub(super) fn keys(&self) -> usize {
        self.holds.iter().filter(|holds| **holds).count()
    }
}

/// Everything the experiment showed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) router_address: SocketAddr,
    pub(super) router_version: String,
    /// Keys tried, stored (by the router's word), read back through it with the value that was set, and with another.
    pub(super) keys: usize,
    pub(super) stored: usize,
    pub(super) read_back: usize,
    pub(super) wrong: usize,
    pub(super) sampled: Vec<String>,
    pub(super) was_stored: Vec<bool>,
    pub(super) nodes: Vec<NodeSeen>,
}

/// Runs the experiment.
///
/// # Errors
/// The router cannot be used at all, in a sentence.
pub(super) fn run(router: &Target, nodes: &[Target], keys: u32, timeout: Duration) -> Result<Seen, String> {
    let not_answering =
        |error: std::io::Error| format!("router {} is not answering: {}", router.address, plain(&error));
    let mut through = Client::connect(router.address, timeout).map_err(not_answering)?;
    // Not every router answers `version` (twemproxy closes the connection on it).
    let router_version = match through.version() {
        Ok(version) => version,
        Err(_) => {
            through = Client::connect(router.address, timeout).map_err(not_answering)?;
            "version not told".to_owned()
        }
    };
    let nonce = format!("{:x}-{:x}", clock::unix_now().as_nanos(), std::process::id());
    let items: Vec<(String, String)> = (0..keys)
        .map(|n| (format!("loadtest:topology:{nonce}:{n}"), format!("{nonce}:{n}")))
        .collect();
    let sampled: Vec<String> = items.iter().map(|(key, _)| key.clone()).collect();
    let mut connected: Vec<(NodeSeen, Option<Client>)> =
        nodes.iter().map(|node| connect(node, timeout)).collect();
    find_twins(&mut connected, &nonce);

    let outcome = through
        .set(&items, EXPTIME_SECONDS)
        .and_then(|stored| Ok((stored, through.get(&sampled)?)));
    let (was_stored, read) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            clean_up(&mut connected, &sampled);
            return Err(not_answering(error));
        }
    };
    let right = |found: &[Option<String>]| {
        found
            .iter()
            .zip(&items)
            .filter(|(found, (_, value))| found.as_ref() == Some(value))
            .count()
    };
    let wrong = |found: &[Option<String>]| found.iter().flatten().count() - right(found);
    for (node, client) in &mut connected {
        look(node, client, &sampled, &items, &was_stored);
    }
    // What the router deletes must be gone from the nodes as well.
    let deleted = through.delete(&sampled).is_ok();
    for (node, client) in &mut connected {
        if let (true, Some(client)) = (deleted, client.as_mut()) {
            node.left_after_delete = left(client, &sampled);
        }
    }
    clean_up(&mut connected, &sampled);
    Ok(Seen {
        router_address: router.address,
        router_version,
        keys: items.len(),
        stored: was_stored.iter().filter(|stored| **stored).count(),
        read_back: right(&read),
        wrong: wrong(&read),
        sampled,
        was_stored,
        nodes: connected.into_iter().map(|(node, _)| node).collect(),
    })
}

fn connect(target: &Target, timeout: Duration) -> (NodeSeen, Option<Client>) {
    let mut node = NodeSeen {
        name: target.name.clone(),
        address: target.address,
        version: String::new(),
        problem: None,
        holds: Vec::new(),
        wrong: 0,
        left_after_delete: 0,
        same_as: None,
    };
    match Client::connect(target.address, timeout).and_then(|mut client| Ok((client.version()?, client))) {
        Ok((version, client)) => {
            node.version = version;
            (node, Some(client))
        }
        Err(error) => {
            node.problem = Some(plain(&error));
            (node, None)
        }
    }
}

/// Marks each node with a key of its own: a node that shows another's mark shares its memory.
fn find_twins(nodes: &mut [(NodeSeen, Option<Client>)], nonce: &str) {
    let marks: Vec<String> = (0..nodes.len())
        .map(|n| format!("loadtest:topology:{nonce}:node{n}"))
        .collect();
    for index in 0..nodes.len() {
        let (node, Some(client)) = &mut nodes[index] else {
            continue;
        };
        let item = [(marks[index].clone(), nonce.to_owned())];
        match client
            .get(&marks[..index])
            .and_then(|found| client.set(&item, EXPTIME_SECONDS).map(|_| found))
        {
            Ok(found) => node.same_as = Some(found.iter().position(Option::is_some).unwrap_or(index)),
            Err(error) => node.problem = Some(plain(&error)),
        }
    }
    for (_, client) in nodes.iter_mut() {
        if let Some(client) = client {
            // It expires by itself where this fails.
            let _ = client.delete(&marks);
        }
    }
}

/// Looks for the keys at a node, again if some are not there yet: a replica may be written a moment later.
fn look(
    node: &mut NodeSeen,
    client: &mut Option<Client>,
    keys: &[String],
    items: &[(String, String)],
    stored: &[bool],
) {
    let Some(reader) = client else {
        node.holds = vec![false; keys.len()];
        return;
    };
    let mut before = usize::MAX;
    for _ in 0..LOOKS_MAX {
        match reader.get(keys) {
            Ok(found) => {
                node.holds = found.iter().map(Option::is_some).collect();
                node.wrong = found
                    .iter()
                    .zip(items)
                    .filter(|(found, (_, value))| found.as_ref().is_some_and(|found| found != value))
                    .count();
            }
            Err(error) => {
                node.problem = Some(plain(&error));
                node.holds = vec![false; keys.len()];
                *client = None;
                return;
            }
        }
        let missing = node
            .holds
            .iter()
            .zip(stored)
            .filter(|(holds, stored)| **stored && !**holds)
            .count();
        // Nothing more has come since the last look: that is how it is.
        if missing == 0 || missing == before {
            return;
        }
        before = missing;
        pause();
    }
}

/// Keys that stay after a delete; waits a moment for deletes on their way.
fn left(client: &mut Client, keys: &[String]) -> usize {
    let mut left = 0;
    for _ in 0..LOOKS_MAX {
        left = client.get(keys).map_or(0, |found| found.iter().flatten().count());
        if left == 0 {
            break;
        }
        pause();
    }
    left
}

fn clean_up(nodes: &mut [(NodeSeen, Option<Client>)], keys: &[String]) {
    for (_, client) in nodes.iter_mut() {
        if let Some(client) = client {
            // Whatever cannot be deleted expires within a minute.
            let _ = client.delete(keys);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command on the main thread with nothing else to do"
)]
fn pause() {
    std::thread::sleep(LOOK_AGAIN);
}
