//! From any thread to the turns of a loop.

use std::panic::Location;
use std::sync::{Arc, OnceLock};

use super::handle::Handle;
use crate::broken::BrokenKind;
use crate::chain::IntoPromise;
use crate::core::trampoline::Caller;
use crate::core::{self, Accepted, AnyPromise, AnySource, Core, Delivery, Executor, HandOn, Plain, Target, Threaded};
use crate::event_loop::{Local, Remote, any_call};
use crate::list::Key;
use crate::promise::Promise;
use crate::state::State;

/// What the loop owes a derived promise, in its keeping: an end, if the loop goes first. If a cancel is first, the loop owes it the
/// callbacks: word of the cancel may be late by a hair.
///
/// So it is dropped on the loop's thread alone, in a turn or as the loop closes; or where it is made, if the loop is gone.
struct Due<T: 'static, E: 'static, P: 'static>(Core<T, E, P, Threaded>);

impl<T, E, P> Drop for Due<T, E, P> {
    fn drop(&mut self) {
        if !self.0.reject_by(BrokenKind::LoopClosed, Caller::Home) {
            core::arrive(self.0.any().clone());
        }
    }
}

/// Where the loop has a [`Due`]. Known on the loop's thread, before any call in order.
type Place = Arc<OnceLock<Key>>;

/// Drops a [`Due`] in a turn.
fn drop_due(local: &Local, due: &Place) {
    if let Some(due) = due.get() {
        local.cancel_call(*due);
    }
}

/// Word for the loop that a derived promise has work for it: it is taken up where this is dropped. That is in a turn, or on the loop's
/// thread as it closes, or at once if the loop is gone.
struct Errand(AnySource<Threaded>);

impl Drop for Errand {
    fn drop(&mut self) {
        core::arrive(self.0.any().clone());
    }
}

/// The way from a source to the derived promise. The source has it, until it is settled or left.
struct Passage<T: 'static, E: 'static, P: 'static> {
    handle: Handle,
    derived: Core<T, E, P, Threaded>,
    due: Place,
    origin: &'static Location<'static>,
}

impl<T: Send, E: Send, P: Clone + Send> Passage<T, E, P> {
    fn settle(self: Arc<Self>, delivery: Delivery<T, E>) -> HandOn<Threaded> {
        let (handle, origin) = (self.handle.clone(), self.origin);
        handle.call_in_order(origin, Remote::push_op, move |local| {
            self.derived.settle_with(delivery, Caller::Home);
            drop_due(local, &self.due);
        });
        None
    }

    fn report(&self, report: &P) {
        let (report, derived) = (report.clone(), self.derived.clone());
        self.handle.call_in_order(self.origin, Remote::push_op, move |_| {
            derived.notify(report, Caller::Home);
        });
    }
}

impl<T, E, P> Target<core::State<Threaded>> for Accepted<Arc<Passage<T, E, P>>> {
    fn target(&self) -> &AnyPromise<Threaded> {
        self.0.derived.any()
    }
}

impl<T: Send, E: Send, P: Clone + Send> Promise<T, E, P> {
    /// Moves to a loop: callbacks and continuations of the promise that comes back run in turns of that loop, whatever thread settles
    /// this one, and wherever they are registered.
    ///
    /// They run on the loop's thread, never inside the call that brings them about: not in the one that settles or notifies, and not in
    /// `done` or `then` on a promise that is settled already, even on that very thread. Each settle, each report of progress and
    /// each late registration takes its place among what is scheduled on the loop, as a [`call_soon`](Handle::call_soon) of that
    /// moment does. So promises that go via one loop are settled there in the order in which they were settled at their source, by
    /// whatever threads. (A thread that runs the loop and settles keeps that order, too: while something that others sent waits to be
    /// received, it takes its place behind.) Progress passes, in order and before the outcome.
    ///
    /// Whoever only waits need not be on the loop: `.await`, `wait`, `peek` and `state` serve any thread as ever, once the callbacks
    /// that were registered before have run. What a continuation makes is a promise like any other: it settles in the turn
    /// of its `then`, and what is registered on it later runs where it is registered.
    ///
    /// The promise is detached when it is dropped: its callbacks run all the same. Canceled, on any thread, it is rejected at once, and
    /// cancels this one if nobody else consumes it; its callbacks run in a turn. If the loop goes first, it is rejected with kind
    /// [`LoopClosed`](crate::BrokenKind::LoopClosed), its callbacks run on the loop's thread as the loop closes, and this one is
    /// detached. Once the loop is gone there are no turns any more: what is registered then runs at once, where it is registered.
    ///
    /// A callback that panics in a turn is reported; neither the thread that settles nor the loop gets to feel it.
    ///
    /// It is folly's `via`. For callbacks that are not `Send`, see [`into_local`](Promise::into_local).
    ///
    /// # Panics
    ///
    /// If this promise has given its outcome already (`(&mut promise).await`).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, EventLoop};
    /// use std::thread;
    ///
    /// let event_loop = EventLoop::new();
    /// let home = thread::current().id();
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// let label = promise
    ///     .via(&event_loop.handle())
    ///     .done(move |_| assert_eq!(thread::current().id(), home)) // not on the thread that resolves
    ///     .then(|n| Ok(format!("{n} files")));
    /// thread::spawn(move || deferred.resolve(3)).join().unwrap();
    /// assert_eq!(event_loop.run_until_complete(label).unwrap(), "3 files");
    /// ```
    #[track_caller]
    pub fn via(self, handle: &Handle) -> Self {
        self.assert_unspent();
        let origin = Location::caller();
        let (producer, consumer) = Core::new(self.core().maker(), origin);
        let derived = producer.into_inner();
        derived.set_executor(executor(handle, origin));
        let promise = Promise::from_core(consumer);
        let due = owe(&derived, handle, origin);
        if derived.state() != State::Pending {
            // The loop is gone.
            return promise;
        }
        let passage = Arc::new(Passage { handle: handle.clone(), derived: derived.clone(), due, origin });
        let follower = Arc::downgrade(&passage);
        let listener = {
            let passage = follower.clone();
            move |report: &P| {
                if let Some(passage) = passage.upgrade() {
                    passage.report(report);
                }
            }
        };
        self.core().relay(listener, follower);
        type Crossing<T, E, P> = Accepted<Arc<Passage<T, E, P>>>;
        let settle = |Accepted(passage): Crossing<T, E, P>, delivery| passage.settle(delivery);
        if let Some(link) = self.subscribe(Accepted(passage), settle) {
            derived.follow(vec![link]);
        }
        promise
    }
}

/// Has the loop owe `derived` what there is to owe, until it is settled or canceled.
fn owe<T: Send, E: Send, P: Send>(
    derived: &Core<T, E, P, Threaded>,
    handle: &Handle,
    origin: &'static Location<'static>,
) -> Place {
    let (due, place) = (Due(derived.clone()), Place::default());
    let placed = place.clone();
    handle.send(move |local| {
        // A call that never comes.
        let _ = placed.set(local.call_at(None, any_call(Some(move || drop(due))), origin));
    });
    type Owing = (Handle, Place, &'static Location<'static>);
    let owing: Owing = (handle.clone(), place.clone(), origin);
    derived.on_cancel(Plain(owing), |Plain((handle, place, origin)): Plain<Owing>| {
        handle.call_in_order(origin, Remote::push_op, move |local| drop_due(local, &place));
    });
    place
}

/// The turns of a loop as the home of a promise.
fn executor(handle: &Handle, origin: &'static Location<'static>) -> Arc<Executor<Threaded>> {
    let handle = handle.clone();
    Arc::new(move |promise| {
        let errand = Errand(promise);
        handle.call_in_order(origin, Remote::push_errand, move |_| drop(errand));
    })
}
