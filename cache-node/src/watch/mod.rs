//! Events for `watch` clients: who wants which, their bounded buffers, and what was lost. Whoever has an event to tell
//! asks [`Watchers::wants`] first, so that nothing is put into words while nobody listens.
//! Knows no socket: a watcher is woken, and takes what has gathered.

mod event;

use std::sync::Arc;
use std::task::Waker;

use bytes::BytesMut;

pub(crate) use event::{CloseReason, Event, percent_encode};

use crate::clock::Clock;
use crate::store::{Item, Seconds, Witness};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Watchers at once, as in memcached.
const WATCHERS_MAX: usize = 20;

/// Kinds of events (protocol.txt, "Watchers"), as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Classes(u32);

impl Classes {
    /// Every look-up of an item.
    pub(crate) const FETCHERS: Self = Self(1);
    /// Every attempt to store one.
    pub(crate) const MUTATIONS: Self = Self(2);
    /// Items lost for space.
    pub(crate) const EVICTIONS: Self = Self(4);
    /// Clients that come and go.
    pub(crate) const CONNEVENTS: Self = Self(8);
    /// Items deleted on request.
    pub(crate) const DELETIONS: Self = Self(16);
    /// Known to memcached, with nothing to tell here: its threads, its proxy.
    const NONE: Self = Self(0);
    /// What only shows while a request is executed with care.
    const OF_REQUESTS: Self = Self(1 | 2 | 16);

    /// Reads the arguments of `watch`; `None` if one is no kind of event. No argument means fetchers.
    pub(crate) fn parse(args: &[u8]) -> Option<Self> {
        let words = args.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let mut classes = None;
        for word in words {
            let class = match word {
                b"fetchers" => Self::FETCHERS,
                b"mutations" => Self::MUTATIONS,
                b"evictions" => Self::EVICTIONS,
                b"connevents" => Self::CONNEVENTS,
                b"deletions" => Self::DELETIONS,
                b"sysevents" | b"rawcmds" | b"proxyreqs" | b"proxyevents" | b"proxyuser" => Self::NONE,
                _unknown => return None,
            };
            classes = Some(Self(classes.map_or(0, |Self(bits)| bits) | class.0));
        }
        Some(classes.unwrap_or(Self::FETCHERS))
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// All watchers of one node.
#[derive(Debug)]
pub(crate) struct Watchers {
    /// What at least one of them wants.
    wanted: AtomicU32,
    list: Mutex<Vec<Arc<Watcher>>>,
    /// Numbers the events.
    events: AtomicU64,
    /// Lines given to watchers, and lines lost because a watcher's buffer was full.
    sent: AtomicU64,
    skipped: AtomicU64,
    buffer_bytes_max: usize,
    clock: Clock,
}

/// One watcher's buffer.
#[derive(Debug)]
struct Watcher {
    classes: Classes,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    text: BytesMut,
    /// Lines lost since the last one that found room.
    skipped: u64,
    waker: Option<Waker>,
}

/// A watcher's end of its buffer; dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Subscription<'w> {
    watchers: &'w Watchers,
    watcher: Arc<Watcher>,
}

/// What [`Watchers`] have to say of themselves in `stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WatchCounts {
    pub(crate) watchers: usize,
    pub(crate) events: u64,
    pub(crate) sent: u64,
    pub(crate) skipped: u64,
}

impl Watchers {
    pub(crate) fn new(buffer_bytes_max: usize, clock: Clock) -> Self {
        Self {
            wanted: AtomicU32::new(0),
            list: Mutex::default(),
            events: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            buffer_bytes_max,
            clock,
        }
    }

    /// Whether anybody wants any of these.
    #[inline]
    pub(crate) fn wants(&self, classes: Classes) -> bool {
        Classes(self.wanted.load(Ordering::Relaxed)).has(classes)
    }

    /// Whether anybody wants to know what requests do.
    #[inline]
    pub(crate) fn want_requests(&self) -> bool {
        self.wants(Classes::OF_REQUESTS)
    }

    /// `None` when there are too many already.
    pub(crate) fn subscribe(&self, classes: Classes) -> Option<Subscription<'_>> {
        let mut list = self.list.lock();
        if list.len() >= WATCHERS_MAX {
            return None;
        }
        let watcher = Arc::new(Watcher {
            classes,
            queue: Mutex::default(),
        });
        list.push(Arc::clone(&watcher));
        self.note_wanted(&list);
        Some(Subscription {
            watchers: self,
            watcher,
        })
    }

    fn note_wanted(&self, list: &[Arc<Watcher>]) {
        let wanted = list.iter().fold(0, |wanted, watcher| wanted | watcher.classes.0);
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Puts an event into the buffers of those who want it.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        let class = event.class();
        if !self.wants(class) {
            return;
        }
        let number = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let line = event.line(self.clock.since_epoch(), number);
        for watcher in self
            .list
            .lock()
            .iter()
            .filter(|watcher| watcher.classes.has(class))
        {
            let counter = if watcher.queue.lock().push(&line, self.buffer_bytes_max) {
                &self.sent
            } else {
                &self.skipped
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> WatchCounts {
        WatchCounts {
            watchers: self.list.lock().len(),
            events: self.events.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }
}

impl Witness for Watchers {
    fn wants_evictions(&self) -> bool {
        self.wants(Classes::EVICTIONS)
    }

    fn evicted(&self, key: &[u8], item: &Item<'_>, now: Seconds) {
        self.tell(&Event::Evicted {
            key,
            fetched: item.fetched,
            ttl: item.expires.map(|expires| expires.0.saturating_sub(now.0)),
            idle: now.0.saturating_sub(item.last_access.0),
            len: item.value.len(),
        });
    }
}

impl Queue {
    /// Takes a line in, behind a word about those lost before it. `false` if there is no room.
    fn push(&mut self, line: &[u8], bytes_max: usize) -> bool {
        let lost = if self.skipped > 0 {
            format!("skipped={}\n", self.skipped)
        } else {
            String::new()
        };
        if self.text.len() + lost.len() + line.len() > bytes_max {
            self.skipped += 1;
            return false;
        }
        self.skipped = 0;
        self.text.extend_from_slice(lost.as_bytes());
        self.text.extend_from_slice(line);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Subscription<'_> {
    /// Moves everything gathered to `out`. When that is nothing, `waker` is woken once there is something.
    pub(crate) fn take(&self, out: &mut BytesMut, waker: &Waker) -> bool {
        let mut queue = self.watcher.queue.lock();
        if queue.text.is_empty() {
            queue.waker = Some(waker.clone());
            return false;
        }
        out.extend_from_slice(&queue.text);
        queue.text.clear();
        true
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        let mut list = self.watchers.list.lock();
        list.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        self.watchers.note_wanted(&list);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::BytesMut;
    use protocol::UnixSeconds;

    use super::{Classes, Event, Subscription, Watchers};
    use crate::clock::Clock;

    fn watchers(buffer_bytes_max: usize) -> Watchers {
        Watchers::new(buffer_bytes_max, Clock::manual(UnixSeconds(1_700_000_000)))
    }

    fn deleted(key: &[u8]) -> Event<'_> {
        Event::Deleted {
            key,
            command: "delete",
            len: 3,
        }
    }

    fn taken(subscription: &Subscription<'_>) -> String {
        let mut out = BytesMut::new();
        subscription.take(&mut out, Waker::noop());
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_event_reaches_those_who_want_it_and_nobody_else() {
        let watchers = watchers(1 << 10);
        let deletions = watchers.subscribe(Classes::parse(b"deletions").unwrap()).unwrap();
        let others = watchers
            .subscribe(Classes::parse(b"fetchers  evictions").unwrap())
            .unwrap();
        watchers.tell(&deleted(b"k 1"));
        let expected = "ts=1700000000.0 gid=1 type=deleted key=k%201 cmd=delete clsid=1 size=3\n";
        assert_eq!(taken(&deletions), expected);
        assert_eq!(taken(&others), "");
        assert!(watchers.want_requests());
        drop((deletions, others));
        assert!(!watchers.want_requests());
        assert_eq!(watchers.counts().watchers, 0);
    }

    #[test]
    fn a_watcher_that_does_not_read_loses_lines_and_is_told_how_many() {
        let watchers = watchers(100);
        let slow = watchers.subscribe(Classes::DELETIONS).unwrap();
        for _ in 0..4 {
            watchers.tell(&deleted(b"k"));
        }
        assert_eq!(taken(&slow).lines().count(), 1);
        watchers.tell(&deleted(b"k"));
        let text = taken(&slow);
        assert!(text.starts_with("skipped=3\nts="), "{text}");
        assert_eq!((watchers.counts().sent, watchers.counts().skipped), (2, 3));
    }

    #[test]
    fn watchers_are_bounded_and_their_words_are_known() {
        let watchers = watchers(100);
        let all: Vec<_> = (0..20).map(|_| watchers.subscribe(Classes::FETCHERS)).collect();
        assert!(all.iter().all(Option::is_some));
        assert!(watchers.subscribe(Classes::FETCHERS).is_none());
        assert_eq!(Classes::parse(b""), Some(Classes::FETCHERS));
        assert_eq!(Classes::parse(b"proxyreqs"), Some(Classes::NONE));
        assert_eq!(Classes::parse(b"fetchers nonsense"), None);
    }
}
