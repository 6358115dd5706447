//! The counters told as memcached's `stats`: its names, its groups, its units. Where this store has no such thing
//! (slab classes, LRU queues), a name that tools read is answered with what comes nearest, or zero.

mod classes;
mod connections;
mod general;
mod lines;
mod settings;

pub(crate) use classes::{items, slabs};
pub(crate) use connections::{connections, tcp_name};
pub(crate) use general::general;
pub(crate) use settings::settings;
