//! What brings one value from one end to the other, behind one face: the workloads are written once. The face is inlined, so that it costs
//! nobody anything.

use std::fmt::Debug;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};

use deferral::{Broken, Deferred, Promise, local};

pub trait Oneshot: 'static {
    type Sender;
    type Receiver: Future<Output = Result<u64, Self::Error>> + Unpin;
    type Error: Debug;

    fn pair() -> (Self::Sender, Self::Receiver);

    /// Nothing is left of the sender.
    fn send(sender: Self::Sender, value: u64);
}

/// Polls once, with a waker that costs what it costs with an executor that counts its tasks.
// A static, and not of the thread: what comes out of a `with` is moved once more.
#[inline(always)]
pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    static WAKER: LazyLock<Waker> = LazyLock::new(|| Waker::from(Arc::new(Nothing)));
    Pin::new(future).poll(&mut Context::from_waker(&WAKER))
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
    fn wake_by_ref(self: &Arc<Self>) {}
}

/// This crate.
pub struct Ours;

impl Oneshot for Ours {
    type Sender = Deferred<u64>;
    type Receiver = Promise<u64>;
    type Error = Broken;

    fn pair() -> (Self::Sender, Self::Receiver) {
        Deferred::new()
    }

    #[inline(always)]
    fn send(sender: Self::Sender, value: u64) {
        assert!(sender.resolve(value));
    }
}

/// This crate, on one thread.
pub struct Local;

impl Oneshot for Local {
    type Sender = local::Deferred<u64>;
    type Receiver = local::Promise<u64>;
    type Error = Broken;

    fn pair() -> (Self::Sender, Self::Receiver) {
        local::Deferred::new()
    }

    #[inline(always)]
    fn send(sender: Self::Sender, value: u64) {
        assert!(sender.resolve(value));
    }
}

#[inline(always)]
fn sent<S>(sender: S, value: u64, send: impl FnOnce(S, u64) -> bool) {
    assert!(send(sender, value));
}

/// Channels of other crates: how each makes a pair, and how it sends.
macro_rules! channels {
    ($($(#[$doc:meta])* $name:ident: $sender:ty, $receiver:ty, $error:ty, $pair:expr, $send:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Oneshot for $name {
            type Sender = $sender;
            type Receiver = $receiver;
            type Error = $error;

            fn pair() -> (Self::Sender, Self::Receiver) {
                $pair
            }

            #[inline(always)]
            fn send(sender: Self::Sender, value: u64) {
                sent(sender, value, $send);
            }
        }
    )*};
}

channels! {
    /// `oneshot`.
    Plain: oneshot::Sender<u64>, <oneshot::Receiver<u64> as IntoFuture>::IntoFuture, oneshot::RecvError,
        oneshot::async_channel(), |sender, value| sender.send(value).is_ok();
    /// `tokio`.
    Tokio: tokio::sync::oneshot::Sender<u64>, tokio::sync::oneshot::Receiver<u64>, tokio::sync::oneshot::error::RecvError,
        tokio::sync::oneshot::channel(), |sender, value| sender.send(value).is_ok();
    /// `futures`.
    Futures: futures::channel::oneshot::Sender<u64>, futures::channel::oneshot::Receiver<u64>, futures::channel::oneshot::Canceled,
        futures::channel::oneshot::channel(), |sender, value| sender.send(value).is_ok();
    /// `async-oneshot`.
    Async: async_oneshot::Sender<u64>, async_oneshot::Receiver<u64>, async_oneshot::Closed,
        async_oneshot::oneshot(), |mut sender, value| sender.send(value).is_ok();
    /// `catty`.
    Catty: catty::Sender<u64>, catty::Receiver<u64>, catty::Disconnected,
        catty::oneshot(), |sender, value| sender.send(value).is_ok();
    /// `local-sync`, on one thread.
    LocalSync: local_sync::oneshot::Sender<u64>, local_sync::oneshot::Receiver<u64>, local_sync::oneshot::error::RecvError,
        local_sync::oneshot::channel(), |sender, value| sender.send(value).is_ok();
}
