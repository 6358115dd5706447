//! The theory of what a resize costs, as pure functions: the load test draws these beside what it measures.
//!
//! In the order of the questions they answer:
//!
//! 1. Which share of the keys goes cold? [`remapped`], and [`shares`] for a server that is lost while its place is kept.
//!    How even can a ring be? [`ring_share_cv`].
//! 2. What does a cold share do to the hit rate? [`mixture`]; to the backing store? [`amplification`].
//! 3. How long does it last? [`Popularity`]: warm hit rate (Che for an LRU, and the same way for S3-FIFO), cold curve, requests
//!    until warm again, miss debt.
//! 4. What else makes misses come at once? [`expiry_peak`], [`herd`]. Will it end by itself? [`Overload`].
//!
//! Rates are requests per second, hit rates and shares are from 0 to 1, times are in seconds unless a name says requests.

mod event;
mod popularity;
mod remap;
mod s3_fifo;

pub use event::{Overload, amplification, expiry_peak, expiry_steady, herd, mixture};
pub use popularity::Popularity;
pub use remap::{remapped, ring_share_cv, sampled_share_cv, shares};
