//! Says what a build is stuck on: each target is a task that waits for the promises of those it depends on, and then takes its time.
//!
//! What it shows: `EventLoop::dump`, by a timer in the middle of the build, and at the end if something is left over. On the virtual
//! clock a build of hours is over at once. The targets come from a file of lines `NAME SECONDS DEPENDENCY...`; without one, they are
//! those of a small compiler whose lexer needs tables that its own parser makes.
//!
//! ```text
//! cargo run --release --example stuck
//! cargo run --release --example stuck -- targets.txt --at 60
//! ```
//!
//! The exit code is 0 when all was built, 1 when the build is stuck, and 2 when the arguments or the file are at fault.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use deferral::{Broken, EventLoop, State, current, local, sleep, when};

const COMPILER: &str = "\
app     1  parser net
parser  2  lexer
lexer   1  tables
tables  1  parser
net    30
docs    5
";

/// Runs the tasks of a build, and says what they are stuck on
#[derive(Parser)]
#[command(name = "stuck", version, about)]
struct Args {
    /// File of lines `NAME SECONDS DEPENDENCY...`
    #[arg(value_name = "FILE")]
    targets: Option<PathBuf>,

    /// When to look at the build while it goes on
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    at: u64,
}

struct Target {
    name: String,
    takes: Duration,
    dependencies: Vec<String>,
}

/// The promises of all targets, by name.
type Promises = Rc<RefCell<HashMap<String, local::Promise<()>>>>;

fn parse(text: &str) -> Result<Vec<Target>, String> {
    let mut targets: Vec<Target> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let mut words = line.split_whitespace().map(str::to_owned);
        let Some(name) = words.next() else { continue };
        let seconds = words.next().and_then(|word| word.parse().ok());
        let takes = Duration::from_secs(seconds.ok_or(format!("line {number}: `{name}` needs a number of seconds"))?);
        if targets.iter().any(|target| target.name == name) {
            return Err(format!("line {number}: `{name}` is there twice"));
        }
        targets.push(Target { name, takes, dependencies: words.collect() });
    }
    for target in &targets {
        let unknown = target.dependencies.iter().find(|name| targets.iter().all(|other| other.name != **name));
        if let Some(unknown) = unknown {
            return Err(format!("`{}` depends on `{unknown}`, which is not there", target.name));
        }
    }
    Ok(targets)
}

/// One task of the build.
async fn build(target: Target, promises: Promises) -> Result<(), Broken> {
    let began = current().now();
    let dependencies: Vec<_> = target.dependencies.iter().map(|name| promises.borrow()[name].clone()).collect();
    when(dependencies).await?;
    sleep(target.takes).await?;
    println!("{} is built after {:?}", target.name, current().now() - began);
    Ok(())
}

/// Builds all targets, and returns how many are left over.
fn build_all(targets: Vec<Target>, at: Duration) -> usize {
    let event_loop = Rc::new(EventLoop::with_virtual_clock());
    let promises = Promises::default();
    for (target, number) in targets.into_iter().zip(0..) {
        println!("task {number} builds {}", target.name);
        let name = target.name.clone();
        // The tasks begin when the loop runs: then all promises are there.
        let promise = event_loop.spawn(build(target, promises.clone())).flatten();
        promises.borrow_mut().insert(name, promise);
    }

    let watched = event_loop.clone();
    event_loop.call_later(at, move || println!("\nafter {at:?}:\n{}\n", watched.dump()));

    event_loop.run_until_idle();
    let left = promises.borrow().values().filter(|promise| promise.state() != State::Resolved).count();
    if left > 0 {
        eprintln!("error: the build is stuck, with {left} targets left over:\n{}", event_loop.dump());
    }
    left
}

fn main() -> ExitCode {
    let args = Args::parse();
    let text = match &args.targets {
        None => Ok(COMPILER.to_owned()),
        Some(path) => fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())),
    };
    match text.and_then(|text| parse(&text)) {
        Ok(targets) => ExitCode::from(u8::from(build_all(targets, Duration::from_secs(args.at)) > 0)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
