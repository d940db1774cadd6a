//! Peers that refuse, vanish or are too slow: an error that says so, no descriptor left open, and a loop that goes on.

use crate::sockets::{alone, listen, pair};
use async_io::Async;
use deferral::{Broken, BrokenKind, EventLoop, timeout, when};
use futures::{AsyncReadExt, AsyncWriteExt};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Runs `f` twice, the first time to have made what a process makes once, and compares what is open before and after the second.
fn leaks_nothing(name: &str, f: fn(&EventLoop)) {
    alone(name, move || {
        let event_loop = EventLoop::new();
        f(&event_loop);
        #[cfg(target_os = "linux")]
        let before = crate::sockets::open_descriptors();
        f(&event_loop);
        #[cfg(target_os = "linux")]
        assert_eq!(crate::sockets::open_descriptors(), before);
        assert_eq!(event_loop.run_until_complete(event_loop.call_soon(|| 1)).unwrap(), 1);
    });
}

/// A connection to a port where nobody listens.
#[test]
fn a_refused_connection() {
    leaks_nothing("failures::a_refused_connection", |event_loop| {
        let (listener, address) = listen();
        drop(listener);
        let refused = event_loop.run_until_complete(Async::<TcpStream>::connect(address));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

/// A client that is gone in the middle of a transfer, while another one is served to the end.
#[test]
fn a_client_that_dies_in_mid_transfer() {
    const SIZE: usize = 16 << 20;
    leaks_nothing("failures::a_client_that_dies_in_mid_transfer", |event_loop| {
        let send = |mut stream: Async<TcpStream>| {
            event_loop.spawn(async move {
                stream.write_all(&vec![0; SIZE]).await?;
                stream.get_ref().shutdown(Shutdown::Write)
            })
        };
        let ((ours, theirs), (healthy, client)) = (pair(), pair());
        let (sent, served) = (send(ours), send(healthy));
        let received = event_loop.spawn(async move {
            let mut theirs = Async::new(theirs).unwrap();
            theirs.read_exact(&mut [0; 1000]).await // and closes
        });
        let read = event_loop.spawn(async move {
            let mut all = Vec::new();
            Async::new(client)?.read_to_end(&mut all).await
        });
        let all = when((sent, served, received, read));
        let (sent, served, received, read) = event_loop.run_until_complete(all).unwrap();
        let error: io::Error = sent.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        received.unwrap();
        served.unwrap();
        assert_eq!(read.unwrap(), SIZE);
    });
}

/// G8: a peer that says nothing until the timeout: the task that waits for it is canceled, and its socket closed.
#[test]
fn a_peer_that_is_too_slow() {
    leaks_nothing("failures::a_peer_that_is_too_slow", |event_loop| {
        let (mut ours, mut theirs) = pair();
        let late = event_loop.run_until_complete(async {
            let answer = deferral::spawn(async move { ours.read(&mut [0]).await.map_err(|error| error.to_string()) });
            timeout(Duration::from_millis(5), answer).await
        });
        let broken: Broken = late.unwrap_err();
        assert_eq!(broken.kind(), BrokenKind::TimedOut);
        assert_eq!(io::Read::read(&mut theirs, &mut [0]).unwrap(), 0, "our end is closed");
    });
}

/// G2, G8: a dropped loop closes the sockets of its tasks.
#[test]
fn a_dropped_loop_closes_its_sockets() {
    leaks_nothing("failures::a_dropped_loop_closes_its_sockets", |_| {
        let event_loop = EventLoop::new();
        let (mut ours, mut theirs) = pair();
        let task = event_loop.spawn(async move { ours.read(&mut [0]).await });
        event_loop.run_until_idle();
        drop(event_loop);
        assert_eq!(futures::executor::block_on(task).unwrap_err().kind(), BrokenKind::LoopClosed);
        assert_eq!(io::Read::read(&mut theirs, &mut [0]).unwrap(), 0);
    });
}
