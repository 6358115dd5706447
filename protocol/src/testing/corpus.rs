//! Reads the tables of `corpus/`: see the README there.

/// An input and what has to come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The rule it stands for.
    pub rule: String,
    /// The line it starts at.
    pub line: usize,
    /// The bytes.
    pub input: Vec<u8>,
    /// What comes of them.
    pub outcomes: Vec<Outcome>,
}

/// One thing that comes of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A message, plainly spelled.
    Message(Vec<u8>),
    /// A refusal; the line, and whether it is told.
    Refusal { line: Vec<u8>, told: bool },
    /// The key whose item goes with a value over the limit.
    Oversized(Vec<u8>),
    /// The end, and why.
    End(String),
    /// The rest of the input is no whole message.
    Rest,
}

/// Reads a table.
///
/// # Panics
/// If it is not one.
#[must_use]
pub fn cases(table: &str) -> Vec<Case> {
    let mut rule = String::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut in_input = false;
    for (index, text) in table.lines().enumerate() {
        let (mark, rest) = text.split_at_checked(1).unwrap_or((text, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let outcome = match mark {
            "" => continue,
            "#" => {
                rule = rest.to_owned();
                in_input = false;
                continue;
            }
            ">" => {
                if !in_input {
                    let case = Case {
                        rule: rule.clone(),
                        line: index + 1,
                        input: vec![],
                        outcomes: vec![],
                    };
                    cases.push(case);
                }
                in_input = true;
                cases
                    .last_mut()
                    .expect("just pushed")
                    .input
                    .extend(unescape(rest));
                continue;
            }
            "<" => Outcome::Message(unescape(rest)),
            "!" => Outcome::Refusal {
                line: unescape(rest),
                told: true,
            },
            "~" => Outcome::Refusal {
                line: unescape(rest),
                told: false,
            },
            "o" => Outcome::Oversized(unescape(rest)),
            "x" => Outcome::End(rest.to_owned()),
            "." => Outcome::Rest,
            other => panic!("line {}: unknown mark {other:?}", index + 1),
        };
        in_input = false;
        cases
            .last_mut()
            .expect("an outcome follows an input")
            .outcomes
            .push(outcome);
    }
    cases
}

/// `\r \n \t \0 \\ \x80` and `{k*250}`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (found, len) = match first {
            '\\' => escape(rest),
            '{' => repeat(rest),
            _ => None,
        }
        .unwrap_or_else(|| (first.to_string().into_bytes(), first.len_utf8()));
        bytes.extend(found);
        rest = &rest[len..];
    }
    bytes
}

fn escape(text: &str) -> Option<(Vec<u8>, usize)> {
    let byte = match text.get(1..2)? {
        "r" => b'\r',
        "n" => b'\n',
        "t" => b'\t',
        "0" => 0,
        "\\" => b'\\',
        "x" => return Some((vec![u8::from_str_radix(text.get(2..4)?, 16).ok()?], 4)),
        _ => return None,
    };
    Some((vec![byte], 2))
}

fn repeat(text: &str) -> Option<(Vec<u8>, usize)> {
    let end = text.find('}')?;
    let (what, times) = text
        .get(1..end)
        .filter(|inner| !inner.contains('{'))?
        .rsplit_once('*')?;
    Some((what.as_bytes().repeat(times.parse().ok()?), end + 1))
}
