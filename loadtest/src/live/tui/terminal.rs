//! The terminal itself: its second screen, its size, its keys; and that it is given back as it was, however the run ends.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};

use crate::live::frame::Size;

/// The second screen, without a cursor: what stood on the first is there again afterwards.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// A terminal that does not say how large it is.
const SIZE_DEFAULT: Size = Size {
    width: 80,
    height: 24,
};

/// How the terminal was; here, because a run that is told twice to stop ends without unwinding.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

struct Before {
    /// `None` if the keys are not ours.
    keys: Option<Termios>,
}

/// The terminal while the view has it.
#[derive(Debug)]
pub(super) struct Terminal {
    keys: bool,
}

impl Terminal {
    pub(super) fn enter() -> Self {
        let keys = keys_without_return();
        let has_keys = keys.is_some();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Before { keys });
        let mut screen = std::io::stderr();
        let _ = screen.write_all(ENTER.as_bytes()).and_then(|()| screen.flush());
        Self { keys: has_keys }
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys
    }

    pub(super) fn size() -> Size {
        match rustix::termios::tcgetwinsize(std::io::stderr()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
                width: usize::from(size.ws_col).max(20),
                height: usize::from(size.ws_row).max(4),
            },
            _ => SIZE_DEFAULT,
        }
    }

    /// What was typed since the last look; does not wait.
    pub(super) fn typed(&self) -> Vec<u8> {
        let mut bytes = [0; 32];
        if !self.keys {
            return Vec::new();
        }
        // Gone, or nothing there: no keys.
        let len = rustix::io::read(std::io::stdin(), &mut bytes).unwrap_or(0);
        bytes[..len].to_vec()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back if the view has it. Twice does no harm.
pub fn give_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Before { keys }) = before else {
        return;
    };
    let mut screen = std::io::stderr();
    let _ = screen.write_all(LEAVE.as_bytes()).and_then(|()| screen.flush());
    if let Some(keys) = keys {
        // The terminal may be gone.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &keys);
    }
}

/// Keys come one by one, unseen, and a read does not wait; Ctrl-C and Ctrl-Z are what they were. How it was before;
/// `None` where there are no keys for us: no terminal, or somebody else's (we run in the background).
fn keys_without_return() -> Option<Termios> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    if rustix::termios::tcgetpgrp(&stdin).is_ok_and(|group| group != rustix::process::getpgrp()) {
        return None;
    }
    let before = rustix::termios::tcgetattr(&stdin).ok()?;
    let mut ours = before.clone();
    ours.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    ours.special_codes[SpecialCodeIndex::VMIN] = 0;
    ours.special_codes[SpecialCodeIndex::VTIME] = 0;
    rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &ours).ok()?;
    Some(before)
}
