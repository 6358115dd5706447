//! A client's replies in the order of its requests. Sans-io.
//!
//! A request parks a place; its reply fills it, in whatever order servers answer. What fills the first place goes
//! straight to the output, with everything behind it that was ready; what comes early is put by in one side buffer.

use std::collections::VecDeque;

/// Room the side buffer keeps when nothing is put by.
const STASH_KEPT_BYTES: usize = 16 * 1024;
/// A side buffer is tidied when it is longer than this and less than half of it is still needed.
const STASH_TIDY_BYTES: usize = 256 * 1024;

/// The replies still owed to one client, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ReplyQueue {
    places: VecDeque<Place>,
    /// The number of the first place. Numbers wrap.
    first: u32,
    stash: Vec<u8>,
    stashed: usize,
    /// Bytes of the requests that wait.
    cost: usize,
}

#[derive(Debug)]
struct Place {
    cost: u32,
    ready: Option<(usize, usize)>,
}

impl ReplyQueue {
    /// Places without a reply sent yet.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of replies put by because an earlier one is missing.
    pub(crate) fn stashed(&self) -> usize {
        self.stashed
    }

    /// Bytes of the requests that wait for their replies.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// A place for the reply to a request of `cost` bytes.
    pub(crate) fn park(&mut self, cost: usize) -> u32 {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        self.cost += cost as usize;
        let at =
            u32::try_from(self.places.len()).expect("a client waits for fewer than four thousand million");
        self.places.push_back(Place { cost, ready: None });
        self.first.wrapping_add(at)
    }

    /// Fills the place `number` with what `write` appends. True if bytes reached the output.
    pub(crate) fn fill(&mut self, number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let at = number.wrapping_sub(self.first) as usize;
        if at == 0 && !self.places.is_empty() {
            write(out);
            self.pop();
            self.release(out);
            return true;
        }
        let Some(place) = self.places.get_mut(at) else {
            debug_assert!(false, "a place is filled once");
            return false;
        };
        let start = self.stash.len();
        write(&mut self.stash);
        let length = self.stash.len() - start;
        self.stashed += length;
        place.ready = Some((start, length));
        false
    }

    /// A reply that is there at once.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.places.is_empty() {
            write(out);
        } else {
            let number = self.park(0);
            self.fill(number, out, write);
        }
    }

    fn pop(&mut self) {
        if let Some(place) = self.places.pop_front() {
            self.first = self.first.wrapping_add(1);
            self.cost -= place.cost as usize;
        }
    }

    /// Moves everything at the head that is ready to the output.
    fn release(&mut self, out: &mut Vec<u8>) {
        while let Some(Place {
            ready: Some((start, length)),
            ..
        }) = self.places.front()
        {
            out.extend_from_slice(&self.stash[*start..start + length]);
            self.stashed -= length;
            self.pop();
        }
        if self.stashed == 0 {
            self.stash.clear();
            if self.stash.capacity() > STASH_KEPT_BYTES {
                self.stash = Vec::new();
            }
            // Places that are ready and empty keep no bytes.
            for place in &mut self.places {
                if let Some(ready) = &mut place.ready {
                    *ready = (0, 0);
                }
            }
        } else if self.stash.len() > STASH_TIDY_BYTES && self.stashed < self.stash.len() / 2 {
            self.tidy();
        }
        if self.places.is_empty() && self.places.capacity() > 256 {
            self.places = VecDeque::new();
        }
    }

    fn tidy(&mut self) {
        let mut stash = Vec::with_capacity(self.stashed);
        for place in &mut self.places {
            if let Some((start, length)) = &mut place.ready {
                let from = *start;
                *start = stash.len();
                stash.extend_from_slice(&self.stash[from..from + *length]);
            }
        }
        self.stash = stash;
    }
}

#[cfg(test)]
mod tests {
    use super::ReplyQueue;

    /// `p` parks the next place, a digit fills that place with its own digit, `=` pushes an `=` that is ready at once.
    fn sent(story: &str) -> String {
        let mut queue = ReplyQueue {
            first: u32::MAX - 1,
            ..ReplyQueue::default()
        };
        let mut places = Vec::new();
        let mut out = Vec::new();
        for step in story.chars() {
            match step {
                'p' => places.push(queue.park(10)),
                '=' => queue.push(&mut out, |out| out.push(b'=')),
                digit => {
                    let place = places[digit.to_digit(10).expect("a digit") as usize];
                    queue.fill(place, &mut out, |out| {
                        out.extend_from_slice(digit.to_string().as_bytes())
                    });
                }
            }
        }
        assert_eq!(
            queue.cost(),
            10 * places.len() - 10 * out.iter().filter(|byte| byte.is_ascii_digit()).count()
        );
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn replies_leave_in_the_order_of_their_requests() {
        for (story, expected) in [
            ("p0p1", "01"),
            ("ppp012", "012"),
            ("ppp210", "012"),
            ("ppp201", "012"),
            ("ppp21", ""),
            ("pp1p20", "012"),
            ("=", "="),
            ("p=", ""),
            ("p=0", "0="),
            ("p=p1=0", "0=1="),
            ("pppppppp70615243", "01234567"),
        ] {
            assert_eq!(sent(story), expected, "{story}");
        }
    }

    #[test]
    fn what_was_put_by_does_not_pile_up_on_a_client_that_never_idles() {
        let mut queue = ReplyQueue::default();
        let mut out = Vec::new();
        let mut blocked = queue.park(0);
        for _ in 0..10_000 {
            let early = queue.park(0);
            let next = queue.park(0);
            queue.fill(early, &mut out, |out| out.extend_from_slice(&[b'x'; 1000]));
            queue.fill(blocked, &mut out, |_| {});
            blocked = next;
            out.clear();
        }
        assert!(queue.stash.len() < 2 * super::STASH_TIDY_BYTES + 2000);
        let mut queue = ReplyQueue::default();
        let first = queue.park(0);
        let empty = queue.park(0);
        queue.fill(empty, &mut out, |_| {});
        queue.fill(first, &mut out, |_| {});
        assert!(queue.is_empty());
    }
}
