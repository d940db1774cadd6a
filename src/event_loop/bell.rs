//! What wakes a loop that sleeps: what it leaves for that on its own thread, and under the lock.
//!
//! A loop sleeps as one of two files has it, `condvar`, or with the feature `io` `reactor`, and there is a set of types for each.

#[cfg(not(feature = "io"))]
pub(super) use self::condvar::{Bell, Sleep, Sleeper};
#[cfg(feature = "io")]
pub(super) use self::reactor::{Bell, Sleep, Sleeper};

#[cfg(not(feature = "io"))]
mod condvar {
    use std::mem;
    use std::sync::Condvar;

    /// What wakes a loop that sleeps.
    pub(crate) type Bell = Condvar;

    /// The loop's own side of its sleep: nothing here wakes a loop on its own thread.
    #[derive(Default)]
    pub(crate) struct Sleep {}

    impl Sleep {
        /// Whether the loop sleeps, and this thread may come to wake it.
        #[inline]
        pub(crate) fn is_asleep(&self) -> bool {
            false
        }

        /// Nothing happens on the loop's thread while it sleeps.
        #[inline]
        pub(crate) fn end(&self) -> bool {
            false
        }
    }

    /// Whether the loop sleeps, and no thread has woken it yet. It is kept under the lock.
    #[derive(Default)]
    pub(crate) struct Sleeper(pub(crate) bool);

    impl Sleeper {
        #[must_use]
        pub(crate) fn take(&mut self) -> Self {
            mem::take(self)
        }

        /// To be called after unlocking.
        pub(crate) fn wake(self, bell: &Bell) {
            if self.0 {
                bell.notify_one();
            }
        }

        #[cfg(test)]
        pub(crate) fn is_asleep(&self) -> bool {
            self.0
        }
    }
}

#[cfg(feature = "io")]
mod reactor {
    use std::cell::Cell;
    use std::mem;
    use std::task::Waker;

    /// What wakes a loop that sleeps is the waker that its [`Sleeper`] holds.
    #[derive(Default)]
    pub(crate) struct Bell {}

    /// The loop's own side of its sleep.
    #[derive(Default)]
    pub(crate) struct Sleep {
        asleep: Cell<bool>,
        /// How many turns, calls and polls have gone by since it looked for I/O.
        pub(crate) blind: Cell<usize>,
    }

    impl Sleep {
        /// Whether the loop sleeps, and nothing has roused it on this thread.
        #[inline]
        pub(crate) fn is_asleep(&self) -> bool {
            self.asleep.get()
        }

        pub(crate) fn begin(&self) {
            self.asleep.set(true);
        }

        /// Whether there was a sleep that ends here.
        #[inline]
        pub(crate) fn end(&self) -> bool {
            self.asleep.replace(false)
        }
    }

    /// The waker of a loop that sleeps, until a thread takes it. It is kept under the lock.
    #[derive(Default)]
    pub(crate) struct Sleeper(pub(crate) Option<Waker>);

    impl Sleeper {
        #[must_use]
        pub(crate) fn take(&mut self) -> Self {
            mem::take(self)
        }

        /// To be called after unlocking.
        pub(crate) fn wake(self, _bell: &Bell) {
            if let Some(waker) = self.0 {
                waker.wake();
            }
        }

        #[cfg(test)]
        pub(crate) fn is_asleep(&self) -> bool {
            self.0.is_some()
        }
    }
}
