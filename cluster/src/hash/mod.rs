//! From a key to its owner: one file per scheme, one door ([`placement::Placement`]).

mod ch3;
pub(crate) mod hash_stop;
mod jump;
mod ketama;
pub(crate) mod key_hash;
pub(crate) mod kind;
mod mcrouter_rendezvous;
mod modulo;
mod murmur64a;
pub(crate) mod placement;
mod rendezvous;
mod ring;
mod spooky;
mod twemproxy;
#[cfg(test)]
mod vectors;
