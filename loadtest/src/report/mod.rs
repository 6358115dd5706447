//! What a run leaves behind: end card, run.json, CSV files, report.html. Reads an `Outcome`; never touches the cluster.

mod artefacts;
mod card;
mod csv;
mod html;
pub mod number;
pub mod table;
mod verdict;
mod words;

pub use artefacts::{ArtefactError, Artefacts, read, write};
pub use card::text as end_card;
pub use html::page as html_page;
pub use verdict::Verdict;
