//! Reports of progress, and their listeners.

use deferral::{Broken, Deferred, Promise, State};
use loom::thread;

use crate::{Count, MANY, PREEMPTIONS, Seen, Value, explore};

/// Of a promise whose reports, too, are dropped once each, and looked at by one thread at a time.
type Pair = (Deferred<Value, Broken, Value>, Promise<Value, Broken, Value>);

/// A listener that notes what it hears.
fn listener(heard: &Seen<u32>) -> impl FnMut(&Value) + Send + 'static {
    let heard = heard.clone();
    move |report| heard.note(report.look())
}

/// G4, G1: a report reaches the listener once if it came before the settle, and is refused otherwise.
#[test]
fn notify_races_settle() {
    explore(PREEMPTIONS, [0, 1], |tally| {
        let (deferred, promise) = Deferred::<Value, Broken, u32>::with_progress();
        let heard = Count::default();
        let promise = promise.progress({
            let heard = heard.clone();
            move |_| heard.add()
        });
        let other = thread::spawn({
            let (deferred, value) = (deferred.clone(), tally.value(1));
            move || deferred.resolve(value)
        });
        let told = deferred.notify(1);
        assert!(other.join().unwrap());
        assert_eq!(heard.get(), u32::from(told));
        assert_eq!(promise.state(), State::Resolved);
        heard.get()
    });
}

/// G4: two threads notify at once. Both listeners hear each report once, in one order, which is that of each thread.
///
/// Catches a report that does not look whether a lender is telling another one.
#[test]
fn notify_races_notify() {
    explore(MANY, [[1, 2, 3], [1, 3, 2], [3, 1, 2]], |tally| {
        let (deferred, promise): Pair = Deferred::with_progress();
        let (heard, heard_too) = (Seen::new(), Seen::new());
        let promise = promise.progress(listener(&heard)).progress(listener(&heard_too));
        let other = thread::spawn({
            let (deferred, report) = (deferred.clone(), tally.value(3));
            move || assert!(deferred.notify(report))
        });
        assert!(deferred.notify(tally.value(1)));
        assert!(deferred.notify(tally.value(2)));
        other.join().unwrap();
        let heard = heard.take();
        assert_eq!(heard, heard_too.take());
        drop(promise);
        heard.try_into().unwrap()
    });
}

/// G4: a listener comes while another thread notifies. It is told the last report first, and then each further one, once, in order.
fn a_listener_races_notify(others: u32) {
    let ends = [vec![1, 2, 3], vec![2, 3], vec![3]];
    explore(MANY, ends, move |tally| {
        let (deferred, mut promise): Pair = Deferred::with_progress();
        let heard = Seen::new();
        for _ in 0..others {
            promise = promise.progress(listener(&heard));
        }
        assert!(deferred.notify(tally.value(1)));
        let late = Seen::new();
        let reports = [tally.value(2), tally.value(3)];
        let other = thread::spawn(move || {
            for report in reports {
                assert!(deferred.notify(report));
            }
        });
        let promise = promise.progress(listener(&late));
        other.join().unwrap();
        assert_eq!(heard.take().len(), 3 * others as usize);
        drop(promise);
        late.take()
    });
}

/// Catches a listener that is added before it has been told the last report.
#[test]
fn the_first_listener_races_notify() {
    a_listener_races_notify(0);
}

/// Catches a listener that joins the others while those are being told.
#[test]
fn another_listener_races_notify() {
    a_listener_races_notify(1);
}

/// G4: a listener that comes while another thread settles is told the last report, once.
///
/// Catches a listener of a settled promise that is not told the last report.
#[test]
fn a_listener_races_settle() {
    explore(MANY, [vec![1]], |tally| {
        let (deferred, promise): Pair = Deferred::with_progress();
        assert!(deferred.notify(tally.value(1)));
        let heard = Seen::new();
        let value = tally.value(2);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let promise = promise.progress(listener(&heard));
        other.join().unwrap();
        drop(promise);
        heard.take()
    });
}

/// G4: a report and a settle by one thread are told in that order, while another thread notifies as well.
///
/// Catches an observer that runs before a report which is queued.
#[test]
fn a_report_comes_before_the_settle_that_follows_it() {
    explore(MANY, [vec![1, 9], vec![1, 2, 9], vec![2, 1, 9]], |tally| {
        let (deferred, promise): Pair = Deferred::with_progress();
        let seen = Seen::new();
        let promise = promise.progress(listener(&seen)).done({
            let seen = seen.clone();
            move |value| seen.note(value.look())
        });
        let other = thread::spawn({
            let (deferred, report) = (deferred.clone(), tally.value(2));
            move || deferred.notify(report)
        });
        assert!(deferred.notify(tally.value(1)));
        assert!(deferred.resolve(tally.value(9)));
        let told = other.join().unwrap();
        let seen = seen.take();
        assert_eq!(seen.contains(&2), told);
        drop(promise);
        seen
    });
}
