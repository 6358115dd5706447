//! Bytes that came and are not served yet, with room behind them. Initialised once, so that reading into it costs
//! nothing but the read.

/// A window over a buffer: what is pending lies at its start once something was read, room follows.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            bytes: vec![0; room],
            start: 0,
            end: 0,
        }
    }

    /// These bytes and no room: half a request put aside.
    pub(super) fn copy_of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            start: 0,
            end: bytes.len(),
        }
    }

    #[inline]
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it holds memory, pending bytes or not.
    #[inline]
    pub(super) fn is_allocated(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Drops served bytes from the front.
    #[inline]
    pub(super) fn consume(&mut self, served: usize) {
        self.start += served;
        if self.start == self.end {
            self.clear();
        }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Appends bytes from elsewhere.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.room()[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Where the next bytes go.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// So many bytes were put into [`room`](Self::room).
    #[inline]
    pub(super) fn filled(&mut self, read: usize) {
        self.end += read;
    }

    /// Makes room for so many bytes, moving what is pending to the front first.
    pub(super) fn make_room(&mut self, room: usize) {
        if self.bytes.len() - self.end >= room {
            return;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.bytes.len() - self.end < room {
            self.bytes.resize(self.end + room, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Input;

    #[test]
    fn what_was_read_is_pending_until_consumed_and_room_is_made_from_the_front() {
        let mut input = Input::with_room(8);
        input.append(b"abcdef");
        input.consume(4);
        assert_eq!((input.room().len(), input.pending()), (2, &b"ef"[..]));
        input.make_room(5);
        assert_eq!((input.room().len(), input.pending()), (6, &b"ef"[..]));
        input.append(b"0123456789");
        assert_eq!(input.pending(), b"ef0123456789");
        input.consume(12);
        assert!(input.is_empty() && input.is_allocated());
        assert_eq!(Input::copy_of(b"xy").pending(), b"xy");
    }
}
