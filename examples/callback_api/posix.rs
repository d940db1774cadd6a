//! Two functions of C that call back on threads of their own: `aio_read` and `timer_create`.
//!
//! They take a function and a pointer, the `void *user_data` of so many libraries, which is passed on to the function. A `Deferred` travels
//! through it in a box. How, depends on how often the library calls back:
//!
//! - *Once.* The pointer owns: `Box::into_raw` gives the box away, and the callback takes it back by `Box::from_raw`. Until then it belongs
//!   to C, with the buffer that C writes to, even if everybody else has dropped the promise.
//! - *Never.* If the library refuses, it does not call back: the box is ours again. If it lets us know that it forgets a request (many have
//!   a function for that, to be passed along), take the box back there and drop it, and the promise is rejected as abandoned.
//! - *Many times.* The pointer lends: the callback makes a `&` of it, and what is behind must be `Sync`. The box can be freed when
//!   the library says that no call is under way, nor will come. A POSIX timer never says it, so its box lives as long as the program.
//!
//! In each case the callback is an `extern "C"` function. A panic must not go through C, and would abort: callbacks of promises may panic,
//! so it is caught.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use deferral::{Deferred, Promise};

/// A `struct sigevent` of kind `SIGEV_THREAD`: the crate `libc` names another member of the union in it.
#[repr(C)]
struct CallBack {
    user_data: libc::sigval,
    signal: c_int,
    kind: c_int,
    function: extern "C" fn(libc::sigval),
    attributes: *mut c_void,
}

const _: () = assert!(size_of::<CallBack>() <= size_of::<libc::sigevent>());
const _: () = assert!(align_of::<CallBack>() <= align_of::<libc::sigevent>());

fn call_back(function: extern "C" fn(libc::sigval), user_data: *mut c_void) -> libc::sigevent {
    let user_data = libc::sigval { sival_ptr: user_data };
    let kind = libc::SIGEV_THREAD;
    let call_back = CallBack { user_data, signal: 0, kind, function, attributes: ptr::null_mut() };
    // SAFETY: integers and pointers, for which zeroes are values.
    let mut event: libc::sigevent = unsafe { mem::zeroed() };
    // SAFETY: `CallBack` is the same struct, by another member of its union; the assertions above say that it fits.
    unsafe { ptr::from_mut(&mut event).cast::<CallBack>().write(call_back) };
    event
}

/// What C has while it reads.
struct Request {
    control: libc::aiocb,
    buffer: Vec<u8>,
    /// Keeps the descriptor open.
    _file: Arc<File>,
    deferred: Deferred<Vec<u8>, io::Error>,
}

/// Reads up to `size` bytes at `offset`. Resolves with none at the end of the file.
pub(crate) fn read_at(file: &Arc<File>, offset: u64, size: usize) -> Promise<Vec<u8>, io::Error> {
    let (deferred, promise) = Deferred::new();
    let Ok(offset) = libc::off_t::try_from(offset) else {
        deferred.reject(io::ErrorKind::InvalidInput.into());
        return promise;
    };
    // SAFETY: integers and pointers, for which zeroes are values.
    let control = unsafe { mem::zeroed() };
    let mut buffer = vec![0; size];
    let data = buffer.as_mut_ptr();
    let request = Request { control, buffer, _file: file.clone(), deferred };
    let request = Box::into_raw(Box::new(request));
    // SAFETY: nobody else knows the box before `aio_read` takes it, and we touch it afterwards only if that has refused. The buffer's
    // memory stays where it is, and the descriptor stays open, until the callback takes the box back.
    let refused = unsafe {
        let control = &raw mut (*request).control;
        (*control).aio_fildes = file.as_raw_fd();
        (*control).aio_buf = data.cast();
        (*control).aio_nbytes = size;
        (*control).aio_offset = offset;
        (*control).aio_sigevent = call_back(finish, request.cast());
        libc::aio_read(control) != 0
    };
    if refused {
        let error = io::Error::last_os_error();
        // SAFETY: C has not taken it, and will not call back.
        let request = unsafe { Box::from_raw(request) };
        request.deferred.reject(error);
    }
    promise
}

/// The callback of `aio_read`: it comes once.
extern "C" fn finish(user_data: libc::sigval) {
    // SAFETY: the pointer that `read_at` gave away, and this is the one call for it. C is done with the buffer and the block.
    let mut request = unsafe { Box::from_raw(user_data.sival_ptr.cast::<Request>()) };
    // SAFETY: a request that is over, asked for its outcome once.
    let (code, read) = unsafe { (libc::aio_error(&request.control), libc::aio_return(&mut request.control)) };
    let Request { mut buffer, deferred, .. } = *request;
    let outcome = match usize::try_from(read) {
        Ok(read) => {
            buffer.truncate(read);
            Ok(buffer)
        }
        Err(_) => Err(io::Error::from_raw_os_error(code)),
    };
    // The panic's message has been printed, and there is nobody to go on with it.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| deferred.settle(outcome)));
}

type Tick = Box<dyn Fn() + Send + Sync>;

/// Calls back again and again, until the program ends.
pub(crate) fn call_every(period: Duration, tick: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
    // A box in a box: C's pointer is one word, and that of a `dyn` two.
    let tick: *mut Tick = Box::into_raw(Box::new(Box::new(tick)));
    let mut event = call_back(call, tick.cast());
    let mut timer = ptr::null_mut();
    // SAFETY: both pointers are to live locals, and `tick` is never freed if this succeeds.
    if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) } != 0 {
        let error = io::Error::last_os_error();
        // SAFETY: C has not taken it.
        drop(unsafe { Box::from_raw(tick) });
        return Err(error);
    }
    // SAFETY: integers, for which zeroes are values.
    let mut time: libc::itimerspec = unsafe { mem::zeroed() };
    time.it_interval.tv_sec = period.as_secs().try_into().unwrap_or(libc::time_t::MAX);
    time.it_interval.tv_nsec = period.subsec_nanos().into();
    time.it_value = time.it_interval;
    // SAFETY: the timer was just made. If this fails it never fires, and the box is lost with it.
    match unsafe { libc::timer_settime(timer, 0, &time, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The callback of the timer: it comes many times, and may come on two threads at once.
extern "C" fn call(user_data: libc::sigval) {
    // SAFETY: the pointer that `call_every` gave away: to a `Sync` value that is never freed.
    let tick = unsafe { &*user_data.sival_ptr.cast::<Tick>() };
    let _ = panic::catch_unwind(AssertUnwindSafe(tick));
}
