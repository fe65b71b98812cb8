//! CPU of a check, ours beside HAProxy's and the floor's.

use core::time::Duration;
use std::thread;

use crate::figures::{Figures, judge};
use crate::host::Host;
use crate::process::{Program, Usage, memory};
use crate::subject::Kind;
use crate::{Result, haproxy, server};

const SERVERS: u16 = 1000;
/// Every check has been done twice.
const SETTLE: Duration = Duration::from_millis(2500);

#[derive(Debug, Default)]
struct Line {
    cpu_us: Figures,
    checks: Figures,
    memory_mb: Figures,
}

impl Line {
    /// Measures a process that has just been started.
    fn add(&mut self, mut program: Program, duration: Duration) -> Result<()> {
        thread::sleep(SETTLE);
        let before = Usage::of(program.pid)?;
        thread::sleep(duration);
        program.still_runs()?;
        let work = Usage::of(program.pid)?.since(&before);
        self.cpu_us.add(work.cpu_us);
        self.checks.add(work.checks);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.memory_mb.add(memory(program.pid)?.0 as f64 / 1024.0);
        Ok(())
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<28} {:.1} µs  {:.0}/s  {:.1} MB",
            self.cpu_us, self.checks, self.memory_mb
        );
    }
}

pub(crate) fn measure(rounds: u64, duration: Duration) -> Result<()> {
    haproxy::check()?;
    let host = Host::new("checks")?;
    let _server = server::start(&host)?;
    let folder = tempfile::tempdir()?;
    let kinds = [Kind::HalfOpen, Kind::Tcp, Kind::Http];
    let (mut ours, mut floor) = <([Line; 3], [Line; 3])>::default();
    let mut theirs = <[Line; 2]>::default();
    let servers = SERVERS.to_string();
    for _ in 0..rounds {
        for (kind, line) in [Kind::HalfOpen, Kind::Http].into_iter().zip(&mut theirs) {
            line.add(
                haproxy::start(&host, kind, SERVERS, folder.path())?,
                duration,
            )?;
        }
        for (kind, line) in kinds.into_iter().zip(&mut ours) {
            let arguments = ["subject", kind.word(), &servers, "1000"];
            line.add(Program::own(&host, arguments)?, duration)?;
        }
        for (kind, line) in kinds.into_iter().zip(&mut floor) {
            let arguments = ["floor", kind.word(), &servers, "1000"];
            line.add(Program::own(&host, arguments)?, duration)?;
        }
    }
    println!(
        "1,000 servers, each once a second, {rounds} rounds of {duration:?}: median (least–most)"
    );
    println!("CPU per check, checks/s, resident memory");
    theirs[0].print("HAProxy tcp");
    ours[0].print("ours tcp, half-open");
    floor[0].print("floor tcp, half-open");
    ours[1].print("ours tcp, full handshake");
    floor[1].print("floor tcp, full handshake");
    theirs[1].print("HAProxy http");
    ours[2].print("ours http");
    floor[2].print("floor http");
    let ratio = |ours: &Line, theirs: &Line| ours.cpu_us.over(&theirs.cpu_us);
    let ratios = [
        ("tcp, half-open", ratio(&ours[0], &theirs[0]), 0.85),
        ("tcp, full handshake", ratio(&ours[1], &theirs[0]), 1.0),
        ("http", ratio(&ours[2], &theirs[1]), 0.85),
    ];
    for (name, ratio, target) in &ratios {
        println!("{name}, ours / HAProxy: {ratio:.2}");
        judge(
            &format!("{name}, CPU over HAProxy's"),
            ratio.median(),
            *target,
        );
    }
    Ok(())
}
