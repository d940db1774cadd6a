//! A socket of async-io as hyper wants it.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use async_io::Async;
use hyper::rt::{Read, ReadBufCursor, Write};

/// Where the connections of one thread read to, before hyper knows how much there is.
pub(crate) type Buffer = Rc<RefCell<[u8; 16 << 10]>>;

pub(crate) struct Connection {
    stream: Async<TcpStream>,
    buffer: Buffer,
    /// The last read took all that was there.
    drained: bool,
    /// Set whenever bytes go in or out.
    active: Rc<Cell<bool>>,
}

impl Connection {
    pub(crate) fn new(stream: Async<TcpStream>, buffer: Buffer, active: Rc<Cell<bool>>) -> Self {
        Connection { stream, buffer, drained: false, active }
    }

    fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        poll_ready: fn(&Async<TcpStream>, &mut Context<'_>) -> Poll<io::Result<()>>,
        mut io: impl FnMut(&TcpStream) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            match io(self.stream.get_ref()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(poll_ready(&self.stream, cx))?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    self.active.set(true);
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl Read for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.drained {
            // On a busy server more has come by the next turn, when all others have had theirs. Then neither this read nor a word to the
            // reactor is in vain.
            self.drained = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let buffer = Rc::clone(&self.buffer);
        let mut buffer = buffer.borrow_mut();
        let room = into.remaining().min(buffer.len());
        let read = ready!(self.poll_io(cx, Async::poll_readable, |mut stream| stream.read(&mut buffer[..room])))?;
        self.drained = 0 < read && read < room;
        into.put_slice(&buffer[..read]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Async::poll_writable, |mut stream| stream.write(from))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Async::poll_writable, |mut stream| stream.write_vectored(from))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream.get_ref().shutdown(Shutdown::Write) {
            // The client was first.
            Err(error) if error.kind() == ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
