//! The hook, standard error and the watch of a test. The hook is the process's: it is tried in processes of their own, whose standard
//! error can be read.

use std::panic::Location;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use deferral::unhandled::{Hook, Unhandled, Work, set_unhandled_hook};
use deferral::{Broken, Deferred, EventLoop, Promise, local, testing, when};

use crate::util::{Log, OnDrop, panic_of, watchdog};

const CHILD: &str = "DEFERRAL_UNHANDLED_CHILD";

/// Runs `f` in a process of its own that runs the test `name` and no other, and gives what that writes on standard error.
#[track_caller]
fn in_child(name: &str, f: impl FnOnce()) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        f();
        return None;
    }
    let name = format!("unhandled::{name}");
    let output = watchdog(move || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([&name, "--exact", "--nocapture", "--test-threads=1"]);
        child.env(CHILD, "").env("RUST_BACKTRACE", "0").output().unwrap()
    });
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    Some(stderr)
}

/// What this crate has written there.
fn lines(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.strip_prefix("deferral: ")).collect()
}

/// A hook that writes what it is told into a log, behind a name.
fn logs(name: &'static str, log: &Log) -> Option<Hook> {
    let log = log.clone();
    Some(Arc::new(move |lost| log.add(format!("{name}:{}", text(lost)))))
}

fn text(lost: &Unhandled<'_>) -> String {
    match lost {
        Unhandled::Rejection { error, .. } => error.downcast_ref::<String>().cloned().unwrap_or_default(),
        Unhandled::Panic { message, .. } => (*message).to_owned(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn lose(text: &str) {
    drop(Promise::<u32, String>::rejected(text.to_owned()));
}

/// G10: without a hook, a rejection that nobody looked at is exactly one line on standard error in a debug build, and none in others.
#[test]
fn by_default_it_is_one_line() {
    let stderr = in_child("by_default_it_is_one_line", || lose("first\nsecond"));
    let Some(stderr) = stderr else { return };
    if !cfg!(debug_assertions) {
        assert_eq!(lines(&stderr), [""; 0]);
        return;
    }
    assert_eq!(lines(&stderr).len(), 1, "{stderr}");
    assert!(lines(&stderr)[0].starts_with("unhandled rejection of the promise made at "), "{stderr}");
    assert!(lines(&stderr)[0].ends_with(": \"first\\nsecond\" (alloc::string::String)"), "{stderr}");
}

/// G10: the hook hears of everything, on the thread where it is lost, instead of standard error; the next one replaces it and gets it
/// back; `None` is the default again.
#[test]
fn a_hook_replaces_the_line() {
    let stderr = in_child("a_hook_replaces_the_line", || {
        let log = Log::new();
        assert!(set_unhandled_hook(logs("a", &log)).is_none());
        lose("one");
        thread::spawn(|| lose("two")).join().unwrap();
        drop(local::Promise::<u32, String>::rejected("three".to_owned()));
        let first = set_unhandled_hook(logs("b", &log));
        lose("four");
        assert!(set_unhandled_hook(first).is_some());
        lose("five");
        assert!(set_unhandled_hook(None).is_some());
        assert_eq!(log.text(), "a:one a:two a:three b:four a:five");
        assert!(set_unhandled_hook(None).is_none());
    });
    assert!(stderr.is_none_or(|stderr| lines(&stderr).is_empty()));
}

/// G6, G10: no lock is held while the hook runs: it may set another hook, wait for another thread that loses something, settle, and
/// drop its own promise.
#[test]
fn a_hook_may_do_what_it_likes() {
    let stderr = in_child("a_hook_may_do_what_it_likes", || {
        watchdog(|| {
            let log = Log::new();
            let (kept, entries) = (Arc::new(Mutex::new(None)), log.clone());
            let (deferred, promise) = Deferred::<u32, String>::new();
            *kept.lock().unwrap() = Some(deferred.clone());
            let hook = move |lost: &Unhandled<'_>| {
                entries.add(text(lost));
                let inner = logs("other", &entries);
                let old = set_unhandled_hook(inner);
                thread::spawn(|| lose("elsewhere")).join().unwrap();
                set_unhandled_hook(old);
                drop(kept.lock().unwrap().take());
            };
            set_unhandled_hook(Some(Arc::new(hook)));
            deferred.reject("mine".to_owned());
            drop((promise, deferred));
            lose("again");
            set_unhandled_hook(None);
            assert_eq!(log.text(), "again other:elsewhere");
        });
    });
    // What the hook dropped itself was told in the default way.
    let Some(stderr) = stderr else { return };
    assert_eq!(lines(&stderr).len(), usize::from(cfg!(debug_assertions)), "{stderr}");
}

/// G9, G10: a hook that panics does not unwind into a drop: what it was told goes to standard error, in every build.
#[test]
fn a_hook_that_panics_falls_back_to_standard_error() {
    let stderr = in_child("a_hook_that_panics_falls_back_to_standard_error", || {
        set_unhandled_hook(Some(Arc::new(|_| panic!("no log"))));
        lose("the error");
        let _drops = OnDrop::new(|| lose("while unwinding"));
        let text = panic_of(|| {
            let _drops = OnDrop::new(|| lose("while unwinding"));
            panic!("elsewhere");
        });
        assert_eq!(text, "elsewhere");
        set_unhandled_hook(None);
    });
    let Some(stderr) = stderr else { return };
    let told = lines(&stderr);
    assert!(told.len() >= 2, "{stderr}");
    assert!(told[0].contains("the error") && told[1].contains("while unwinding"), "{stderr}");
}

/// G10: what the hook loses itself goes the default way, so that it cannot go on for ever.
#[test]
fn a_hook_that_loses_something_is_not_told() {
    let stderr = in_child("a_hook_that_loses_something_is_not_told", || {
        let log = Log::new();
        let entries = log.clone();
        set_unhandled_hook(Some(Arc::new(move |lost| {
            entries.add(text(lost));
            lose("inside");
        })));
        lose("first");
        lose("second");
        set_unhandled_hook(None);
        assert_eq!(log.text(), "first second");
    });
    let Some(stderr) = stderr else { return };
    assert_eq!(lines(&stderr).len(), if cfg!(debug_assertions) { 2 } else { 0 }, "{stderr}");
}

/// G9, G10: a panic without a caller goes to the hook, with its text; and work that takes too long.
#[test]
fn panics_and_slow_work_go_to_the_hook() {
    let stderr = in_child("panics_and_slow_work_go_to_the_hook", || {
        let log = Log::new();
        let entries = log.clone();
        set_unhandled_hook(Some(Arc::new(move |lost| match lost {
            Unhandled::Panic { message, payload, .. } => entries.add(format!("{message}:{}", payload.is::<&str>())),
            Unhandled::Slow { work: Work::Call, origin, took, limit, .. } if took > limit => entries.add(origin.line()),
            other => entries.add(other),
        })));
        let event_loop = EventLoop::new();
        event_loop.warn_slower_than(Duration::ZERO);
        let scheduled = line!() + 1;
        event_loop.call_soon(|| {
            let begin = Instant::now();
            // Until the clock has moved on: that is more than no time.
            while begin.elapsed().is_zero() {}
        });
        event_loop.run_until_idle();
        let (deferred, promise) = Deferred::<u32>::new();
        promise.always(|_| panic!("in a drop"));
        drop(deferred);
        set_unhandled_hook(None);
        assert_eq!(log.text(), format!("{scheduled} in a drop:true"));
    });
    assert!(stderr.is_none_or(|stderr| lines(&stderr).is_empty()));
}

/// G10: what is told of a rejection, as data.
#[test]
fn a_rejection_is_told_as_data() {
    let stderr = in_child("a_rejection_is_told_as_data", || {
        struct Code(u32);
        impl From<Broken> for Code {
            fn from(_: Broken) -> Self {
                Code(0)
            }
        }
        let log = Log::new();
        let entries = log.clone();
        set_unhandled_hook(Some(Arc::new(move |lost| {
            let Unhandled::Rejection { error, debug, type_name, origin, rejected_at, .. } = lost else { panic!() };
            let code = error.downcast_ref::<Code>().map(|code| code.0);
            let site = rejected_at.map(Location::line);
            entries.add(format!("{code:?}/{debug:?}/{}/{}/{site:?}", type_name.ends_with("Code"), origin.line()));
        })));
        let made = line!() + 1;
        let (deferred, promise) = Deferred::<u32, Code>::new();
        deferred.reject(Code(7));
        drop((deferred, promise));
        drop(Promise::<u32, std::io::Error>::rejected(std::io::Error::other("x")));
        set_unhandled_hook(None);
        let site = |line| if cfg!(debug_assertions) { format!("Some({line})") } else { "None".to_owned() };
        let other = r#"Some(Custom { kind: Other, error: "x" })"#;
        assert_eq!(
            log.text(),
            format!("Some(7)/None/true/{made}/{} None/{other}/false/{}/{}", site(made + 1), made + 3, site(made + 3))
        );
    });
    assert!(stderr.is_none_or(|stderr| lines(&stderr).is_empty()));
}

/// G10: a watch hears what is lost on its thread, the innermost first, and nobody else does; other threads are not watched.
#[test]
fn a_watch_is_of_its_thread() {
    let stderr = in_child("a_watch_is_of_its_thread", || {
        let log = Log::new();
        set_unhandled_hook(logs("hook", &log));
        let outer = testing::watch();
        lose("outer");
        {
            let inner = testing::watch();
            lose("inner");
            thread::spawn(|| lose("elsewhere")).join().unwrap();
            assert_eq!(inner.take().len(), 1);
            assert_eq!(inner.take(), [""; 0]);
        }
        lose("outer again");
        assert_eq!(outer.take().len(), 2);
        drop(outer);
        lose("unwatched");
        set_unhandled_hook(None);
        assert_eq!(log.text(), "hook:elsewhere hook:unwatched");
    });
    assert!(stderr.is_none_or(|stderr| lines(&stderr).is_empty()));
}

/// G10: a watch fails the test, and says what was lost; while the thread unwinds it panics no second time.
#[test]
fn a_watch_fails_the_test() {
    let text = panic_of(|| {
        let _watch = testing::watch();
        lose("the first");
        let (deferred, promise) = Deferred::<u32>::new();
        let all = when([promise]).fail(|_| ());
        drop(deferred);
        drop(all);
    });
    let mut told = text.lines();
    assert_eq!(told.next(), Some("lost in the scope of `deferral::testing::watch`:"));
    assert!(told.next().unwrap().contains("the first"), "{text}");
    assert!(told.next().unwrap().contains("was abandoned"), "{text}");
    assert_eq!(told.next(), None);

    let text = panic_of(|| {
        let _watch = testing::watch();
        lose("the first");
        panic!("the test's own");
    });
    assert_eq!(text, "the test's own");
    drop(testing::watch());
}

/// G10: what is lost in the destructor of a thread-local, at the end of the thread, is told as ever.
#[test]
fn a_loss_at_the_end_of_a_thread_is_told() {
    let stderr = in_child("a_loss_at_the_end_of_a_thread_is_told", || {
        let log = Log::new();
        set_unhandled_hook(logs("hook", &log));
        thread::spawn(|| {
            thread_local! {
                static KEPT: std::cell::RefCell<Option<Promise<u32, String>>> = const { std::cell::RefCell::new(None) };
            }
            KEPT.set(Some(Promise::rejected("late".to_owned())));
            let _watch = testing::watch();
        })
        .join()
        .unwrap();
        set_unhandled_hook(None);
        assert_eq!(log.text(), "hook:late");
    });
    assert!(stderr.is_none_or(|stderr| lines(&stderr).is_empty()));
}

/// G10, U10: a detached task whose result is flattened has its error reported, and its panic in any case.
#[test]
fn the_failure_of_a_detached_task_is_reported() {
    let watch = testing::watch();
    let event_loop = EventLoop::new();
    drop(event_loop.spawn(async { Err::<u32, _>("no disk".to_owned()) }).flatten());
    drop(event_loop.handle().spawn(async { Err::<u32, _>("no net".to_owned()) }).flatten());
    drop(event_loop.call_soon(|| -> u32 { panic!("no paper") }));
    event_loop.run_until_idle();
    let lost = watch.take();
    let has = |text| lost.iter().filter(|line| line.contains(text)).count();
    assert_eq!([has("no disk"), has("no net"), has("no paper"), lost.len()], [1, 1, 1, 3], "{lost:?}");
}

/// G10: the excuse of a cancel and of a closed loop goes with the error through `via` and `into_local`, and an error that is none is
/// reported at the end of them.
#[test]
fn errors_answer_for_themselves_across_loops() {
    let watch = testing::watch();
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    let source = |reject: bool| {
        let (deferred, promise) = Deferred::<u32, String>::new();
        if reject {
            deferred.reject("no net".to_owned());
        } else {
            promise.cancel();
        }
        promise
    };
    for reject in [false, true] {
        let promise = source(reject);
        drop(promise.clone().via(&handle).then(Ok));
        event_loop.run_until_complete(async { drop(promise.into_local().then(Ok)) });
        event_loop.run_until_idle();
        let lost = watch.take();
        assert_eq!(lost.len(), if reject { 2 } else { 0 }, "{lost:?}");
    }
    let (_deferred, promise) = Deferred::<u32, String>::new();
    let derived = promise.via(&handle).then(Ok);
    drop(event_loop);
    drop(derived);
    assert_eq!(watch.take(), [""; 0]);
}
