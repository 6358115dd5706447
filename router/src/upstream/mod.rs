//! Servers: the connection to each, what is under way on it, and what became of it.

pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod inflight;
mod late;
pub(crate) mod open;
mod receive;

pub(crate) use connection::{ReplyTo, Sink, Upstream};
