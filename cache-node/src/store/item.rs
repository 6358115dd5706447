//! How an item lies in a segment.

/// The bytes of a value, wherever they are.
#[derive(Clone, Copy)]
pub(super) struct ItemValue<'a> {
    inline: &'a [u8],
}

impl<'a> ItemValue<'a> {
    pub(super) fn len(&self) -> usize {
        self.inline.len()
    }

    pub(super) fn as_slice(&self) -> Option<&'a [u8]> {
        Some(self.inline)
    }

    pub(super) fn for_each_chunk(&self, mut visit: impl FnMut(&[u8])) {
        visit(self.inline);
    }
}
