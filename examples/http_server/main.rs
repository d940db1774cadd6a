//! Serves a directory over HTTP: hyper on the event loop, with the feature `io`.
//!
//! What it shows: one thread that holds thousands of connections, each a task of a few lines; hyper, which asks for no runtime, on top
//! of async-io's sockets; long files read by threads behind promises; a promise that many tasks wait for at once, to stop.
//!
//! ```text
//! cargo run --release --features io --example http_server -- target/doc --listen 127.0.0.1:8080
//! curl http://127.0.0.1:8080/
//! ```
//!
//! It runs until Ctrl-C, or for as long as `--for` says. The exit code is 0 then, and 2 when the arguments are at fault: a directory that
//! is none, an address that is taken.

mod connection;
mod server;
mod site;

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Async;
use clap::Parser;
use deferral::{Deferred, EventLoop, Promise};

use server::{Counts, Server, serve};
use site::Site;

/// Serves a directory over HTTP
#[derive(Parser)]
#[command(name = "http_server", version, about)]
struct Args {
    /// What to serve
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Ends after so many seconds; without it, at Ctrl-C
    #[arg(long = "for", value_name = "SECONDS")]
    duration: Option<u64>,

    /// Closes a connection on which nothing moves for so many seconds; 0 never does
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let directory = args.directory.display();
    let site = Site::new(&args.directory).map_err(|error| format!("cannot serve {directory}: {error}"))?;
    let listener = TcpListener::bind(args.listen)
        .and_then(Async::new)
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let address = listener.get_ref().local_addr().map_err(|error| error.to_string())?;
    let limit = (args.timeout > 0).then(|| Duration::from_secs(args.timeout));
    let server = Rc::new(Server { site: Arc::new(site), counts: Counts::default(), limit, report });

    let event_loop = EventLoop::new();
    let stop = stop(&event_loop, args.duration)?;
    say(format_args!("serving {directory} at http://{address}/"));
    let start = Instant::now();
    event_loop.run_until_complete(serve(Rc::clone(&server), listener, stop));

    let Counts { connections, requests, failures } = &server.counts;
    say(format_args!(
        "served {} requests on {} connections, {} of which failed, in {:.1} s",
        requests.get(),
        connections.get(),
        failures.get(),
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// A promise that is resolved when it is time to end: by a signal, or by a timer. Each connection has a clone of it.
fn stop(event_loop: &EventLoop, seconds: Option<u64>) -> Result<Promise<()>, String> {
    let (signal, stop) = Deferred::<()>::new();
    if let Some(seconds) = seconds {
        let timer = signal.clone();
        event_loop.call_later(Duration::from_secs(seconds), move || timer.resolve(()));
    }
    ctrlc::set_handler(move || {
        signal.resolve(());
    })
    .map_err(|error| format!("cannot hear of Ctrl-C: {error}"))?;
    Ok(stop)
}

/// If nobody reads what it says, there is nobody left to tell.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// hyper's errors tell the reason one level down.
fn report(peer: SocketAddr, error: &dyn Error) {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let _ = writeln!(io::stderr(), "{peer}: {error}{cause}");
}
