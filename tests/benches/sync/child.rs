//! Runs a program, and counts what it took.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// What a finished program took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Processor time of all its threads, in user mode and in the kernel.
    pub(crate) processor: Duration,
    /// Peak of its resident memory in MiB.
    pub(crate) memory: u64,
}

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Cost {
    let before = processor(UsageWho::RUSAGE_CHILDREN);
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    // The peak of a child can only be asked for while it runs: `getrusage` knows that of the largest of all children.
    let ended = loop {
        memory = peak_of(&status).unwrap_or(memory);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success(), "{command:?}: {ended}");
    Cost { wall: begun.elapsed(), processor: processor(UsageWho::RUSAGE_CHILDREN) - before, memory }
}

/// The medians of several runs.
pub(crate) fn medians(costs: &[Cost]) -> Cost {
    let median = |mut values: Vec<Duration>| {
        values.sort();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Cost {
        wall: median(costs.iter().map(|cost| cost.wall).collect()),
        processor: median(costs.iter().map(|cost| cost.processor).collect()),
        memory: costs.iter().map(|cost| cost.memory).max().unwrap_or_default(),
    }
}

/// `VmHWM` of `/proc/PID/status`, in MiB.
fn peak_of(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

/// Processor time, in user mode and in the kernel, of this thread or of all finished children.
pub(crate) fn processor(of: UsageWho) -> Duration {
    let usage = getrusage(of).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}
