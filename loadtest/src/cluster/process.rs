//! One child process on loopback: started, waited for until it is ready, ended. It does not outlive us: dropped means
//! killed, and our own programs ask the kernel to be killed if we vanish without dropping anything.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long a process may take until it is ready: seconds on a machine busy with something else.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGTERM; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// How much of a log's end is read to say why a process did not start.
const LOG_TAIL: usize = 2000;

/// A process we started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub pid: u32,
    pub address: SocketAddr,
    pub admin: Option<SocketAddr>,
}

/// Which program.
#[derive(Debug, Clone)]
pub enum Program {
    /// This executable again, under a hidden command (`cache-node`, `router`). Says `ready …` on standard output.
    Own(&'static str),
    /// Any memcached: ready once its port answers.
    Memcached(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("{program} could not be started: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("{program} ended before it was ready: {why}")]
    Ended { program: String, why: String },
    #[error("{program} was not ready within {READY_TIMEOUT:?}")]
    Late { program: String },
    #[error("{program} said {line:?}, expected `ready tcp=HOST:PORT …`")]
    Unready { program: String, line: String },
}

impl Process {
    /// Starts a program and waits until it takes clients. What it writes on standard error goes to `log`.
    pub async fn start(program: &Program, args: &[String], log: &Path) -> Result<Self, ProcessError> {
        let name = program.name();
        let spawn = |source| ProcessError::Spawn {
            program: name.clone(),
            source,
        };
        let log_file = File::create(log).map_err(spawn)?;
        match program {
            Program::Own(command) => {
                let mut child = Command::new(std::env::current_exe().map_err(spawn)?)
                    .arg(command)
                    .args(args)
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(log_file)
                    // Ctrl-C is for us: it reaches the whole group of the terminal, and the cluster ends when we say.
                    .process_group(0)
                    .kill_on_drop(true)
                    .spawn()
                    .map_err(spawn)?;
                let line = tokio::time::timeout(READY_TIMEOUT, first_line(&mut child))
                    .await
                    .map_err(|_elapsed| ProcessError::Late {
                        program: name.clone(),
                    })?
                    .map_err(spawn)?;
                if line.is_empty() {
                    return Err(ProcessError::Ended {
                        program: name,
                        why: tail(log),
                    });
                }
                let found = |key: &str| {
                    line.split(' ')
                        .find_map(|word| word.strip_prefix(key))
                        .and_then(|text| text.trim().parse().ok())
                };
                let Some(address) = found("tcp=").filter(|_| line.starts_with("ready ")) else {
                    return Err(ProcessError::Unready {
                        program: name,
                        line: line.trim().to_owned(),
                    });
                };
                let pid = child.id().unwrap_or_default();
                Ok(Self {
                    child,
                    pid,
                    address,
                    admin: found("admin="),
                })
            }
            Program::Memcached(path) => {
                let child = Command::new(path)
                    .args(args)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(log_file)
                    // Ctrl-C is for us: it reaches the whole group of the terminal, and the cluster ends when we say.
                    .process_group(0)
                    .kill_on_drop(true)
                    .spawn()
                    .map_err(spawn)?;
                let port = args
                    .iter()
                    .skip_while(|arg| *arg != "-p")
                    .nth(1)
                    .and_then(|port| port.parse().ok());
                let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.unwrap_or(11211));
                let pid = child.id().unwrap_or_default();
                let mut process = Self {
                    child,
                    pid,
                    address,
                    admin: None,
                };
                tokio::time::timeout(READY_TIMEOUT, process.answers(log))
                    .await
                    .map_err(|_elapsed| ProcessError::Late {
                        program: name.clone(),
                    })?
                    .map_err(|why| ProcessError::Ended { program: name, why })?;
                Ok(process)
            }
        }
    }

    /// Waits until the port takes connections, or the process has ended.
    async fn answers(&mut self, log: &Path) -> Result<(), String> {
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{status}: {}", tail(log)));
            }
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill().await;
    }

    /// SIGTERM, and SIGKILL if that does not help.
    pub async fn stop(mut self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            && matches!(self.child.try_wait(), Ok(None))
        {
            // Between the two it can only become a zombie of ours, never another process.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait())
            .await
            .is_err()
        {
            self.kill().await;
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Program {
    fn name(&self) -> String {
        match self {
            Self::Own(command) => (*command).to_owned(),
            Self::Memcached(path) => path.display().to_string(),
        }
    }
}

async fn first_line(child: &mut Child) -> io::Result<String> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut line).await?;
    }
    Ok(line)
}

/// The end of a log, on one line.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let end = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL)..]).into_owned();
    let line = end
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
        .to_owned();
    line.trim().to_owned()
}

/// A port that was free a moment ago, for programs that cannot be told to take any.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The hidden commands: `loadtest cache-node ARGS…` and `loadtest router ARGS…` are those whole programs, so that one
/// binary brings up a cluster. `None` for any other command line.
#[must_use]
pub fn hidden_command(args: &[OsString]) -> Option<ExitCode> {
    let main: fn(Vec<OsString>) -> ExitCode = match args.get(1)?.to_str()? {
        "cache-node" => cache_node::embedded::process_main,
        "router" => router::embedded::process_main,
        _ => return None,
    };
    // Our parent may be killed before it can end us. If this fails, only that protection is missing.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    Some(main(args[1..].to_vec()))
}
