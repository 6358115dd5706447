//! Hash names, as `cluster` knows them.

use cluster::HashKind;

use super::diagnostic::{Diagnostic, Origin, one_of};
use super::reader::Table;

/// More points of a server than this make a ring slow, not even.
const VNODES_MAX: u64 = 100_000;

/// `hash`, and the `vnodes` of one that has any.
pub(super) fn read_hash(table: &mut Table<'_>, key: &'static str) -> Result<Option<HashKind>, Diagnostic> {
    let hash = match table.string(key)? {
        Some(text) => Some(parse_hash(text, &table.place(key))?),
        None => None,
    };
    let Some(vnodes) = table.integer("vnodes", 1, VNODES_MAX)? else {
        return Ok(hash);
    };
    let place = table.place("vnodes");
    let name = match hash {
        Some(HashKind::Ring { .. }) => "ring",
        Some(HashKind::Ketama { .. }) => "ketama",
        Some(_) | None => {
            return Err(Diagnostic::new(
                &place,
                "`vnodes` are the points of a server on a ring",
                "expected hash = \"ring\" or \"ketama\", or no `vnodes`",
            ));
        }
    };
    parse_hash(&format!("{name}:{vnodes}"), &place).map(Some)
}

pub(super) fn parse_hash(text: &str, place: &Origin) -> Result<HashKind, Diagnostic> {
    text.parse().map_err(|_unknown: cluster::UnknownHash| {
        Diagnostic::new(
            place,
            format!("unknown hash `{text}`"),
            one_of(text, HashKind::NAMES),
        )
    })
}
