//! A loop with a host: `turn` looks at the reactor, `on_wake` tells of what it brings between turns.

use crate::sockets::{echo, is_settled, pair, round_trip};
use crate::util::watchdog;
use deferral::EventLoop;
use futures::AsyncReadExt;
use std::io::Write;
use std::thread;

/// G7: a host that sleeps until it is told misses no socket.
#[test]
fn a_host_that_sleeps_hears_of_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let host = thread::current();
        event_loop.on_wake(move || host.unpark());
        let (mut ours, theirs) = pair();
        let echo = echo(theirs);
        let task = event_loop.spawn(async move {
            for _ in 0..1000 {
                round_trip(&mut ours).await.unwrap();
            }
        });
        loop {
            let turn = event_loop.turn();
            if is_settled(task.state()) {
                break;
            }
            match turn.timeout() {
                Some(timeout) => thread::park_timeout(timeout),
                None => thread::park(),
            }
        }
        echo.join().unwrap();
    });
}

/// A turn waits for nothing, and says that nothing is due.
#[test]
fn a_turn_does_not_wait_for_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, mut theirs) = pair();
        let task = event_loop.spawn(async move { ours.read_exact(&mut [0]).await.unwrap() });
        assert_eq!(event_loop.turn().ran, 1);
        for _ in 0..10 {
            let turn = event_loop.turn();
            assert_eq!((turn.ran, turn.ready, turn.timer), (0, false, None));
        }
        theirs.write_all(&[1]).unwrap();
        // Turns that find the reactor in other hands do nothing; one of them finds the task woken.
        while !is_settled(task.state()) {
            let _ = event_loop.turn();
        }
    });
}

/// G11: a host that has turn after turn something to do sees sockets in between.
#[test]
fn a_busy_host_sees_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&[1]).unwrap();
        let task = event_loop.spawn(async move { ours.read_exact(&mut [0]).await.unwrap() });
        while !is_settled(task.state()) {
            event_loop.call_soon(|| ());
            assert!(event_loop.turn().ran > 0);
        }
    });
}
