//! What is wrong with a scenario, where, what was expected, and the nearest valid name.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::sync::Arc;

/// A piece of text that scenario values came from: a file, a built-in, a command-line flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// How to call it in a message: a path, `builtin:smoke`, `--set`.
    pub name: String,
    pub text: String,
    /// Command-line flags have no line numbers worth telling.
    pub has_lines: bool,
}

/// Where in a source something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub source: Arc<Source>,
    pub span: Range<usize>,
}

impl Origin {
    /// The same place, narrowed to a part of it: `inner` counts bytes from the start of the text inside `self`.
    /// `prefix` is what stands before that text in the source (an opening quote).
    #[must_use]
    pub fn narrowed(&self, prefix: usize, inner: Range<usize>) -> Self {
        let at = |offset: usize| (self.span.start + prefix + offset).min(self.span.end);
        Self {
            source: self.source.clone(),
            span: at(inner.start)..at(inner.end),
        }
    }
}

/// One mistake, told so that it can be mended without the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub origin: Origin,
    /// What is wrong: "unknown key `vnode` in [cluster]".
    pub message: String,
    /// What would be right; stands under the caret. May be empty.
    pub expected: String,
}

impl Diagnostic {
    #[must_use]
    pub fn new(origin: &Origin, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            origin: origin.clone(),
            message: message.into(),
            expected: expected.into(),
        }
    }

    /// The same, where one flag stands for another: what came from `stand_in` was really said by `flag`.
    #[must_use]
    pub fn of_flag(mut self, stand_in: &str, flag: &str) -> Self {
        if self.origin.source.name == stand_in {
            self.origin.source = Arc::new(Source {
                name: flag.to_owned(),
                text: self.origin.source.text.clone(),
                has_lines: self.origin.source.has_lines,
            });
        }
        self
    }
}

impl std::error::Error for Diagnostic {}

impl Display for Diagnostic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Source {
            name,
            text,
            has_lines,
        } = &*self.origin.source;
        let start = floor_boundary(text, self.origin.span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let line_number = text[..line_start].matches('\n').count() + 1;
        if *has_lines {
            writeln!(f, "{name}:{line_number}: {}", self.message)?;
        } else {
            writeln!(f, "{name}: {}", self.message)?;
        }
        let gutter = if *has_lines {
            line_number.to_string()
        } else {
            String::from(">")
        };
        let margin = " ".repeat(gutter.len());
        // Tabs are kept so that the caret stands under the right character whatever their width.
        let indent: String = text[line_start..start]
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let end = floor_boundary(text, self.origin.span.end).clamp(start, line_start + line.len());
        let width = text[start..end].chars().count().max(1);
        writeln!(f, "  {gutter} | {line}")?;
        write!(f, "  {margin} | {indent}{}", "^".repeat(width))?;
        if !self.expected.is_empty() {
            write!(f, " {}", self.expected)?;
        }
        Ok(())
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The candidate most like `word`, if any is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&word, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `did you mean X? expected one of A, B, C`: what stands under the caret for an unknown name.
#[must_use]
pub(super) fn one_of(word: &str, candidates: &[&str]) -> String {
    let list = candidates.join(", ");
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? expected one of: {list}"),
        None => format!("expected one of: {list}"),
    }
}
