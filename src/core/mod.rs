//! The core of a promise: the only place in the promise layer that synchronizes.
//!
//! # One promise
//!
//! A promise is one block of memory, whatever its types: a *head*, and behind it the *place* of the outcome.
//!
//! ```text
//! ┌ head ─────────────────────────────────────────┬ place ─────────────┬ room ────────┐
//! │ word: lock and count │ table │ origin │ State  │ source, or outcome │ of an aggregate │
//! └───────────────────────────────────────────────┴────────────────────┴──────────────┘
//! ```
//!
//! [`State`] and all that decides know no types: they are compiled once for each flavor. The *table* holds the functions that do. A *visit*
//! locks the word and has the state to itself, for a few instructions; nothing foreign runs in it.
//!
//! # States
//!
//! A promise is pending or settled, and at rest or lent. A thread that ends a visit looks whether there may be something to do. If so, it
//! *lends*: it alone uses the place, without a lock. The loop of [`lend`] asks [`State::next`] what comes next, and does that, until
//! nothing is left. All other threads append what they bring, and leave it to the lender.
//!
//! ```text
//!              report, listener                        settle, cancel, abandon
//!    ┌─────────────────────────────────┐      ┌───────────────────────────────────────┐
//!    │                                 ▼      │                                       ▼
//! ┌──┴───────────┐     Rest    ┌──────────────┴┐    settle, cancel, abandon    ┌──────────────┐
//! │ pending      │◀────────────┤ pending, lent ├──────────────────────────────▶│ settled, lent│
//! └──┬───────────┘             └───────────────┘                               └──┬───────────┘
//!    │                                                                       Rest │  ▲ callback, poll,
//!    │ settle, cancel, abandon, with nothing to do                                ▼  │ peek
//!    │                                                                         ┌─────┴────────┐
//!    └────────────────────────────────────────────────────────────────────────▶│ settled      │
//!                                                                              └──┬───────────┘
//!                                                  the last right takes it, or the │
//!                                                  last handle of either end goes  ▼
//!                                                                              ┌──────────────┐
//!                                                                              │ settled, gone│
//!                                                                              └──────────────┘
//! ```
//!
//! # Transitions
//!
//! *finish* means: the visit ends, and if there is something to do, this thread does it, now or when its turn comes.
//!
//! | call | pending | pending, lent | settled | settled, lent |
//! |---|---|---|---|---|
//! | settle, cancel, abandon | settled; finish | settled; the lender goes on | lost: the outcome is dropped outside | lost |
//! | notify | noted; finish | queued | lost | lost |
//! | listen | noted; finish | queued | queued; finish | queued |
//! | register an observer, a continuation | appended | appended | appended; finish | appended |
//! | register a canceler | appended; finish | appended | appended; finish | appended |
//! | poll | waker parked | waker parked | the last right: taken; else lent, to clone | waker parked |
//! | peek | `None` | `None` | lent; finish | `None` |
//! | drop a promise, or leave a source | a right less; finish | a right less | a right less; finish | a right less |
//! | drop a producer | the last one abandons | the last one abandons | the last handle of all: finish | |
//! | follow | noted; finish | noted | the sources are left | the sources are left |
//!
//! `next` has one order: reports; then, once settled, the callbacks of a cancel, the room, the sources to leave, what can no longer run, the
//! making of an error, the observers, a clone for each of several continuations, the disposal of what nothing can ask for. The tasks and the
//! continuations come last: they end the loan. Of a pending promise that can no longer be canceled, the sources are told.
//!
//! # An example
//!
//! Thread A settles a promise that has a callback, while thread B registers another one. A enters, writes the outcome to its place, opens a
//! frame of its [`trampoline`], and asks `next`, which says `Observe`. A becomes the lender, takes the callback out, leaves, and calls it
//! with a reference to the outcome in its place. B enters meanwhile, sees a lender, appends its callback and leaves. A enters again and asks
//! `next`: there is one more to run, and A runs it. Then `next` says `Rest`, A is the lender no more, and `resolve` returns. Had B come
//! later, B would have become the lender itself. Had B come first, A would have found both.
//!
//! # A chain
//!
//! The continuation of the last consumer moves the outcome out of its place, settles the next promise, and returns it still entered
//! ([`Settled`](raw::Settled)): the loop goes on with that one. Any number of links takes no stack, and no queue.
//!
//! # Who owns what
//!
//! - A *right* is a claim to the outcome: each promise that has not given it has one, and each continuation that was made of such a promise.
//!   The last right gets the outcome itself, all others a clone, which is made while the outcome is lent.
//! - A right can cancel, except that of a continuation whose own promise can no longer be canceled: that is *silent*.
//! - A producer is a count. References keep the memory alone; rights and producers keep the outcome.
//! - A follower keeps a reference to its source, and the source's continuation keeps one to the follower. The follower leaves the source
//!   when it is settled, so one of the two ends.
//! - The *room* of an aggregate holds what its inputs have brought, behind the lock of its own promise.
//! - A promise of `via` has an *executor*. What runs callbacks or continuations is done there alone: a lender elsewhere posts the promise.
//!
//! # Rules
//!
//! 1. In a visit nothing foreign runs: no callback, no waker's clone, wake or drop, no clone or drop of a user's value, no `E::from`.
//! 2. One visit at a time. Two exceptions wait for no other thread in a circle: a reference to a settled source ends in the visit to the
//!    promise that it has settled, and [`ring`] enters sources without waiting.
//! 3. The outcome is in its place, and not lent, when wakers and continuations run.
//! 4. Foreign code is called inside a guard, and through the trampoline: it may re-enter, panic, and drop its own promise.
//!
//! The protocol of memory stands in [`raw`].

// What stands in the hidden methods of public traits has to be public, but cannot be named: nothing prints it.
#![allow(missing_debug_implementations)]

mod callbacks;
mod consume;
mod ends;
mod flavor;
mod follow;
mod lend;
mod note;
mod order;
mod progress;
mod raw;
mod ring;
mod settle;
mod state;
mod sync;
pub(crate) mod trampoline;

pub use self::flavor::{Accepts, Flavor, Local, Threaded};
pub(crate) use self::lend::{arrive, hand_on, run_now};
pub(crate) use self::note::{Delivery, Note};
pub(crate) use self::raw::Target;
pub(crate) use self::raw::{Accepted, Core, Crosses, End, Ending, Plain, Room, Roomy};
pub(crate) use self::ring::{Parked, downstream, parked};
pub(crate) use self::settle::{Follower, HandOn, Producer};
pub(crate) use self::state::{AnyPromise, AnySource, Executor, Link, State};
