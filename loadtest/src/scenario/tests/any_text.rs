//! A valid file cut, repeated and spliced anyhow: an answer or a diagnostic, never a panic.

use proptest::prelude::{prop_assert, proptest};

use crate::scenario::{Overrides, builtin, from_text};

proptest! {
    #[test]
    fn never_panics(at in 0_usize..2_000, length in 0_usize..60, junk in "[ -~\\n\"\\[\\]{}=.µ]{0,24}") {
        let mut text = builtin::text("add-node").unwrap().to_owned();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &junk);
        }
        if let Err(diagnostic) = from_text("t.toml", &text, &Overrides::default()) {
            prop_assert!(diagnostic.to_string().contains(" | "));
        }
    }
}
