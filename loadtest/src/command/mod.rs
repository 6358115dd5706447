//! One file per command: read the arguments, call the core, print, choose the exit code.

pub mod bench;
pub mod run;
