//! What holds programs up on this machine: who waits for a processor, or for others that configure
//! the network, can do nothing meanwhile, whatever it is.

#![allow(dead_code, reason = "each test program uses a part")]

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// So long the kernel's lock of the network is left to others between two looks at it.
const PAUSE: Duration = Duration::from_micros(500);

/// The longest tick of a kernel (`CONFIG_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What held programs up in some time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stall {
    /// Threads of theirs were ready to run, and others ran instead; so were those of the kernel that
    /// deliver packets; all together.
    pub(crate) waiting: Duration,
    /// They ran; all together.
    pub(crate) running: Duration,
    /// Requests to configure the network which change nothing took this long, one after the other.
    pub(crate) locked: Duration,
    /// The longest of them.
    pub(crate) longest: Duration,
}

impl Stall {
    /// For so long a program may have been kept from what it had to do at once, if all that time was for
    /// that.
    pub(crate) fn sum(&self) -> Duration {
        self.counted() + self.locked
    }

    /// The same if it had one thing to do in a longer time.
    pub(crate) fn of_one(&self) -> Duration {
        self.counted() + self.longest
    }

    fn counted(&self) -> Duration {
        let counted = self.waiting + self.running;
        // A kernel that counts in ticks, such as the guest's, may not have counted the last one.
        let is_in_ticks = counted.subsec_nanos() == counted.subsec_millis() * 1_000_000;
        let uncounted = if is_in_ticks { TICK } else { Duration::ZERO };
        counted + uncounted
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            waiting,
            running,
            locked,
            longest,
        } = self;
        write!(
            f,
            "programs waited {waiting:?} for a processor, ran {running:?}, and the network was locked for \
             {locked:?}, {longest:?} of it at once"
        )
    }
}

/// Asks the kernel for nothing, and waits for the answer: whoever configures the network is waited for.
#[derive(Debug)]
pub(crate) struct Probe(Mutex<Socket>);

impl Probe {
    /// Asks in the network namespace of this thread.
    pub(crate) fn open() -> Arc<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
        socket.bind(&SocketAddr::new(0, 0)).unwrap();
        Arc::new(Self(Mutex::new(socket)))
    }

    /// Sets no flag of `lo` to nothing, for which the kernel takes its lock all the same.
    fn ask(&self) -> Duration {
        let mut request = Vec::with_capacity(32);
        // Length, RTM_NEWLINK, NLM_F_REQUEST and NLM_F_ACK, sequence, port: netlink(7).
        request.extend(32_u32.to_ne_bytes());
        request.extend([16_u16, 5].map(u16::to_ne_bytes).concat());
        request.extend([0; 8]);
        // Family and type, index, flags, and which of them to change: rtnetlink(7).
        request.extend([0_u32, 1, 0, 0].map(u32::to_ne_bytes).concat());
        let socket = self.0.lock().unwrap();
        let begin = Instant::now();
        socket.send(&request, 0).unwrap();
        socket.recv_from_full().unwrap();
        begin.elapsed()
    }
}

/// Looks at what holds up programs, from when it is made.
#[derive(Debug)]
pub(crate) struct Meter {
    processes: Vec<u32>,
    begin: Times,
    end: Sender<()>,
    locked: JoinHandle<(Duration, Duration)>,
}

impl Meter {
    /// For these processes, their children, and theirs.
    pub(crate) fn of(processes: Vec<u32>, probe: &Arc<Probe>) -> Self {
        Self::since(Times::of_all(&processes), processes, probe)
    }

    /// For the same, from when this was read.
    pub(crate) fn since(begin: Times, processes: Vec<u32>, probe: &Arc<Probe>) -> Self {
        let (end, ends) = mpsc::channel();
        let probe = Arc::clone(probe);
        let locked = thread::spawn(move || {
            let (mut locked, mut longest) = (Duration::ZERO, Duration::ZERO);
            loop {
                let took = probe.ask();
                (locked, longest) = (locked + took, longest.max(took));
                if ends.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                    return (locked, longest);
                }
            }
        });
        Self {
            processes,
            begin,
            end,
            locked,
        }
    }

    /// What there was until now.
    pub(crate) fn end(self) -> Stall {
        let now = Times::of_all(&self.processes);
        drop(self.end);
        let (locked, longest) = self.locked.join().unwrap();
        let [running, waiting] = now.since(&self.begin);
        Stall {
            waiting,
            running,
            locked,
            longest,
        }
    }
}

/// What threads have waited and run since they began, by their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(BTreeMap<u32, [Duration; 2]>);

impl Times {
    pub(crate) fn of_all(processes: &[u32]) -> Self {
        let mut times = Self::default();
        for process in deliverers().iter().chain(processes) {
            times.add(*process);
        }
        times
    }

    /// Adds all threads of a process, and of its children.
    fn add(&mut self, process: u32) {
        // It may be gone, and then says nothing any more.
        let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
            return;
        };
        for task in tasks.flatten() {
            let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            // Nanoseconds on a processor, and waiting for one: proc(5).
            let text = read("schedstat");
            let mut words = text.split_whitespace().map(str::parse);
            let mut next = || words.next().and_then(Result::ok).map(Duration::from_nanos);
            let times = [(); 2].map(|()| next().unwrap_or_default());
            let number = task.file_name().to_str().unwrap().parse().unwrap();
            self.0.insert(number, times);
            for child in read("children").split_whitespace() {
                self.add(child.parse().unwrap());
            }
        }
    }

    /// What those that are there have run and waited since then.
    fn since(&self, begin: &Self) -> [Duration; 2] {
        let mut sum = [Duration::ZERO; 2];
        for (number, now) in &self.0 {
            let before = begin.0.get(number).copied().unwrap_or_default();
            for ((sum, now), before) in sum.iter_mut().zip(now).zip(before) {
                *sum += now.saturating_sub(before);
            }
        }
        sum
    }
}

/// The threads that deliver packets where there is too much to do for interrupts, one for each
/// processor.
fn deliverers() -> &'static [u32] {
    static FOUND: OnceLock<Vec<u32>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let names = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_one = |process: &u32| {
            let name = fs::read_to_string(format!("/proc/{process}/comm"));
            name.is_ok_and(|name| name.starts_with("ksoftirqd/"))
        };
        names.filter(is_one).collect()
    })
}

/// Lets this thread run as soon as there is something to do, where that is permitted: chrt(1).
pub(crate) fn be_prompt() {
    // Such as 7/task/8.
    let thread = fs::read_link("/proc/thread-self").unwrap();
    let mut command = Command::new("chrt");
    command.args(["--fifo", "--pid", "20"]);
    command.arg(thread.file_name().unwrap());
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}
