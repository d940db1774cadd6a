//! The state machine of a promise: the only place in the promise layer that synchronizes.
//!
//! # States
//!
//! A promise is pending or settled, and at rest or lent. Whoever finds work to do *lends*: it has the outcome and the lists to
//! itself, without a lock, until nothing is left to do. Everybody else appends, and leaves the rest to the lender.
//!
//! ```text
//!             notify, late progress                     settle, cancel, abandon
//!    ┌─────────────────────────────────┐      ┌───────────────────────────────────────┐
//!    │                                 ▼      │                                       ▼
//! ┌──┴───────────┐    finish   ┌──────────────┴┐    settle, cancel, abandon    ┌──────────────┐
//! │ pending      │◀────────────┤ pending, lent ├──────────────────────────────▶│ settled, lent│
//! └──┬───────────┘             └───────────────┘                               └──┬───────────┘
//!    │                                                                     finish │  ▲ observe, consume,
//!    │ settle, cancel, abandon, with nothing to do                                ▼  │ listen, take, peek
//!    │                                                                         ┌─────┴────────┐
//!    └────────────────────────────────────────────────────────────────────────▶│ settled      │
//!                                                                              └──┬───────────┘
//!                                                       the last right takes, or │
//!                                                        the last handle goes    ▼
//!                                                                              ┌──────────────┐
//!                                                                              │ settled, gone│
//!                                                                              └──────────────┘
//! ```
//!
//! # Transitions
//!
//! All are methods of [`Shared`] in `state.rs`. *run* means that the caller becomes the lender, once it has unlocked.
//!
//! | call | pending | pending, lent | settled | settled, lent |
//! |---|---|---|---|---|
//! | `settle`, `break_with`, `cancel` | settled; run if there is work | settled; the lender goes on | lost: handed back | lost |
//! | `report` (notify) | noted, or queued and run | queued | lost | lost |
//! | `report` (listen) | noted, or queued and run | queued | queued and run | queued |
//! | `observe` | appended | appended | appended and run | appended |
//! | `on_cancel` | appended; run (to drop it) if nobody can cancel | appended | appended and run | appended |
//! | `consume` | appended | appended | appended and run | appended |
//! | `take` | wait | wait | the last right: gone; else lent, to clone | wait |
//! | `park` | waker parked | waker parked | refused: take | waker parked |
//! | `lend` (peek) | nothing | nothing | lent | nothing |
//! | `give_back` | | | | settled, or run on |
//! | `release`, `unfollow` | a right less; run if that leaves work | a right less | a right less; run to dispose | a right less |
//! | `disclaim` | a claim less; run if nobody can cancel now | a claim less | | |
//! | `drop_producer` | the last: abandoned, as `settle` | the last: abandoned | run to dispose | |
//! | `follow` | links noted | links noted | links handed back, to be left | links handed back |
//! | `arrive` | run if there is work | | run if there is work | |
//!
//! The lender asks [`advance`](Shared::advance) for one step after the other: reports in their order; then, once settled, the
//! callbacks of a cancel, the sources to leave, what can no longer run, the making of an error, the observers, the consumers; then
//! it puts the outcome back and ends the loan. Wakers are woken, and continuations run, when it has.
//!
//! # At home
//!
//! A promise may have a *home* (see `home.rs`), which the library gives it for `via`. Its lender, if not at home, leaves sources, wakes
//! wakers and disposes, but runs neither callbacks nor continuations: it sends them home, and ends the loan. From there on until they
//! have arrived the promise counts as at rest for whoever brings work, and as lent for whoever wants the outcome.
//!
//! # Who owns what
//!
//! - At rest, everything is behind the lock. The outcome is `Present` if settled, until it is gone.
//! - While lent, the outcome, the last report and the listeners belong to the lender; newcomers go into the queue of events, the
//!   observers and the consumers, which stay behind the lock.
//! - A *right* is a claim to the outcome: each promise that has not given it has one, and each continuation that was made of such a
//!   promise. Who uses the last right gets the outcome itself. A right is a claim to cancel, too, except that of a continuation whose
//!   own promise nobody holds (it is *silent*).
//! - A producer's end is a count. Handles of either end keep the memory; only rights and producers keep the outcome.
//! - A source knows its followers by strong references in `consumers`, a follower its sources by weak ones in `links`.
//!
//! # Rules
//!
//! 1. Under the lock nothing foreign runs: no callback, no waker's clone, wake or drop, no clone or drop of a user's value, no
//!    `E::from`. A transition hands out what is to be dropped.
//! 2. One lock at a time. An aggregate may take the lock of its own promise under its own, never the other way round.
//! 3. The outcome is back in its place before wakers and continuations run.
//! 4. Foreign code is always called inside a guard, and through the [`trampoline`](crate::trampoline): it may re-enter, panic, and
//!    drop its own promise.
//!
//! `settled, gone` is the end: callbacks that look at the outcome are dropped, a late `progress` callback is still told the last
//! report.

// What stands in the hidden methods of public traits has to be public, but cannot be named: nobody prints it.
#![allow(missing_debug_implementations)]

mod flavor;
mod handle;
mod home;
mod lend;
mod lock;
mod node;
mod progress;
mod state;

pub use self::flavor::{Accepts, Flavor, Local, Threaded};
pub(crate) use self::handle::{Core, arrive};
pub(crate) use self::home::Home;
pub(crate) use self::lend::unfollow;
pub(crate) use self::lock::Lock;
pub(crate) use self::node::{Machine, Node, Parked, Sources};
pub use self::state::State;
pub(crate) use self::state::{Action, Delivery, Link, Links, Observer, Shared};
