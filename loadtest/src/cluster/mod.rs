//! The cluster under test: starting, changing and watching it.

pub mod procfs;
