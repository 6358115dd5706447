//! The router's promises, kept through real sockets: embedded routers before embedded nodes, before stock memcached,
//! and before servers that misbehave on purpose.

mod config;
mod faults;
mod load;
mod page;
mod program;
mod sharding;
mod support;
mod tools;
