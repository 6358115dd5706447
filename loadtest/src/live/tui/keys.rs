//! What the keys do. Pure: bytes in, acts and a few words out.

use crate::live::frame::{Line, Look};
use crate::live::orders::Order;

/// Something a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Order(Order),
    /// End the run now; its artefacts are still written.
    Stop,
}

/// What is being chosen, and what became of the last choice.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    choosing: bool,
    said: String,
}

impl Keys {
    /// What was typed since the last look. A sequence that begins with an escape is an arrow or the like: no key of ours.
    pub(super) fn press(&mut self, typed: &[u8], offered: &[Order]) -> Vec<Act> {
        if typed.len() > 1 && typed.first() == Some(&b'\x1b') {
            return Vec::new();
        }
        typed.iter().filter_map(|key| self.one(*key, offered)).collect()
    }

    fn one(&mut self, key: u8, offered: &[Order]) -> Option<Act> {
        if std::mem::take(&mut self.choosing) {
            let number = key.checked_sub(b'1')?;
            let order = events(offered).nth(usize::from(number))?;
            return Some(Act::Order(order));
        }
        let order = match key {
            b'q' => {
                self.say("stopping: what is under way ends first");
                return Some(Act::Stop);
            }
            b'e' => {
                self.choosing = events(offered).next().is_some();
                if !self.choosing {
                    self.say("nothing of this cluster is ours to change");
                }
                return None;
            }
            b'p' => Order::Pause,
            b's' => Order::Snapshot,
            b'+' | b'=' => Order::Faster,
            b'-' => Order::Slower,
            _ => return None,
        };
        if !offered.contains(&order) {
            self.say(&format!("{}: not offered in this run", order.label()));
            return None;
        }
        Some(Act::Order(order))
    }

    pub(super) fn say(&mut self, words: &str) {
        words.clone_into(&mut self.said);
    }

    /// What the keys do now, and what was said last, on lines of at most `width` characters.
    pub(super) fn lines(&self, offered: &[Order], page: Option<&str>, width: usize) -> Vec<Line> {
        let (mut lines, mut line, mut used) = (Vec::new(), Line::new(), 0);
        let mut key = |key: &str, does: &str| {
            let length = key.chars().count() + does.chars().count() + 3;
            if used + length >= width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            used += length;
            line.push((Look::Bold, format!("  {key}")));
            line.push((Look::Dim, format!(" {does}")));
        };
        if self.choosing {
            for (number, order) in events(offered).enumerate() {
                key(&(number + 1).to_string(), order.label());
            }
            key("any other key", "nothing");
        } else {
            if offered.contains(&Order::Pause) {
                key("p", "pause");
            }
            if events(offered).next().is_some() {
                key("e", "event");
            }
            if offered.contains(&Order::Faster) {
                key("+ −", "rate");
            }
            if offered.contains(&Order::Snapshot) {
                key("s", "report so far");
            }
            key("q", "stop");
            if !self.said.is_empty() {
                line.push((Look::Plain, format!("   {}", self.said)));
            }
        }
        lines.push(line);
        lines.extend(page.map(|page| vec![(Look::Dim, format!("  live page: {page}"))]));
        lines
    }
}

/// Orders that change the cluster, in the order of their numbers.
fn events(offered: &[Order]) -> impl Iterator<Item = Order> {
    let others = [Order::Pause, Order::Snapshot, Order::Faster, Order::Slower];
    offered
        .iter()
        .copied()
        .filter(move |order| !others.contains(order))
}

#[cfg(test)]
mod tests {
    use super::{Act, Keys};
    use crate::live::orders::Order;

    const OFFERED: [Order; 5] = [
        Order::AddNode,
        Order::Flush,
        Order::Faster,
        Order::Pause,
        Order::Snapshot,
    ];

    #[track_caller]
    fn check(typed: &[&[u8]], acts: &[Act]) {
        let mut keys = Keys::default();
        let told: Vec<Act> = typed
            .iter()
            .flat_map(|typed| keys.press(typed, &OFFERED))
            .collect();
        assert_eq!(told, acts, "{typed:?}");
    }

    #[test]
    fn keys_do_what_the_last_line_says() {
        check(&[b"p"], &[Act::Order(Order::Pause)]);
        check(&[b"+"], &[Act::Order(Order::Faster)]);
        check(&[b"s", b"q"], &[Act::Order(Order::Snapshot), Act::Stop]);
        check(&[b"e", b"2"], &[Act::Order(Order::Flush)]);
        check(&[b"e", b"\x1b", b"2"], &[]);
        check(&[b"e", b"9"], &[]);
        // Not offered; an arrow; nothing of ours.
        check(&[b"-", b"\x1b[A", b"x"], &[]);
    }

    #[test]
    fn what_is_offered_is_told() {
        let text = |keys: &Keys, offered: &[Order]| -> String {
            let lines = keys.lines(offered, Some("http://127.0.0.1:5666/"), 100);
            lines.into_iter().flatten().map(|(_, text)| text).collect()
        };
        let mut keys = Keys::default();
        assert_eq!(
            text(&keys, &OFFERED),
            "  p pause  e event  + − rate  s report so far  q stop  live page: http://127.0.0.1:5666/"
        );
        assert_eq!(text(&keys, &[]), "  q stop  live page: http://127.0.0.1:5666/");
        assert_eq!(keys.press(b"e", &OFFERED), []);
        assert!(
            text(&keys, &OFFERED).starts_with("  1 add a node  2 flush everything  any other key nothing")
        );
        keys.press(b"x", &OFFERED);
        assert_eq!(keys.press(b"-", &OFFERED), []);
        assert!(text(&keys, &OFFERED).contains("rate ÷ 1.5: not offered in this run"));
        assert_eq!(
            keys.lines(&OFFERED, None, 30).len(),
            2,
            "a narrow terminal has all keys"
        );
    }
}
