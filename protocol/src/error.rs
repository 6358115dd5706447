//! What can be wrong with the bytes, and the reply line it earns.

use crate::encode::response as lines;

/// What is wrong with some bytes (protocol.txt, "Error strings").
///
/// Each error of a request has a [reply line](ProtocolError::reply_line), in memcached 1.6.45's words. Whether the
/// stream can go on is told by the step that carries the error: [`Step::Reject`](crate::Step::Reject) or
/// [`Step::Close`](crate::Step::Close).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProtocolError {
    /// No such command.
    #[error("unknown command")]
    UnknownCommand,
    /// Missing or malformed arguments, or a key that is too long.
    #[error("bad command line format")]
    BadCommandLine,
    /// `delete` with anything but the key, `0` and `noreply`.
    #[error("bad command line format of delete")]
    DeleteUsage,
    /// A data block not ended by CR LF where its length said.
    #[error("bad data chunk")]
    BadDataChunk,
    /// The exptime of touch, gat, gats or flush_all is no number.
    #[error("invalid exptime argument")]
    InvalidExptime,
    /// The delta of incr or decr is no unsigned 64-bit number.
    #[error("invalid numeric delta argument")]
    InvalidDelta,
    /// A meta flag that the command cannot take.
    #[error("invalid meta flag")]
    InvalidFlag,
    /// A meta flag given twice.
    #[error("duplicate meta flag")]
    DuplicateFlag,
    /// Either of these in `ma`, which does not tell them apart.
    #[error("invalid or duplicate meta flag")]
    InvalidOrDuplicateFlag,
    /// The argument of a meta flag is not the number it should be.
    #[error("bad token in command line")]
    BadToken,
    /// The `J` of a meta command is no unsigned 64-bit number.
    #[error("invalid numeric initial value")]
    InvalidInitial,
    /// The `D` of a meta command is no unsigned 64-bit number.
    #[error("invalid numeric delta value")]
    InvalidMetaDelta,
    /// A key marked as base64 that is not.
    #[error("key is not base64")]
    KeyDecoding,
    /// An opaque token longer than 32 bytes.
    #[error("opaque token too long")]
    OpaqueTooLong,
    /// More than 20 tokens on a meta line.
    #[error("too many meta flags")]
    TooManyFlags,
    /// The `M` flag of `ms` names no mode.
    #[error("invalid mode for ms")]
    InvalidSetMode,
    /// The `M` flag of `ma` names no mode.
    #[error("invalid mode for ma")]
    InvalidArithMode,
    /// A value longer than [`Limits::value_len_bytes`](crate::Limits::value_len_bytes).
    #[error("value over the size limit")]
    ValueTooLarge,
    /// No LF within the line limit: there is no telling where the next command would start.
    #[error("line over the length limit")]
    LineTooLong,
    /// The first byte of a binary-protocol request (0x80). This decoder speaks text.
    #[error("binary protocol on a text connection")]
    BinaryProtocol,
    /// `X ... HTTP/1.1`: somebody aims a browser at us.
    #[error("an http request on a memcached port")]
    HttpRequest,
    /// A reply whose line cannot be understood far enough to know where the reply ends.
    #[error("malformed reply line")]
    BadReplyLine,
    /// A reply whose data block is not ended by CR LF where its length said.
    #[error("malformed data block in a reply")]
    BadReplyBlock,
    /// A reply that announces more bytes than the decoder will hold.
    #[error("reply over the size limit")]
    ReplyTooLarge,
}

impl ProtocolError {
    /// The line a server answers, with its CR LF. The errors of replies, which nobody answers, read as
    /// `SERVER_ERROR` lines that a proxy may pass to its client.
    #[inline]
    #[must_use]
    pub const fn reply(self) -> &'static [u8] {
        match self {
            Self::UnknownCommand | Self::BinaryProtocol | Self::HttpRequest => lines::ERROR,
            Self::BadCommandLine => lines::BAD_COMMAND_LINE,
            Self::DeleteUsage => lines::DELETE_USAGE,
            Self::BadDataChunk => lines::BAD_DATA_CHUNK,
            Self::InvalidExptime => lines::INVALID_EXPTIME,
            Self::InvalidDelta => lines::INVALID_DELTA,
            Self::InvalidFlag => lines::INVALID_FLAG,
            Self::DuplicateFlag => lines::DUPLICATE_FLAG,
            Self::InvalidOrDuplicateFlag => lines::INVALID_OR_DUPLICATE_FLAG,
            Self::BadToken => lines::BAD_TOKEN,
            Self::InvalidInitial => lines::INVALID_INITIAL,
            Self::InvalidMetaDelta => lines::INVALID_META_DELTA,
            Self::KeyDecoding => lines::KEY_DECODING,
            Self::OpaqueTooLong => lines::OPAQUE_TOO_LONG,
            Self::TooManyFlags => lines::TOO_MANY_FLAGS,
            Self::InvalidSetMode => lines::INVALID_SET_MODE,
            Self::InvalidArithMode => lines::INVALID_ARITH_MODE,
            Self::ValueTooLarge => lines::VALUE_TOO_LARGE,
            Self::LineTooLong => lines::LINE_TOO_LONG,
            Self::BadReplyLine | Self::BadReplyBlock => lines::MALFORMED_REPLY,
            Self::ReplyTooLarge => lines::REPLY_TOO_LARGE,
        }
    }

    /// The line a server answers, without its CR LF.
    #[inline]
    #[must_use]
    pub fn reply_line(self) -> &'static [u8] {
        self.reply().strip_suffix(b"\r\n").unwrap_or_default()
    }
}
