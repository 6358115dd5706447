//! The memcached text protocol, classic and meta, as server and as client.
//!
//! Bytes to messages ([`RequestDecoder`], [`ResponseDecoder`]) and messages to bytes ([`encode`]). There is no
//! socket, clock, counter or log here, and nothing is allocated: messages borrow from the input, encoders append to
//! a `BytesMut` of the caller.
#![warn(missing_docs, clippy::indexing_slicing)]

mod decoder;
pub mod encode;
mod error;
mod exptime;
mod key;
mod limits;
pub mod meta;
mod parse;
mod request;
mod response;
mod scan;
#[doc(hidden)]
#[expect(
    clippy::indexing_slicing,
    reason = "claims that tests make; a panic is how they fail"
)]
pub mod testing;

pub use decoder::{RequestDecoder, ResponseDecoder, ResponseStep, Step};
pub use error::ProtocolError;
pub use exptime::{Expiry, Exptime, UnixSeconds};
pub use key::{Key, KeyError};
pub use limits::Limits;
pub use request::{
    Admin, AdminVerb, Arith, ArithVerb, Delete, FlushAll, Get, Keys, KeysIter, Request, Store, StoreVerb,
    Touch, Verbosity,
};
pub use response::Response;
