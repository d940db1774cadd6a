//! The library's own type of progress.

/// How far a piece of work has come: the progress of aggregates, and by default of every promise.
///
/// The two numbers mean what the producer says; aggregates count inputs.
///
/// # Examples
///
/// ```
/// use deferral::{Progress, Promise, when};
///
/// let all = when([Promise::<u32>::resolved(1), Promise::resolved(2)]);
/// all.progress(|p| assert_eq!(*p, Progress { done: 2, total: 2 }));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do, as far as it is known.
    pub total: u64,
}
