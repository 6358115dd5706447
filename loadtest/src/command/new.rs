//! `loadtest new`: a scenario to start from, on stdout.

use crate::exit::Exit;
use crate::scenario::builtin;

/// What a first scenario of one's own is made from.
const START: &str = "add-node";

/// Everything `new` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct NewArgs {
    /// The built-in to start from (see `loadtest list`).
    #[arg(value_name = "BUILTIN", default_value = START)]
    pub builtin: String,
}

/// Prints it.
#[must_use]
pub fn main(args: &NewArgs) -> Exit {
    let name = args.builtin.strip_prefix("builtin:").unwrap_or(&args.builtin);
    match builtin::text(name) {
        Some(text) => super::print(text),
        None => {
            let names = builtin::names();
            let nearest = super::nearest(name, names.iter().copied());
            eprintln!(
                "loadtest: no built-in `{name}`; did you mean `{nearest}`? one of: {}",
                names.join(", ")
            );
            Exit::BadInput
        }
    }
}
