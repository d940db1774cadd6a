//! Promises for one thread: the same methods, and nothing need be `Send`.

use crate::Progress;
use crate::broken::Broken;
use crate::core::Local;

/// The producer end for one thread; see [`Deferred`](crate::Deferred).
pub type Deferred<T, E = Broken, P = Progress> = crate::Deferred<T, E, P, Local>;

/// The consumer end for one thread; see [`Promise`](crate::Promise).
pub type Promise<T, E = Broken, P = Progress> = crate::Promise<T, E, P, Local>;
