//! A promise and a timer, of which the first decides.

use std::panic::Location;

use crate::broken::{Broken, BrokenKind};
use crate::chain::IntoPromise;
use crate::core::{Accepts, Core, Delivery, Flavor, Link, Producer};
use crate::progress::Progress;
use crate::promise::Promise;

/// The promise of a timeout. The timer is made only if `promise` has to be waited for.
pub(super) fn timeout<T, E, P, F>(
    promise: Promise<T, E, P, F>,
    timer: impl FnOnce() -> Promise<(), Broken, Progress, F>,
    origin: &'static Location<'static>,
) -> Promise<T, E, Progress, F>
where
    E: From<Broken>,
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
{
    let (producer, core) = Core::new(E::from, origin);
    let result = Promise::from_core(core);
    producer.set_aggregate();
    let deliver = |producer: Producer<T, E, Progress, F>, delivery| producer.into_inner().deliver(delivery);
    let link = promise.subscribe(producer.add_producer(), deliver);
    let Some(link) = link else { return result };
    let expire = |producer: Producer<T, E, Progress, F>, delivery: Delivery<(), Broken>| {
        // A timer that the loop did not live to see ends the timeout with it.
        let kind = match delivery.unpack() {
            Ok((Ok(()), _)) => BrokenKind::TimedOut,
            Ok((Err(end), _)) | Err(end) => end.kind(),
        };
        let broken = Broken::new(kind, producer.origin());
        producer.into_inner().hand_on_broken(broken)
    };
    let expiry = timer().subscribe(producer, expire);
    // Only the timeout will ever know the timer: it goes with the timeout, however that ends.
    let expiry = expiry.map(|link| Link { private: true, ..link });
    result.core().follow(std::iter::once(link).chain(expiry).collect());
    result
}
