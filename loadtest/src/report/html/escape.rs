//! Text into HTML. Everything that came from a scenario, a host or an error goes through here.

/// Safe between tags and inside quoted attributes. Control characters become U+FFFD.
pub(super) fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The same for sentences: a number stays on one line with its unit.
pub(super) fn prose(text: &str) -> String {
    glued(&esc(text))
}

/// No-break spaces between a digit and the unit that follows it.
fn glued(text: &str) -> String {
    const UNITS: [&str; 10] = ["%", "ms", "s", "µs", "k", "M", "MiB", "GiB", "points", "pp"];
    let mut words = text.split(' ').peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(word) = words.next() {
        out.push_str(word);
        let Some(next) = words.peek() else { break };
        let unit = next.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%');
        let is_unit = word.ends_with(|c: char| c.is_ascii_digit()) && UNITS.contains(&unit);
        out.push(if is_unit { '\u{a0}' } else { ' ' });
    }
    out
}

/// JSON safe inside a script element: nothing in it can end the element or open a comment.
pub(super) fn json_in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::prose;

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(
            prose("from 79.7 % to 56.3 %; back after 3.79 s, <3 nodes"),
            "from 79.7\u{a0}% to 56.3\u{a0}%; back after 3.79\u{a0}s, &lt;3 nodes"
        );
    }
}
