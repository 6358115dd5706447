//! Why a server gave no reply: whom to blame, and whether the request may have been carried out.

/// No reply came from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The server is TKO: nothing was sent.
    #[error("Server unavailable")]
    Tko,
    /// No connection: nothing was sent.
    #[error("Server unavailable: cannot connect")]
    Connect,
    /// Too much waits for this server already: nothing was sent.
    #[error("Server busy: too many requests wait for it")]
    Busy,
    /// The server left the configuration before the request could be sent.
    #[error("Server was removed from the configuration")]
    Removed,
    /// Sent, perhaps carried out; no reply in time.
    #[error("Reply timeout")]
    Timeout,
    /// Sent, perhaps carried out; the connection closed before the reply.
    #[error("Connection closed by the server")]
    Closed,
    /// Sent, perhaps carried out; what came back was no reply to it.
    #[error("Malformed reply from the server")]
    Protocol,
}

impl UpstreamError {
    /// Every one, for tables of counters.
    pub(crate) const ALL: [Self; 7] = [
        Self::Tko,
        Self::Connect,
        Self::Busy,
        Self::Removed,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
    ];

    /// Its place in [`UpstreamError::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Its label in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tko => "tko",
            Self::Connect => "connect",
            Self::Busy => "busy",
            Self::Removed => "removed",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
        }
    }

    /// The reply a client gets.
    pub(crate) const fn line(self) -> &'static [u8] {
        match self {
            Self::Tko => b"SERVER_ERROR Server unavailable\r\n",
            Self::Connect => b"SERVER_ERROR Server unavailable: cannot connect\r\n",
            Self::Busy => b"SERVER_ERROR Server busy: too many requests wait for it\r\n",
            Self::Removed => b"SERVER_ERROR Server was removed from the configuration\r\n",
            Self::Timeout => b"SERVER_ERROR Reply timeout\r\n",
            Self::Closed => b"SERVER_ERROR Connection closed by the server\r\n",
            Self::Protocol => b"SERVER_ERROR Malformed reply from the server\r\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UpstreamError;

    #[test]
    fn what_the_client_reads_is_what_the_log_says() {
        for (index, error) in UpstreamError::ALL.into_iter().enumerate() {
            assert_eq!(error.index(), index);
            assert_eq!(error.line(), format!("SERVER_ERROR {error}\r\n").as_bytes());
        }
    }
}
