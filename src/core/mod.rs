//! The state machine of a promise: the only place in the promise layer that synchronizes.
//!
//! TODO diagram

mod flavor;
mod handle;
mod lend;
mod lock;
mod node;
mod progress;
mod state;

pub use self::flavor::{Accepts, Flavor, Local, Threaded};
pub(crate) use self::handle::Core;
pub(crate) use self::lend::unfollow;
pub(crate) use self::lock::Lock;
pub use self::state::State;
pub(crate) use self::state::{Action, Delivery, Link, Links, Observer, Shared};
