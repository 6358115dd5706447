//! A memcached-compatible cache server: text protocol (classic and meta), bounded memory, TTL jitter.
//!
//! Other programs use it through [`embedded`] and nothing else. Inside, `session` and `execute` decide and name
//! nothing of sockets or tasks; `connection` and `server` are the thin skin around them.

mod admin;
mod auth;
mod clients;
pub mod clock;
pub mod config;
mod connection;
mod counters;
mod cpu;
pub mod embedded;
mod execute;
mod feed;
#[cfg(all(test, feature = "shuttle"))]
mod interleavings;
mod latency;
mod log;
mod login;
mod metrics;
mod node;
mod persist;
mod prefixes;
mod server;
mod session;
mod stats;
pub mod store;
mod sync;
mod tls;
pub mod ttl;
mod watch;
