//! The terminal view: the whole screen, redrawn in place, and keys. Escape codes live in this folder and nowhere else.

mod keys;
mod terminal;

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use self::keys::{Act, Keys};
use self::terminal::Terminal;
pub use self::terminal::give_back;
use super::frame::{Line, Look, Shown, Stage};
use super::orders::Desk;
use super::{Hands, Update};

/// Keys are looked for, and the screen is redrawn (its size may have changed), at least this often.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) fn draw(stage: &Stage, updates: &Receiver<Update>, hands: &Hands) {
    let terminal = Terminal::enter();
    let colours = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let mut keys = Keys::default();
    redraw(updates, Shown::default(), |shown| {
        let offered = hands.desk.as_ref().map_or(&[][..], Desk::offered);
        for act in keys.press(&terminal.typed(), offered) {
            carry_out(act, hands, &mut keys);
        }
        let size = Terminal::size();
        let told = if terminal.has_keys() {
            keys.lines(offered, hands.page.as_deref(), size.width)
        } else {
            Vec::new()
        };
        let lines = shown.lines(stage, size, told);
        let mut screen = std::io::stderr();
        let text = picture(&lines, colours);
        screen.write_all(text.as_bytes()).and_then(|()| screen.flush())
    });
}

/// Shows every update until there are no more, or showing fails.
fn redraw(updates: &Receiver<Update>, mut shown: Shown, mut show: impl FnMut(&Shown) -> std::io::Result<()>) {
    loop {
        match updates.recv_timeout(REDRAW) {
            Ok(update) => {
                shown.take(update);
                // Whatever else has come meanwhile belongs on the same picture.
                while let Ok(update) = updates.try_recv() {
                    shown.take(update);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if show(&shown).is_err() {
            return;
        }
    }
}

fn carry_out(act: Act, hands: &Hands, keys: &mut Keys) {
    match (act, &hands.desk) {
        (Act::Stop, _) => (hands.stop)(),
        (Act::Order(order), Some(desk)) => keys.say(&match desk.take(order) {
            Ok(()) => format!("asked for: {}", order.label()),
            Err(refusal) => format!("refused: {refusal}"),
        }),
        (Act::Order(_), None) => {}
    }
}

/// From the top left corner, each line cleared to its end, and what is below them. No line break after the last one:
/// that would scroll a full screen.
fn picture(lines: &[Line], colours: bool) -> String {
    let mut out = String::from("\x1b[H");
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push_str("\r\n");
        }
        for (look, text) in line {
            match code(*look).filter(|_| colours) {
                Some(code) => out.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
                None => out.push_str(text),
            }
        }
        out.push_str("\x1b[K");
    }
    out.push_str("\x1b[J");
    out
}

fn code(look: Look) -> Option<&'static str> {
    match look {
        Look::Plain => None,
        Look::Dim => Some("2"),
        Look::Bold => Some("1"),
        Look::Good => Some("1;32"),
        Look::Bad => Some("1;31"),
        Look::Amber => Some("1;33"),
    }
}
