//! Who is connected to one worker: told by `stats conns`, closed when silent, and let go when the node stops.
//! Must not know tasks: a client carries a plain function that ends it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::store::Seconds;
use crate::watch::CloseReason;

/// The clients of one worker.
#[derive(Default)]
pub(crate) struct Clients(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

struct Entry {
    client: Arc<Client>,
    end: Box<dyn Fn() + Send>,
}

/// One client, as the rest of the node sees it.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    state: AtomicU8,
    last_request_at: AtomicU32,
    /// The number people know it by: its file descriptor.
    number: i32,
    /// A [`CloseReason`], should it end now.
    close_reason: AtomicU8,
    /// Its place among the clients of its worker.
    slot: AtomicUsize,
}

/// Where a client comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A TCP client and the address of ours it reached.
    Tcp { remote: SocketAddr, local: SocketAddr },
    /// Somebody on this machine, through our unix socket.
    Unix { path: Arc<PathBuf> },
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Waiting for a request; nothing is owed in either direction.
    Idle = 0,
    /// In the middle of a request, or being answered.
    Reading = 1,
    /// Waiting for the client to take its replies.
    Writing = 2,
    /// In the middle of a TLS handshake.
    Greeting = 3,
    /// Told of events as they happen; nothing is asked of it.
    Watching = 4,
}

impl Client {
    pub(crate) fn new(peer: Peer, number: i32, now: Seconds) -> Self {
        Self {
            peer,
            state: AtomicU8::new(State::Idle as u8),
            last_request_at: AtomicU32::new(now.0),
            number,
            close_reason: AtomicU8::new(CloseReason::Normal as u8),
            slot: AtomicUsize::new(usize::MAX),
        }
    }

    #[inline]
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn requested_at(&self, now: Seconds) {
        self.last_request_at.store(now.0, Ordering::Relaxed);
    }

    /// Notes the place [`Clients::insert`] gave it.
    pub(crate) fn sits_in(&self, slot: usize) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Idle,
            1 => State::Reading,
            2 => State::Writing,
            3 => State::Greeting,
            _ => State::Watching,
        }
    }

    /// Seconds since it last sent anything whole.
    pub(crate) fn silence(&self, now: Seconds) -> u32 {
        now.0.saturating_sub(self.last_request_at.load(Ordering::Relaxed))
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    /// Notes why it is about to end, unless that is noted already.
    pub(crate) fn ends_for(&self, reason: CloseReason) {
        if self.close_reason() == CloseReason::Normal {
            self.close_reason.store(reason as u8, Ordering::Relaxed);
        }
    }

    pub(crate) fn close_reason(&self) -> CloseReason {
        match self.close_reason.load(Ordering::Relaxed) {
            0 => CloseReason::Normal,
            1 => CloseReason::Error,
            2 => CloseReason::Idle,
            _ => CloseReason::Shutdown,
        }
    }
}

impl Clients {
    /// Takes a client in; `end` closes its connection at its next wait. The answer is for [`remove`](Self::remove).
    pub(crate) fn insert(&self, client: Arc<Client>, end: Box<dyn Fn() + Send>) -> usize {
        let mut slots = self.0.lock();
        let entry = Some(Entry { client, end });
        match slots.free.pop() {
            Some(slot) => {
                slots.entries[slot] = entry;
                slot
            }
            None => {
                slots.entries.push(entry);
                slots.entries.len() - 1
            }
        }
    }

    pub(crate) fn remove(&self, slot: usize) {
        let mut slots = self.0.lock();
        if slots.entries.get_mut(slot).and_then(Option::take).is_some() {
            slots.free.push(slot);
        }
    }

    /// Ends every client that `wanted` picks; answers how many.
    pub(crate) fn end(&self, reason: CloseReason, mut wanted: impl FnMut(&Client) -> bool) -> usize {
        let slots = self.0.lock();
        let picked = slots
            .entries
            .iter()
            .flatten()
            .filter(|entry| wanted(&entry.client));
        picked
            .map(|entry| {
                entry.client.ends_for(reason);
                (entry.end)();
            })
            .count()
    }

    /// Shows every client with its slot.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(usize, &Client)) {
        let slots = self.0.lock();
        let taken = slots.entries.iter().enumerate();
        taken
            .filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
            .for_each(|(slot, entry)| visit(slot, &entry.client));
    }

    pub(crate) fn len(&self) -> usize {
        let slots = self.0.lock();
        slots.entries.len() - slots.free.len()
    }
}

impl fmt::Display for State {
    /// memcached's names (`state_text`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "conn_read",
            Self::Reading => "conn_nread",
            Self::Writing => "conn_mwrite",
            Self::Greeting => "conn_new_cmd",
            Self::Watching => "conn_watch",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Clients, Peer, State};
    use crate::store::Seconds;
    use crate::watch::CloseReason;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn client(at: u32) -> Arc<Client> {
        Arc::new(Client::new(
            Peer::Unix {
                path: Arc::new("/s".into()),
            },
            9,
            Seconds(at),
        ))
    }

    #[test]
    fn only_the_clients_picked_are_ended_and_slots_are_used_again() {
        let clients = Clients::default();
        let ended = Arc::new(AtomicUsize::new(0));
        let end = || {
            let ended = Arc::clone(&ended);
            Box::new(move || {
                ended.fetch_add(1, Ordering::Relaxed);
            })
        };
        let first = clients.insert(client(10), end());
        let second = clients.insert(client(50), end());
        assert_eq!(
            clients.end(CloseReason::Idle, |client| client.silence(Seconds(60)) > 30),
            1
        );
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        clients.remove(first);
        clients.remove(first);
        assert_eq!(clients.len(), 1);
        assert_eq!(clients.insert(client(0), end()), first);
        let mut seen = Vec::new();
        clients.for_each(|slot, client| seen.push((slot, client.state())));
        assert_eq!(seen, [(first, State::Idle), (second, State::Idle)]);
    }
}
