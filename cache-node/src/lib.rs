//! cache-node

pub mod clock;
pub mod store;
pub mod ttl;
