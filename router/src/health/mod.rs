//! Whether a server is asked at all.

pub(crate) mod eject;
pub(crate) mod tko;
