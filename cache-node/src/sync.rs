//! The locks and atomics that the store and the watchers share between threads: parking_lot's and the standard library's.
//! Under the feature `shuttle` (for tests alone) they are shuttle's, whose scheduler decides at each of them who goes
//! on, so that a test sees thousands of interleavings and every deadlock.

#[cfg(not(feature = "shuttle"))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic;

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{MutexGuard, atomic};
#[cfg(feature = "shuttle")]
pub(crate) use stepped::Mutex;

#[cfg(feature = "shuttle")]
mod stepped {
    use super::MutexGuard;

    /// shuttle's mutex with the face of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics under a lock")
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("nobody panics under a lock")
        }
    }
}
