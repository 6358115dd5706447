//! `failover_limit`: which share of the requests may fail over, so that one dead pool does not drown the next.

use std::cell::Cell;

use crate::config::check::{ConfigError, Node};

/// mcrouter's default.
const BURST: f64 = 1000.0;

/// A token bucket that requests fill, not time.
#[derive(Debug, Clone)]
pub(super) struct FailoverLimit {
    /// Tokens per request, 0 to 1.
    rate: f64,
    burst: f64,
    tokens: Cell<f64>,
}

impl FailoverLimit {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        node.only(&["rate", "burst"])?;
        let rate = node.need("rate")?.number()?.clamp(0.0, 1.0);
        let burst = match node.get("burst") {
            Some(burst) => burst.number()?.max(1.0),
            None => BURST,
        };
        Ok(Self {
            rate,
            burst,
            tokens: Cell::new(burst),
        })
    }

    /// A request came by.
    pub(super) fn request(&self) {
        self.tokens.set((self.tokens.get() + self.rate).min(self.burst));
    }

    /// Whether it may fail over.
    pub(super) fn allows(&self) -> bool {
        let left = self.tokens.get() - 1.0;
        if left >= 0.0 {
            self.tokens.set(left);
        }
        left >= 0.0
    }
}
