//! What both ends register: observers, cancelers, listeners.

use std::any::Any;
use std::sync::Weak;

use super::flavor::Flavor;
use super::handle::Core;
use super::lend;
use super::progress::{Event, Listener};
use super::raw::Kind;
use super::state::{Entry, Loan, Step};
use super::trampoline::{self, Caller, Frame};

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// Registers an observer or a canceler.
    // Inlined, so that the entry is made in its place.
    #[inline(always)]
    pub(crate) fn observe(&self, entry: Entry<T, E, P, F>) {
        let mut shared = self.0.visit();
        if entry.kind() == Kind::Observer {
            if shared.registers_simply() {
                return shared.register_simply(entry);
            }
            let mut loan = None;
            if shared.lend_simply(&mut loan) {
                drop(shared);
                return self.show(Some(entry), &mut loan, Caller::User);
            }
            let Some(entry) = shared.register_among(entry) else { return };
            drop(shared);
            return self.observe_fully(entry);
        }
        drop(shared);
        self.observe_fully(entry);
    }

    #[inline(never)]
    fn observe_fully(&self, entry: Entry<T, E, P, F>) {
        let mut loan = None;
        let step = self.with(|shared| shared.register(entry, &mut loan));
        self.perform_with(step, loan, Caller::User);
    }

    /// Shows the outcome, which is on loan, to the one observer.
    #[inline(never)]
    pub(super) fn show(&self, observer: Option<Entry<T, E, P, F>>, loan: &mut Loan<T, E>, caller: Caller) {
        let Some(frame) = Frame::open(caller) else {
            let step = observer.map_or(Step::Run, Step::Show);
            return self.postpone(step, loan.take(), caller);
        };
        self.show_now(observer, loan);
        frame.close();
    }

    /// The same in a frame that is open.
    // By reference, as the next one: the outcome stays where it is until it goes back to its place.
    #[inline(always)]
    pub(super) fn show_now(&self, observer: Option<Entry<T, E, P, F>>, loan: &mut Loan<T, E>) {
        if let (Some(observer), Some(outcome)) = (observer, &*loan) {
            trampoline::guard(|| observer.look(outcome));
        }
        self.give_back(loan);
    }

    /// Ends the loan to observers, in their frame.
    #[inline(always)]
    pub(super) fn give_back(&self, loan: &mut Loan<T, E>) {
        let mut shared = self.0.visit();
        if shared.gives_back_simply() {
            return shared.give_back_simply(loan);
        }
        shared.leave(false);
        self.give_back_fully(loan);
    }

    #[inline(never)]
    fn give_back_fully(&self, loan: &mut Loan<T, E>) {
        let step = self.with(|shared| shared.resume(loan));
        trampoline::guard(|| lend::proceed(&self.0, step, loan.take()));
    }

    pub(crate) fn listen(&self, listener: F::Listener<P>) {
        self.report(Event::Listen(Listener::new(listener)), Caller::User);
    }

    /// Registers a listener of the library's own, which goes once `follower` is gone and room is needed.
    pub(crate) fn relay(&self, listener: F::Listener<P>, follower: Weak<dyn Any + Send + Sync>) {
        let useless = self.with(|shared| shared.thin_out());
        trampoline::scrap(Caller::Quiet, useless);
        self.report(Event::Listen(Listener::relay(listener, follower)), Caller::User);
    }
}
