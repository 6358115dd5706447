//! A memcached proxy: what mcrouter does, faster, and with errors one can read.
//!
//! One door for others: [`embedded`]. Inside, a request's way is `frontend` (decode, in place) → `route` (where to) →
//! `upstream` (into the server's buffer), and its reply's way is back; `worker` is the loop that carries both.

mod admin;
mod args;
mod clock;
mod compare;
mod config;
mod debt;
pub mod embedded;
mod explain;
mod flow;
mod frontend;
mod health;
mod hot_keys;
mod metrics;
mod names;
mod page;
mod pool;
mod reply;
mod request;
mod route;
mod running;
mod schema;
mod service;
mod settings;
mod side;
mod stats;
mod takeover;
mod tls;
mod upstream;
mod worker;

pub use args::{FlushPolicy, Options};
pub use debt::spool::SyncPolicy;
