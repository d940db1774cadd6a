//! The lender's side: takes the outcome, serves everybody who came, and gives it back.
//!
//! [`proceed`] does what a transition left to its caller. With one callback or consumer that is all. If there are more,
//! [`Shared::advance`] decides, inside, what comes next, and [`serve`] does it, outside. What the lender holds meanwhile is in its
//! [`Loans`].

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use smallvec::SmallVec;

use super::extra::{Consumer, Link, Links};
use super::flavor::Flavor;
use super::handle::Core;
use super::home::{Home, Place};
use super::node::{Machine, Parked, Sources};
use super::past::{Loss, Lost, Past};
use super::progress::{Event, Listeners, Reports};
use super::raw::{self, Node, Ptr, Source};
use super::state::{CloneFn, Delivery, Entry, Loan, Shared, Slot, Step};
use super::trampoline::{self, Job};
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::list::Key;
use crate::trace;

/// Does what a transition left to do, until nothing is left. Foreign code runs here, each piece of it guarded.
#[inline]
pub(super) fn proceed<T, E, P, F: Flavor>(
    ptr: &Ptr<Shared<T, E, P, F>>,
    mut step: Step<T, E, P, F>,
    mut loan: Loan<T, E>,
) {
    loop {
        match step {
            Step::Show(observer) => {
                if let Some(outcome) = &loan {
                    guard(|| observer.look(outcome));
                }
            }
            Step::Rest => return,
            Step::Wake(waker) => return guard(|| waker.wake()),
            Step::Scrap(entry) => return scrap(entry),
            Step::Deliver(continuation) => {
                if let Some(outcome) = loan {
                    guard(|| continuation.deliver(outcome));
                }
                return;
            }
            Step::DeliverTraced(continuation, past) => {
                if let Some(outcome) = loan {
                    guard(|| hand(continuation, Delivery::of(outcome, past)));
                }
                return;
            }
            Step::Spoil(continuation, broken) => {
                return guard(|| continuation.deliver_rarely(Delivery::Broken(broken)));
            }
            Step::Disclaim(source, key) => return disclaim(source, key),
            Step::Dispose => return scrap(loan),
            Step::Lose(loss, broken) => lose(loss, broken, loan.take()),
            Step::Convert(broken, convert) => {
                let slot = make_error(broken, convert);
                ptr.with(|shared| shared.slot = slot);
            }
            Step::Leave(source, key, cancel) => source.node().withdraw(key, cancel),
            Step::Run => return run_many(ptr, loan, Place::Away),
        }
        step = ptr.with(|shared| shared.resume(&mut loan));
    }
}

/// What the lender has out of the promise, and for whom.
pub(super) struct Loans<T: 'static, E: 'static, P: 'static, F: Flavor> {
    /// Where it is, in case the promise has a home.
    pub(super) place: Place,
    outcome: Option<Result<T, E>>,
    last: Option<P>,
    listeners: Listeners<P, F>,
    /// Those to be served once the outcome is back in its place.
    wakers: SmallVec<[Waker; 1]>,
    continuations: SmallVec<[(Entry<T, E, P, F>, Delivery<T, E>); 1]>,
}

/// One thing for the lender to do.
pub(super) enum Task<T: 'static, E: 'static, P: 'static, F: Flavor> {
    /// Tell the listeners, which are on loan with the last report.
    Report(Event<P, F>),
    /// Run the callbacks of a cancel.
    Cancel(Vec<Entry<T, E, P, F>>),
    /// Leave the consumers of what this promise followed.
    Unfollow(Links<F>, bool),
    /// Tell the sources that no cancel will come from here.
    Disclaim(SmallVec<[(Source<F>, Key); 1]>),
    /// Drop what can no longer run: cancelers or observers, and listeners.
    Scrap(Vec<Entry<T, E, P, F>>, Listeners<P, F>),
    /// Make the error of a rejection by the library.
    Convert(Broken, fn(Broken) -> E),
    /// Show the outcome, which is on loan.
    Observe(Vec<Entry<T, E, P, F>>),
    /// Clone the outcome, which is on loan, for one of several consumers.
    Clone(Entry<T, E, P, F>, CloneFn<T, E>, &'static std::panic::Location<'static>, Past),
    /// Drop what nobody can ask for any more.
    Dispose(Option<Result<T, E>>, Option<Box<Reports<P, F>>>, Option<Loss>),
    /// Tell of an end that nobody looked at.
    Lose(Broken, Loss),
    /// Send word home that there is something to do.
    Send(Arc<Home<T, E, P, F>>),
    /// The loan has ended.
    Finish,
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    /// Takes back what the last task has borrowed where that must be, and decides on the next one.
    fn advance(&mut self, loan: &mut Loans<T, E, P, F>) -> Task<T, E, P, F> {
        if let Some(task) = self.advance_away(loan) {
            return task;
        }
        if let Some(task) = self.advance_reports(loan) {
            return task;
        }
        if self.is_pending() {
            return self.advance_pending(loan);
        }
        let (canceled, by_cancel) = (self.is_canceled(), self.leaves_by_cancel());
        let extra = self.extra();
        if canceled && !extra.cancelers.is_empty() {
            return Task::Cancel(mem::take(&mut extra.cancelers));
        }
        if !extra.links.is_empty() {
            return Task::Unfollow(mem::take(&mut extra.links), by_cancel);
        }
        let listeners = extra.reports.as_mut().map(|reports| mem::take(&mut reports.listeners)).unwrap_or_default();
        if !extra.cancelers.is_empty() || !listeners.is_empty() {
            return Task::Scrap(mem::take(&mut extra.cancelers), listeners);
        }
        self.advance_outcome(loan)
    }

    fn advance_pending(&mut self, loan: &mut Loans<T, E, P, F>) -> Task<T, E, P, F> {
        if self.is_idle_aggregate() {
            return Task::Unfollow(mem::take(&mut self.extra().links), false);
        }
        if self.can_be_canceled() {
            return self.finish(loan);
        }
        let extra = self.extra();
        if !extra.cancelers.is_empty() {
            return Task::Scrap(mem::take(&mut extra.cancelers), SmallVec::new());
        }
        let sources = self.disclaim_sources();
        if sources.is_empty() { self.finish(loan) } else { Task::Disclaim(sources) }
    }

    /// Reports come first: what was notified before the settle is told before it.
    fn advance_reports(&mut self, loan: &mut Loans<T, E, P, F>) -> Option<Task<T, E, P, F>> {
        let reports = self.extra().reports.as_mut()?;
        if loan.last.is_some() {
            reports.last = loan.last.take();
        }
        if !loan.listeners.is_empty() {
            // While they were out, newcomers went into the queue.
            reports.listeners = mem::take(&mut loan.listeners);
        }
        reports.lent = false;
        let event = reports.events.pop_front()?;
        reports.lent = !reports.listeners.is_empty() || matches!(event, Event::Listen(_));
        loan.last = reports.last.take();
        loan.listeners = mem::take(&mut reports.listeners);
        Some(Task::Report(event))
    }

    fn advance_outcome(&mut self, loan: &mut Loans<T, E, P, F>) -> Task<T, E, P, F> {
        let observed = !self.extra().observers.is_empty();
        if loan.outcome.is_none() && (self.rights > 0 || observed || self.is_deserted()) {
            match mem::replace(&mut self.slot, Slot::Empty) {
                Slot::Present(outcome) => loan.outcome = Some(outcome),
                Slot::Broken(broken) if self.rights > 0 || observed => return Task::Convert(broken, self.broken),
                other => self.slot = other,
            }
        }
        if observed {
            let observers = mem::take(&mut self.extra().observers);
            if loan.outcome.is_some() {
                if self.is_unseen() && observers.iter().any(Entry::<T, E, P, F>::sees_errors) {
                    self.see();
                }
                return Task::Observe(observers);
            }
            return Task::Scrap(observers, SmallVec::new());
        }
        while let Some(Consumer { entry, .. }) = self.extra().consumers.pop() {
            match entry.into_waker() {
                Ok(waker) => loan.wakers.push(waker),
                Err(continuation) => {
                    if let Some(task) = self.deliver(continuation, loan) {
                        return task;
                    }
                }
            }
        }
        if self.is_deserted() && (loan.outcome.is_some() || self.extra().reports.is_some()) {
            let loss = self.loss();
            return Task::Dispose(loan.outcome.take(), self.extra().reports.take(), loss);
        }
        if let Some((loss, broken)) = self.take_lost() {
            return Task::Lose(broken, loss);
        }
        self.finish(loan)
    }

    /// Uses up the right of one continuation.
    fn deliver(&mut self, continuation: Entry<T, E, P, F>, loan: &mut Loans<T, E, P, F>) -> Option<Task<T, E, P, F>> {
        self.rights -= 1;
        self.see();
        let past = self.past();
        let delivery = match (&self.slot, self.extra_clone()) {
            (Slot::Spoiled(broken), _) => Delivery::Broken(broken.clone()),
            (_, Some(clone)) if self.rights > 0 => {
                return Some(Task::Clone(continuation, clone, self.origin, past));
            }
            _ => Delivery::of(loan.outcome.take().expect("the last consumer finds the outcome"), past),
        };
        loan.continuations.push((continuation, delivery));
        None
    }

    fn finish(&mut self, loan: &mut Loans<T, E, P, F>) -> Task<T, E, P, F> {
        if let Some(outcome) = loan.outcome.take() {
            self.slot = Slot::Present(outcome);
        }
        self.lender = 0;
        Task::Finish
    }
}

/// Serves a promise that has an [`Extra`](super::extra::Extra), or needs one.
#[cold]
#[inline(never)]
fn run_many<T, E, P, F: Flavor>(ptr: &Ptr<Shared<T, E, P, F>>, outcome: Loan<T, E>, place: Place) {
    let mut loan = Loans {
        place,
        outcome,
        last: None,
        listeners: SmallVec::new(),
        wakers: SmallVec::new(),
        continuations: SmallVec::new(),
    };
    loop {
        match ptr.with(|shared| shared.advance(&mut loan)) {
            Task::Convert(broken, convert) => {
                let slot = make_error(broken, convert);
                ptr.with(|shared| shared.slot = slot);
            }
            Task::Send(home) => home.send(&Core::of(ptr)),
            Task::Finish => break,
            task => serve(task, &mut loan),
        }
    }
    for waker in loan.wakers {
        trampoline::guard(|| waker.wake());
    }
    // All but the first wait in the queue: whoever blocks in that one can have them run before.
    let mut continuations = loan.continuations.into_iter();
    let first = continuations.next();
    for (continuation, delivery) in continuations {
        trampoline::defer(Job::Call(Box::new(|| hand(continuation, delivery))));
    }
    if let Some((continuation, delivery)) = first {
        trampoline::guard(|| hand(continuation, delivery));
    }
}

pub(super) fn hand<T, E, P, F: Flavor>(continuation: Entry<T, E, P, F>, delivery: Delivery<T, E>) {
    match delivery {
        Delivery::Outcome(outcome) => continuation.deliver(outcome),
        delivery => continuation.deliver_rarely(delivery),
    }
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Machine for Shared<T, E, P, F> {
    type Flavor = F;

    #[inline]
    fn is_void(&self) -> bool {
        self.entry.is_none() && matches!(self.slot, Slot::Empty)
    }

    #[inline]
    fn is_settled(&self) -> bool {
        !self.is_pending()
    }

    fn run(this: &Ptr<Self>) {
        let mut loan = None;
        let step = this.with(|shared| {
            // What there was to do may have gone since: a consumer that was withdrawn, say.
            if !shared.has_home() && !shared.has_work() {
                shared.lender = 0;
                return Step::Rest;
            }
            shared.begin(&mut loan)
        });
        proceed(this, step, loan);
    }

    fn arrive(this: &Ptr<Self>) {
        if !this.with(|shared| shared.arrive()).is_rest() {
            run_many(this, None, Place::Home);
        }
    }

    fn withdraw(this: &Ptr<Self>, key: Key, cancel: bool) {
        let (canceled, (consumer, step)) =
            this.with(|shared| shared.tell_cancel(|shared| shared.withdraw(key, cancel)));
        if let Some(origin) = canceled {
            trace::broken(origin, BrokenKind::Canceled);
        }
        // The entry goes last: its destructor finds the promise in the queue, and not lent to nobody.
        defer(this, step);
        if consumer.is_some() {
            scrap(consumer);
        }
    }

    fn disclaim(this: &Ptr<Self>, key: Key) -> Option<(Source<F>, Key)> {
        match this.with(|shared| shared.disclaim(key)) {
            Step::Disclaim(source, key) => Some((source, key)),
            step => {
                defer(this, step);
                None
            }
        }
    }

    fn parked(&self) -> Option<Parked> {
        self.parked()
    }

    fn downstream(&self) -> Vec<Node<F>> {
        self.followers()
    }

    fn upstream(&self) -> Sources<F> {
        self.sources()
    }
}

/// Has the machine run when it is its turn on this thread, if a transition says so.
pub(super) fn defer<T, E, P, F: Flavor>(ptr: &Ptr<Shared<T, E, P, F>>, step: Step<T, E, P, F>) {
    if !step.is_rest() {
        trampoline::defer(Job::Work(ptr.clone().into_work()));
    }
}

fn make_error<T, E, F: Flavor>(broken: Broken, convert: fn(Broken) -> E) -> Slot<T, E, F> {
    let origin = broken.origin();
    match diagnostics::guard(|| convert(broken)) {
        Ok(error) => Slot::Present(Err(error)),
        Err(payload) => Slot::Spoiled(panicked(payload, origin)),
    }
}

/// The end of a promise whose outcome was lost to a panic.
pub(super) fn panicked(payload: diagnostics::Payload, origin: &'static std::panic::Location<'static>) -> Broken {
    let broken = Broken::panicked(diagnostics::message(&payload), origin);
    diagnostics::discard(payload);
    broken
}

/// Does one thing. Foreign code runs here, each piece of it guarded.
fn serve<T, E, P, F: Flavor>(task: Task<T, E, P, F>, loan: &mut Loans<T, E, P, F>) {
    match task {
        Task::Report(event) => report(event, loan),
        Task::Cancel(cancelers) => {
            for canceler in cancelers {
                trampoline::guard(|| canceler.cancel());
            }
        }
        Task::Unfollow(links, cancel) => unfollow(links, cancel),
        Task::Disclaim(sources) => {
            for (source, key) in sources {
                disclaim(source, key);
            }
        }
        Task::Scrap(entries, listeners) => {
            entries.into_iter().for_each(scrap);
            listeners.into_iter().for_each(scrap);
        }
        Task::Observe(observers) => {
            let outcome = loan.outcome.as_ref().expect("the outcome is on loan");
            for observer in observers {
                trampoline::guard(|| observer.look(outcome));
            }
        }
        Task::Clone(continuation, clone, origin, past) => {
            let outcome = loan.outcome.as_ref().expect("the outcome is on loan");
            let mut cloned = None;
            let delivery = match diagnostics::guard(|| clone(outcome, &mut cloned)) {
                Ok(()) => Delivery::of(raw::take(&mut cloned), past),
                Err(payload) => Delivery::Broken(panicked(payload, origin)),
            };
            loan.continuations.push((continuation, delivery));
        }
        Task::Dispose(outcome, reports, loss) => {
            match loss {
                Some(loss) => lose(loss, None, outcome),
                None => scrap(outcome),
            }
            scrap(reports);
        }
        Task::Lose(broken, loss) => lose::<T, E>(loss, Some(broken), None),
        Task::Convert(..) | Task::Send(_) | Task::Finish => {}
    }
}

/// Tells a source, and up the chain those that it is the last to claim, that no cancel will come from here.
pub(super) fn disclaim<F: Flavor>(source: Source<F>, key: Key) {
    let mut next = Some((source, key));
    while let Some((source, key)) = next {
        next = source.node().disclaim(key);
    }
}

fn guard(f: impl FnOnce()) {
    trampoline::guard(f);
}

fn scrap<X>(foreign: X) {
    guard(|| drop(foreign));
}

/// Drops an error that nobody looked at, or the end that it would have been made of.
#[cold]
#[inline(never)]
fn lose<T, E: 'static>(loss: Loss, broken: Option<Broken>, outcome: Loan<T, E>) {
    match (broken, outcome) {
        (Some(broken), _) => scrap(Lost { error: broken, loss }),
        (None, Some(Err(error))) => scrap(Lost { error, loss }),
        (None, outcome) => scrap(outcome),
    }
}

/// Leaves the sources of a promise that needs them no more.
pub(crate) fn unfollow<F: Flavor>(links: Links<F>, cancel: bool) {
    for Link { source, key, private, .. } in links {
        source.node().withdraw(key, cancel || private);
    }
}

fn report<T, E, P, F: Flavor>(event: Event<P, F>, loan: &mut Loans<T, E, P, F>) {
    match event {
        Event::Notify(report) => {
            for listener in &mut loan.listeners {
                trampoline::guard(|| (listener.call)(&report));
            }
            scrap(loan.last.replace(report));
        }
        Event::Listen(mut listener) => {
            if let Some(last) = &loan.last {
                trampoline::guard(|| (listener.call)(last));
            }
            loan.listeners.push(listener);
        }
    }
}
