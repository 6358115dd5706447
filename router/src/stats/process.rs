//! What the system says of this process. Read when asked, from /proc.

use std::time::Duration;

/// Resident memory, CPU times.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Process {
    pub resident_bytes: u64,
    pub user: Duration,
    pub system: Duration,
}

impl Process {
    /// Zeros where the system does not tell.
    pub(crate) fn read() -> Self {
        let resident_pages: u64 = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|statm| statm.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0);
        let page = rustix::param::page_size() as u64;
        let tick = rustix::param::clock_ticks_per_second().max(1);
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The program's name, in brackets, may hold blanks; the fields behind it are counted from 3.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let time = |field: usize| {
            let ticks: u64 = behind
                .split_whitespace()
                .nth(field - 3)
                .and_then(|ticks| ticks.parse().ok())
                .unwrap_or(0);
            Duration::from_micros(ticks.saturating_mul(1_000_000 / tick))
        };
        Self {
            resident_bytes: resident_pages * page,
            user: time(14),
            system: time(15),
        }
    }
}
