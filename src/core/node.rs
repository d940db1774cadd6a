//! What stands behind a counted pointer: a promise, or what an aggregate shares with its inputs.

use std::panic::Location;

use smallvec::SmallVec;

use super::flavor::Flavor;
use super::raw::{Node, Ptr, Source};
use crate::awaited::Mark;
use crate::list::Key;

/// The inside of something that others may wait for. A visit ([`Ptr::with`]) is exclusive.
///
/// What nobody follows has nothing to add: it is a value behind a lock.
pub trait Machine: Sized + 'static {
    type Flavor: Flavor;

    /// Whether it is settled, for ever.
    #[inline]
    fn is_settled(&self) -> bool {
        false
    }

    /// Whether dropping it does nothing.
    #[inline]
    fn is_void(&self) -> bool {
        false
    }

    /// Does what a lender has to do (see [`core`](super)), until nothing is left, or nothing but what runs at home.
    fn run(this: &Ptr<Self>) {
        let _ = this;
    }

    /// Goes on at home, if it has one and there is still something to do.
    fn arrive(this: &Ptr<Self>) {
        let _ = this;
    }

    /// Takes out the entry of a follower that lost interest, and drops it; with `cancel`, ends the work if nobody else wants it.
    fn withdraw(this: &Ptr<Self>, key: Key, cancel: bool) {
        let _ = (this, key, cancel);
    }

    /// Notes that no cancel will come from a follower. What comes back is the source to be told the same.
    fn disclaim(this: &Ptr<Self>, key: Key) -> Option<(Source<Self::Flavor>, Key)> {
        let _ = (this, key);
        None
    }

    /// Who awaits this promise, as far as it is a task; `None` once it is settled.
    fn parked(&self) -> Option<Parked> {
        None
    }

    /// What waits for this promise, as far as it is a promise.
    fn downstream(&self) -> Vec<Node<Self::Flavor>> {
        Vec::new()
    }

    /// What this promise waits for.
    fn upstream(&self) -> Sources<Self::Flavor> {
        SmallVec::new()
    }
}

/// A pending promise as those see it that are parked there.
pub struct Parked {
    pub(crate) origin: &'static Location<'static>,
    pub(crate) wakers: SmallVec<[Mark; 2]>,
}

/// The promises that one promise waits for.
pub(crate) type Sources<F> = SmallVec<[Source<F>; 1]>;
