//! What a run is: cluster, workload, load, backing store, phases, events and thresholds, already checked.
//! Knows nothing of sockets, processes or clocks; `file` reads it from TOML, `drive` and `cluster` act on it.

pub mod action;
pub mod builtin;
mod cluster;
mod diagnostic;
mod emit;
mod event;
mod file;
mod hash;
mod histogram;
mod load;
mod matrix;
mod model;
mod overrides;
pub mod preset;
mod quantity;
mod reader;
mod sections;
mod stages;
pub mod threshold;
mod timeline;
mod tree;
mod workload;

pub use action::{Action, Cut, Direction, KillSignal, Memory, NodeRef, Shift, WarmUp};
pub use diagnostic::{Diagnostic, Origin, Source, nearest};
pub use file::{from_text, load};
pub use model::{
    Arrival, BackendSpec, Bucket, CheckSpec, ClusterMode, ClusterSpec, Distribution, Event, Expected, Fill,
    JitterBy, Load, LoadMode, Matrix, MatrixCase, Mix, Moment, NodeSpec, Offset, OnNodeDown, Phase,
    PhaseKind, PhaseLength, Popularity, QueueOrder, Retries, RouterSpec, Scenario, Search, Threshold,
    TraceSource, TraceSpec, Ttl, Workload,
};
pub use overrides::Overrides;
pub use quantity::{bytes_text, time_text};
pub use stages::{Course, Stage};

#[cfg(test)]
mod tests;
