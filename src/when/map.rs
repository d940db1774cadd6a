//! `map`: as many promises at once as a limit allows.

use std::mem;
use std::panic::Location;

use super::all_present;
use crate::broken::Broken;
use crate::chain::IntoPromise;
use crate::core::trampoline::{self, Caller};
use crate::core::{Accepted, Accepts, Core, Delivery, Ending, Flavor, HandOn, Note, Plain, Room, Roomy};
use crate::panics;
use crate::progress::Progress;
use crate::promise::Promise;

/// What the promises in flight share, in the room of the promise of `map`: where the items come from, and what makes promises of them,
/// which is out while a thread starts one; a slot for each item started; and numbers.
type Items<I, C, U> = (Option<Source<I, C>>, Vec<Option<Accepted<U>>>, Plain<Count>);

type Source<I, C> = (Accepted<I>, Accepted<C>);

struct Count {
    limit: usize,
    in_flight: usize,
    settled: usize,
    /// How many more items there are at least.
    known: usize,
    /// All items were started.
    over: bool,
}

impl<I: 'static, C: 'static, U: 'static, F: Flavor> Room<F> for Items<I, C, U> {
    fn is_empty(&self) -> bool {
        self.0.is_none() && self.1.capacity() == 0 && self.2.0.over
    }

    fn clear(&mut self) {
        let source = self.0.take();
        trampoline::guard(|| drop(source));
        let slots = mem::take(&mut self.1);
        trampoline::guard(|| drop(slots));
    }
}

/// The share of one promise in flight: a producer of the promise of `map`.
type Share<I, C, U, E, F> = Roomy<Items<I, C, U>, Vec<U>, E, Progress, F>;

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
    F: Flavor + Accepts<R::Value> + Accepts<R::Error>,
    F: Accepts<I::IntoIter> + Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
{
    assert!(limit > 0, "`when::map` with a limit of 0 would never start anything: allow at least 1 in flight");
    let source = (Accepted(items.into_iter()), Accepted(f));
    let count = Count { limit, in_flight: 0, settled: 0, known: 0, over: false };
    let (share, core) = Core::with_room(R::Error::from, Location::caller(), (Some(source), Vec::new(), Plain(count)));
    core.set_canceling();
    let promise = Promise::from_core(core);
    start::<_, _, R, F>(&share);
    promise
}

/// Starts promises until the limit is reached, the items are used up, or the outcome is decided.
fn start<I, C, R, F>(share: &Ending<Share<I, C, R::Value, R::Error, F>>)
where
    I: Iterator + 'static,
    C: FnMut(I::Item) -> R + 'static,
    R: IntoPromise<F>,
    F: Flavor + Accepts<I> + Accepts<C> + Accepts<R::Value> + Accepts<R::Error>,
{
    while let Some(mut source) = share.with(|room| (None, claim(room))).flatten() {
        let (Accepted(items), Accepted(f)) = &mut source;
        let (item, known) = match panics::guard(|| (items.next(), items.size_hint().0)) {
            Ok((Some(item), known)) => (item, known),
            Ok((None, _)) => return exhaust(share, source),
            Err(payload) => return fail(share, source, payload),
        };
        let slot = share.with(|room| (None, reserve(room, known)));
        let promise = match panics::guard(|| f(item).checked()) {
            Ok(promise) => promise,
            Err(payload) => return fail(share, source, payload),
        };
        let Some(slot) = slot.filter(|_| !share.is_settled()) else {
            // Decided by a promise in flight, or by a cancel, perhaps of `f` itself.
            promise.disown();
            trampoline::guard(|| drop(source));
            return;
        };
        let run = |(slot, share): (usize, Ending<Share<I, C, R::Value, R::Error, F>>), delivery| {
            arrive::<_, _, R, F>(share, slot, delivery)
        };
        let link = promise.subscribe((slot, share.add_share()), run);
        if let Some(link) = link {
            let followed = link.source.clone();
            share.follow(vec![link]);
            share.break_ring(&followed, Caller::Library);
        }
        let mut source = Some(source);
        share.with(|room| {
            room.0 = source.take();
            (None, ())
        });
        // Decided meanwhile.
        trampoline::guard(|| drop(source));
    }
}

/// Takes the source out if another promise may be started.
fn claim<I, C, U>((source, _, Plain(count)): &mut Items<I, C, U>) -> Option<Source<I, C>> {
    if count.over || count.in_flight >= count.limit { None } else { source.take() }
}

/// Reserves what the next promise needs.
fn reserve<I, C, U>((_, slots, Plain(count)): &mut Items<I, C, U>, known: usize) -> usize {
    count.known = known;
    count.in_flight += 1;
    slots.push(None);
    slots.len() - 1
}

/// The outcome, if the last promise has settled.
fn complete<I, C, U>((_, slots, Plain(count)): &mut Items<I, C, U>) -> Option<Vec<U>> {
    (count.over && count.settled == slots.len()).then(|| all_present(mem::take(slots), |Accepted(value)| value))
}

/// The items are used up: what is in flight decides.
fn exhaust<I: 'static, C: 'static, U, E, F: Flavor>(share: &Share<I, C, U, E, F>, source: Source<I, C>) {
    trampoline::guard(|| drop(source));
    let values = share.with(|room| {
        (room.2.0.over, room.2.0.known) = (true, 0);
        (None, complete(room))
    });
    if let Some(values) = values.flatten() {
        share.forget_links();
        share.settle(Ok(values), Note::UNKNOWN, Caller::Library);
    }
}

/// The user's code has panicked.
fn fail<I: 'static, C: 'static, U, E, F: Flavor>(
    share: &Share<I, C, U, E, F>,
    source: Source<I, C>,
    payload: panics::Payload,
) {
    trampoline::guard(|| drop(source));
    share.reject_by_panic(payload, Caller::Quiet);
}

/// One promise has settled: there is room for the next, unless that decides the outcome.
fn arrive<I, C, R, F>(
    share: Ending<Share<I, C, R::Value, R::Error, F>>,
    slot: usize,
    delivery: Delivery<R::Value, R::Error>,
) -> HandOn<F>
where
    I: Iterator + 'static,
    C: FnMut(I::Item) -> R + 'static,
    R: IntoPromise<F>,
    F: Flavor + Accepts<I> + Accepts<C> + Accepts<R::Value> + Accepts<R::Error>,
{
    let value = match delivery.value() {
        Ok(value) => value,
        Err(rejection) => return share.into_inner().into_core().deliver(rejection),
    };
    let mut value = Some(Accepted(value));
    let values = share.with(|room| {
        let (_, slots, Plain(count)) = &mut *room;
        (slots[slot], count.settled, count.in_flight) = (value.take(), count.settled + 1, count.in_flight - 1);
        let report = Progress { done: count.settled as u64, total: slots.len().saturating_add(count.known) as u64 };
        (Some(report), complete(room))
    });
    trampoline::guard(|| drop(value));
    match values.flatten() {
        Some(values) => {
            share.forget_links();
            share.into_inner().into_core().hand_on(Ok(values), Note::UNKNOWN)
        }
        None => {
            start::<_, _, R, F>(&share);
            Roomy::bring(share, |_| (None, None::<()>)).0
        }
    }
}
