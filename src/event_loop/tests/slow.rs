//! Calls and polls that hold up the loop. The clock is the test's.

use super::*;
use crate::diagnostics::heard;

const SECOND: Duration = Duration::from_secs(1);

/// Work that takes a while, by the loop's clock.
fn takes(local: &Rc<Local>, seconds: u32) -> impl FnOnce() + use<> {
    let local = Rc::clone(local);
    move || {
        let clock = local.remote().clock();
        clock.advance_to(clock.now() + seconds * SECOND);
    }
}

/// The line after this one's, as a report names it.
macro_rules! next_line {
    () => {
        format!("{}:{}:", file!(), line!() + 1)
    };
}

#[track_caller]
fn heard_one(parts: &[&str]) {
    let heard = heard::take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(parts.iter().all(|part| heard[0].contains(part)), "{heard:?} has not {parts:?}");
}

#[test]
fn nothing_is_said_unless_somebody_wants_to_know() {
    let l = Loop::new();
    soon(&l, takes(&l, 3600));
    l.run_until_idle();
    assert_eq!(heard::take(), [""; 0]);
    l.warn_slower_than(SECOND);
    soon(&l, takes(&l, 3600));
    l.run_until_idle();
    assert_eq!(heard::take().len(), 1);
    l.warn_slower_than(Duration::MAX);
    soon(&l, takes(&l, 3600));
    l.run_until_idle();
    assert_eq!(heard::take(), [""; 0]);
}

#[test]
fn a_slow_call_is_reported_with_its_origin() {
    let l = Loop::new();
    l.warn_slower_than(2 * SECOND);
    for seconds in [0, 1, 2] {
        soon(&l, takes(&l, seconds));
    }
    let line = next_line!();
    soon(&l, takes(&l, 3));
    l.run_until_idle();
    heard_one(&["the call scheduled at ", &line, " took 3s, more than 2s"]);

    let line = next_line!();
    at(&l, l.after(10_000), takes(&l, 4));
    assert_eq!(l.turn().ran, 1);
    heard_one(&["the call scheduled at ", &line, " took 4s"]);
}

#[test]
fn each_slow_poll_is_reported_with_its_tasks_origin() {
    let l = Loop::new();
    l.warn_slower_than(2 * SECOND);
    let slow = [1, 3, 2, 5].map(|seconds| takes(&l, seconds));
    let task = async move {
        for take in slow {
            take();
            yield_now().await;
        }
    };
    let line = next_line!();
    spawn(&l, task);
    l.run_until_idle();
    let heard = heard::take();
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|text| text.contains(&format!("a poll of the task spawned at {line}"))), "{heard:?}");
    assert!(heard[0].ends_with(" took 3s, more than 2s") && heard[1].ends_with(" took 5s, more than 2s"), "{heard:?}");
}

#[test]
fn a_slow_main_future_is_reported() {
    let l = Loop::new();
    l.warn_slower_than(SECOND);
    let take = takes(&l, 2);
    let line = next_line!();
    l.run_until_complete(async {
        yield_now().await;
        take();
        yield_now().await;
    });
    heard_one(&["a poll of the future run at ", &line, " took 2s"]);
}

#[test]
fn what_panics_is_timed_as_well() {
    let l = Loop::new();
    l.warn_slower_than(SECOND);
    let take = takes(&l, 2);
    soon(&l, move || {
        take();
        panic!("a test's panic in a slow call");
    });
    let take = takes(&l, 2);
    spawn(&l, async move {
        take();
        panic!("a test's panic in a slow poll");
    });
    l.run_until_idle();
    let heard = heard::take();
    assert_eq!(heard.len(), 4);
    assert!(heard[0].ends_with("a test's panic in a slow call") && heard[1].contains("took 2s"), "{heard:?}");
    assert!(heard[2].ends_with("a test's panic in a slow poll") && heard[3].contains("took 2s"), "{heard:?}");
}

#[test]
fn a_change_counts_from_the_next_call_on() {
    let l = Loop::new();
    let (local, take) = (Rc::clone(&l), takes(&l, 2));
    soon(&l, move || {
        local.warn_slower_than(SECOND);
        take();
    });
    let (local, take) = (Rc::clone(&l), takes(&l, 2));
    soon(&l, move || {
        local.warn_slower_than(3600 * SECOND);
        take();
    });
    soon(&l, takes(&l, 2));
    l.run_until_idle();
    heard_one(&[" took 2s, more than 1s"]);
}
