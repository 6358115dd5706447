//! What a decoder is willing to read. The defaults are memcached's.

/// The most tokens a classic line is cut into; a `get` goes on past them (`MCMC_PARSER_MAX_TOKENS`).
pub(crate) const TOKENS_MAX: usize = 23;
/// The most tokens of a meta line, verb and key included (`MFLAG_MAX_OPT_LENGTH`).
pub(crate) const META_TOKENS_MAX: usize = 20;
/// The longest opaque token, its `O` included (`MFLAG_MAX_OPAQUE_LENGTH`).
pub(crate) const OPAQUE_TOKEN_MAX: usize = 32;
/// Leading blanks that may stand before a `get` that is longer than a line (`try_read_command_ascii`).
pub(crate) const GET_LEADING_BLANKS_MAX: usize = 100;
/// No data block can be announced longer than this: memcached adds 2 to it in an `i32`.
pub(crate) const BLOCK_LEN_MAX: usize = 2_147_483_645;

/// The bounds of one [`RequestDecoder`](crate::RequestDecoder). `Default` gives memcached's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest value taken, in bytes (`-I`). A longer one is thrown away as it arrives and answered with
    /// `SERVER_ERROR object too large for cache`.
    pub value_len_bytes: usize,
    /// How many bytes may wait for their LF, in bytes. More of them close the connection.
    pub line_len_bytes: usize,
    /// The same for `get` and `gets`, whose keys have no number. memcached has no bound here; we do.
    pub get_line_len_bytes: usize,
}

impl Limits {
    /// memcached's item limit, and so its largest value: 1 MiB (`-I`).
    pub const VALUE_LEN_BYTES: usize = 1024 * 1024;
    /// memcached's line limit: 2048 bytes.
    pub const LINE_LEN_BYTES: usize = 2048;
    /// Our bound for a line of `get`: 1 MiB, some 4,000 keys of the longest kind.
    pub const GET_LINE_LEN_BYTES: usize = 1024 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_len_bytes: Self::VALUE_LEN_BYTES,
            line_len_bytes: Self::LINE_LEN_BYTES,
            get_line_len_bytes: Self::GET_LINE_LEN_BYTES,
        }
    }
}
