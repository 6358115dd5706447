//! From a key to its owner: one file per scheme, one door ([`placement::Placement`]).

pub(crate) mod hash_stop;
mod jump;
pub(crate) mod kind;
pub(crate) mod placement;
mod rendezvous;
