//! The server of `examples/http_server`, and clients that behave badly.

#[allow(dead_code)]
#[path = "../../examples/http_server/connection.rs"]
mod connection;
#[allow(dead_code)]
#[path = "../../examples/http_server/server.rs"]
mod server;
#[path = "../../examples/http_server/site.rs"]
mod site;

use crate::sockets::{alone, listen};
use crate::util::watchdog;
use deferral::{Deferred, EventLoop};
use server::{Counts, Server, serve};
use site::Site;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs, process, thread};

const LONG: usize = 8 << 20;

/// Serves a directory of its own to `client`, which runs on a thread and ends the server when it returns. Tells how many connections
/// failed.
fn serve_to(limit: Option<Duration>, client: impl FnOnce(SocketAddr, &Path) + Send + 'static) -> u64 {
    let event_loop = EventLoop::new();
    let directory = directory();
    let (listener, address) = listen();
    let site = Arc::new(Site::new(&directory).unwrap());
    let server = Rc::new(Server { site, counts: Counts::default(), limit, report: |_, _| () });
    let (stop, stopped) = Deferred::<()>::new();
    let client = thread::spawn(move || {
        client(address, &directory);
        let _ = fs::remove_dir_all(&directory);
        stop.resolve(());
    });
    event_loop.run_until_complete(serve(Rc::clone(&server), listener, stopped));
    client.join().unwrap();
    assert_eq!(event_loop.dump().to_string().trim(), "no task is alive");
    server.counts.failures.get()
}

fn directory() -> PathBuf {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("deferral-test-{}-{made}", process::id()));
    fs::create_dir_all(directory.join("sub")).unwrap();
    fs::write(directory.join("hello.txt"), "hello\n").unwrap();
    fs::write(directory.join("long.bin"), vec![b'x'; LONG]).unwrap();
    directory
}

/// One request on a connection of its own, and all that comes back.
fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// What is there, what is not, and what lies outside.
#[test]
fn a_site_answers() {
    watchdog(|| {
        let failures = serve_to(None, |address, _| {
            let status = |method, path| ask(address, method, path)[9..12].to_owned();
            let hello = ask(address, "GET", "/hello.txt");
            assert!(hello.starts_with("HTTP/1.1 200 OK\r\n") && hello.ends_with("\r\n\r\nhello\n"), "{hello}");
            assert!(hello.contains("content-type: text/plain"), "{hello}");
            let head = ask(address, "HEAD", "/hello.txt");
            assert!(head.contains("content-length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
            assert!(ask(address, "GET", "/long.bin").len() > LONG);
            assert!(ask(address, "GET", "/").contains("<a href=\"./hello.txt\">hello.txt</a>"));
            assert!(ask(address, "GET", "/sub").contains("location: /sub/\r\n"));
            assert_eq!(status("GET", "/%68ello.txt"), "200");
            assert_eq!(status("GET", "/missing"), "404");
            assert_eq!(status("GET", "/hello.txt/more"), "404");
            assert_eq!(status("GET", "/../hello.txt"), "403");
            assert_eq!(status("GET", "/sub/%2e%2e/hello.txt"), "403");
            assert_eq!(status("GET", "/%zz"), "400");
            assert_eq!(status("POST", "/hello.txt"), "405");
        });
        assert_eq!(failures, 0);
    });
}

/// What vanishes while it is served is an answer, and the server goes on.
#[test]
fn a_directory_that_vanishes() {
    watchdog(|| {
        serve_to(None, |address, directory| {
            fs::remove_dir(directory.join("sub")).unwrap();
            assert!(ask(address, "GET", "/sub/").starts_with("HTTP/1.1 404 "));
            fs::remove_dir_all(directory).unwrap();
            let answer = ask(address, "GET", "/hello.txt");
            assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("is gone\n"), "{answer}");
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("hello.txt"), "again").unwrap();
            assert!(ask(address, "GET", "/hello.txt").ends_with("again"));
        });
    });
}

/// Clients that go in the middle of a long file: each is an error of its own connection, and no descriptor stays open, of sockets or of
/// files.
#[test]
fn clients_that_die_in_mid_transfer() {
    const CLIENTS: u64 = 10;
    alone("http::clients_that_die_in_mid_transfer", || {
        let run = || {
            serve_to(None, |address, _| {
                for _ in 0..CLIENTS {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(b"GET /long.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                    stream.read_exact(&mut [0; 1000]).unwrap();
                }
                assert!(ask(address, "GET", "/long.bin").len() > LONG);
            })
        };
        assert_eq!(run(), CLIENTS);
        #[cfg(target_os = "linux")]
        let before = crate::sockets::open_descriptors();
        assert_eq!(run(), CLIENTS);
        #[cfg(target_os = "linux")]
        assert_eq!(crate::sockets::open_descriptors(), before);
    });
}

/// A client that sends half a request and nothing more is given up; one that is served meanwhile is not.
#[test]
fn a_client_that_is_too_slow() {
    watchdog(|| {
        let failures = serve_to(Some(Duration::from_millis(20)), |address, _| {
            let mut slow = TcpStream::connect(address).unwrap();
            slow.write_all(b"GET /hello.txt HTT").unwrap();
            assert!(ask(address, "GET", "/hello.txt").ends_with("hello\n"));
            assert_eq!(slow.read(&mut [0]).unwrap(), 0, "the server has closed it");
        });
        assert_eq!(failures, 1);
    });
}

/// Connections that are kept alive do not keep a server that stops.
#[test]
fn a_server_stops_with_connections_open() {
    watchdog(|| {
        let (give, take) = std::sync::mpsc::channel();
        let failures = serve_to(None, move |address, _| {
            for _ in 0..10 {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                stream.read_exact(&mut [0; 100]).unwrap();
                give.send(stream).unwrap();
            }
        });
        assert_eq!(failures, 0);
        assert_eq!(take.iter().count(), 10);
    });
}
