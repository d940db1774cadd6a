//! A program of jQuery's deferreds, and its translation: both count the lines of some files, which they read piece by piece.
//!
//! What it shows: `$.Deferred` as `Promise::new`, whose ends go to the callbacks of a stream, or to a thread; `done`, `fail`, `always` and
//! `progress`, which are the same; and `$.when`.
//!
//! ```text
//! cargo run --release --example from_jquery -- README.md CHANGELOG.md
//! npm install --prefix target/jquery jquery
//! sed '1,/^\/\*/d; /^\*\//,$d' examples/from_jquery.rs >target/jquery/original.mjs
//! node target/jquery/original.mjs README.md CHANGELOG.md                     # the same output
//! ```
//!
//! The exit code is 0 when all went well, and 2 when the arguments or a file are at fault.

/* The original:
globalThis.window = { document: {}, setTimeout }; // jQuery's deferreds need no more of a browser
const { jQuery: $ } = await import("jquery/src/core.js");
await import("jquery/src/deferred.js");
const { createReadStream } = await import("node:fs");

function count(path) {
    return $.Deferred(function (deferred) {
        let lines = 0, bytes = 0;
        createReadStream(path)
            .on("data", function (piece) {
                lines += piece.filter(byte => byte == 10).length;
                bytes += piece.length;
                deferred.notify(bytes);
            })
            .on("end", function () { deferred.resolve(lines); })
            .on("error", function () { deferred.reject("cannot read " + path); });
    }).promise();
}

const paths = process.argv.slice(2);
const bytes = paths.map(() => 0);
const counts = paths.map((path, index) => count(path).progress(now => { bytes[index] = now; }));
$.when.apply($, counts)
    .then(function (...counts) {
        counts.forEach((lines, index) => console.log(`${paths[index]}: ${lines} lines, ${bytes[index]} bytes`));
        return counts.reduce((sum, lines) => sum + lines, 0);
    })
    .done(function (sum) { console.log(`${sum} lines in all`); })
    .fail(function (error) { console.log(`failed: ${error}`); process.exitCode = 2; })
    .always(function () { console.log("the spinner stops"); });
*/

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use clap::Parser;
use deferral::{Deferred, Promise, when};

/// Counts the lines of files, as jQuery would
#[derive(Parser)]
#[command(name = "from_jquery", version, about)]
struct Args {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<String>,
}

/// Where jQuery's callbacks share a variable, threads share an `Arc`.
fn count(path: String) -> Promise<usize, String, u64> {
    let (deferred, promise) = Deferred::with_progress();
    thread::spawn(move || match read(&path, &deferred) {
        Ok(lines) => deferred.resolve(lines),
        Err(_) => deferred.reject(format!("cannot read {path}")),
    });
    promise
}

fn read(path: &str, deferred: &Deferred<usize, String, u64>) -> io::Result<usize> {
    let (mut file, mut piece) = (File::open(path)?, vec![0; 64 << 10]);
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let size = file.read(&mut piece)?;
        if size == 0 {
            return Ok(lines);
        }
        lines += piece[..size].iter().filter(|byte| **byte == b'\n').count();
        bytes += size as u64;
        deferred.notify(bytes);
    }
}

fn main() -> ExitCode {
    let Args { paths } = Args::parse();
    let bytes = Arc::new(Mutex::new(vec![0; paths.len()]));
    let counts = paths.iter().cloned().enumerate().map(|(index, path)| {
        let bytes = bytes.clone();
        count(path).progress(move |now| bytes.lock().unwrap()[index] = *now)
    });
    let all = when(counts.collect::<Vec<_>>())
        .then(move |counts: Vec<usize>| {
            for ((path, lines), bytes) in paths.iter().zip(&counts).zip(&*bytes.lock().unwrap()) {
                println!("{path}: {lines} lines, {bytes} bytes");
            }
            Ok(counts.iter().sum::<usize>())
        })
        .done(|sum| println!("{sum} lines in all"))
        .fail(|error| println!("failed: {error}"))
        .always(|_| println!("the spinner stops"));
    // In the browser the loop goes on by itself; here the program would end.
    ExitCode::from(if all.wait().is_ok() { 0 } else { 2 })
}
