//! Exit codes, the same for every command.

use std::process::ExitCode;

/// How a command ended. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All thresholds held (0).
    Pass,
    /// The run itself failed: a process did not start, a disk was full, a value was wrong (1).
    RunError,
    /// Bad command line or scenario; nothing was started (2).
    BadInput,
    /// The run says nothing: the generator could not keep its schedule (3).
    Invalid,
    /// A threshold did not hold (99, k6's number).
    ThresholdFailed,
    /// Stopped by SIGINT or SIGTERM; artefacts so far were written (130).
    Interrupted,
}

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::RunError => 1,
            Self::BadInput => 2,
            Self::Invalid => 3,
            Self::ThresholdFailed => 99,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
