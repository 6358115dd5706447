//! Whether a server is asked at all.

pub(crate) mod tko;
