//! Where a promise stands.

/// Where a promise stands: jQuery's `state()`.
///
/// # Examples
///
/// ```
/// use deferral::{Deferred, State};
///
/// let (deferred, promise) = Deferred::<u32>::new();
/// assert_eq!(promise.state(), State::Pending);
/// deferred.resolve(1);
/// assert_eq!(promise.state(), State::Resolved);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not settled yet.
    Pending,
    /// Settled with a value.
    Resolved,
    /// Settled with an error, by the producer or by the library: a canceled promise is rejected.
    Rejected,
}
