//! The loop inside a real foreign one: `calloop` owns the thread, and drives ours as two of its event sources.
//!
//! This is how any host with callbacks does it. A ping, or what the host has in its place, is what `on_wake` sends; one timer of the
//! host's stands for all of ours; and the callback of either makes a turn and looks at what it says.

#![cfg(unix)]

use calloop::channel::{Event, channel};
use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{LoopHandle, LoopSignal, RegistrationToken};
use deferral::{Deferred, EventLoop, current, local, sleep, when};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// The host's data: what its callbacks see.
struct App {
    host: LoopHandle<'static, App>,
    stop: LoopSignal,
    event_loop: Rc<EventLoop>,
    ping: Ping,
    /// The host's timer that stands for the next of ours.
    timer: Option<RegistrationToken>,
    /// How often the loop pinged the host.
    wakes: Arc<AtomicUsize>,
    /// How often the host pinged itself.
    again: usize,
    turns: usize,
    ran: usize,
}

impl App {
    /// A host, and our loop in it.
    fn new() -> (calloop::EventLoop<'static, App>, App) {
        let host = calloop::EventLoop::<App>::try_new().unwrap();
        let (ping, pings) = make_ping().unwrap();
        host.handle().insert_source(pings, |(), (), app| app.turn()).unwrap();
        let (event_loop, wakes) = (Rc::new(EventLoop::new()), Arc::new(AtomicUsize::new(0)));
        let (wake, count) = (ping.clone(), wakes.clone());
        event_loop.on_wake(move || {
            count.fetch_add(1, Ordering::SeqCst);
            wake.ping();
        });
        let (handle, stop) = (host.handle(), host.get_signal());
        (host, App { host: handle, stop, event_loop, ping, timer: None, wakes, again: 0, turns: 0, ran: 0 })
    }

    /// All that a host has to do.
    fn turn(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.host.remove(timer);
        }
        let turn = self.event_loop.turn();
        if turn.ready {
            self.again += 1;
            self.ping.ping();
        } else if let Some(left) = turn.timer {
            let due = |_, _: &mut (), app: &mut App| {
                app.timer = None;
                app.turn();
                TimeoutAction::Drop
            };
            self.timer = Some(self.host.insert_source(Timer::from_duration(left), due).unwrap());
        }
        self.turns += 1;
        self.ran += turn.ran;
    }

    /// A host that polls, or a timer that comes too early, would make more turns than there are things to run and pings.
    #[track_caller]
    fn did_not_poll(&self) {
        let pings = self.again + self.wakes.load(Ordering::SeqCst);
        assert!(self.turns <= self.ran + pings, "{} turns for {} runs and {pings} pings", self.turns, self.ran);
    }
}

/// Runs a test on a thread of its own, and fails it if it does not end.
fn watchdog(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    let hangs = ended.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout);
    assert!(!hangs, "the test hangs");
    if let Err(payload) = thread.join() {
        std::panic::resume_unwind(payload);
    }
}

/// A task that waits for our timer, for a thread, for a timer of the host's and for a channel of the host's, one after the other, goes
/// on each time: a host that sleeps misses nothing.
#[test]
fn what_comes_from_every_side_arrives() {
    watchdog(|| {
        let (mut host, mut app) = App::new();
        let (from_thread, thread_says) = Deferred::<&str>::new();
        let (from_timer, timer_says) = local::Deferred::<&str>::new();
        let (from_channel, channel_says) = local::Deferred::<&str>::new();
        let (sender, messages) = channel();
        let tell = move |event, _: &mut (), _: &mut App| {
            if let Event::Msg(message) = event {
                from_channel.resolve(message);
            }
        };
        app.host.insert_source(messages, tell).unwrap();

        let log = Rc::new(RefCell::new(Vec::new()));
        let (seen, handle, stop) = (log.clone(), app.host.clone(), app.stop.clone());
        app.event_loop.spawn(async move {
            let add = |entry| seen.borrow_mut().push(entry);
            sleep(Duration::from_millis(3)).await.unwrap();
            add("our timer");
            let thread = thread::spawn(move || from_thread.resolve("a thread"));
            add(thread_says.await.unwrap());
            assert!(thread.join().unwrap());
            let settle = move |_, _: &mut (), _: &mut App| {
                from_timer.resolve("the host's timer");
                TimeoutAction::Drop
            };
            handle.insert_source(Timer::from_duration(Duration::from_millis(2)), settle).unwrap();
            add(timer_says.await.unwrap());
            let thread = thread::spawn(move || sender.send("the host's channel"));
            add(channel_says.await.unwrap());
            thread.join().unwrap().unwrap();
            let spawned = when((1..=3).map(|n| current().call_soon(move || n)).collect::<Vec<_>>());
            assert_eq!(spawned.await.unwrap(), [1, 2, 3]);
            add("our calls");
            stop.stop();
        });
        host.run(None, &mut app, |_| ()).unwrap();
        let expected = ["our timer", "a thread", "the host's timer", "the host's channel", "our calls"];
        assert_eq!(*log.borrow(), expected);
        app.did_not_poll();
    });
}

/// Four threads, each of which waits for its echo before it goes on: a wake-up that got lost would hang.
#[test]
fn no_wake_is_lost() {
    const ECHOES: u32 = 2_000;
    watchdog(|| {
        let (mut host, mut app) = App::new();
        let (left, stop) = (Arc::new(AtomicUsize::new(4)), app.stop.clone());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handle, left, stop) = (app.event_loop.handle(), left.clone(), stop.clone());
                thread::spawn(move || {
                    for n in 0..ECHOES {
                        let echo = match n % 3 {
                            0 => handle.call_soon(move || n),
                            1 => handle.spawn(async move { n }),
                            _ => handle.call_later(Duration::from_micros(50), move || n),
                        };
                        assert_eq!(echo.wait().unwrap(), n);
                    }
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        stop.stop();
                        stop.wakeup();
                    }
                })
            })
            .collect();
        host.run(None, &mut app, |_| ()).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(app.ran, 4 * ECHOES as usize);
        app.did_not_poll();
    });
}

/// A callback opens a dialog, which runs a loop of the host's until it is answered, and asks our loop for turns: it is told "later",
/// sleeps all the same, and what came meanwhile runs when the dialog has closed.
#[test]
fn a_modal_dialog() {
    watchdog(|| {
        let (mut host, mut app) = App::new();
        let (event_loop, stop) = (app.event_loop.clone(), app.stop.clone());
        let log = Rc::new(RefCell::new(Vec::new()));
        let entries = log.clone();
        let guest = event_loop.clone();
        event_loop.call_soon(move || {
            let mut dialog = calloop::EventLoop::<bool>::try_new().unwrap();
            let answer = |_, _: &mut (), answered: &mut bool| {
                *answered = true;
                TimeoutAction::Drop
            };
            dialog.handle().insert_source(Timer::from_duration(Duration::from_millis(5)), answer).unwrap();
            let entry = entries.clone();
            guest.call_soon(move || entry.borrow_mut().push("from the dialog"));
            let handle = guest.handle();
            let afar = thread::spawn(move || drop(handle.call_later(Duration::from_millis(1), || ())));
            let (mut answered, mut nested) = (false, 0);
            while !answered {
                let turn = guest.turn();
                assert!(turn.nested);
                nested += 1;
                dialog.dispatch(turn.timeout(), &mut answered).unwrap();
            }
            afar.join().unwrap();
            assert_eq!(nested, 1);
            entries.borrow_mut().push("answered");
        });
        let end = log.clone();
        event_loop.spawn(poll_fn(move |cx| {
            if end.borrow().len() < 2 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            end.borrow_mut().push("end");
            stop.stop();
            Poll::Ready(())
        }));
        host.run(None, &mut app, |_| ()).unwrap();
        assert_eq!(*log.borrow(), ["answered", "from the dialog", "end"]);
        app.did_not_poll();
    });
}

/// The loop goes while the host runs on: wakes of its handles reach nobody, and hurt nobody.
#[test]
fn a_loop_that_goes_before_its_host() {
    watchdog(|| {
        let (mut host, mut app) = App::new();
        let handle = app.event_loop.handle();
        app.event_loop = Rc::new(EventLoop::new());
        let thread = thread::spawn(move || handle.call_soon(|| ()).wait().is_err());
        assert!(thread.join().unwrap());
        host.dispatch(Duration::ZERO, &mut app).unwrap();
        assert_eq!((app.turns, app.wakes.load(Ordering::SeqCst)), (0, 0));
    });
}
