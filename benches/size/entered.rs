//! What `measure.py` runs under callgrind: three functions, each of which settles one value of a `u64`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use deferral::Deferred;
use tokio::sync::oneshot;

#[inline(never)]
fn resolve_with_done(deferred: &Deferred<u64>) {
    deferred.resolve(7);
}

#[inline(never)]
fn resolve_with_done_and_then(deferred: &Deferred<u64>) {
    deferred.resolve(7);
}

#[inline(never)]
fn send_to_a_waker(sender: oneshot::Sender<u64>) {
    sender.send(7).expect("the receiver is there");
}

struct Silent;

impl Wake for Silent {
    fn wake(self: Arc<Self>) {}
}

fn main() {
    let (deferred, promise) = Deferred::<u64>::new();
    let promise = promise.done(|value| assert_eq!(*value, 7));
    resolve_with_done(&deferred);
    drop(promise);

    let (deferred, promise) = Deferred::<u64>::new();
    let promise = promise.done(|value| assert_eq!(*value, 7)).then(|value| Ok(value + 1));
    resolve_with_done_and_then(&deferred);
    drop(promise);

    let (sender, mut receiver) = oneshot::channel();
    let waker = Waker::from(Arc::new(Silent));
    assert!(Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker)).is_pending());
    send_to_a_waker(sender);
}
