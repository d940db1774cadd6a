//! A promise and a timer, of which the first decides.

use std::panic::Location;

use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::chain::{IntoPromise, waiting};
use crate::core::trampoline::Caller;
use crate::core::{Accepts, Delivery, Flavor, Link, Shared};
use crate::deferred::{self, Deferred};
use crate::promise::Promise;

/// The promise of a timeout. The timer is made only if `promise` has to be waited for.
pub(super) fn timeout<T, E, P, F>(
    promise: Promise<T, E, P, F>,
    timer: impl FnOnce() -> Promise<(), Broken, Progress, F>,
    origin: &'static Location<'static>,
) -> Promise<T, E, Progress, F>
where
    E: From<Broken>,
    Promise<T, E, P, F>: IntoPromise<F, Value = T, Error = E>,
    F: Flavor
        + Accepts<Deferred<T, E, Progress, F>>
        + Accepts<Shared<(), Broken, Progress, F>>
        + Accepts<Deferred<(), Broken, Progress, F>>,
{
    let (deferred, result) = deferred::pair(E::from, origin);
    result.core().set_aggregate();
    let deliver = |deferred: Deferred<T, E, Progress, F>, delivery| deferred.core().deliver(delivery, Caller::Library);
    let link = promise.subscribe(deferred.clone(), deliver, waiting);
    let Some(link) = link else { return result };
    let expire = |deferred: Deferred<T, E, Progress, F>, delivery| {
        // A timer that the loop did not live to see ends the timeout with it.
        let kind = match delivery {
            Delivery::Outcome(Ok(())) => BrokenKind::TimedOut,
            Delivery::Outcome(Err(end))
            | Delivery::Traced(end, _)
            | Delivery::Excused(end, _)
            | Delivery::Broken(end) => end.kind(),
        };
        // Quiet: if the loop is gone already, whoever makes the timeout finds it settled.
        deferred.core().break_by(kind, Caller::Quiet);
    };
    let expiry = timer().subscribe(deferred, expire, waiting);
    // Nobody else will ever know the timer: it goes with the timeout, however that ends.
    let expiry = expiry.map(|link| Link { private: true, ..link });
    result.core().follow(std::iter::once(link).chain(expiry).collect());
    result
}
