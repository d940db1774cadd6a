//! All the unsafe code: a lock and a count in one word, pointers without types, callbacks without a box, and typed places.
//!
//! # The word
//!
//! Each promise begins with a word that is a lock and a count of the references. A *visit* swaps the word for a mark; a thread that finds the
//! mark waits. The visitor holds the count, so leaving, with one reference more or less, is one store. Beside the count stands whether the
//! promise is settled, so that a thread can see it without a visit.
//!
//! Nothing foreign runs in a visit (see the rules in [`core`](super)), so a visit is a few instructions long, at most an allocation.
//! A waiting thread spins a little, then lets other threads run, then sleeps for a moment, in case the visitor has a lower priority. In the
//! local flavor the word is a plain cell, and only builds with debug assertions set the mark, to find a visit in a visit.
//!
//! # The protocol
//!
//! 1. The *word* is used by any holder of a reference, atomically. The *table* is read by any holder, and never written.
//! 2. The *state* is used between enter and leave only, by a `&mut` that each visit makes anew, and never across foreign code. The holder
//!    of the only reference needs no visit.
//! 3. The *place* of a pending promise holds what the promise follows, or nothing, and belongs to the visitor. The visit that settles the
//!    promise writes the outcome there. While `lender` is set, that thread alone uses the place, without a visit. The thread that takes the
//!    outcome sets the content to [`Content::Nothing`] in a visit, and moves the outcome out in that visit or after it.
//! 4. The *room* of a pending promise belongs to the visitor, that of a settled one to its lender, which drops it once.
//! 5. The last reference finds no outcome that has to be dropped: [`State::next`](super::state::State::next) has that done before, outside
//!    of a visit. A value without a destructor stays where it is.
//!
//! [`Content`] hands out the rights to the place as values: [`Fill`], [`Lent`] and [`Own`]. What is `unsafe` here rests on them, on the
//! content that `State` keeps, and on the types of a [`Core`], which are those of its cell.
//!
//! # Aliasing
//!
//! A pointer is a `NonNull<Head>` with the provenance of the whole cell. No guard and no function keeps a `&Head`: after the store that ends
//! a visit another thread may free it. State, place and room are `UnsafeCell`s that are reached by raw pointers; so is what a callback
//! stores in place.
//!
//! The races of this protocol are modeled in `tests/loom`, in every order and with every value that a load may see. The model checker sees
//! each access to a state and to a place, and each allocation.

#![allow(unsafe_code)]

mod block;
mod callback;
mod content;
mod ending;
mod head;
mod job;
mod typed;
mod word;

pub(in crate::core) use self::block::Block;
pub(crate) use self::callback::{Accepted, Crosses, Target};
pub(in crate::core) use self::callback::{Callback, Kinds};
pub(in crate::core) use self::content::{Content, Fill, Lent, Own};
pub(crate) use self::ending::{End, Ending};
pub(in crate::core) use self::head::{Body, CloneFn};
pub(crate) use self::head::{Ptr, Settled, Source, Visit};
pub(in crate::core) use self::job::Job;
pub(crate) use self::typed::{Core, Plain, Room, Roomy};
pub(in crate::core) use self::word::Number;
