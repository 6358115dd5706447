//! A terminal with a program in it: `script` gives it one, and we type and read.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// Everything the program wrote, escape codes and all.
    pub(crate) text: String,
}

impl Terminal {
    /// `command` in a shell on a terminal of 24 lines of 100 characters; `None` where there is no `script`.
    pub(crate) fn run(command: &str, folder: &Path) -> Option<Self> {
        let mut child = Command::new("script")
            .args(["-qec", &format!("stty cols 100 rows 24; {command}"), "/dev/null"])
            .current_dir(folder)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let keys = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = out.read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            child,
            keys,
            screen,
            text: String::new(),
        })
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Reads on until `what` has come since the last time; gives up after a minute.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str) {
        let (from, started) = (self.text.len(), loadtest::clock::now());
        while !self.text[from..].contains(what) {
            match self
                .screen
                .recv_timeout(PATIENCE.saturating_sub(started.elapsed()))
            {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} never came: {}", self.text)
                }
            }
        }
    }

    /// The rest of what it writes, and how it ended.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let status = self.child.wait().unwrap();
        (self.text, status)
    }
}
