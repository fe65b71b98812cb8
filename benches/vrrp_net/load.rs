//! What many virtual routers cost, against keepalived and against the floor in the same run:
//! `cargo bench -p benches --bench vrrp_load`. It needs root, and Debian's keepalived.
//!
//! Two hosts (network namespaces) with a cable between them, which this program makes. On each of
//! them runs one process with 250 virtual routers of VRRPv3 on one interface, one address each, 10
//! advertisements a second each: the Active on one, the Backup on the other. First a pair of ours
//! (this program again, with `lvs_vrrp::net::Driver` as it is without settings), then a pair of
//! keepalived with the same virtual routers, then the floor, and again.
//!
//! | Figure | Is |
//! |---|---|
//! | CPU | user and system time of the process, all its threads |
//! | waits | voluntary context switches: how often it had to be woken |
//! | forced | how often it was put aside for others |
//! | memory | resident: all of it, with programs and libraries, and what is its own (heap, stacks) |
//! | installed | from the kill of the Active to the last of 250 addresses at the other |
//! | announced | from the kill to the moment when each address has been announced at least once |
//!
//! The kernel brings a packet through the cable in the sender's time, up to the receiver's socket.
//! The floor sends as many packets in 16 parts per interval, one `sendmmsg` each, and reads them by
//! `poll` and `recvmmsg`.
//!
//! Last, 2,000 virtual routers of ours on 8 interfaces, one advertisement a second each: the times
//! between advertisements of each, as they reach the other host, and whether a Backup took over.
//!
//! Arguments: `-- --rounds N` (default 3), `-- --seconds N` of each measurement (default 5).

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::indexing_slicing, reason = "a bench fails by panicking")]

mod figures;
mod floor;
mod host;
mod layout;
mod many;
mod subject;
mod usage;
mod watch;

use core::error::Error;
use core::time::Duration;
use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

use figures::{Figures, judge};
use host::Host;
use layout::{Layout, Maker, Program};
use usage::{Memory, Rate, Usage, memory};
use watch::{Addresses, Capture, Kind, wall};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

const LAYOUT: Layout = Layout {
    interfaces: 1,
    routers: 250,
    interval_cs: 10,
};
/// Of the Active and of the Backup.
const PRIORITIES: [u8; 2] = [200, 100];
/// The second round of announcements is over.
const SETTLE: Duration = Duration::from_millis(2500);
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("vrrp_load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<()> {
    // First what this program starts of itself.
    match arguments.first().and_then(|first| first.to_str()) {
        Some("subject") => return subject::run(&arguments[1..]),
        Some("floor-send") => return floor::send(&arguments[1..]),
        Some("floor-receive") => return floor::receive(),
        _ => {}
    }
    // `cargo test --benches` wants to know that it runs, not how fast.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let (mut rounds, mut seconds) = (3, 5);
    let mut arguments = arguments.iter().map(|argument| argument.to_str());
    while let Some(argument) = arguments.next() {
        let number = |value: Option<Option<&str>>| -> Result<u64> {
            let value = value.flatten().and_then(|value| value.parse().ok());
            let value = value.filter(|value| (1..=60).contains(value));
            value.ok_or_else(|| "a number from 1 to 60 is wanted".into())
        };
        match argument {
            // From cargo.
            Some("--bench") => {}
            Some("--rounds") => rounds = number(arguments.next())?,
            Some("--seconds") => seconds = number(arguments.next())?,
            Some(name) if !name.starts_with('-') => {
                // Other benches were chosen by name.
                if !"vrrp_load".contains(name) {
                    return Ok(());
                }
            }
            _ => return Err(format!("{argument:?}: unknown argument").into()),
        }
    }
    layout::check()?;
    compare(rounds, Duration::from_secs(seconds))?;
    many::measure()
}

/// The figures of one maker.
#[derive(Debug, Default)]
struct Column {
    roles: [Role; 2],
    installed_ms: Figures,
    announced_ms: Figures,
}

/// Those of its Active, or of its Backup.
#[derive(Debug, Default)]
struct Role {
    cpu_percent: Figures,
    cpu_per_advert_us: Figures,
    adverts: Figures,
    waits: Figures,
    forced: Figures,
    memory_mb: Figures,
    own_memory_mb: Figures,
}

impl Role {
    fn add(&mut self, rate: &Rate, adverts: f64, memory: Memory) {
        self.cpu_percent.add(rate.cpu * 100.0);
        self.cpu_per_advert_us.add(rate.cpu * 1e6 / adverts);
        self.adverts.add(adverts);
        self.waits.add(rate.waits);
        self.forced.add(rate.forced);
        self.memory_mb.add(memory.all);
        self.own_memory_mb.add(memory.own);
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<22} {:>4.2} % {:>6.1} µs  {:>5.0}  {:>5.0}  {:>5.0}  {:.2} MB, own {:.2} MB",
            self.cpu_percent,
            self.cpu_per_advert_us,
            self.adverts,
            self.waits,
            self.forced,
            self.memory_mb,
            self.own_memory_mb
        );
    }
}

fn compare(rounds: u64, duration: Duration) -> Result<()> {
    let hosts = [Host::new("load-one")?, Host::new("load-other")?];
    hosts[0].connect("eth0", &hosts[1], "eth0")?;
    hosts[0].ip("address add 172.16.0.1/24 dev eth0")?;
    hosts[1].ip("address add 172.16.0.2/24 dev eth0")?;
    let folder = tempfile::tempdir()?;
    let mut columns = [Column::default(), Column::default()];
    let mut floor = [Role::default(), Role::default()];
    println!("load of the machine before: {}", usage::load());
    for _ in 0..rounds {
        for (maker, column) in Maker::BOTH.into_iter().zip(&mut columns) {
            measure(maker, &hosts, folder.path(), duration, column)?;
        }
        measure_floor(&hosts, duration, &mut floor)?;
    }
    println!("load of the machine after: {}", usage::load());
    println!(
        "250 virtual routers × 10 adverts/s, {rounds} rounds of {duration:?}: median (least–most)"
    );
    println!("CPU of a core, CPU per advert, adverts/s, waits/s, forced/s, memory, of it its own");
    let lines = |name: &str, roles: &[Role; 2]| {
        roles[0].print(&format!("{name} Active"));
        roles[1].print(&format!("{name} Backup"));
    };
    for (maker, column) in Maker::BOTH.into_iter().zip(&columns) {
        lines(maker.name(), &column.roles);
    }
    lines("floor", &floor);
    let [ours, theirs] = &columns;
    let ratios = [0, 1].map(|role| {
        let [ours, theirs] = [ours, theirs].map(|column| &column.roles[role].cpu_per_advert_us);
        ours.over(theirs)
    });
    println!(
        "ours / keepalived, CPU per advert: Active {:.2}, Backup {:.2}",
        ratios[0], ratios[1]
    );
    for (maker, column) in Maker::BOTH.into_iter().zip(&columns) {
        println!(
            "{} take-over: 250 addresses installed {:.0} ms after the kill, announced {:.0} ms",
            maker.name(),
            column.installed_ms,
            column.announced_ms
        );
    }
    judge("Active, CPU over keepalived's", ratios[0].median(), 0.4);
    judge("Backup, CPU over keepalived's", ratios[1].median(), 0.8);
    let memory = ours.roles.iter().map(|role| role.memory_mb.max());
    judge("memory, MB", memory.fold(0.0, f64::max), 5.0);
    let limit = LAYOUT.down_interval(PRIORITIES[1]) + Duration::from_millis(50);
    let limit = limit.as_secs_f64() * 1000.0;
    judge(
        "250 addresses installed, ms",
        ours.installed_ms.max(),
        limit,
    );
    Ok(())
}

fn measure(
    maker: Maker,
    hosts: &[Host; 2],
    folder: &Path,
    duration: Duration,
    column: &mut Column,
) -> Result<()> {
    let total = LAYOUT.total();
    let mut active = maker.start(&hosts[0], LAYOUT, PRIORITIES[0], folder)?;
    Addresses::of(&hosts[0])?.wait_for(total, PATIENCE)?;
    let backup = maker.start(&hosts[1], LAYOUT, PRIORITIES[1], folder)?;
    thread::sleep(SETTLE);
    let pids = [active.pid, backup.pid];
    let before = [Usage::of(pids[0])?, Usage::of(pids[1])?];
    thread::sleep(duration);
    for (role, pid) in pids.into_iter().enumerate() {
        let rate = Usage::of(pid)?.since(&before[role]);
        let adverts = [rate.sent, rate.received][role];
        column.roles[role].add(&rate, adverts, memory(pid)?);
    }
    let announcements = Capture::start(&hosts[0], Kind::Arp)?;
    let mut addresses = Addresses::of(&hosts[1])?;
    let killed = wall();
    active.kill()?;
    let installed = addresses.wait_for(total, PATIENCE)?;
    thread::sleep(SETTLE);
    let mut announced = BTreeSet::new();
    let mut last = killed;
    for frame in announcements.end()? {
        if frame
            .announced()
            .is_some_and(|address| announced.insert(address))
        {
            last = frame.at;
        }
    }
    if announced.len() != total {
        return Err(format!("{} of {total} addresses were announced", announced.len()).into());
    }
    column
        .installed_ms
        .add((installed - killed).as_secs_f64() * 1000.0);
    column
        .announced_ms
        .add((last - killed).as_secs_f64() * 1000.0);
    drop((active, backup));
    for host in hosts {
        host.forget(LAYOUT.each().map(|(_, _, address)| ("eth0", address)))?;
        Addresses::of(host)?.wait_for(0, PATIENCE)?;
    }
    Ok(())
}

fn measure_floor(hosts: &[Host; 2], duration: Duration, roles: &mut [Role; 2]) -> Result<()> {
    let own = env::current_exe()?;
    let receiver = Program::start(&hosts[1], Command::new(&own).arg("floor-receive"))?;
    let mut command = Command::new(&own);
    let sender = Program::start(&hosts[0], command.args(["floor-send", "250", "100", "16"]))?;
    thread::sleep(Duration::from_millis(500));
    let pids = [sender.pid, receiver.pid];
    let before = [Usage::of(pids[0])?, Usage::of(pids[1])?];
    thread::sleep(duration);
    for (role, pid) in pids.into_iter().enumerate() {
        let rate = Usage::of(pid)?.since(&before[role]);
        let adverts = [rate.sent, rate.received][role];
        roles[role].add(&rate, adverts, memory(pid)?);
    }
    Ok(())
}
