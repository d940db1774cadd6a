//! All the unsafe code: a lock and a count in one word, pointers without types, and callbacks without a box.
//!
//! # The word
//!
//! Each allocation begins with a word that is a lock and a count of the references. A *visit* swaps the count for a mark, and whoever finds
//! the mark waits: one read-modify-write to go in. The count is in the visitor's hands then, so that to leave, with one reference more
//! or less, is one store. References that are made otherwise, in the middle of a visit to something else for instance, are counted in a
//! second word, which only grows. Beside the count stands whether the promise is settled, for who wants to know no more.
//!
//! Nothing foreign runs inside (see the rules in [`core`](super)), so a visit is a few instructions long, at most an allocation, and
//! who finds the mark waits for that long: it spins a little, then lets other threads run, then sleeps for a moment, in case
//! the one inside has a lower priority. Who holds the only reference need not go in at all: nobody else can. In the local flavor both
//! words are plain cells, there is nobody to wait for, and only builds with debug assertions set the mark, to find a visit in a visit.
//!
//! The races of this protocol and of the transitions are modeled in `tests/loom`, in every order and with every value that a load may
//! see. To the model checker each look at a body is an access of its own, at the moment when it begins, so two visits at once, or one
//! that does not see what the last has done, fail the model. It sees an allocation that is freed before all visits have ended, or never,
//! but not a reference to a body that is kept beyond its visit: the compiler does.
//!
//! # Pointers
//!
//! A [`Ptr`] knows what it points to, a [`Node`] only that it is a [`Machine`]: it finds the code in the table that stands beside the
//! word. A [`Source`] is a node that may cross threads where its flavor does, and [`Work`] one whose machine has to be run.
//!
//! # Entries
//!
//! An [`Entry`] is a waker or a callback without its type. What is no larger than two words is stored in it.

#![allow(unsafe_code)]

mod entry;
mod node;
mod ptr;
mod word;

pub(crate) use self::entry::Entry;
pub(in crate::core) use self::entry::{
    Kind, lend, put, put_back, put_entry, put_present, take, take_entry, take_present, take_waker,
};
pub(crate) use self::node::Work;
pub(crate) use self::node::{Node, Source};
pub(crate) use self::ptr::{End, Ending, Ptr, Spare};
pub(in crate::core) use self::ptr::{Visit, boxed};
pub(crate) use self::word::Number;
