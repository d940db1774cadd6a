//! Timers: a million made and fired, a million made and canceled.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use deferral::{EventLoop, local};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Sleep, sleep_until};
use tokio_util::time::DelayQueue;

use super::{Clock, Contestant, Limit, OURS, Operation, Round, random};

const TIMERS: u64 = 1_000_000;

pub const MAKE_AND_FIRE: Operation = Operation {
    name: "timer, made and fired, per timer, 1,000,000 at once",
    count: TIMERS,
    clock: Clock::Cpu,
    limit: Limit::new(0.7, "tokio Sleep"),
    contestants: &[
        Contestant::new(OURS, fire_deferral),
        Contestant::new("tokio Sleep", fire_sleep),
        Contestant::new("DelayQueue", fire_delay_queue),
    ],
};

pub const MAKE_AND_CANCEL: Operation = Operation {
    name: "timer, made and canceled, per timer, 1,000,000 at once",
    count: TIMERS,
    clock: Clock::Cpu,
    limit: Limit::new(0.7, "DelayQueue"),
    contestants: &[
        Contestant::new(OURS, cancel_deferral),
        Contestant::new("tokio Sleep", cancel_sleep),
        Contestant::new("DelayQueue", cancel_delay_queue),
    ],
};

/// Deadlines in random order.
struct Deadlines {
    offsets: Vec<Duration>,
}

impl Deadlines {
    /// All of them are made before the first is due, and that is soon.
    const LEAD: Duration = Duration::from_secs(1);
    const SPREAD: Duration = Duration::from_millis(100);

    fn soon() -> Self {
        Self::within(Self::LEAD, Self::SPREAD)
    }

    /// Like timeouts, of which hardly any will ever be due.
    fn far() -> Self {
        Self::within(Duration::from_secs(60), Duration::from_secs(3600))
    }

    fn within(lead: Duration, spread: Duration) -> Self {
        let spread = spread.as_nanos() as u64;
        let offset = |random| lead + Duration::from_nanos(random % spread);
        Deadlines { offsets: random().take(TIMERS as usize).map(offset).collect() }
    }

    fn instants(&self) -> impl Iterator<Item = Instant> {
        let now = Instant::now();
        self.offsets.iter().map(move |offset| now + *offset)
    }

    /// What is made is due when this returns: how often an executor wakes up meanwhile is not part of the race.
    fn wait(began: Instant) {
        let end = began + Self::LEAD + Self::SPREAD + Duration::from_millis(2);
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }
}

fn fire_deferral() -> Round {
    let (event_loop, deadlines) = (EventLoop::new(), Deadlines::soon());
    Box::new(move || {
        let began = Instant::now();
        event_loop.run_until_complete(async {
            let make = |deadline| event_loop.call_at(deadline, || ());
            let timers: Vec<local::Promise<()>> = deadlines.instants().map(make).collect();
            Deadlines::wait(began);
            for timer in timers {
                black_box(timer.await.is_ok());
            }
        });
    })
}

fn cancel_deferral() -> Round {
    let (event_loop, deadlines) = (EventLoop::new(), Deadlines::far());
    Box::new(move || {
        event_loop.run_until_complete(async {
            let make = |deadline| event_loop.call_at(deadline, || ());
            let timers: Vec<local::Promise<()>> = deadlines.instants().map(make).collect();
            for timer in timers {
                black_box(timer.cancel());
            }
        });
    })
}

fn tokio_with_timers() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime with a timer")
}

/// A `Sleep` is a timer once it has been polled.
async fn make_sleeps(deadlines: &Deadlines) -> Vec<Pin<Box<Sleep>>> {
    let mut timers: Vec<_> = deadlines.instants().map(|deadline| Box::pin(sleep_until(deadline.into()))).collect();
    poll_fn(|cx| {
        for timer in &mut timers {
            black_box(timer.as_mut().poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    timers
}

fn fire_sleep() -> Round {
    let (runtime, deadlines) = (tokio_with_timers(), Deadlines::soon());
    Box::new(move || {
        let began = Instant::now();
        runtime.block_on(tokio::task::unconstrained(async {
            let timers = make_sleeps(&deadlines).await;
            Deadlines::wait(began);
            for timer in timers {
                timer.await;
            }
        }));
    })
}

fn cancel_sleep() -> Round {
    let (runtime, deadlines) = (tokio_with_timers(), Deadlines::far());
    Box::new(move || {
        runtime.block_on(tokio::task::unconstrained(async {
            drop(make_sleeps(&deadlines).await);
        }));
    })
}

fn fire_delay_queue() -> Round {
    let (runtime, deadlines) = (tokio_with_timers(), Deadlines::soon());
    Box::new(move || {
        let began = Instant::now();
        runtime.block_on(tokio::task::unconstrained(async {
            let mut queue = DelayQueue::new();
            for deadline in deadlines.instants() {
                queue.insert_at((), deadline.into());
            }
            Deadlines::wait(began);
            while let Some(expired) = poll_fn(|cx| queue.poll_expired(cx)).await {
                black_box(expired);
            }
        }));
    })
}

fn cancel_delay_queue() -> Round {
    let (runtime, deadlines) = (tokio_with_timers(), Deadlines::far());
    Box::new(move || {
        runtime.block_on(tokio::task::unconstrained(async {
            let mut queue = DelayQueue::new();
            let keys: Vec<_> = deadlines.instants().map(|deadline| queue.insert_at((), deadline.into())).collect();
            for key in &keys {
                black_box(queue.remove(key));
            }
        }));
    })
}
