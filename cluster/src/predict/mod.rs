//! The theory of what a resize costs, as pure functions: the load test draws these beside what it measures.

mod remap;

pub use remap::remapped;
