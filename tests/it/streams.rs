//! A value that cannot be cloned: a connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use deferral::{Deferred, Promise, when};
use futures::executor::block_on;

use crate::util::watchdog;

/// A listener that greets whoever connects, once.
fn greeter(greeting: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.accept().unwrap().0.write_all(greeting.as_bytes()).unwrap());
    address
}

/// Connects on a thread of its own.
fn connect(address: SocketAddr) -> Promise<TcpStream, io::Error> {
    Promise::new(|deferred| {
        std::thread::spawn(move || deferred.settle(TcpStream::connect(address)));
    })
}

fn read(mut stream: TcpStream) -> io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// G3: a connection is awaited by its only consumer, after an observer has looked at it.
#[test]
fn awaited() {
    watchdog(|| {
        let stream = connect(greeter("hello")).done(|stream| assert!(stream.peer_addr().is_ok()));
        assert_eq!(read(block_on(stream).unwrap()).unwrap(), "hello");
    });
}

/// G3: it is chained, and moves through each link.
#[test]
fn chained() {
    watchdog(|| {
        let text = connect(greeter("hello")).then(|stream| stream.set_nodelay(true).map(|()| stream)).then(read);
        assert_eq!(text.wait().unwrap(), "hello");
    });
}

/// G3, G8: it is raced against one that never comes, which is canceled.
#[test]
fn raced() {
    watchdog(|| {
        let (deferred, never) = Deferred::<TcpStream, io::Error>::new();
        let first = when::race([never, connect(greeter("hello"))]);
        assert_eq!(read(first.wait().unwrap()).unwrap(), "hello");
        assert!(!deferred.reject(io::Error::other("too late")));
    });
}

/// G3: two are gathered, with a result among them.
#[test]
fn gathered() {
    watchdog(|| {
        let all = when((connect(greeter("one")), connect(greeter("two")), Ok("three")));
        let (first, second, third) = all.wait().unwrap();
        assert_eq!([read(first).unwrap(), read(second).unwrap(), third.to_owned()], ["one", "two", "three"]);
    });
}
