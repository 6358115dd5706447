//! `STAT` lines.

use std::fmt::{Display, Write};

use bytes::{BufMut, BytesMut};

/// Appends `STAT` lines.
pub(super) struct Lines<'o> {
    out: &'o mut BytesMut,
    /// Stands before each name: `items:1:`, `1:`, a connection's number.
    prefix: String,
}

impl<'o> Lines<'o> {
    pub(super) fn new(out: &'o mut BytesMut) -> Self {
        Self {
            out,
            prefix: String::new(),
        }
    }

    pub(super) fn with_prefix(out: &'o mut BytesMut, prefix: impl Display) -> Self {
        Self {
            out,
            prefix: prefix.to_string(),
        }
    }

    pub(super) fn line(&mut self, name: &str, value: impl Display) -> &mut Self {
        let mut line = self.out.writer_str();
        // Writing to memory cannot fail.
        let _infallible = write!(line, "STAT {}{name} {value}\r\n", self.prefix);
        self
    }

    pub(super) fn zeros(&mut self, names: &[&str]) -> &mut Self {
        for name in names {
            self.line(name, 0);
        }
        self
    }

    pub(super) fn on(&mut self, name: &str, yes: bool) -> &mut Self {
        self.line(name, if yes { "yes" } else { "no" })
    }
}

trait WriterStr {
    fn writer_str(&mut self) -> Text<'_>;
}

impl WriterStr for BytesMut {
    fn writer_str(&mut self) -> Text<'_> {
        Text(self)
    }
}

/// Formats text into a reply.
struct Text<'o>(&'o mut BytesMut);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}
