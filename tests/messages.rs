//! What the compiler tells who mixes up the flavors, or sends what stays on its thread: the remedy, and what is at fault.
//!
//! Each program is given to the compiler together with the library that this test was built with. Of what the compiler says only this
//! crate's own sentences are held, and the names of the types at fault: its words around them change from release to release, and
//! with them every line number, which is why no whole text is compared. Each remedy is compiled, too: what a message proposes works.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// To who gives a thread-safe promise what is not `Send`.
const TAKE_LOCAL: &str = "not `Send`? Take `deferral::local`, or `into_local()` first";
/// To who sends a local end to another thread.
const STAYS: &str = "see `deferral::local`";
/// To who awaits what is local in a future for the loop of another thread.
const CURRENT: &str = "no local promise: in it take `current().sleep(..)` for `sleep(..)`";
/// To who mixes the flavors.
const OTHER_FLAVOR: &str = "a thread-safe promise becomes a local one by `into_local()`";

/// The library that this test is linked to: the newest of those beside it.
fn library() -> PathBuf {
    let test = env::current_exe().unwrap();
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libdeferral-") && name.ends_with(".rlib")
    };
    let beside = fs::read_dir(test.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let age = |path: &PathBuf| path.metadata().unwrap().modified().unwrap();
    beside.filter(is_library).max_by_key(age).expect("the library stands beside its tests")
}

/// Compiles a program without running it. Returns whether it is one, and what the compiler says.
fn compile(name: &str, program: &str) -> (bool, String) {
    let library = library();
    let library_of = |prefix: &str, path: &Path| {
        let mut argument = OsString::from(prefix);
        argument.push(path);
        argument
    };
    let mut compiler = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--edition=2024", "--emit=metadata", "--cap-lints=allow", "--diagnostic-width=240", "--out-dir"])
        .args([env!("CARGO_TARGET_TMPDIR"), "--crate-name", name, "-L"])
        .arg(library_of("dependency=", library.parent().unwrap()))
        .args([OsString::from("--extern"), library_of("deferral=", &library), "-".into()])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the compiler starts");
    compiler.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let output = compiler.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// A program that is none, all that its message has to say, and the program that the message asks for.
#[track_caller]
fn teaches(name: &str, faulty: &str, says: &[&str], mended: &str) {
    let program = |body| format!("{PRELUDE}fn main() {{ {body} }}");
    let (compiled, said) = compile(name, &program(faulty));
    assert!(!compiled, "this compiles: {faulty}");
    for text in says {
        assert!(said.contains(text), "the compiler does not say \"{text}\", but:\n{said}");
    }
    let (compiled, said) = compile(name, &program(mended));
    assert!(compiled, "the remedy does not compile: {mended}\n{said}");
}

const PRELUDE: &str = "
use deferral::{Broken, Deferred, EventLoop, Promise, current, local, sleep, spawn, timeout, when};
use std::{cell::RefCell, rc::Rc, thread, time::Duration};
fn spawn_anywhere<F: Future<Output: Send> + Send + 'static>(_: F) {}
fn fetch() -> Promise<u32> { Promise::resolved(1) }
fn fetch_here() -> local::Promise<u32> { Promise::resolved(1) }
";

const THREADED: &str = "let (deferred, promise) = Deferred::<u32>::new();";
const LOCAL: &str = "let (deferred, promise) = local::Deferred::<u32>::new();";

/// An `Rc` in a callback of a thread-safe promise: whatever the callback is for, the compiler names the type of what it captures, and
/// the line of ours names the other flavor, which takes the callback as it is.
#[test]
fn an_rc_in_a_callback() {
    let callbacks = [
        ("done", "promise.done(move |n| *label.borrow_mut() = n.to_string());"),
        ("fail", "promise.fail(move |broken| *label.borrow_mut() = broken.to_string());"),
        ("always", "promise.always(move |end| *label.borrow_mut() = format!(\"{end:?}\"));"),
        ("progress", "promise.progress(move |p| *label.borrow_mut() = p.done.to_string());"),
        ("then", "let _ = promise.then(move |n| { *label.borrow_mut() = n.to_string(); Ok(n) });"),
        ("catch", "let _ = promise.catch(move |_| { label.take(); Ok(0) });"),
        ("map_err", "let _ = promise.map_err(move |_| label.take());"),
        ("deferred_done", "deferred.done(move |n| *label.borrow_mut() = n.to_string());"),
        ("deferred_progress", "deferred.progress(move |p| *label.borrow_mut() = p.done.to_string());"),
        ("on_cancel", "deferred.on_cancel(move || drop(label.take()));"),
    ];
    let label = "let label = Rc::new(RefCell::new(String::new()));";
    for (name, callback) in callbacks {
        let [faulty, mended] = [THREADED, LOCAL].map(|pair| format!("{label} {pair} {callback}"));
        let says = ["`Rc<RefCell<String>>` cannot be sent between threads safely", "{closure@", TAKE_LOCAL];
        teaches(&format!("callback_{name}"), &faulty, &says, &mended);
    }
}

/// The other remedy of the same message: another thread settles, and the callback runs on the loop of this one.
#[test]
fn an_rc_behind_into_local() {
    let label = "let label = Rc::new(RefCell::new(String::new()));";
    let faulty = format!("{label} {THREADED} promise.done(move |n| *label.borrow_mut() = n.to_string());");
    let mended = format!(
        "{label} {THREADED} thread::spawn(move || deferred.resolve(1));
        EventLoop::new().run_until_complete(async {{
            promise.into_local().done(move |n| *label.borrow_mut() = n.to_string()).await
        }}).unwrap();"
    );
    teaches("into_local", &faulty, &["`Rc<RefCell<String>>`", "`into_local()`"], &mended);
}

/// A function of `when::map`, too, may run on any thread.
#[test]
fn an_rc_in_a_map() {
    let map = |promise| {
        format!("let shared = Rc::new(1); when::map([1], 1, move |n: u32| {promise}::<u32>::resolved(n + *shared));")
    };
    teaches(
        "map",
        &map("Promise"),
        &["`Rc<u32>` cannot be sent between threads safely", "{closure@", TAKE_LOCAL],
        &map("local::Promise"),
    );
}

/// A continuation of a thread-safe promise may capture nothing, and still make what is not `Send`.
#[test]
fn an_rc_as_the_value_of_a_continuation() {
    let [faulty, mended] = [THREADED, LOCAL].map(|pair| format!("{pair} let _ = promise.then(|n| Ok(Rc::new(n)));"));
    teaches("value", &faulty, &["`Rc<u32>` cannot be sent between threads safely", TAKE_LOCAL], &mended);
}

/// A local end in another thread's closure.
#[test]
fn a_local_end_that_is_sent() {
    let cannot = "a `deferral::local` promise or deferred cannot be sent between threads";
    let waits = "thread::spawn(move || drop(promise)); deferred.resolve(1);";
    teaches(
        "sent_promise",
        &format!("{LOCAL} {waits}"),
        &[cannot, "`Promise<u32, Broken, Progress, Local>`", STAYS],
        &format!("{THREADED} {waits}"),
    );
    let settles = "thread::spawn(move || deferred.resolve(1));";
    teaches(
        "sent_deferred",
        &format!("{LOCAL} {settles} promise.done(|n| println!(\"{{n}}\"));"),
        &[cannot, "`Deferred<u32, Broken, Progress, Local>`", STAYS],
        &format!("{THREADED} {settles} let _ = async {{ promise.into_local().done(|n| println!(\"{{n}}\")).await }};"),
    );
    let captured = "promise.done(move |n| { other.resolve(*n); });";
    teaches(
        "captured_deferred",
        &format!("let (other, _) = local::Deferred::<u32>::new(); {THREADED} {captured}"),
        &[cannot, "`Deferred<u32, Broken, Progress, Local>`", STAYS, TAKE_LOCAL],
        &format!("let (other, _) = local::Deferred::<u32>::new(); {LOCAL} {captured}"),
    );
}

/// A local end in a future for other threads: here the compiler names the variable, and says more than we could.
#[test]
fn a_local_end_in_a_future_that_is_sent() {
    let cannot = "future cannot be sent between threads safely";
    let faulty = format!("{LOCAL} spawn_anywhere(async move {{ promise.await }});");
    let mended = format!("{THREADED} spawn_anywhere(async move {{ promise.await }});");
    let says = [cannot, "type `Promise<u32, Broken, Progress, Local>`", "which is not `Send`"];
    teaches("awaited", &faulty, &says, &mended);

    let late = "spawn_anywhere(async move { fetch().await.unwrap(); deferred.resolve(1) });";
    let says = [
        cannot,
        "captured value is not `Send`",
        "has type `Deferred<u32, Broken, Progress, Local>` which is not `Send`",
    ];
    teaches("captured", &format!("{LOCAL} {late}"), &says, &format!("{THREADED} {late}"));
}

/// What is local, in a future for the loop of another thread.
#[test]
fn a_local_promise_in_a_future_for_a_handle() {
    let spawned = |future: &str| format!("let _ = EventLoop::new().handle().spawn(async move {{ {future}.await }});");
    let second = "Duration::from_secs(1)";
    let faults = [
        ("sleep", format!("sleep({second})"), format!("current().sleep({second})")),
        ("spawn", "spawn(async { 1 })".to_owned(), "current().spawn(async { 1 })".to_owned()),
        ("timeout", format!("timeout({second}, fetch_here())"), format!("current().timeout({second}, fetch())")),
    ];
    for (name, faulty, mended) in faults {
        teaches(
            &format!("handle_{name}"),
            &spawned(&faulty),
            &["Local>`, which is not `Send`", CURRENT],
            &spawned(&mended),
        );
    }
}

/// A continuation that returns a promise of the other flavor.
#[test]
fn the_other_flavor_in_a_continuation() {
    teaches(
        "local_in_threaded",
        &format!("{THREADED} let _ = promise.then(|_| fetch_here());"),
        &[
            "`Promise<u32, Broken, Progress, Local>` is neither a `Result` nor a promise of the `Threaded` flavor",
            OTHER_FLAVOR,
        ],
        &format!("{THREADED} let _ = || promise.into_local().then(|_| fetch_here());"),
    );
    teaches(
        "threaded_in_local",
        &format!("{LOCAL} let _ = promise.then(|_| fetch());"),
        &["`Promise<u32>` is neither a `Result` nor a promise of the `Local` flavor", OTHER_FLAVOR],
        &format!("{LOCAL} let _ = || promise.then(|_| fetch().into_local());"),
    );
}

/// A continuation that returns a bare value.
#[test]
fn a_bare_value_of_a_continuation() {
    teaches(
        "bare_value",
        &format!("{THREADED} let _ = promise.then(|n| n + 1);"),
        &["`u32` is neither a `Result` nor a promise", "it may be `Ok(value)`, `Err(error)` or a promise"],
        &format!("{THREADED} let _ = promise.then(|n| Ok(n + 1));"),
    );
}

/// An aggregate of both flavors.
#[test]
fn both_flavors_in_an_aggregate() {
    teaches(
        "mixed",
        "when((fetch(), fetch_here())).done(|(a, b)| println!(\"{}\", a + b));",
        &["`Promise<u32, Broken, Progress, Local>` is neither", OTHER_FLAVOR],
        "let _ = || when((fetch().into_local(), fetch_here())).done(|(a, b)| println!(\"{}\", a + b));",
    );
}

/// Something that is no flavor, in generic code.
#[test]
fn no_flavor() {
    let function =
        |flavor| format!("fn of(promise: Promise<u32, Broken, deferral::Progress, {flavor}>) {{ drop(promise); }}");
    teaches(
        "flavor",
        &function("String"),
        &["`String` is not a flavor of promises"],
        &function("deferral::flavor::Local"),
    );
}

/// Waiting for a local promise: the compiler's own text names both flavors.
#[test]
fn a_wait_for_a_local_promise() {
    teaches(
        "wait",
        &format!("{LOCAL} let _ = promise.wait();"),
        &["no method named `wait` found for struct `Promise<u32, Broken, Progress, Local>`", "`Promise<T, E, P>`"],
        &format!("{LOCAL} let _ = EventLoop::new().run_until_complete(promise);"),
    );
}
