//! `map`: as many promises at once as a limit allows.

use std::panic::Location;

use crate::Progress;
use crate::broken::Broken;
use crate::chain::IntoPromise;
use crate::core::trampoline::{self, Caller};
use crate::core::{Accepts, Core, Delivery, Flavor, Link, Links, Machine, Node, Ptr, Sources, State, unfollow};
use crate::deferred::{self, Deferred};
use crate::diagnostics;
use crate::list::{Key, List};
use crate::promise::Promise;

/// Where the items come from, and what makes promises of them.
struct Source<I, C> {
    items: I,
    f: C,
}

/// What the promises in flight share, behind a lock of its own. Where both are held, it is taken before the lock of the promise.
#[doc(hidden)]
pub struct Shared<I: 'static, C: 'static, U: 'static, E: 'static, F: Flavor> {
    /// Out while somebody starts promises, which one thread does at a time.
    source: Option<Source<I, C>>,
    limit: usize,
    /// A slot for each item started.
    slots: Vec<Option<U>>,
    settled: usize,
    /// How many more items there are at least.
    known: usize,
    /// One entry for each promise in flight: the link to it, where it has been noted by now.
    in_flight: List<Option<Link<F>>>,
    /// All items were started, or the outcome was decided before.
    over: bool,
    deferred: Deferred<Vec<U>, E, Progress, F>,
}

/// The share of one promise in flight, with the place of its value and of its link.
#[doc(hidden)]
pub struct Flight<I: 'static, C: 'static, U: 'static, E: 'static, F: Flavor> {
    shared: Ptr<Shared<I, C, U, E, F>>,
    /// The core of the promise of `map`.
    core: Core<Vec<U>, E, Progress, F>,
    slot: usize,
    key: Key,
}

/// Maps items to promises, with at most `limit` of them in flight: resolves with every value, in the order of the items, or rejects
/// with the first error.
///
/// `f` returns a promise or a result. It is called for one item after the other, in their order, the first times before `map`
/// returns, and then by whoever settles a promise and so makes room for the next. The items are asked for one by one, too. It
/// notifies how many promises have resolved, of as many items as are known of so far.
///
/// After a rejection nothing more is started, and promises in flight that nobody else consumes are canceled; so it is when the promise
/// of `map` is canceled. Dropping it stops nothing. If `f` or the iterator panics, the promise is rejected with kind
/// [`Panicked`](crate::BrokenKind::Panicked).
///
/// # Panics
///
/// If `limit` is 0: nothing would ever be started.
///
/// # Examples
///
/// ```
/// use deferral::{EventLoop, when};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::with_virtual_clock();
/// let lengths = event_loop.run_until_complete(async {
///     when::map(["one", "three", "seventeen"], 2, |word| {
///         deferral::sleep(Duration::from_millis(10)).then(move |()| Ok(word.len()))
///     })
///     .await
/// });
/// assert_eq!(lengths.unwrap(), [3, 5, 9]);
/// ```
#[track_caller]
pub fn map<I, C, R, F>(items: I, limit: usize, f: C) -> Promise<Vec<R::Value>, R::Error, Progress, F>
where
    I: IntoIterator<IntoIter: 'static>,
    C: FnMut(I::Item) -> R + 'static,
    R: IntoPromise<F, Error: From<Broken>>,
    F: Flavor + Accepts<Flight<I::IntoIter, C, R::Value, R::Error, F>>,
    F: Accepts<Shared<I::IntoIter, C, R::Value, R::Error, F>>, // not `Send`? Take `deferral::local`, or `into_local()` first
{
    assert!(limit > 0, "`when::map` with a limit of 0 would never start anything: allow at least 1 in flight");
    let (deferred, promise) = deferred::pair(R::Error::from, Location::caller());
    let source = Source { items: items.into_iter(), f };
    let core = deferred.core().clone();
    let shared = Ptr::new(|| Shared {
        source: Some(source),
        limit,
        slots: Vec::new(),
        settled: 0,
        known: 0,
        in_flight: List::new(),
        over: false,
        deferred,
    });
    // Not a share of any one promise: it serves to start the first ones, and to stop them all.
    let whole = Flight::<_, _, _, _, F> { shared, core, slot: 0, key: Key::DANGLING };
    whole.start();
    // The promises in flight are followed through one link to what they share: of their own there would be one for every item. It
    // is of no use before the promise can be canceled or followed, and not to one that is settled already.
    let source = <F as Accepts<Shared<I::IntoIter, C, R::Value, R::Error, F>>>::source(whole.shared.clone());
    promise.core().follow(Links::<F>::from_iter([Link { source, key: Key::DANGLING, private: false, claims: false }]));
    promise
}

impl<I, C, U, E, F: Flavor> Shared<I, C, U, E, F> {
    /// Takes the source out if another promise may be started.
    fn claim(&mut self) -> Option<Source<I, C>> {
        if self.over || self.in_flight.len() >= self.limit { None } else { self.source.take() }
    }

    /// Reserves what the next promise needs.
    fn reserve(&mut self, known: usize) -> (usize, Key) {
        self.known = known;
        self.slots.push(None);
        (self.slots.len() - 1, self.in_flight.push(None))
    }

    /// Whether it makes no sense to go on.
    fn is_decided(&self) -> bool {
        self.over || self.deferred.state() != State::Pending
    }

    /// One promise in flight less, one value more. A value that comes too late comes back with the link, to be dropped outside.
    fn fill(&mut self, slot: usize, key: Key, value: U) -> (Option<U>, Option<Option<Link<F>>>) {
        let link = self.in_flight.remove(key);
        self.settled += 1;
        let late = match self.slots.get_mut(slot) {
            Some(empty) => empty.replace(value),
            None => Some(value),
        };
        (late, link)
    }

    /// The outcome, if the last promise has settled.
    fn complete(&mut self) -> Option<Vec<U>> {
        if !self.over || self.settled < self.slots.len() {
            return None;
        }
        Some(super::all_present(std::mem::take(&mut self.slots)))
    }

    /// Queues a report, and tells whether somebody has to run it.
    fn report(&self) -> bool {
        let total = self.slots.len().saturating_add(self.known);
        self.deferred.core().queue_report(Progress { done: self.settled as u64, total: total as u64 })
    }
}

/// What the promise of `map` follows, in the place of the promises in flight.
impl<I: 'static, C: 'static, U, E, F: Flavor> Machine for Shared<I, C, U, E, F> {
    type Flavor = F;

    // If one fails, the others in flight are canceled, whoever holds the promise of `map`: so a `disclaim` changes nothing.

    fn withdraw(this: &Ptr<Self>, _: Key, cancel: bool) {
        if cancel {
            stop(this);
        }
    }

    fn downstream(&self) -> Vec<Node<F>> {
        vec![self.deferred.core().node()]
    }

    fn upstream(&self) -> Sources<F> {
        self.in_flight.iter().flatten().map(|link| link.source.clone()).collect()
    }
}

/// The outcome is decided: nothing more is started, and what is in flight is not needed.
fn stop<I: 'static, C: 'static, U: 'static, E: 'static, F: Flavor>(shared: &Ptr<Shared<I, C, U, E, F>>) {
    let (source, slots, links) = shared.with(|shared| {
        shared.over = true;
        let mut links = Links::<F>::new();
        while let Some(link) = shared.in_flight.pop() {
            links.extend(link);
        }
        (shared.source.take(), std::mem::take(&mut shared.slots), links)
    });
    trampoline::guard(|| drop(source));
    trampoline::guard(|| drop(slots));
    unfollow(links, true);
}

impl<I, C, U, E, F: Flavor> Flight<I, C, U, E, F> {
    fn of(&self, slot: usize, key: Key) -> Self {
        Flight { shared: self.shared.clone(), core: self.core.clone(), slot, key }
    }

    /// Starts promises until the limit is reached, the items are used up, or the outcome is decided.
    fn start<R>(&self)
    where
        I: Iterator,
        C: FnMut(I::Item) -> R,
        R: IntoPromise<F, Value = U, Error = E>,
        F: Accepts<Self>,
    {
        while let Some(mut source) = self.shared.with(Shared::claim) {
            let item = diagnostics::guard(|| (source.items.next(), source.items.size_hint().0));
            let (item, known) = match item {
                Ok((Some(item), known)) => (item, known),
                Ok((None, _)) => return self.exhaust(source),
                Err(payload) => return self.fail(source, payload),
            };
            let (slot, key) = self.shared.with(|shared| shared.reserve(known));
            let promise = match diagnostics::guard(|| (source.f)(item).checked()) {
                Ok(promise) => promise,
                Err(payload) => return self.fail(source, payload),
            };
            if self.shared.with(|shared| shared.is_decided()) {
                // By a promise in flight, or by a cancel, perhaps of `f` itself.
                promise.disown();
                trampoline::guard(|| drop(source));
                return;
            }
            let arrive = |flight: Self, delivery| flight.arrive::<R>(delivery);
            let link = promise.subscribe(self.of(slot, key), arrive, |flight: &Self| Some(flight.core.node()));
            self.resume(source, key, link);
        }
    }

    /// Notes the link to a promise that was started, and puts the source back.
    fn resume(&self, source: Source<I, C>, key: Key, link: Option<Link<F>>) {
        let followed = link.as_ref().map(|link| link.source.clone());
        let mut link = link;
        let late = self.shared.with(|shared| {
            if let Some(noted) = shared.in_flight.get_mut(key) {
                *noted = link.take();
            }
            if !shared.is_decided() {
                shared.source = Some(source);
                return None;
            }
            Some(source)
        });
        if let Some(source) = late {
            // The outcome was decided while the promise was being started, by who could not find its link.
            trampoline::guard(|| drop(source));
            unfollow(link.into_iter().collect::<Links<F>>(), true);
            self.stop();
        } else if let Some(followed) = followed {
            self.core.break_ring(&followed, Caller::Library);
        }
    }

    /// The items are used up: what is in flight decides.
    fn exhaust(&self, source: Source<I, C>) {
        trampoline::guard(|| drop(source));
        let complete = self.shared.with(|shared| {
            (shared.over, shared.known) = (true, 0);
            shared.complete()
        });
        if let Some(values) = complete {
            self.core.resolve(values, Caller::Library);
        }
    }

    /// The user's code has panicked.
    fn fail(&self, source: Source<I, C>, payload: diagnostics::Payload) {
        trampoline::guard(|| drop(source));
        self.core.break_by_panic(payload, Caller::Quiet);
        self.stop();
    }

    /// One promise has settled: there is room for the next, unless that decides the outcome.
    fn arrive<R>(self, delivery: Delivery<U, E>)
    where
        I: Iterator,
        C: FnMut(I::Item) -> R,
        R: IntoPromise<F, Value = U, Error = E>,
        F: Accepts<Self>,
    {
        let value = match delivery.value() {
            Ok(value) => value,
            Err(rejection) => {
                let _link = self.shared.with(|shared| shared.in_flight.remove(self.key));
                self.core.deliver(rejection, Caller::Library);
                return self.stop();
            }
        };
        let (report, complete, _late) = self.shared.with(|shared| {
            let late = shared.fill(self.slot, self.key, value);
            (shared.report(), shared.complete(), late)
        });
        if report {
            self.core.run(Caller::Library);
        }
        match complete {
            Some(values) => {
                self.core.resolve(values, Caller::Library);
            }
            None => self.start(),
        }
    }

    fn stop(&self) {
        stop(&self.shared);
    }
}
