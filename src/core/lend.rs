//! The lender's side: takes the outcome, serves everybody who came, and gives it back.
//!
//! [`Shared::advance`] decides, under the lock, what comes next; [`serve`] does it, with the lock released. All that the lender
//! holds meanwhile is in its [`Loan`].

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use smallvec::SmallVec;

use super::flavor::{self, Flavor};
use super::home::{Home, Place};
use super::lock::Lock;
use super::node::{Machine, Parked, Sources};
use super::progress::{Event, Listeners, Reports};
use super::state::{
    Action, Cancelers, CloneFn, Consumer, Delivery, Link, Links, Observer, Observers, Outcome, Shared, State,
};
use crate::broken::Broken;
use crate::diagnostics;
use crate::list::Key;
use crate::trampoline::{self, Job};

/// What the lender has out of the promise, and for whom.
pub(super) struct Loan<T: 'static, E: 'static, P: 'static, F: Flavor> {
    /// Where it is, in case the promise has a home.
    pub(super) place: Place,
    outcome: Option<Result<T, E>>,
    last: Option<P>,
    listeners: Listeners<P, F>,
    /// Those to be served once the outcome is back in its place.
    wakers: SmallVec<[Waker; 1]>,
    continuations: SmallVec<[(F::Continuation<Delivery<T, E>>, Delivery<T, E>); 1]>,
}

/// One thing for the lender to do.
pub(super) enum Step<T: 'static, E: 'static, P: 'static, F: Flavor> {
    /// Tell the listeners, which are on loan with the last report.
    Report(Event<P, F>),
    /// Run the callbacks of a cancel.
    Cancel(Cancelers<F>),
    /// Leave the consumers of what this promise followed.
    Unfollow(Links<F>, bool),
    /// Tell the sources that no cancel will come from here.
    Disclaim(SmallVec<[(F::WeakSource, Key); 1]>),
    /// Drop what can no longer run.
    Scrap(Cancelers<F>, Listeners<P, F>, Observers<T, E, F>),
    /// Make the error of a rejection by the library.
    Convert(Broken, fn(Broken) -> E),
    /// Show the outcome, which is on loan.
    Observe(Observers<T, E, F>),
    /// Clone the outcome, which is on loan, for one of several consumers.
    Clone(F::Continuation<Delivery<T, E>>, CloneFn<T, E>, &'static std::panic::Location<'static>),
    /// Drop what nobody can ask for any more.
    Dispose(Option<Result<T, E>>, Option<Box<Reports<P, F>>>),
    /// Send word home that there is something to do.
    Send(Arc<Home>),
    /// The loan has ended.
    Finish,
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    /// Takes back what the last step has borrowed where that must be, and decides on the next one.
    fn advance(&mut self, loan: &mut Loan<T, E, P, F>) -> Step<T, E, P, F> {
        if let Some(step) = self.advance_away(loan) {
            return step;
        }
        if let Some(step) = self.advance_reports(loan) {
            return step;
        }
        if self.state == State::Pending {
            return self.advance_pending(loan);
        }
        if !self.cancelers.is_empty() && self.canceled {
            return Step::Cancel(mem::take(&mut self.cancelers));
        }
        if !self.links.is_empty() {
            return Step::Unfollow(mem::take(&mut self.links), self.canceled || self.aggregate);
        }
        let listeners = self.reports.as_mut().map(|reports| mem::take(&mut reports.listeners)).unwrap_or_default();
        if !self.cancelers.is_empty() || !listeners.is_empty() {
            return Step::Scrap(mem::take(&mut self.cancelers), listeners, SmallVec::new());
        }
        self.advance_outcome(loan)
    }

    fn advance_pending(&mut self, loan: &mut Loan<T, E, P, F>) -> Step<T, E, P, F> {
        if self.is_idle_aggregate() {
            return Step::Unfollow(mem::take(&mut self.links), false);
        }
        if self.can_be_canceled() {
            return self.finish(loan);
        }
        if !self.cancelers.is_empty() {
            return Step::Scrap(mem::take(&mut self.cancelers), SmallVec::new(), SmallVec::new());
        }
        let sources = self.disclaim_sources();
        if sources.is_empty() { self.finish(loan) } else { Step::Disclaim(sources) }
    }

    /// Reports come first: what was notified before the settle is told before it.
    fn advance_reports(&mut self, loan: &mut Loan<T, E, P, F>) -> Option<Step<T, E, P, F>> {
        let reports = self.reports.as_mut()?;
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
        Some(Step::Report(event))
    }

    fn advance_outcome(&mut self, loan: &mut Loan<T, E, P, F>) -> Step<T, E, P, F> {
        if loan.outcome.is_none() && (self.rights > 0 || !self.observers.is_empty() || self.is_deserted()) {
            match mem::replace(&mut self.outcome, Outcome::Absent) {
                Outcome::Present(outcome) => loan.outcome = Some(outcome),
                Outcome::Broken(broken) if self.rights > 0 || !self.observers.is_empty() => {
                    return Step::Convert(broken, self.broken);
                }
                other => self.outcome = other,
            }
        }
        if !self.observers.is_empty() {
            let observers = mem::take(&mut self.observers);
            if loan.outcome.is_some() {
                return Step::Observe(observers);
            }
            return Step::Scrap(SmallVec::new(), SmallVec::new(), observers);
        }
        while let Some(consumer) = self.consumers.pop() {
            match consumer {
                Consumer::Waker(waker) => loan.wakers.push(waker),
                Consumer::Continuation { run, .. } => {
                    if let Some(step) = self.deliver(run, loan) {
                        return step;
                    }
                }
            }
        }
        if self.is_deserted() && (loan.outcome.is_some() || self.reports.is_some()) {
            return Step::Dispose(loan.outcome.take(), self.reports.take());
        }
        self.finish(loan)
    }

    /// Uses up the right of one continuation.
    fn deliver(
        &mut self,
        continuation: F::Continuation<Delivery<T, E>>,
        loan: &mut Loan<T, E, P, F>,
    ) -> Option<Step<T, E, P, F>> {
        self.rights -= 1;
        let delivery = match (&self.outcome, self.clone) {
            (Outcome::Spoiled(broken), _) => Delivery::Broken(broken.clone()),
            (_, Some(clone)) if self.rights > 0 => return Some(Step::Clone(continuation, clone, self.origin)),
            _ => Delivery::Outcome(loan.outcome.take().expect("the last consumer finds the outcome")),
        };
        loan.continuations.push((continuation, delivery));
        None
    }

    fn finish(&mut self, loan: &mut Loan<T, E, P, F>) -> Step<T, E, P, F> {
        if let Some(outcome) = loan.outcome.take() {
            self.outcome = Outcome::Present(outcome);
        }
        self.lender = None;
        Step::Finish
    }
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Machine for Shared<T, E, P, F> {
    type Flavor = F;

    fn run<L: Lock<Inner = Self>>(cell: &L) {
        work(cell, Place::Away);
    }

    fn arrive<L: Lock<Inner = Self>>(cell: &L) {
        if cell.with(|shared| shared.arrive()) == Action::Run {
            work(cell, Place::Home);
        }
    }

    fn withdraw<L: Lock<Inner = Self>>(cell: &L, key: Key, cancel: bool, run: &mut dyn FnMut()) {
        let (entry, action) = cell.with(|shared| shared.unfollow(key, cancel));
        // The entry goes last: its destructor finds the promise in the queue, and not lent to nobody.
        if action == Action::Run {
            run();
        }
        trampoline::guard(|| drop(entry));
    }

    fn disclaim<L: Lock<Inner = Self>>(cell: &L, key: Key) -> bool {
        cell.with(|shared| shared.disclaim(key)) == Action::Run
    }

    fn downstream(&self) -> Vec<F::Source> {
        self.followers()
    }

    fn upstream(&self) -> Sources<F> {
        self.sources()
    }

    fn parked(&self) -> Option<Parked> {
        self.parked()
    }
}

/// The lender's work, at home or elsewhere.
fn work<T, E, P, F: Flavor, L>(cell: &L, place: Place)
where
    T: 'static,
    E: 'static,
    P: 'static,
    L: Lock<Inner = Shared<T, E, P, F>>,
{
    let mut loan = Loan {
        place,
        outcome: None,
        last: None,
        listeners: SmallVec::new(),
        wakers: SmallVec::new(),
        continuations: SmallVec::new(),
    };
    loop {
        match cell.with(|shared| shared.advance(&mut loan)) {
            Step::Convert(broken, convert) => {
                let outcome = make_error(broken, convert);
                cell.with(|shared| shared.outcome = outcome);
            }
            Step::Send(home) => home.send(),
            Step::Finish => break,
            step => serve(step, &mut loan),
        }
    }
    for waker in loan.wakers {
        trampoline::guard(|| waker.wake());
    }
    // All but the first wait in the queue: whoever blocks in that one can have them run before.
    let mut continuations = loan.continuations.into_iter();
    let first = continuations.next();
    for (continuation, delivery) in continuations {
        trampoline::defer(Job::Call(Box::new(|| F::run(continuation, delivery))));
    }
    if let Some((continuation, delivery)) = first {
        trampoline::guard(|| F::run(continuation, delivery));
    }
}

fn make_error<T, E>(broken: Broken, convert: fn(Broken) -> E) -> Outcome<T, E> {
    let origin = broken.origin();
    match diagnostics::guard(|| convert(broken)) {
        Ok(error) => Outcome::Present(Err(error)),
        Err(payload) => Outcome::Spoiled(panicked(payload, origin)),
    }
}

/// The end of a promise whose outcome was lost to a panic.
pub(super) fn panicked(payload: diagnostics::Payload, origin: &'static std::panic::Location<'static>) -> Broken {
    let broken = Broken::panicked(diagnostics::message(&payload), origin);
    diagnostics::discard(payload);
    broken
}

/// Does one step. Foreign code runs here, each piece of it guarded.
fn serve<T, E, P, F: Flavor>(step: Step<T, E, P, F>, loan: &mut Loan<T, E, P, F>) {
    match step {
        Step::Report(event) => report(event, loan),
        Step::Cancel(cancelers) => {
            for canceler in cancelers {
                trampoline::guard(canceler);
            }
        }
        Step::Unfollow(links, cancel) => unfollow(links, cancel),
        Step::Disclaim(sources) => {
            for (source, key) in sources {
                flavor::disclaim::<F>(&source, key);
            }
        }
        Step::Scrap(cancelers, listeners, observers) => {
            cancelers.into_iter().for_each(scrap);
            listeners.into_iter().for_each(scrap);
            observers.into_iter().for_each(scrap);
        }
        Step::Observe(observers) => {
            let outcome = loan.outcome.as_ref().expect("the outcome is on loan");
            for observer in observers {
                trampoline::guard(|| observer.look(outcome));
            }
        }
        Step::Clone(continuation, clone, origin) => {
            let outcome = loan.outcome.as_ref().expect("the outcome is on loan");
            let delivery = match diagnostics::guard(|| clone(outcome)) {
                Ok(outcome) => Delivery::Outcome(outcome),
                Err(payload) => Delivery::Broken(panicked(payload, origin)),
            };
            loan.continuations.push((continuation, delivery));
        }
        Step::Dispose(outcome, reports) => {
            scrap(outcome);
            scrap(reports);
        }
        Step::Convert(..) | Step::Send(_) | Step::Finish => {}
    }
}

fn scrap<X>(foreign: X) {
    trampoline::guard(|| drop(foreign));
}

/// Leaves the sources of a promise that needs them no more.
pub(crate) fn unfollow<F: Flavor>(links: Links<F>, cancel: bool) {
    for Link { source, key, private, .. } in links {
        flavor::withdraw::<F>(&source, key, cancel || private);
    }
}

fn report<T, E, P, F: Flavor>(event: Event<P, F>, loan: &mut Loan<T, E, P, F>) {
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

impl<T, E, F: Flavor> Observer<T, E, F> {
    fn look(self, outcome: &Result<T, E>) {
        match (self, outcome) {
            (Observer::Done(callback), Ok(value)) => callback(value),
            (Observer::Fail(callback), Err(error)) => callback(error),
            (Observer::Always(callback), outcome) => callback(outcome),
            (Observer::Done(_), Err(_)) | (Observer::Fail(_), Ok(_)) => {}
        }
    }
}
