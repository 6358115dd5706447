//! A node as a process, and the bytes said to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) const LOOPBACK: [&str; 4] = ["-l", "127.0.0.1", "-p", "0"];

pub(crate) fn node(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cache-node"));
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    node(args).output().unwrap()
}

/// A running node, killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) ready: String,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = node(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        assert!(ready.starts_with("ready"), "{ready:?}");
        Self {
            child,
            ready: ready.trim_end().to_owned(),
        }
    }

    pub(crate) fn address(&self, name: &str) -> &str {
        let field = self
            .ready
            .split(' ')
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        field.unwrap_or_else(|| panic!("no {name} in {:?}", self.ready))
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address("tcp")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

pub(crate) fn ask(stream: &mut (impl Read + Write), request: &[u8], reply: &[u8]) {
    stream.write_all(request).unwrap();
    let mut told = vec![0; reply.len()];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(told.escape_ascii().to_string(), reply.escape_ascii().to_string());
}
