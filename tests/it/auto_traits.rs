//! What may cross threads and what may be moved: that this compiles is the test. What must not compile stands in the docs.

use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use deferral::dump::Status;
use deferral::{Broken, BrokenKind, Deferred, Dump, EventLoop, Handle, Progress, Promise, State, local};
use futures::future::FusedFuture;

fn shared<T: Send + Sync + Unpin + 'static>() {}
fn movable<T: Unpin + 'static>() {}
fn future<T: FusedFuture + 'static>() {}
fn value<T: Copy + Eq + Hash + Debug + Send + Sync + 'static>() {}
fn cloned<T: Clone>() {}
fn shown<T: Debug>() {}
fn error<T: std::error::Error + Display + Clone + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}

/// A value that may be sent, but neither shared, nor moved when pinned, nor cloned, nor shown.
struct Awkward(#[expect(dead_code)] Cell<u32>, PhantomPinned);

/// G3: both ends are `Send` and `Sync` where value, error and progress are `Send`; `Sync` is not asked of them, as no two threads see
/// a value at once.
#[test]
fn both_ends_cross_threads() {
    shared::<Promise<u32>>();
    shared::<Promise<Cell<u32>>>();
    shared::<Promise<Awkward, Cell<u8>, Cell<u16>>>();
    shared::<Promise<Promise<Awkward>>>();
    shared::<Deferred<Cell<u32>>>();
    shared::<Deferred<Awkward, Cell<u8>, Cell<u16>>>();
    shared::<Handle>();
    shared::<Dump>();
}

/// Nothing in a promise is pinned, whatever its value; it is a fused future, of either flavor.
#[test]
fn a_promise_is_a_movable_future() {
    movable::<local::Promise<Awkward>>();
    movable::<local::Deferred<Rc<PhantomPinned>>>();
    movable::<EventLoop>();
    future::<Promise<Awkward>>();
    future::<local::Promise<Rc<u32>>>();
}

/// G3: a producer is cloned whatever it settles; a promise where value and error can be.
#[test]
fn who_can_be_cloned() {
    cloned::<Deferred<Awkward, Awkward, Awkward>>();
    cloned::<local::Deferred<Awkward>>();
    cloned::<Promise<u32, String, Awkward>>();
    cloned::<local::Promise<Rc<u32>, Rc<str>>>();
    cloned::<Handle>();
    cloned::<Dump>();
}

/// G6: `Debug` asks nothing of the value, as it never looks at it.
#[test]
fn everything_shows_itself() {
    shown::<Promise<Awkward, Awkward, Awkward>>();
    shown::<Deferred<Awkward, Awkward, Awkward>>();
    shown::<local::Promise<Awkward>>();
    shown::<local::Deferred<Awkward>>();
    shown::<(EventLoop, Handle, Dump)>();
}

/// `Broken` is an error like others; state, kind and progress are plain values.
#[test]
fn leaves_are_plain_values() {
    error::<Broken>();
    value::<State>();
    value::<BrokenKind>();
    value::<Progress>();
    value::<Status>();
}

/// The future of an `async` block that awaits a promise may cross threads with it.
#[test]
fn awaiting_it_stays_send() {
    fn send<F: Future + Send>(_: F) {}
    let (_deferred, promise) = Deferred::<Cell<u32>>::new();
    send(async move { promise.await.map(Cell::into_inner) });
    let (_deferred, promise) = Deferred::<Cell<u32>>::new();
    send(promise.then(|cell| Ok(cell.get())));
}
