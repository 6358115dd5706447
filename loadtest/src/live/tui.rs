//! Redraws a few lines in place on a terminal. Escape codes live here and nowhere else.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::Update;
use super::frame::{Line, Look, Shown, Stage};

/// Without news the screen is redrawn this often, for its width may have changed.
const REDRAW: Duration = Duration::from_millis(500);
/// Width of a terminal that does not say.
const WIDTH_DEFAULT: usize = 80;

pub(super) fn draw(stage: &Stage, updates: &Receiver<Update>, mut out: impl Write) {
    let colours = std::env::var_os("NO_COLOR").is_none();
    let mut shown = Shown::new(stage);
    let mut drawn = 0;
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
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let lines = shown.lines(stage, width());
        let text = screen(&lines, drawn, colours);
        drawn = lines.len();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
    // The end card stands where the view stood.
    let _ = out
        .write_all(screen(&[], drawn, colours).as_bytes())
        .and_then(|()| out.flush());
}

/// Back to the top of the last picture, then the new one, each line cleared to its end.
fn screen(lines: &[Line], drawn: usize, colours: bool) -> String {
    let mut out = String::new();
    if drawn > 0 {
        out.push_str(&format!("\x1b[{drawn}A\r\x1b[J"));
    }
    for line in lines {
        for (look, text) in line {
            match code(*look).filter(|_| colours) {
                Some(code) => out.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
                None => out.push_str(text),
            }
        }
        out.push_str("\x1b[K\n");
    }
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

fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .map_or(WIDTH_DEFAULT, |size| usize::from(size.ws_col))
        .max(20)
}
