//! What is asked for, and when: keys, popularity, sizes, operations, arrival times. All drawn from one seed, none of
//! it knows a socket or a clock: intended times are data made before the run.

pub mod arrival;
pub mod keyspace;
pub mod popularity;
pub mod seed;
pub mod sizes;
pub mod trace;
pub mod value;
