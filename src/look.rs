//! Looking at a promise, and canceling it.

use crate::core::Flavor;
use crate::promise::Promise;
use crate::state::State;

impl<T, E, P, F: Flavor> Promise<T, E, P, F> {
    /// Where the promise stands.
    ///
    /// It stays when the outcome has been taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Promise, State};
    ///
    /// assert_eq!(Promise::<u32>::resolved(1).state(), State::Resolved);
    /// ```
    pub fn state(&self) -> State {
        self.core().state()
    }

    /// Shows the outcome without taking it: for a frame loop that looks at its promises once a frame.
    ///
    /// `look` gets `None` while the promise is pending, for the moment in which another callback or thread has the outcome, and
    /// after this promise has given it. It must not block on a consumer of the same promise. Callbacks registered meanwhile run when it has returned.
    ///
    /// # Panics
    ///
    /// If `look` panics. The outcome stays where it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// let label = |promise: &deferral::Promise<u32>| {
    ///     promise.peek(|outcome| match outcome {
    ///         None => "loading".to_owned(),
    ///         Some(Ok(n)) => format!("{n} files"),
    ///         Some(Err(broken)) => broken.to_string(),
    ///     })
    /// };
    /// assert_eq!(label(&promise), "loading");
    /// deferred.resolve(3);
    /// assert_eq!(label(&promise), "3 files");
    /// ```
    pub fn peek<R>(&self, look: impl FnOnce(Option<&Result<T, E>>) -> R) -> R {
        if self.is_spent() { look(None) } else { self.core().peek(look) }
    }

    /// Rejects the promise with kind [`Canceled`](crate::BrokenKind::Canceled); `false` if it was settled already.
    ///
    /// A cancel is one more attempt to settle: it cannot be refused or swallowed, and it undoes nothing that was settled before.
    /// When it wins, the [`on_cancel`](crate::Deferred::on_cancel) callbacks run, then the observers, then the consumers. It drops the
    /// future of a spawned task and the closure of a scheduled call, removes a timer, and goes up a chain to each source that has no
    /// other consumer; observers do not keep a source from it. The callbacks of those sources run after the ones of this promise,
    /// before `cancel` returns, with the exceptions of [`Deferred::resolve`](crate::Deferred::resolve).
    ///
    /// # Panics
    ///
    /// As [`Deferred::resolve`](crate::Deferred::resolve).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{BrokenKind, Deferred};
    ///
    /// let (deferred, request) = Deferred::<u32>::new();
    /// deferred.on_cancel(|| println!("the request is taken back"));
    /// let answer = request.then(|n| Ok(n + 1));
    /// assert!(answer.cancel());
    /// answer.fail(|broken| assert_eq!(broken.kind(), BrokenKind::Canceled));
    /// ```
    pub fn cancel(&self) -> bool {
        self.core().cancel()
    }
}
