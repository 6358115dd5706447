//! A router in this process, and the whole program behind one function: the doors `loadtest` and the tests come in by.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::args::Options;

/// A running router. Dropping it stops the router; [`Handle::shutdown`] also waits for it.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
}

impl Handle {
    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the admin HTTP server listens, if it does.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Drains and stops it.
    pub fn shutdown(self) {}
}

/// Starts a router on threads of its own and returns once it accepts clients.
///
/// # Errors
/// A bad configuration, or an address that cannot be listened on.
pub fn start(options: Options) -> anyhow::Result<Handle> {
    let _ = options;
    anyhow::bail!("not yet")
}

/// The whole program: `args` starts with the program's name.
pub fn process_main<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let _ = Options::read(args);
    ExitCode::from(2)
}
