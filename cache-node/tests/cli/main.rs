//! The program from outside: what it says, where, and with which exit code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod life;
