//! Sockets, as the tests use them.

use crate::util::watchdog;
use async_io::Async;
use deferral::State;
use futures::{AsyncReadExt, AsyncWriteExt};
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle, ThreadId};

/// A listener on loopback, and its address.
pub(crate) fn listen() -> (Async<TcpListener>, SocketAddr) {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    (listener, address)
}

/// A connection: the loop's end, and one that blocks.
pub(crate) fn pair() -> (Async<TcpStream>, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_nodelay(true).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nodelay(true).unwrap();
    (Async::new(ours).unwrap(), theirs)
}

/// A thread that sends back each byte, until the other end is closed.
pub(crate) fn echo(mut stream: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut byte = [0];
        while matches!(stream.read(&mut byte), Ok(1)) {
            stream.write_all(&byte).unwrap();
        }
    })
}

/// Sends a byte and awaits it, through the reactor in any case: whoever asks it finds nothing ready at first.
pub(crate) async fn round_trip(stream: &mut Async<TcpStream>) -> io::Result<()> {
    let mut byte = [7];
    stream.write_all(&byte).await?;
    byte = [0];
    stream.readable().await?;
    stream.read_exact(&mut byte).await?;
    assert_eq!(byte, [7]);
    Ok(())
}

/// Which threads woke a future.
#[derive(Default)]
pub(crate) struct Wakers(Mutex<Vec<ThreadId>>);

impl Wakers {
    pub(crate) fn add(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }

    /// How many times this thread did.
    pub(crate) fn own(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|id| **id == thread::current().id()).count()
    }
}

/// What a waker calls, and then wakes the one inside.
pub(crate) struct Tap<F: Fn() + Send + Sync> {
    pub(crate) waker: Waker,
    pub(crate) f: F,
}

impl<F: Fn() + Send + Sync> std::task::Wake for Tap<F> {
    fn wake(self: std::sync::Arc<Self>) {
        (self.f)();
        self.waker.wake_by_ref();
    }
}

/// Awaits `future` with a waker that calls `f` first.
pub(crate) async fn tapped<T>(
    mut future: impl Future<Output = T> + Unpin,
    f: impl Fn() + Send + Sync + Clone + 'static,
) -> T {
    poll_fn(|cx| {
        let tap = Tap { waker: cx.waker().clone(), f: f.clone() };
        std::pin::Pin::new(&mut future).poll(&mut Context::from_waker(&Waker::from(std::sync::Arc::new(tap))))
    })
    .await
}

/// Pending once, and woken at once.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How many descriptors this process has open.
#[cfg(target_os = "linux")]
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs the test `name` in a process of its own: the reactor belongs to a process, and so do the descriptors.
pub(crate) fn alone(name: &str, f: impl FnOnce() + Send + 'static) {
    const ALONE: &str = "DEFERRAL_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return watchdog(f);
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--exact", name]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Whether a promise is settled.
pub(crate) fn is_settled(state: State) -> bool {
    state != State::Pending
}
