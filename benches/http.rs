//! The server of `examples/http_server` beside the same hyper service on tokio's current-thread runtime, under `wrk`.
//!
//! ```text
//! cargo bench --features io --bench http                              # needs wrk
//! cargo bench --features io --bench http -- --rounds 9 --seconds 2
//! ```
//!
//! Each server is a process of its own. They take turns, round by round, so that whatever else the machine does befalls both. What is
//! told in the end are medians; that of the ratios is the one that counts, for the two turns of a round see the same machine. The
//! processor time that a request takes differs less on a busy one.
//!
//! Then many connections are opened to ours, and left alone: what that costs is told as processor time.

#[allow(dead_code)]
#[path = "../examples/http_server/connection.rs"]
mod connection;
#[allow(dead_code)]
#[path = "../examples/http_server/server.rs"]
mod server;
#[path = "../examples/http_server/site.rs"]
mod site;

use std::convert::Infallible;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, process, thread};

use async_io::Async;
use clap::Parser;
use deferral::{Deferred, EventLoop};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use server::{Counts, Server, serve};
use site::Site;

#[derive(Parser)]
struct Args {
    /// How often each server has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// For how long a turn lasts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// How many connections wrk has open
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,

    /// How many connections are left alone at the end
    #[arg(long, value_name = "N", default_value_t = 1000)]
    idle: usize,

    /// Serves a directory: one of the processes that are compared
    #[arg(long, hide = true, num_args = 2, value_names = ["CONTESTANT", "DIR"])]
    serve: Option<Vec<String>>,

    /// What `cargo bench` says, and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
}

const OURS: &str = "deferral";
const TOKIO: &str = "tokio";

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test` runs this program to see whether it starts.
    if !env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let args = Args::parse();
    if let Some([contestant, directory]) = args.serve.as_deref() {
        let site = Arc::new(Site::new(Path::new(directory))?);
        return if contestant == OURS { serve_ours(site) } else { serve_on_tokio(site) };
    }
    let directory = Directory::new()?;
    let (ours, tokio) = (Process::start(OURS, &directory.0)?, Process::start(TOKIO, &directory.0)?);
    let (mut our_turns, mut their_turns, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    println!("GET of 1 KiB, wrk -t1 -c{} -d{}s", args.connections, args.seconds);
    println!("{:>5} {:>37} {:>37}", "", "requests per second", "processor time per request, in µs");
    println!("{0:>5} {OURS:>15} {TOKIO:>15} {1:>5} {OURS:>15} {TOKIO:>15} {1:>5}", "round", "ratio");
    for round in 1..=args.rounds {
        let (our_turn, their_turn) = if round % 2 == 0 {
            let their_turn = wrk(&args, &tokio)?;
            (wrk(&args, &ours)?, their_turn)
        } else {
            (wrk(&args, &ours)?, wrk(&args, &tokio)?)
        };
        let ratio = our_turn.by(their_turn);
        row(&round.to_string(), our_turn, their_turn, ratio);
        our_turns.push(our_turn);
        their_turns.push(their_turn);
        ratios.push(ratio);
    }
    row("all", median(&our_turns), median(&their_turns), median(&ratios));
    idle(&ours, args.idle)
}

/// What a contestant did in a round.
#[derive(Clone, Copy)]
struct Turn {
    requests_per_second: f64,
    micros_per_request: f64,
}

impl Turn {
    /// Ours by theirs.
    fn by(self, theirs: Turn) -> Turn {
        Turn {
            requests_per_second: self.requests_per_second / theirs.requests_per_second,
            micros_per_request: self.micros_per_request / theirs.micros_per_request,
        }
    }
}

fn row(name: &str, ours: Turn, theirs: Turn, ratio: Turn) {
    print!("{name:>5} {:>15.0} {:>15.0}", ours.requests_per_second, theirs.requests_per_second);
    print!(" {:>5.2} {:>15.2}", ratio.requests_per_second, ours.micros_per_request);
    println!(" {:>15.2} {:>5.2}", theirs.micros_per_request, ratio.micros_per_request);
}

/// The medians, each by itself.
fn median(turns: &[Turn]) -> Turn {
    let middle = |number: fn(&Turn) -> f64| {
        let mut numbers: Vec<_> = turns.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    Turn {
        requests_per_second: middle(|turn| turn.requests_per_second),
        micros_per_request: middle(|turn| turn.micros_per_request),
    }
}

// --------------------------------------------------------------------------------------------------------- servers

fn serve_ours(site: Arc<Site>) -> Result<(), Box<dyn Error>> {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.get_ref().local_addr()?);
    let server = Server { site, counts: Counts::default(), limit: None, report: |_, _| () };
    let (_stop, stopped) = Deferred::<()>::new();
    EventLoop::new().run_until_complete(serve(Rc::new(server), listener, stopped));
    Ok(())
}

fn serve_on_tokio(site: Arc<Site>) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                    let response = site.respond(request.method(), request.uri().path());
                    async { Ok::<_, Infallible>(response) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// A server in a process of its own, which ends with this value.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(contestant: &str, directory: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--bench", "--serve", contestant]).arg(directory).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        Ok(Process { child, address: address.trim().to_owned() })
    }

    /// How much processor time its threads have taken so far, as Linux tells it.
    fn processor_time(&self) -> Result<Duration, Box<dyn Error>> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Something to serve, until it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("deferral-http-{}", process::id()));
        fs::create_dir(&path)?;
        fs::write(path.join("file.txt"), [b'x'; 1024])?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// --------------------------------------------------------------------------------------------------------- clients

/// A turn of one of the servers, as wrk and the system tell.
fn wrk(args: &Args, server: &Process) -> Result<Turn, Box<dyn Error>> {
    let before = server.processor_time()?;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{}", args.connections), &format!("-d{}s", args.seconds)])
        .arg(format!("http://{}/file.txt", server.address))
        .output()
        .map_err(|error| format!("cannot run wrk: {error}"))?;
    let took = server.processor_time()? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("not all requests were served:\n{text}").into());
    }
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    match (rate, requests) {
        (Some(rate), Some((requests, _))) => Ok(Turn {
            requests_per_second: rate.trim().parse()?,
            micros_per_request: took.as_secs_f64() * 1e6 / requests.parse::<f64>()?,
        }),
        _ => Err(format!("wrk says: {text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Opens connections, makes a request on each, and tells what it costs to keep them.
fn idle(server: &Process, count: usize) -> Result<(), Box<dyn Error>> {
    const TIME: Duration = Duration::from_secs(3);
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(&server.address)?;
        stream.write_all(b"GET /file.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer)?;
        if !answer[..length].starts_with(b"HTTP/1.1 200 OK") {
            return Err("a connection is not served".into());
        }
        connections.push(stream);
    }
    thread::sleep(Duration::from_millis(500));
    let before = server.processor_time()?;
    thread::sleep(TIME);
    let took = server.processor_time()? - before;
    println!("{count} idle connections take {took:?} of processor time in {TIME:?}");
    Ok(())
}
