//! What the meta commands mg ms md ma mn me share (protocol.txt, "Meta Commands").

mod arith;
mod debug;
mod delete;
mod flags;
mod get;
mod key;
mod response;
mod set;

pub use arith::{Arith, ArithMode};
pub use debug::Debug;
pub use delete::Delete;
pub use flags::{Flag, Flags, FlagsIter};
pub use get::Get;
pub use key::{Base64Scratch, KeyScratch, MetaKey};
pub use response::{Code, Response};
pub use set::{Set, SetMode};
