//! What Linux says about a process: CPU time and resident memory. `None` when the process is gone.

use std::fs;

/// Linux tells memory in pages; every platform we run on has them this large.
const PAGE_BYTES: u64 = 4096;

/// CPU time of all threads alive, nanoseconds, from `schedstat` (ticks in `stat` are too coarse to divide by
/// requests). A thread that has ended takes its time with it: sample long-lived servers only.
#[must_use]
pub fn cpu_nanos(pid: u32) -> Option<u64> {
    let mut total = 0_u64;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else {
            continue;
        };
        total += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(total)
}

/// Resident memory, bytes.
#[must_use]
pub fn rss_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{cpu_nanos, rss_bytes};

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let pid = std::process::id();
        assert!(rss_bytes(pid).unwrap() > 1 << 20);
        assert!(cpu_nanos(pid).is_some());
        assert_eq!(cpu_nanos(u32::MAX), None);
    }
}
