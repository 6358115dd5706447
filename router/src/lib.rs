//! A memcached proxy: what mcrouter does, faster, and with errors one can read.
//!
//! One door for others: [`embedded`].

mod args;
pub mod embedded;

pub use args::{FlushPolicy, Options};
