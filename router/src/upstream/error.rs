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
    /// An operator has taken the server out of use: nothing was sent.
    #[error("Server unavailable: drained by an operator")]
    Drained,
    /// Too much waits for this server already: nothing was sent.
    #[error("Server busy: too many requests wait for it")]
    Busy,
    /// Its time was up before the server took it: nothing was sent, and nothing will be.
    #[error("Deadline exceeded before it could be sent")]
    Late,
    /// The server left the configuration before the request could be sent.
    #[error("Server was removed from the configuration")]
    Removed,
    /// The server has to be told first what it missed: it is not read, and nothing was sent.
    #[error("Server unavailable: it is owed invalidations")]
    Owed,
    /// A replica missed it, and that could not be written down: it may have been carried out on others.
    #[error("A replica was missed and the invalidation could not be spooled")]
    NotSpooled,
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
    pub(crate) const ALL: [Self; 11] = [
        Self::Tko,
        Self::Connect,
        Self::Drained,
        Self::Busy,
        Self::Late,
        Self::Removed,
        Self::Owed,
        Self::NotSpooled,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
    ];

    /// Whether the server may have carried the request out, or may yet.
    pub(crate) const fn may_have_been_done(self) -> bool {
        match self {
            Self::Tko
            | Self::Connect
            | Self::Drained
            | Self::Busy
            | Self::Late
            | Self::Removed
            | Self::Owed => false,
            Self::NotSpooled | Self::Timeout | Self::Closed | Self::Protocol => true,
        }
    }

    /// Its place in [`UpstreamError::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Its label in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tko => "tko",
            Self::Connect => "connect",
            Self::Drained => "drained",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::Removed => "removed",
            Self::Owed => "owed",
            Self::NotSpooled => "not_spooled",
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
            Self::Drained => b"SERVER_ERROR Server unavailable: drained by an operator\r\n",
            Self::Busy => b"SERVER_ERROR Server busy: too many requests wait for it\r\n",
            Self::Late => b"SERVER_ERROR Deadline exceeded before it could be sent\r\n",
            Self::Removed => b"SERVER_ERROR Server was removed from the configuration\r\n",
            Self::Owed => b"SERVER_ERROR Server unavailable: it is owed invalidations\r\n",
            Self::NotSpooled => {
                b"SERVER_ERROR A replica was missed and the invalidation could not be spooled\r\n"
            }
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
