//! The memcached text protocol, classic and meta, as server and as client.
//!
//! Bytes become messages in [`RequestDecoder`] and [`ResponseDecoder`], messages become bytes in [`encode`]. There is
//! no socket, clock, counter or log here, and nothing is allocated: messages borrow from the input, encoders append to
//! a `BytesMut` of the caller's.
//!
//! A decoder is shown the bytes that have come and not been used yet. It answers with one [`Step`], the caller acts on
//! it, drops the bytes it is done with, and asks again. However the bytes are cut, the messages are the same.
//!
//! ```
//! use bytes::{Buf, BytesMut};
//! use protocol::{Limits, Request, RequestDecoder, Step, encode};
//!
//! let mut decoder = RequestDecoder::new(Limits::default());
//! let mut input = BytesMut::from(&b"set k 5 0 3\r\nabc\r\nget k\r\nfoo\r\nget"[..]);
//! let mut output = BytesMut::new();
//! loop {
//!     let consumed = match decoder.next(&input) {
//!         Step::Request { request, consumed } => {
//!             match request {
//!                 Request::Store(_) => output.extend_from_slice(encode::response::STORED),
//!                 Request::Get(get) => {
//!                     for key in get.keys {
//!                         encode::response::value(&mut output, key.as_bytes(), 5, b"abc", None);
//!                     }
//!                     output.extend_from_slice(encode::response::END);
//!                 }
//!                 // Commands this server does not have.
//!                 _ => output.extend_from_slice(encode::response::ERROR),
//!             }
//!             consumed
//!         }
//!         Step::Reject { error, reply, consumed } => {
//!             if reply {
//!                 output.extend_from_slice(error.reply());
//!             }
//!             consumed
//!         }
//!         Step::Oversized { consumed, .. } | Step::Skipped { consumed } => consumed,
//!         Step::NeedMore { .. } | Step::Close { .. } => break,
//!     };
//!     input.advance(consumed);
//! }
//! assert_eq!(&output[..], b"STORED\r\nVALUE k 5 3\r\nabc\r\nEND\r\nERROR\r\n");
//! assert_eq!(&input[..], b"get");
//! ```
//!
//! What is refused, with which words, and where reading goes on afterwards is memcached 1.6.45's; its bugs are not.
//! `corpus/` holds every rule as a case. Where memcached leaves the outcome to how a line arrives (one of 2049 bytes or
//! more), we decide: such a line closes the connection, unless it is a retrieval, which may be as long as
//! [`Limits::get_line_len_bytes`].
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
