//! What the promises to users are checked with: real processes, real sockets, real clients.
//!
//! Nothing here imports the services: a program is started from its binary, spoken to through its socket and
//! judged by what it answers, so everything runs unchanged against stock memcached.
//!
//! Binaries come from `HEARTH_BIN_DIR`, else `target/release`, else `target/debug`; they are never built here.
//! Threads and blocking sockets with a timeout on every read keep a hang of the program a failure of the test.

pub mod client;
pub mod clock;
pub mod cluster;
pub mod eventually;
pub mod fault;
pub mod history;
pub mod load;
pub mod process;
pub mod prometheus;
pub mod replicas;
pub mod scrape;
pub mod transcript;

pub use eventually::eventually;
