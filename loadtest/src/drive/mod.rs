//! Load out, replies in. The cores (`bench`, `lookaside`, `backing_store`) decide what to send and what a reply
//! means, told the time; `shell` owns sockets and timers and nothing else.

pub mod hammer;
pub mod pipe;
mod reply;
pub mod shell;
mod timer;
