//! Scenarios as texts: what is read, and exactly what is said about a mistake.

mod any_text;
mod changed;
mod copies;
mod guarded;
mod mistakes;
mod rates;
mod written;

use super::{Overrides, Scenario, from_text};

const HEAD: &str = "name = \"t\"\n[[phase]]\nname = \"steady\"\nkind = \"baseline\"\nduration = \"30s\"\n";

#[track_caller]
fn refused(text: &str, message: &str) {
    refused_with(text, &Overrides::default(), message);
}

#[track_caller]
fn refused_with(text: &str, overrides: &Overrides, message: &str) {
    let diagnostic = from_text("t.toml", text, overrides).expect_err("the scenario should be refused");
    let (found, wanted) = (
        diagnostic.to_string(),
        message.trim_start_matches('\n').trim_end(),
    );
    assert_eq!(found, wanted, "\n--- found\n{found}\n--- wanted\n{wanted}\n");
}

fn accepted(text: &str) -> Scenario {
    from_text("t.toml", text, &Overrides::default()).unwrap_or_else(|diagnostic| panic!("{diagnostic}"))
}
