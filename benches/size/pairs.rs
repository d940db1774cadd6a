//! A program that uses promises of many pairs (T, E): `measure.py` appends one `pairs!` line, with as many of them as it wants.
//!
//! Each pair has types of its own, of sizes of its own, so that no code of one pair can serve another.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use deferral::{Broken, Deferred};

/// What the observers have seen.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// One pair: a value of so many words, an error of so many half words, and a function that makes, chains, observes, awaits and settles.
macro_rules! pair {
    ($name:ident, $words:literal, $halves:literal) => {
        mod $name {
            use super::*;

            pub(super) struct Value([u64; $words]);

            pub(super) enum Error {
                Broken(Broken),
                Said([u32; $halves]),
            }

            impl From<Broken> for Error {
                fn from(broken: Broken) -> Self {
                    Error::Broken(broken)
                }
            }

            #[inline(never)]
            pub(super) fn run(cx: &mut Context<'_>, seed: u64) -> u64 {
                let (deferred, promise) = Deferred::<Value, Error>::new();
                let mut next = promise
                    .done(|value| {
                        SEEN.fetch_add(value.0[0], Ordering::Relaxed);
                    })
                    .fail(|_| {
                        SEEN.fetch_add(1, Ordering::Relaxed);
                    })
                    .then(|value| if value.0[0] < 4 { Ok(value) } else { Err(Error::Said([4; $halves])) });
                assert!(Pin::new(&mut next).poll(cx).is_pending());
                if seed % 2 == 0 {
                    deferred.resolve(Value([seed; $words]));
                } else {
                    deferred.reject(Error::Said([seed as u32; $halves]));
                }
                match Pin::new(&mut next).poll(cx) {
                    Poll::Ready(Ok(value)) => value.0[0],
                    Poll::Ready(Err(Error::Said(code))) => 100 + u64::from(code[0]),
                    Poll::Ready(Err(Error::Broken(broken))) => 200 + u64::from(broken.origin().line()),
                    Poll::Pending => 0,
                }
            }
        }
    };
}

/// The pairs, and a program that runs each of them with a number that the compiler does not know.
macro_rules! pairs {
    ($($name:ident $words:literal $halves:literal,)*) => {
        $(pair!($name, $words, $halves);)*

        fn main() {
            let seed = std::env::args().count() as u64;
            let mut cx = Context::from_waker(Waker::noop());
            let number = [$($words),*].len() as u64;
            let expected = if seed < 4 && seed % 2 == 0 { seed } else { 100 + seed };
            let sum: u64 = [$($name::run(&mut cx, seed)),*].iter().sum();
            assert_eq!(sum, number * expected);
            assert_eq!(SEEN.load(Ordering::Relaxed), number * if seed % 2 == 0 { seed } else { 1 });
        }
    };
}
