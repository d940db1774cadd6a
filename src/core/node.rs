//! A promise seen without its types: by those that follow it, and by the trampoline.

use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::flavor::Flavor;
use super::lock::Lock;
use crate::awaited::Mark;
use crate::list::Key;
use crate::trampoline::Work;

/// The inside of a promise, behind a lock of its flavor.
pub trait Machine: Sized + 'static {
    type Flavor: Flavor;

    /// Does what a lender has to do (see [`core`](super)), until nothing is left, or nothing but what runs at home.
    fn run<L: Lock<Inner = Self>>(cell: &L);
    /// Goes on at home, if it has one and there is still something to do.
    fn arrive<L: Lock<Inner = Self>>(_: &L) {}
    /// Takes out the entry of a consumer that lost interest, and drops it; before that, has the machine run by `run` if there is need.
    fn withdraw<L: Lock<Inner = Self>>(cell: &L, key: Key, cancel: bool, run: &mut dyn FnMut());
    /// Notes that no cancel will come from a follower; `true` obliges the caller to have the machine run.
    fn disclaim<L: Lock<Inner = Self>>(cell: &L, key: Key) -> bool;
    /// What waits for this promise, as far as it is a promise.
    fn downstream(&self) -> Vec<<Self::Flavor as Flavor>::Source>;
    /// What this promise waits for.
    fn upstream(&self) -> Sources<Self::Flavor>;
    /// Who awaits this promise, as far as it is a task; `None` once it is settled.
    fn parked(&self) -> Option<Parked>;
}

/// A pending promise as those see it that are parked there.
pub struct Parked {
    pub(crate) origin: &'static Location<'static>,
    pub(crate) wakers: SmallVec<[Mark; 2]>,
}

/// The promises that one promise waits for.
pub(crate) type Sources<F> = SmallVec<[<F as Flavor>::WeakSource; 1]>;

/// A promise that others wait for, whatever its types.
pub trait Node<F: Flavor>: Work {
    fn withdraw(&self, key: Key, cancel: bool, run: &mut dyn FnMut());
    fn disclaim(&self, key: Key) -> bool;
    fn arrive(&self);
    fn downstream(&self) -> Vec<F::Source>;
    fn upstream(&self) -> Sources<F>;
    fn parked(&self) -> Option<Parked>;
    // Two methods, and no upcast: that needs a compiler newer than the oldest one we support.
    fn into_work(self: Arc<Self>) -> Arc<dyn Work>;
    fn into_local_work(self: Rc<Self>) -> Rc<dyn Work>;
}

impl<L: Lock<Inner: Machine> + 'static> Work for L {
    fn work(&self) {
        L::Inner::run(self);
    }
}

impl<L: Lock<Inner: Machine<Flavor = F>> + 'static, F: Flavor> Node<F> for L {
    fn withdraw(&self, key: Key, cancel: bool, run: &mut dyn FnMut()) {
        L::Inner::withdraw(self, key, cancel, run);
    }

    fn disclaim(&self, key: Key) -> bool {
        L::Inner::disclaim(self, key)
    }

    fn arrive(&self) {
        L::Inner::arrive(self);
    }

    fn downstream(&self) -> Vec<F::Source> {
        self.with(|machine| machine.downstream())
    }

    fn upstream(&self) -> Sources<F> {
        self.with(|machine| machine.upstream())
    }

    fn parked(&self) -> Option<Parked> {
        self.with(|machine| machine.parked())
    }

    fn into_work(self: Arc<Self>) -> Arc<dyn Work> {
        self
    }

    fn into_local_work(self: Rc<Self>) -> Rc<dyn Work> {
        self
    }
}
