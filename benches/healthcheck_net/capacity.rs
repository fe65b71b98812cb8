//! How many checks a second one driver does on one processor.

use core::time::Duration;
use std::thread;

use crate::figures::{Figures, judge};
use crate::host::Host;
use crate::process::{Program, Usage};
use crate::subject::Kind;
use crate::{Result, server};

const SETTLE: Duration = Duration::from_secs(1);

pub(crate) fn measure(rounds: u64, duration: Duration) -> Result<()> {
    let host = Host::new("capacity")?;
    let server = server::start(&host)?;
    let mut lines = [
        (Kind::Tcp, 15_000.0),
        (Kind::HalfOpen, 15_000.0),
        (Kind::Http, 5_000.0),
    ]
    .map(|(kind, target)| (kind, target, [const { None::<Figures> }; 3]));
    for _ in 0..rounds {
        for (kind, _, figures) in &mut lines {
            // About 100,000 checks a second are asked for.
            let mut program = Program::own(&host, ["subject", kind.word(), "3000", "20"])?;
            thread::sleep(SETTLE);
            let before = [Usage::of(program.pid)?, Usage::of(server.pid)?];
            thread::sleep(duration);
            program.still_runs()?;
            let work = Usage::of(program.pid)?.since(&before[0]);
            let served = Usage::of(server.pid)?.since(&before[1]);
            let [checks, own, others] = figures;
            checks.get_or_insert_default().add(work.checks);
            own.get_or_insert_default().add(work.cpu_us);
            others.get_or_insert_default().add(served.cpu_us);
        }
    }
    println!("as many checks as one processor does, of 3,000 servers on loopback");
    println!("checks/s, CPU per check, CPU per check of the server (on the other processor)");
    for (kind, target, figures) in lines {
        let [checks, own, others] = figures.map(Option::unwrap_or_default);
        println!(
            "{:<10} {checks:.0}/s  {own:.1} µs  {others:.1} µs",
            kind.word()
        );
        let name = format!("{}, time for as many checks as wanted in 1 s", kind.word());
        judge(&name, target / checks.median(), 1.0);
    }
    Ok(())
}
