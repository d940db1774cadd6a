//! What the threads do.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use deferral::{Deferred, Progress, Promise};

/// Why a load has failed. Shared by all who look at it: its row, and the end of the program.
pub(crate) type Failure = Arc<io::Error>;

/// In how many pieces a file is read, if they are not too big then.
const PIECES: u64 = 50;
const BIGGEST_PIECE: u64 = 1 << 20;

/// What a thread that works sees of its promise.
pub(crate) struct Work<'a> {
    pub(crate) deferred: &'a Deferred<String, Failure>,
    pub(crate) rest: Duration,
}

impl Work<'_> {
    /// Tells how far it is, and rests. It is an error to go on when nobody waits any more.
    pub(crate) fn report(&self, done: u64, total: u64) -> io::Result<()> {
        if !self.deferred.notify(Progress { done, total }) {
            return Err(io::Error::other("canceled"));
        }
        thread::sleep(self.rest);
        Ok(())
    }
}

/// The promise of what a thread of its own is going to find out.
pub(crate) fn on_a_thread(
    rest: Duration,
    work: impl FnOnce(&Work<'_>) -> io::Result<String> + Send + 'static,
) -> Promise<String, Failure> {
    Promise::new(|deferred| {
        thread::spawn(move || {
            let outcome = work(&Work { deferred: &deferred, rest });
            deferred.settle(outcome.map_err(Arc::new))
        });
    })
}

/// How many files are in a directory and those inside it, how many bytes they have, and which has the most.
pub(crate) fn list(directory: &Path, work: &Work<'_>) -> io::Result<String> {
    let (mut files, mut bytes, mut biggest) = (0, 0, None);
    let (mut waiting, mut done) = (vec![directory.to_owned()], 0);
    while let Some(inner) = waiting.pop() {
        for entry in fs::read_dir(inner)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
                continue;
            }
            let length = entry.metadata()?.len();
            files += 1;
            bytes += length;
            biggest = biggest.max(Some((length, entry.file_name())));
        }
        done += 1;
        // How many directories there are is known so far.
        work.report(done, done + waiting.len() as u64)?;
    }
    let biggest = biggest.map(|(_, name)| format!(", biggest: {}", name.to_string_lossy()));
    Ok(format!("files: {files}, bytes: {bytes}{}", biggest.unwrap_or_default()))
}

pub(crate) fn count_lines(file: &Path, work: &Work<'_>) -> io::Result<String> {
    let mut lines = 0;
    read(file, work, |piece| lines += piece.iter().filter(|byte| **byte == b'\n').count())?;
    Ok(lines.to_string())
}

/// The checksum of zlib, by its definition.
pub(crate) fn adler_32(file: &Path, work: &Work<'_>) -> io::Result<String> {
    const MODULUS: u32 = 65_521;
    let (mut a, mut b) = (1, 0);
    read(file, work, |piece| {
        for byte in piece {
            a = (a + u32::from(*byte)) % MODULUS;
            b = (b + a) % MODULUS;
        }
    })?;
    Ok(format!("{:08x}", b << 16 | a))
}

/// Reads a file piece by piece.
fn read(file: &Path, work: &Work<'_>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let file = File::open(file)?;
    let total = file.metadata()?.len();
    let (mut piece, mut done) = (Vec::new(), 0);
    loop {
        piece.clear();
        let count = (&file).take((total / PIECES + 1).min(BIGGEST_PIECE)).read_to_end(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        take(&piece);
        done += count as u64;
        work.report(done, total)?;
    }
}
