//! Settling once.

use super::{Deferred, Promise};
use crate::util::{Counted, Log};
use deferral::{Broken, BrokenKind, State};

/// G1, S2, S3: whatever comes second has lost, in all orders.
#[test]
fn the_first_settle_wins() {
    type Act = fn(&Deferred<u32, String>, &Promise<u32, String>) -> bool;
    let acts: [(Act, State); 4] = [
        (|d, _| d.resolve(1), State::Resolved),
        (|d, _| d.reject("no".to_owned()), State::Rejected),
        (|d, _| d.settle(Ok(2)), State::Resolved),
        (|_, p| p.cancel(), State::Rejected),
    ];
    for (first, state) in acts {
        for (second, _) in acts {
            let (deferred, promise) = Deferred::<u32, String>::new();
            assert!(first(&deferred, &promise));
            assert!(!second(&deferred, &promise));
            assert_eq!((deferred.state(), promise.state()), (state, state));
        }
    }
}

/// S4: in the first callback the state is settled already, and a nested settle has lost.
#[test]
fn the_state_is_published_before_callbacks_run() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (inner, entries) = (deferred.clone(), log.clone());
    promise.done(move |_| entries.add(format!("{:?} {}", inner.state(), inner.resolve(2))));
    assert!(deferred.resolve(1));
    assert_eq!(log.text(), "Resolved false");
}

/// S5: the value that came too late is dropped, once.
#[test]
fn a_late_value_is_dropped() {
    let (deferred, promise) = Deferred::<Counted>::new();
    assert!(deferred.resolve(Counted::new()));
    let late = Counted::new();
    let drops = late.drops.clone();
    assert!(!deferred.resolve(late));
    assert_eq!(drops.get(), 1);
    drop(promise);
}

/// S7, S8: made settled, and settled while it is made.
#[test]
fn settled_from_the_start() {
    assert_eq!(Promise::<u32>::resolved(1).state(), State::Resolved);
    assert_eq!(Promise::<u32, String>::rejected(String::new()).state(), State::Rejected);
    assert_eq!(Promise::<u32, Broken>::from(Ok(1)).state(), State::Resolved);
    let promise = Promise::<u32>::new(|deferred| assert!(deferred.resolve(1)));
    assert_eq!(promise.state(), State::Resolved);
}

/// S8, G9: the panic of the closure is the rejection, unless it has settled before.
#[test]
fn a_panic_in_new_rejects() {
    let promise = Promise::<u32>::new(|_| panic!("no luck"));
    promise.fail(|broken| {
        assert_eq!(broken.kind(), BrokenKind::Panicked);
        assert!(broken.to_string().ends_with("panicked: no luck"), "{broken}");
    });
    let promise = Promise::<u32>::new(|deferred| {
        deferred.resolve(3);
        panic!("too late");
    });
    assert_eq!(promise.state(), State::Resolved);
}
