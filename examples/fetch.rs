//! Downloads many URLs at once: `when::map` with a limit, a progress bar for each and one for all, timeouts, and a second try.
//!
//! What it shows: hyper's client on the event loop, with the feature `io`; `when::map`, which keeps so many in flight and no more; a name
//! that is looked up on a thread, behind a promise; and an end for a server that says nothing.
//!
//! ```text
//! cargo run --release --features io --example http_server -- . --for 60 &
//! cargo run --release --features io --example fetch -- -o /tmp http://127.0.0.1:8080/README.md http://127.0.0.1:8080/Cargo.toml
//! ```
//!
//! The exit code is 0 when all went well, 1 when something could not be fetched, and 2 when the arguments are at fault. It speaks plain
//! HTTP, and follows no redirection.

#[path = "http_server/connection.rs"]
mod connection;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use async_io::Async;
use clap::Parser;
use deferral::{Deferred, EventLoop, Promise, local, sleep, spawn, when};
use futures::future::{Either, select};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use connection::{Buffer, Connection};

/// How often a URL is tried.
const TRIES: u32 = 2;

/// Downloads many URLs at once
#[derive(Parser)]
#[command(name = "fetch", version, about)]
struct Args {
    /// What to download, as http://host/path
    #[arg(value_name = "URL", required = true)]
    urls: Vec<Uri>,

    /// How many at once
    #[arg(short = 'n', long, value_name = "N", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    limit: usize,

    /// Gives up on a server that says nothing for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    timeout: f64,

    /// Where to write; files that are there already are replaced
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> Result<ExitCode, String> {
    let silence = Duration::try_from_secs_f64(args.timeout).map_err(|error| format!("--timeout: {error}"))?;
    if !args.output.is_dir() {
        return Err(format!("cannot write to {}: it is no directory", args.output.display()));
    }
    let downloads = args.urls.into_iter().map(Download::new).collect::<Result<Vec<_>, _>>()?;
    let downloads = name(downloads, &args.output);
    let (start, count) = (Instant::now(), downloads.len());

    let bars = MultiProgress::new();
    let all = bars.add(ProgressBar::new(count as u64).with_style(style("{bar:24} {pos} of {len} files")));
    let client = Rc::new(Client { bars, buffer: Rc::new(RefCell::new([0; 16 << 10])), silence });

    // Each download is a task, and its promise tells how it ended; a failure is one of its values, and does not stop the others.
    let event_loop = EventLoop::new();
    let total = all.clone();
    let results = event_loop.run_until_complete(async move {
        let fetch = move |download| {
            let client = Rc::clone(&client);
            spawn(async move { client.fetch(download).await })
        };
        when::map(downloads, args.limit, fetch).progress(move |progress| total.set_position(progress.done)).await
    });
    all.finish_and_clear();
    let results = results.map_err(|broken| broken.to_string())?;

    let fetched: Vec<_> = results.iter().flatten().collect();
    let (bytes, retried) =
        fetched.iter().fold((0, 0), |(bytes, retried), it| (bytes + it.bytes, retried + u32::from(it.tries > 1)));
    let again = if retried > 0 { format!(", {retried} of them at the second try") } else { String::new() };
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        say(format_args!("{error}"));
    }
    let seconds = start.elapsed().as_secs_f64();
    say(format_args!("fetched {} of {count} files{again}: {bytes} bytes in {seconds:.3} s", fetched.len()));
    Ok(if fetched.len() == count { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Writes one line to standard error. If that is closed, there is nobody left to tell.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

// -------------------------------------------------------------------------------------------------------- downloads

/// A URL that can be fetched.
struct Download {
    url: Uri,
    host: String,
    port: u16,
    file: PathBuf,
}

impl Download {
    fn new(url: Uri) -> Result<Self, String> {
        if url.scheme_str() != Some("http") {
            return Err(format!("cannot fetch {url}: it does not begin with http://"));
        }
        let host = url
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| format!("cannot fetch {url}: it names no host"))?;
        // An IPv6 address stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(80);
        Ok(Download { host, port, file: PathBuf::new(), url })
    }
}

/// Names the files after the last part of the URLs, with a number where that is taken.
fn name(mut downloads: Vec<Download>, directory: &std::path::Path) -> Vec<Download> {
    let mut taken = HashSet::new();
    for download in &mut downloads {
        let last = download.url.path().rsplit('/').next().unwrap_or_default();
        let base = if matches!(last, "" | "." | "..") { "index.html" } else { last };
        let numbered = (1..).map(|n| format!("{base}.{n}"));
        let name = std::iter::once(base.to_owned()).chain(numbered).find(|name| taken.insert(name.clone()));
        download.file = directory.join(name.unwrap_or_default());
    }
    downloads
}

struct Fetched {
    bytes: u64,
    tries: u32,
}

/// What the downloads share.
struct Client {
    bars: MultiProgress,
    buffer: Buffer,
    silence: Duration,
}

impl Client {
    async fn fetch(&self, download: Download) -> Result<Fetched, String> {
        let bar = self.bars.insert_from_back(1, ProgressBar::no_length());
        bar.set_style(style("{bar:24} {bytes:>10} of {total_bytes:10} {msg}"));
        bar.set_message(download.url.to_string());
        // What is not whole yet has another name, and is gone if it never will be.
        let mut part = download.file.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut tries = 1;
        let result = loop {
            match self.attempt(&download, &part, &bar).await {
                Err(error) if tries < TRIES && error.passes() => tries += 1,
                result => break result,
            }
        };
        let result = result.and_then(|bytes| fs::rename(&part, &download.file).map(|()| bytes).map_err(Failure::Write));
        if result.is_err() {
            let _ = fs::remove_file(&part);
        }
        bar.finish_and_clear();
        result.map(|bytes| Fetched { bytes, tries }).map_err(|error| format!("cannot fetch {}: {error}", download.url))
    }

    async fn attempt(&self, download: &Download, part: &std::path::Path, bar: &ProgressBar) -> Result<u64, Failure> {
        let stream = self.within(connect(&download.host, download.port)).await??;
        let connection = Connection::new(stream, Rc::clone(&self.buffer), Rc::new(Cell::new(true)));
        let (mut sender, connection) = http1::handshake(connection).await?;
        // hyper's own part of the work: a task, which ends with this attempt.
        let _connection = Canceled(spawn(connection));

        let path = download.url.path_and_query().map_or("/", |path| path.as_str());
        let host = download.url.authority().map_or("", |authority| authority.as_str());
        let request = Request::get(path).header(HOST, host).body(String::new()).map_err(|_| Failure::Request)?;
        let mut response: Response<Incoming> = self.within(sender.send_request(request)).await??;
        if !response.status().is_success() {
            return Err(Failure::Status(response.status()));
        }
        let mut file = File::create(part).map_err(Failure::Write)?;
        if let Some(length) = response.body().size_hint().exact() {
            bar.set_length(length);
        }
        let mut bytes = 0;
        while let Some(piece) = self.within(next(response.body_mut())).await?? {
            file.write_all(&piece).map_err(Failure::Write)?;
            bytes += piece.len() as u64;
            bar.set_position(bytes);
        }
        Ok(bytes)
    }

    /// The output of `future`, if the server is not silent for too long.
    async fn within<F: Future>(&self, future: F) -> Result<F::Output, Failure> {
        match select(pin!(future), &mut Canceled(sleep(self.silence))).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(_) => Err(Failure::Silence(self.silence)),
        }
    }
}

/// The next piece of a body, or `None` at its end.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        if let Ok(piece) = frame?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

/// Connects to the first address of the host that answers.
async fn connect(host: &str, port: u16) -> Result<Async<TcpStream>, Failure> {
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in resolve(host.to_owned(), port).await.map_err(Failure::Connect)? {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(Failure::Connect(refused))
}

/// The addresses of a host: the system's way to ask for them blocks, so a thread does.
fn resolve(host: String, port: u16) -> Promise<Vec<SocketAddr>, io::Error> {
    let (deferred, addresses) = Deferred::new();
    thread::spawn(move || deferred.settle((host, port).to_socket_addrs().map(Iterator::collect)));
    addresses
}

/// A promise that is canceled when nobody waits for it any more.
struct Canceled<T: 'static>(local::Promise<T>);

impl<T: 'static> Future for Canceled<T> {
    type Output = Result<T, deferral::Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T: 'static> Drop for Canceled<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

// ---------------------------------------------------------------------------------------------------------- errors

/// Why an attempt failed.
enum Failure {
    Connect(io::Error),
    Silence(Duration),
    Http(hyper::Error),
    Status(hyper::StatusCode),
    Request,
    Write(io::Error),
}

impl Failure {
    /// Whether it may be gone at the next try.
    fn passes(&self) -> bool {
        match self {
            Failure::Connect(_) | Failure::Silence(_) | Failure::Http(_) => true,
            Failure::Status(status) => status.is_server_error(),
            Failure::Request | Failure::Write(_) => false,
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Failure::Http(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Connect(error) => write!(f, "no connection: {error}"),
            Failure::Silence(limit) => write!(f, "the server said nothing for {limit:?}"),
            Failure::Http(error) => write!(f, "{error}"),
            Failure::Status(status) => write!(f, "the server says {status}"),
            Failure::Request => write!(f, "no request can be made of it"),
            Failure::Write(error) => write!(f, "cannot write: {error}"),
        }
    }
}
