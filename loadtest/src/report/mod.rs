//! What a run leaves behind: end card, run.json, CSV files, report.html. Reads an `Outcome`; never touches the cluster.

mod artefacts;
mod card;
pub mod compare;
mod csv;
pub mod glossary;
mod hgrm;
pub(crate) mod html;
mod junit;
mod markdown;
pub mod number;
pub mod table;
mod verdict;
pub(crate) mod words;

pub use artefacts::{
    ArtefactError, Artefacts, make_folder, read, write, write_csv, write_histograms, write_json,
};
pub use card::text as end_card;
pub use html::{comparison as comparison_page, page as html_page};
pub use junit::text as junit_xml;
pub use verdict::Verdict;
