//! The server: a task that accepts, and one for each connection.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::future::{pending, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_io::Async;
use deferral::{Broken, Promise, local, sleep, spawn};
use futures::future::{Either, select};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::connection::{Buffer, Connection};
use super::site::Site;

/// For how long a server that stops lets responses go on.
const GRACE: Duration = Duration::from_secs(5);

/// What has been served.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connections: Cell<u64>,
    pub(crate) requests: Cell<u64>,
    pub(crate) failures: Cell<u64>,
}

/// Who serves, and how: shared by the connections.
pub(crate) struct Server {
    pub(crate) site: Arc<Site>,
    pub(crate) counts: Counts,
    /// A connection on which nothing moves for so long is closed.
    pub(crate) limit: Option<Duration>,
    /// Told of what goes wrong with one connection.
    pub(crate) report: fn(SocketAddr, &dyn Error),
}

/// Serves until `stop` is settled; then each connection ends after the response that it is in.
pub(crate) async fn serve(server: Rc<Server>, listener: Async<TcpListener>, stop: Promise<()>) {
    let buffer: Buffer = Rc::new(RefCell::new([0; 16 << 10]));
    // Each connection task holds a share, and the last one to end says so by dropping it.
    let (alive, all_ended) = local::Deferred::<()>::new();
    let mut stopped = stop.clone();
    loop {
        let (stream, peer) = match select(pin!(listener.accept()), &mut stopped).await {
            Either::Left((Ok(accepted), _)) => accepted,
            Either::Left((Err(error), _)) => {
                // No descriptors left, most likely: some come back when connections end.
                (server.report)(listener.get_ref().local_addr().unwrap_or(([0; 4], 0).into()), &error);
                let _ = sleep(Duration::from_millis(100)).await;
                continue;
            }
            Either::Right(_) => break,
        };
        server.counts.connections.set(server.counts.connections.get() + 1);
        let (server, buffer, stop, alive) = (Rc::clone(&server), buffer.clone(), stop.clone(), alive.clone());
        spawn(async move {
            if let Err(error) = connection(&server, stream, buffer, stop).await {
                server.counts.failures.set(server.counts.failures.get() + 1);
                (server.report)(peer, &*error);
            }
            drop(alive);
        });
    }
    drop((listener, alive));
    let _ = deferral::timeout(GRACE, all_ended).await;
}

async fn connection(
    server: &Server,
    stream: Async<TcpStream>,
    buffer: Buffer,
    mut stop: Promise<()>,
) -> Result<(), Box<dyn Error>> {
    stream.get_ref().set_nodelay(true)?;
    let active = Rc::new(Cell::new(true));
    let service = service_fn(|request: hyper::Request<_>| {
        let _: &hyper::body::Incoming = request.body();
        server.counts.requests.set(server.counts.requests.get() + 1);
        let response = server.site.respond(request.method(), request.uri().path());
        async { Ok::<_, Infallible>(response) }
    });
    let connection = Connection::new(stream, buffer, Rc::clone(&active));
    let mut served = pin!(http1::Builder::new().serve_connection(connection, service));
    let mut silent = pin!(silence(active, server.limit));
    let mut stopping = false;
    poll_fn(|cx| {
        if !stopping && Pin::new(&mut stop).poll(cx).is_ready() {
            stopping = true;
            served.as_mut().graceful_shutdown();
        }
        if silent.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was heard for too long").into()));
        }
        served.as_mut().poll(cx).map_err(Box::from)
    })
    .await
}

/// Ends when nothing has been `active` for between one and two times the limit.
async fn silence(active: Rc<Cell<bool>>, limit: Option<Duration>) {
    let Some(limit) = limit else { return pending().await };
    while active.replace(false) {
        let _ = Canceled(sleep(limit)).await;
    }
}

/// A promise that is canceled when nobody waits for it any more, so that no timer outlives its connection.
struct Canceled(local::Promise<()>);

impl Future for Canceled {
    type Output = Result<(), Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Drop for Canceled {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
