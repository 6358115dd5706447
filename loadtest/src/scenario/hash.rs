//! Hash names, as `cluster` knows them.

use super::diagnostic::{Diagnostic, Origin, one_of};
use super::reader::Table;

pub(super) fn read_hash(
    table: &mut Table<'_>,
    key: &'static str,
) -> Result<Option<cluster::HashKind>, Diagnostic> {
    let Some(text) = table.string(key)? else {
        return Ok(None);
    };
    parse_hash(text, &table.place(key)).map(Some)
}

pub(super) fn parse_hash(text: &str, place: &Origin) -> Result<cluster::HashKind, Diagnostic> {
    text.parse().map_err(|_unknown: cluster::UnknownHash| {
        Diagnostic::new(
            place,
            format!("unknown hash `{text}`"),
            one_of(text, cluster::HashKind::NAMES),
        )
    })
}
