//! Load out, replies in. The cores (`bench`, `lookaside`, `backing_store`) decide what to send and what a reply
//! means, told the time; `shell` owns sockets and timers and nothing else.

pub mod backing_store;
pub mod hammer;
pub mod lookaside;
pub mod pipe;
mod reply;
pub mod shell;
pub mod source;
mod timer;

#[cfg(test)]
mod tests;
