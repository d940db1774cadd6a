//! The feature `io`: a loop that sleeps in async-io's reactor. One binary, a module per behaviour, as `tests/it`.

#[allow(dead_code)]
#[path = "../it/util.rs"]
mod util;

mod failures;
mod host;
mod http;
mod sleep;
mod sockets;
