//! What is asked of the system for the whole process: core files (`-r`), memory that is never swapped (`-k`). As with
//! memcached, a system that says no to `-k` is warned of, not obeyed.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises the limit of core files as far as we may.
pub(super) fn allow_core_dumps() {
    if raise(Resource::Core).is_none_or(|bytes| bytes > 0) {
        return;
    }
    warn!("no core files (-r): the hard limit is zero");
}

/// Raises the limit of locked memory, while we still may: to be called before privileges are given up.
pub(super) fn allow_locked_memory() {
    raise(Resource::Memlock);
}

/// Locks all memory of this process as it is touched, now and later.
pub(super) fn lock_memory() {
    let limit = getrlimit(Resource::Memlock).current;
    if let Some(bytes) = limit {
        // Under a limit, memory is refused later on, and the store stays smaller than it was told.
        warn!(
            bytes,
            "memory is not locked (-k): the limit of locked memory is too low, see `ulimit -l`"
        );
        return;
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(error) = mlockall(flags) {
        warn!(%error, "memory is not locked (-k)");
    }
}

/// The limit afterwards; `None` for none.
fn raise(resource: Resource) -> Option<u64> {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if setrlimit(resource, unlimited).is_err() {
        let maximum = getrlimit(resource).maximum;
        let _stays = setrlimit(
            resource,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
    getrlimit(resource).current
}
