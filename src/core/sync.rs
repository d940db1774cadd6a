//! The primitives of the core: those of the standard library, or those of the model checker, for `tests/loom`.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::Ordering;

/// The model checker's, with another `swap`. By that one's own a thread that finds the lock taken writes, too, and the checker, to which
/// that write and the one that unlocks are in no order, lets it see its own for ever.
#[cfg(loom)]
#[derive(Debug)]
#[allow(unreachable_pub)]
pub struct AtomicU32 {
    checked: loom::sync::atomic::AtomicU32,
    /// The latest value, as a read-modify-write would find it.
    latest: std::sync::atomic::AtomicU32,
}

#[cfg(loom)]
impl AtomicU32 {
    pub(crate) fn new(value: u32) -> Self {
        let checked = loom::sync::atomic::AtomicU32::new(value);
        AtomicU32 { checked, latest: std::sync::atomic::AtomicU32::new(value) }
    }

    pub(crate) fn load(&self, ordering: Ordering) -> u32 {
        self.checked.load(ordering)
    }

    pub(crate) fn store(&self, value: u32, ordering: Ordering) {
        self.checked.store(value, ordering);
        self.latest.store(value, Ordering::Relaxed);
    }

    /// Writes nothing where the value is there already; but the checker sees that it was looked for.
    pub(crate) fn swap(&self, value: u32, ordering: Ordering) -> u32 {
        loop {
            let latest = self.latest.load(Ordering::Relaxed);
            let old = if latest == value { !value } else { latest };
            match self.checked.compare_exchange(old, value, ordering, Ordering::Relaxed) {
                Ok(old) => {
                    self.latest.store(value, Ordering::Relaxed);
                    return old;
                }
                Err(taken) if taken == value => return value,
                // Another thread had its turn in between.
                Err(_) => {}
            }
        }
    }
}

/// Tells the model checker of an access to something that one thread at a time may use. It stands for its allocation, too: one that is
/// never freed fails the model. Elsewhere it is nothing.
#[cfg(not(loom))]
pub(crate) struct Tracked;

#[cfg(not(loom))]
impl Tracked {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Tracked
    }

    #[inline(always)]
    pub(crate) fn touch(&self) {}
}

#[cfg(loom)]
pub(crate) struct Tracked(loom::alloc::Track<loom::cell::UnsafeCell<()>>);

#[cfg(loom)]
impl Tracked {
    pub(crate) fn new() -> Self {
        Tracked(loom::alloc::Track::new(loom::cell::UnsafeCell::new(())))
    }

    #[track_caller]
    pub(crate) fn touch(&self) {
        self.0.get_ref().with_mut(|_| ());
    }
}

/// Declares thread-locals. The model checker's threads are all on one thread of the system.
macro_rules! per_thread {
    ($(static $name:ident: $type:ty = $value:expr;)*) => {
        #[cfg(not(loom))]
        std::thread_local! {
            $(static $name: $type = const { $value };)*
        }
        #[cfg(loom)]
        loom::thread_local! {
            $(static $name: $type = $value;)*
        }
    };
}
pub(crate) use per_thread;

/// Waits for another thread to finish a few instructions: the longer it takes, the more time it is given.
#[cfg(not(loom))]
pub(crate) fn wait(round: u32) {
    /// Enough for a thread that runs on another core.
    const SPINS: u32 = 64;
    /// Enough for one that waits for a core, unless all are taken by threads of a higher priority.
    const YIELDS: u32 = 256;
    if round < SPINS {
        std::hint::spin_loop();
    } else if round < YIELDS {
        std::thread::yield_now();
    } else {
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
}

#[cfg(loom)]
pub(crate) fn wait(_: u32) {
    loom::thread::yield_now();
}
