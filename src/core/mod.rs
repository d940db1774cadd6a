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
//! All are methods of [`Shared`], in `transitions.rs`; `simply.rs` has shortcuts for the common cases. Each returns a [`Step`](state::Step) for its
//! caller. *run* means that the caller becomes the lender, once it is outside.
//!
//! | call | pending | pending, lent | settled | settled, lent |
//! |---|---|---|---|---|
//! | `settle`, `break_with` (cancel) | settled; run if there is work | settled; the lender goes on | lost: handed back | lost |
//! | `report` (notify) | noted, or queued and run | queued | lost | lost |
//! | `report` (listen) | noted, or queued and run | queued | queued and run | queued |
//! | `register` (observer) | appended | appended | appended and run | appended |
//! | `register` (canceler) | appended; run (to drop it) if nobody can cancel | appended | appended and run | appended |
//! | `consume` | appended | appended | appended and run | appended |
//! | `take` | wait | wait | the last right: gone; else lent, to clone | wait |
//! | `park` | waker parked | waker parked | refused: take | waker parked |
//! | `lend` (peek) | nothing | nothing | lent | nothing |
//! | `give_back` | | | | settled, or run on |
//! | `release`, `withdraw` | a right less; run if that leaves work | a right less | a right less; run to dispose | a right less |
//! | `disclaim` | a claim less; if nobody can cancel now, disclaim the source, or run | a claim less | | |
//! | `drop_producer`, `abandon` | the last: abandoned, as `settle` | the last: abandoned | run to dispose | |
//! | `follow` | links noted | links noted | links handed back, to be left | links handed back |
//! | `arrive` | run if there is work | | run if there is work | |
//!
//! Most promises have one callback or consumer and one source. For them a step, which [`begin`](Shared::begin) chooses, says all there
//! is to do. If there is more, it is in an [`Extra`](extra::Extra), and the lender asks [`advance`](Shared::advance) for one task
//! after the other: reports in their order; then, once settled, the callbacks of a cancel, the sources to leave, what can no longer
//! run, the making of an error, the observers, the consumers; then it puts the outcome back and ends the loan. Wakers are woken, and
//! continuations run, when it has.
//!
//! # At home
//!
//! A promise may have a *home* (see `home.rs`), which the library gives it for `via`. Its lender, if not at home, leaves sources, wakes
//! wakers and disposes, but runs neither callbacks nor continuations: it sends them home, and ends the loan. From there on until they
//! have arrived the promise counts as at rest for whoever brings work, and as lent for whoever wants the outcome.
//!
//! # Who owns what
//!
//! - At rest, everything is inside. The outcome is `Present` if settled, until it is gone.
//! - While lent, the outcome, the last report and the listeners belong to the lender; newcomers go into the queue of events, the
//!   observers and the consumers, which stay inside.
//! - A *right* is a claim to the outcome: each promise that has not given it has one, and each continuation that was made of such a
//!   promise. Who uses the last right gets the outcome itself. A right is a claim to cancel, too, except that of a continuation whose
//!   own promise nobody holds (it is *silent*).
//! - A producer's end is a count. Handles of either end keep the memory; only rights and producers keep the outcome.
//! - A source and its followers know each other by references that keep the memory alone: a follower lets go of its sources when it
//!   is settled, and a source of its followers; one of the two comes, as a promise without a producer is settled.
//!
//! # Rules
//!
//! 1. Inside nothing foreign runs: no callback, no waker's clone, wake or drop, no clone or drop of a user's value, no
//!    `E::from`. A transition hands out what is to be dropped.
//! 2. One visit at a time. An aggregate may visit its own promise from inside itself, and a source a promise that is just being derived
//!    from it and known to nobody, never the other way round. No reference ends inside but the visitor's own, in a visit that nobody
//!    needs to leave if it was the last one.
//! 3. The outcome is back in its place before wakers and continuations run.
//! 4. Foreign code is always called inside a guard, and through the [`trampoline`]: it may re-enter, panic, and
//!    drop its own promise.
//!
//! `settled, gone` is the end: callbacks that look at the outcome are dropped, a late `progress` callback is still told the last
//! report.

// What stands in the hidden methods of public traits has to be public, but cannot be named: nobody prints it.
#![allow(missing_debug_implementations)]

mod begin;
mod consume;
mod extra;
mod flavor;
mod handle;
mod home;
mod lend;
mod node;
mod observe;
mod past;
mod produce;
mod progress;
mod raw;
mod ring;
mod simply;
mod state;
mod sync;
pub(crate) mod trampoline;
mod transitions;

pub(crate) use self::extra::{Link, Links};
pub use self::flavor::{Accepts, Flavor, Local, Threaded};
pub(crate) use self::handle::{Core, arrive};
pub(crate) use self::home::Home;
pub(crate) use self::lend::unfollow;
pub(crate) use self::node::{Machine, Parked, Sources};
pub(crate) use self::past::Past;
pub(crate) use self::raw::{End, Ending, Node, Ptr, Source, Spare};
pub use self::state::State;
pub(crate) use self::state::{Delivery, Shared, clone_outcome};
