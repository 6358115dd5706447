//! Writes every input of `corpus/` into a folder of its own, for a fuzzer to start from:
//! `cargo run -p protocol --example corpus -- DIR` makes `DIR/requests` and `DIR/replies`.

use std::path::PathBuf;
use std::{fs, io};

use protocol::testing::corpus::cases;

/// Longer inputs only slow a fuzzer down.
const LEN_MAX_BYTES: usize = 8 * 1024;

fn main() -> io::Result<()> {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: corpus DIR"));
    };
    let tables = [
        ("requests", include_str!("../corpus/requests.txt")),
        ("replies", include_str!("../corpus/replies.txt")),
    ];
    for (name, table) in tables {
        fs::create_dir_all(dir.join(name))?;
        for case in cases(table)
            .iter()
            .filter(|case| case.input.len() <= LEN_MAX_BYTES)
        {
            fs::write(dir.join(name).join(format!("line-{:04}", case.line)), &case.input)?;
        }
    }
    Ok(())
}
