//! What a worker counts while serving. One writer per set, so that counting costs a plain addition;
//! any thread may read and sum them. Names are memcached's (`stats`).

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread raises and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Raises it. Only the thread that owns the set may call this: it is a load and a store, not an atomic add.
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One worker's counters. Aligned so that two workers never share a cache line.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters { $($(#[$doc])* pub(crate) $name: Counter,)* }

        /// The sum over all workers at one moment.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct Totals { $($(#[$doc])* pub(crate) $name: u64,)* }

        impl Totals {
            /// Adds one worker's counters.
            pub(crate) fn add(&mut self, counters: &Counters) {
                $(self.$name = self.$name.wrapping_add(counters.$name.get());)*
            }

            /// What was counted after `earlier` (`stats reset`).
            pub(crate) fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name),)* }
            }
        }
    };
}

counters! {
    /// Keys looked up by get, gets, and mg without T.
    cmd_get,
    get_hits,
    get_misses,
    /// Attempts to store that got as far as memory.
    cmd_set,
    cmd_flush,
    /// Keys touched by touch, gat, gats, and mg with T.
    cmd_touch,
    touch_hits,
    touch_misses,
    /// `me` requests.
    cmd_meta,
    delete_hits,
    delete_misses,
    incr_hits,
    incr_misses,
    decr_hits,
    decr_misses,
    cas_hits,
    cas_misses,
    cas_badval,
    store_too_large,
    store_no_memory,
    bytes_read,
    bytes_written,
    /// Times a connection with more to do let others go first.
    conn_yields,
    /// Clients closed for silence.
    idle_kicks,
    connections_accepted,
    connections_rejected,
    /// Times `accept` failed for want of file descriptors or memory.
    listen_disabled,
    /// Microseconds that a listener spent waiting for a place below the limit of connections.
    listen_disabled_us,
    /// TTLs that jitter moved, and by how many seconds in all, either way.
    ttls_moved,
    ttl_moved_seconds,
    /// Logins tried, and those refused.
    auth_cmds,
    auth_errors,
    /// TLS handshakes that came to nothing, and TLS connections that broke after theirs.
    tls_handshake_errors,
    tls_errors,
    /// Requests that were answered with an error of the protocol.
    protocol_errors,
    /// Connections closed because their bytes could not be followed.
    protocol_closes,
}

#[cfg(test)]
mod tests {
    use super::{Counters, Totals};

    #[test]
    fn totals_sum_workers_and_forget_what_was_before_a_reset() {
        let workers = [Counters::default(), Counters::default()];
        workers[0].cmd_get.add(2);
        workers[1].cmd_get.add(3);
        let mut before = Totals::default();
        workers.iter().for_each(|worker| before.add(worker));
        assert_eq!(before.cmd_get, 5);
        workers[1].cmd_get.add(1);
        let mut after = Totals::default();
        workers.iter().for_each(|worker| after.add(worker));
        assert_eq!(after.since(&before).cmd_get, 1);
    }
}
