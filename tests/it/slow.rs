//! What holds up the loop is told: tried in a process of its own, whose standard error can be read.

use crate::util::watchdog;
use deferral::EventLoop;
use std::process::Command;
use std::time::{Duration, Instant};

const CHILD: &str = "DEFERRAL_SLOW_CHILD";

/// Takes longer than that, on whatever machine.
fn take(time: Duration) {
    let began = Instant::now();
    while began.elapsed() <= time {
        std::hint::spin_loop();
    }
}

/// G10: a call and a poll that take longer than the limit are one line each, with the place where they were asked for; what is
/// quick is none, and neither is what is slow on a loop whose owner does not want to know.
#[test]
fn a_slow_call_is_one_line() {
    const LIMIT: Duration = Duration::from_millis(2);
    let event_loop = EventLoop::new();
    event_loop.warn_slower_than(LIMIT);
    let call_line = line!() + 1;
    event_loop.call_soon(|| take(LIMIT));
    let task_line = line!() + 1;
    event_loop.spawn(async { take(LIMIT) });

    if std::env::var_os(CHILD).is_some() {
        event_loop.run_until_idle();
        for limit in [Duration::from_secs(3600), Duration::MAX] {
            event_loop.warn_slower_than(limit);
            event_loop.call_soon(|| take(LIMIT));
            event_loop.run_until_idle();
        }
        let other = EventLoop::new();
        other.call_soon(|| take(LIMIT));
        return other.run_until_idle();
    }
    let output = watchdog(move || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["slow::a_slow_call_is_one_line", "--exact", "--nocapture", "--test-threads=1"]);
        child.env(CHILD, "").output().unwrap()
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    let lines: Vec<_> = stderr.lines().filter_map(|line| line.strip_prefix("deferral: ")).collect();
    if !cfg!(debug_assertions) {
        assert_eq!(lines, [""; 0]);
        return;
    }
    let begins = [
        format!("the call scheduled at {}:{call_line}:", file!()),
        format!("a poll of the task spawned at {}:{task_line}:", file!()),
    ];
    assert_eq!(lines.len(), 2, "{stderr}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(&begin) && line.ends_with(", more than 2ms"), "{line}");
    }
}
