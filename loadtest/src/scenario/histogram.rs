//! Reads a popularity given as a histogram: buckets of keys and the share of the requests each bucket has.

use std::path::Path;

use super::Bucket;
use super::diagnostic::{Diagnostic, Origin};
use super::quantity::parse_plain_number;
use super::reader::Table;
use super::workload::KEYS_MAX;

type Result<T> = std::result::Result<T, Diagnostic>;

const BUCKETS_MAX: usize = 10_000;
const FILE_BYTES_MAX: u64 = 1 << 20;

/// `buckets = ["1000:0.5", "9000:0.5"]`, or `file = "popularity.csv"` with a line `KEYS,SHARE` each. Shares are relative:
/// they need not sum to 1, and do afterwards.
pub(super) fn buckets(table: &mut Table<'_>, folder: Option<&Path>) -> Result<Vec<Bucket>> {
    let place = table.place(if table.is_written("file") {
        "file"
    } else {
        "buckets"
    });
    let (file, written) = (table.string("file")?, table.strings("buckets")?);
    let buckets: Vec<Bucket> = match (file, written) {
        (Some(path), None) => {
            let path = folder.map_or_else(|| path.into(), |folder| folder.join(path));
            let text = read(&path).map_err(|why| {
                Diagnostic::new(&place, why, "expected a file of lines KEYS,SHARE, like 1000,0.5")
            })?;
            from_csv(&text, &place)?
        }
        (None, Some(rows)) => rows
            .into_iter()
            .map(|row| bucket(row, ':', &place))
            .collect::<Result<_>>()?,
        (None, None) | (Some(_), Some(_)) => {
            return Err(table.error(
                "a histogram has its buckets in one place",
                "expected file = \"popularity.csv\" or buckets = [\"1000:0.5\", \"9000:0.5\"]",
            ));
        }
    };
    checked(buckets, &place)
}

fn read(path: &Path) -> std::result::Result<String, String> {
    let refuse = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if std::fs::metadata(path).map_err(refuse)?.len() > FILE_BYTES_MAX {
        return Err(format!("{} is too large for a histogram", path.display()));
    }
    std::fs::read_to_string(path).map_err(refuse)
}

/// A first line of words is a heading; empty lines and those that begin with `#` say nothing.
fn from_csv(text: &str, place: &Origin) -> Result<Vec<Bucket>> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_heading = |line: &&str| !line.starts_with(|first: char| first.is_ascii_digit());
    let mut lines = lines.peekable();
    lines.next_if(is_heading);
    lines.map(|line| bucket(line, ',', place)).collect()
}

fn bucket(text: &str, between: char, place: &Origin) -> Result<Bucket> {
    let read = text.split_once(between).and_then(|(keys, share)| {
        Some(Bucket {
            keys: keys.trim().replace('_', "").parse().ok()?,
            share: parse_plain_number(share.trim())?,
        })
    });
    read.filter(|bucket| bucket.keys > 0 && bucket.share.is_finite() && bucket.share >= 0.0)
        .ok_or_else(|| {
            Diagnostic::new(
                place,
                format!("`{text}` is no bucket"),
                format!("expected KEYS{between}SHARE, like 1000{between}0.5"),
            )
        })
}

/// The most popular keys first, shares that sum to 1.
fn checked(mut buckets: Vec<Bucket>, place: &Origin) -> Result<Vec<Bucket>> {
    let refuse = |message: String, expected: &str| Err(Diagnostic::new(place, message, expected));
    if buckets.is_empty() || buckets.len() > BUCKETS_MAX {
        return refuse(
            format!("{} buckets", buckets.len()),
            "expected 1 to 10,000 of them",
        );
    }
    let keys = buckets
        .iter()
        .fold(0_u64, |sum, bucket| sum.saturating_add(bucket.keys));
    if keys > KEYS_MAX {
        return refuse(
            format!("the buckets hold {keys} keys"),
            "expected at most 10,000,000",
        );
    }
    let sum: f64 = buckets.iter().map(|bucket| bucket.share).sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return refuse(
            "no bucket is ever asked for".to_owned(),
            "expected a share above 0",
        );
    }
    if (sum - 1.0).abs() > 1e-9 {
        buckets.iter_mut().for_each(|bucket| bucket.share /= sum);
    }
    #[expect(clippy::cast_precision_loss, reason = "at most ten million")]
    let each = |bucket: &Bucket| bucket.share / bucket.keys as f64;
    buckets.sort_by(|a, b| each(b).total_cmp(&each(a)));
    Ok(buckets)
}
