//! Where there is no `SIGEV_THREAD`, threads of our own call back.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use deferral::Promise;

pub(crate) fn read_at(file: &Arc<File>, offset: u64, size: usize) -> Promise<Vec<u8>, io::Error> {
    let file = file.clone();
    Promise::new(move |deferred| {
        thread::spawn(move || {
            let mut file = &*file;
            let mut buffer = vec![0; size];
            let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read(&mut buffer));
            deferred.settle(read.map(|read| {
                buffer.truncate(read);
                buffer
            }))
        });
    })
}

pub(crate) fn call_every(period: Duration, tick: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
    let run = move || {
        loop {
            thread::sleep(period);
            tick();
        }
    };
    thread::Builder::new().spawn(run).map(drop)
}
