//! Wakes workers at the times they ask for, from a thread of its own. A runtime that keeps timers itself reads the
//! clock three times a turn and looks through them: 200 instructions a request, for timers that hardly ever ring.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::clock;

/// The thread that waits for everybody's next moment; it ends when this is dropped.
pub(crate) struct Alarm {
    clockwork: Arc<Clockwork>,
    thread: Option<JoinHandle<()>>,
}

/// One worker's way to ask.
pub(crate) struct Bell {
    clockwork: Arc<Clockwork>,
    number: usize,
}

#[derive(Default)]
struct Clockwork {
    state: Mutex<State>,
    /// Told when the nearest moment has come nearer, and at the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    sleepers: Vec<Sleeper>,
    /// What the thread waits for.
    nearest: Option<Instant>,
    ended: bool,
}

struct Sleeper {
    at: Option<Instant>,
    waker: Waker,
}

impl Alarm {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn start() -> io::Result<Self> {
        let clockwork = Arc::new(Clockwork::default());
        let works = Arc::clone(&clockwork);
        let thread = Builder::new()
            .name("router-alarm".to_owned())
            .spawn(move || works.run())?;
        Ok(Self {
            clockwork,
            thread: Some(thread),
        })
    }

    /// A bell that wakes `waker`.
    pub(crate) fn bell(&self, waker: Waker) -> Bell {
        let mut state = self.clockwork.state.lock();
        let number = state.sleepers.len();
        state.sleepers.push(Sleeper { at: None, waker });
        Bell {
            clockwork: Arc::clone(&self.clockwork),
            number,
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clockwork.state.lock().ended = true;
        self.clockwork.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say at its end.
            let _ = thread.join();
        }
    }
}

impl Bell {
    /// Rings once, at `at` or shortly after, instead of whenever it would have rung.
    pub(crate) fn ring_at(&self, at: Instant) {
        let mut state = self.clockwork.state.lock();
        if let Some(sleeper) = state.sleepers.get_mut(self.number) {
            sleeper.at = Some(at);
        }
        if state.nearest.is_none_or(|nearest| at < nearest) {
            state.nearest = Some(at);
            self.clockwork.changed.notify_one();
        }
    }
}

impl Clockwork {
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.ended {
            match state.nearest {
                None => self.changed.wait(&mut state),
                Some(nearest) => {
                    self.changed.wait_until(&mut state, nearest);
                    state.ring(clock::now());
                }
            }
        }
    }
}

impl State {
    /// Wakes everybody whose moment has come and finds the next.
    fn ring(&mut self, now: Instant) {
        for sleeper in &mut self.sleepers {
            if sleeper.at.is_some_and(|at| at <= now) {
                sleeper.at = None;
                sleeper.waker.wake_by_ref();
            }
        }
        self.nearest = self.sleepers.iter().filter_map(|sleeper| sleeper.at).min();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::task::{Wake, Waker};
    use std::time::{Duration, Instant};

    use super::Alarm;
    use crate::clock;

    struct Tell(u32, Sender<(u32, Instant)>);

    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            self.1.send((self.0, clock::now())).unwrap();
        }
    }

    #[test]
    fn bells_ring_in_the_order_of_their_moments_and_never_early() {
        let alarm = Alarm::start().unwrap();
        let (sender, receiver) = channel();
        let bell = |name| alarm.bell(Waker::from(Arc::new(Tell(name, sender.clone()))));
        let (late, moved, soon) = (bell(1), bell(2), bell(3));
        let now = clock::now();
        let after = |millis| now + Duration::from_millis(millis);
        late.ring_at(after(60));
        moved.ring_at(after(5));
        moved.ring_at(after(30));
        soon.ring_at(after(10));
        let heard: Vec<(u32, Instant)> = receiver.iter().take(3).collect();
        for ((name, at), (expected, millis)) in heard.into_iter().zip([(3, 10), (2, 30), (1, 60)]) {
            assert_eq!(name, expected);
            assert!(at >= after(millis), "bell {name} rang early");
        }
        drop(alarm);
        assert!(receiver.try_recv().is_err(), "each rings once");
    }
}
