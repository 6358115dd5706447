//! One real process: where its binary is, how it is started, how we learn its port, how it ends.
//!
//! A process that is dropped is killed, and its stderr is searched for a panic: no test can pass over one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::eventually;

/// How long a program may take until it accepts connections, on a machine that is busy with other tests.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// The programs that tests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    CacheNode,
    Router,
    Loadtest,
    /// Stock memcached: the one on `PATH` (Debian's).
    Memcached,
    /// Stock memcached of the current release, named by `HEARTH_MEMCACHED_BIN`.
    CurrentMemcached,
}

impl Program {
    /// The binary, or why there is none on this machine.
    pub fn locate(self) -> Result<PathBuf, String> {
        match self {
            Self::CacheNode => ours("cache-node"),
            Self::Router => ours("router"),
            Self::Loadtest => ours("loadtest"),
            Self::Memcached => on_path("memcached"),
            Self::CurrentMemcached => match std::env::var_os("HEARTH_MEMCACHED_BIN") {
                Some(path) if Path::new(&path).is_file() => Ok(path.into()),
                Some(path) => Err(format!("HEARTH_MEMCACHED_BIN={} is not a file", path.display())),
                None => Err("HEARTH_MEMCACHED_BIN is not set".into()),
            },
        }
    }

    /// Whether the program is foreign to this repository and may be missing.
    pub fn is_stock(self) -> bool {
        matches!(self, Self::Memcached | Self::CurrentMemcached)
    }
}

fn ours(name: &str) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let folders = match std::env::var_os("HEARTH_BIN_DIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![target.join("release"), target.join("debug")],
    };
    let found = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        format!(
            "no {name} in {folders:?}: build it (cargo build --release --workspace) or set HEARTH_BIN_DIR"
        )
    })
}

fn on_path(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| format!("no {name} on PATH"))
}

/// Where a process listens, as it said itself.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    pub tcp: Option<SocketAddr>,
    pub admin: Option<SocketAddr>,
    pub unix: Option<PathBuf>,
    /// The router's port for clients over TLS.
    pub tls: Option<SocketAddr>,
}

impl Ready {
    /// Reads `ready tcp=127.0.0.1:41234 admin=127.0.0.1:9101`.
    fn parse(line: &str) -> Result<Self, String> {
        let fields = line
            .strip_prefix("ready ")
            .ok_or_else(|| format!("expected `ready …`, got {line:?}"))?;
        let mut ready = Self::default();
        for field in fields.split_whitespace() {
            let (name, value) = field
                .split_once('=')
                .ok_or_else(|| format!("field {field:?} in {line:?}"))?;
            let address = || {
                value
                    .parse::<SocketAddr>()
                    .map_err(|error| format!("{field}: {error}"))
            };
            match name {
                "tcp" => ready.tcp = Some(address()?),
                "admin" => ready.admin = Some(address()?),
                "tls" => ready.tls = Some(address()?),
                "unix" => ready.unix = Some(PathBuf::from(value)),
                _ => {} // a program may say more than we ask
            }
        }
        Ok(ready)
    }
}

/// A running process and the files it writes.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
    ready: Ready,
    scratch: TempDir,
    expect_panic_free: bool,
}

impl Process {
    /// Starts `program` on a free port of 127.0.0.1 with `args` added, and waits until it accepts connections.
    #[track_caller]
    pub fn start(program: Program, args: &[&str]) -> Self {
        let listen: &[&str] = match program {
            Program::CacheNode | Program::Router => &["-p", "0", "-l", "127.0.0.1", "--admin", "127.0.0.1:0"],
            // -u: memcached refuses to run as root without being told whom to become.
            Program::Memcached | Program::CurrentMemcached => {
                &["-p", "-1", "-l", "127.0.0.1", "-U", "0", "-u", "root"]
            }
            Program::Loadtest => &[],
        };
        let args: Vec<&str> = listen.iter().chain(args).copied().collect();
        match Self::try_start(program, &args) {
            Ok(process) => process,
            Err(error) => panic!("{program:?} {args:?} did not start: {error}"),
        }
    }

    /// A router that goes by this configuration, kept as `router.json` in `folder`.
    #[track_caller]
    pub fn start_router(folder: &Path, config: &str, args: &[&str]) -> Self {
        let path = folder.join("router.json");
        fs::write(&path, config).expect("the config is written");
        let file = path.to_str().expect("a plain path");
        let args: Vec<&str> = ["-c", file].into_iter().chain(args.iter().copied()).collect();
        Self::start(Program::Router, &args)
    }

    /// Starts `program` with exactly `args`.
    pub fn try_start(program: Program, args: &[&str]) -> Result<Self, String> {
        let scratch = TempDir::new().map_err(|error| format!("scratch folder: {error}"))?;
        let stderr =
            File::create(scratch.path().join("stderr")).map_err(|error| format!("stderr file: {error}"))?;
        let port_file = scratch.path().join("ports");
        let mut command = Command::new(program.locate()?);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        command
            .env("MEMCACHED_PORT_FILENAME", &port_file)
            .env_remove("RUST_LOG");
        let child = command.spawn().map_err(|error| format!("spawn: {error}"))?;
        let mut process = Self {
            program,
            child,
            ready: Ready::default(),
            scratch,
            expect_panic_free: !program.is_stock(),
        };
        process.ready = match program {
            Program::Memcached | Program::CurrentMemcached => process.ready_from_port_file(&port_file)?,
            _ => process.ready_from_stdout()?,
        };
        Ok(process)
    }

    fn ready_from_stdout(&mut self) -> Result<Ready, String> {
        let stdout = self.child.stdout.take().ok_or("stdout was taken")?;
        let (lines, first) = mpsc::channel();
        // The thread ends with the process: it also keeps the pipe from filling up.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        match first.recv_timeout(START_DEADLINE) {
            Ok(line) => Ready::parse(&line),
            Err(error) => Err(format!(
                "no ready line on stdout ({error}); stderr: {}",
                self.stderr()
            )),
        }
    }

    fn ready_from_port_file(&self, file: &Path) -> Result<Ready, String> {
        let port = eventually(START_DEADLINE, "memcached writes its port file", || {
            let text =
                fs::read_to_string(file).map_err(|error| format!("{error}; stderr: {}", self.stderr()))?;
            let port = text
                .lines()
                .find_map(|line| line.strip_prefix("TCP INET: ")?.parse::<u16>().ok());
            port.ok_or(text)
        });
        Ok(Ready {
            tcp: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            ..Ready::default()
        })
    }

    pub fn program(&self) -> Program {
        self.program
    }

    /// Where clients connect.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        self.ready.tcp.expect("the process announced a tcp address")
    }

    /// Where `/healthz` and `/metrics` are.
    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        self.ready.admin.expect("the process announced an admin address")
    }

    pub fn tls(&self) -> Option<SocketAddr> {
        self.ready.tls
    }

    pub fn unix(&self) -> Option<&Path> {
        self.ready.unix.as_deref()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the process has written to stderr.
    pub fn stderr(&self) -> String {
        let bytes = fs::read(self.scratch.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends `signal`. A process that is already gone is not an error.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid fits");
        let _ = kill_process(pid, signal);
    }

    /// `SIGSTOP`, and waits until every thread stands still: one may go on for a while after the signal was sent.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        eventually(START_DEADLINE, "all threads stand still", || {
            let states = fs::read_dir(&tasks).map_err(|error| error.to_string())?;
            let running = states.flatten().find_map(|task| {
                let stat = fs::read_to_string(task.path().join("stat")).ok()?;
                let state = stat.rsplit_once(") ")?.1.chars().next()?;
                (state != 'T').then_some(stat)
            });
            running.map_or(Ok(()), Err)
        });
    }

    /// `SIGKILL`, and waits for the end: what a crash or an out-of-memory kill looks like.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let program = self.program;
        eventually(deadline, &format!("{program:?} exits"), || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err("still running".into()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A number of `/proc/PID/status` in bytes, such as `VmRSS`.
    #[track_caller]
    pub fn memory(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).expect("the process is alive");
        let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
        let kib = fields
            .get(field)
            .and_then(|value| value.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse::<u64>().ok())
            .expect("a field in kB")
            * 1024
    }

    /// Resident memory in bytes.
    pub fn rss(&self) -> u64 {
        self.memory("VmRSS")
    }

    /// Open file descriptors.
    #[track_caller]
    pub fn fds(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("the process is alive")
            .count()
    }

    /// The panic in its stderr, if there is one.
    fn panic_seen(&self) -> Option<String> {
        let stderr = self.stderr();
        let at = stderr.find("panicked at")?;
        let start = stderr.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
        Some(
            stderr
                .get(start..)?
                .lines()
                .take(12)
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if self.expect_panic_free
            && let Some(panic) = self.panic_seen()
        {
            if thread::panicking() {
                eprintln!("{:?} also panicked: {panic}", self.program);
            } else {
                panic!("{:?} panicked: {panic}", self.program);
            }
        }
        if thread::panicking() && !self.program.is_stock() {
            let stderr = self.stderr();
            let lines: Vec<&str> = stderr.lines().collect();
            let tail = lines
                .get(lines.len().saturating_sub(20)..)
                .unwrap_or_default()
                .join("\n");
            eprintln!("--- last of {:?}'s stderr ---\n{tail}", self.program);
        }
    }
}

/// A program that runs to its end: exit code, stdout and stderr.
#[track_caller]
pub fn run_to_end(program: Program, args: &[&str]) -> (Option<i32>, String, String) {
    let binary = program.locate().unwrap_or_else(|error| panic!("{error}"));
    let output = Command::new(binary)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
