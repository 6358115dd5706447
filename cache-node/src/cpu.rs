//! What of the processor's time this process has had.

use std::time::Duration;

/// CPU time of this process so far, as user and system.
pub(crate) fn cpu_times() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name may hold blanks; fields are counted from behind it (proc(5): utime 14, stime 15).
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut ticks = fields
        .split_whitespace()
        .skip(11)
        .map(|field| field.parse::<u64>().unwrap_or(0));
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let mut next = || Duration::from_micros(ticks.next().unwrap_or(0).saturating_mul(1_000_000) / per_second);
    (next(), next())
}

#[cfg(test)]
mod tests {
    use super::cpu_times;
    use std::time::Duration;

    #[test]
    fn this_process_has_a_cpu_time() {
        let spun = (0..50_000_000_u64).fold(0, |sum: u64, n| sum.wrapping_add(std::hint::black_box(n)));
        std::hint::black_box(spun);
        let (user, system) = cpu_times();
        assert!(user + system > Duration::ZERO);
    }
}
