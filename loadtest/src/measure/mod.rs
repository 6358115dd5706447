//! What a run measured: windows, miss reasons, recovery, the verdict on the generator, and the outcome that
//! every report is drawn from. Sans-io: told what happened and when, it names no socket and no clock.

pub mod eviction;
pub mod histogram;
pub mod miss_reason;
pub mod outcome;
pub mod recorder;
pub mod recovery;
pub mod so_far;
pub mod theory;
