//! Memory of checks that wait for their next attempt.

use core::time::Duration;
use std::ffi::OsString;
use std::io::Write as _;

use lvs_healthcheck::policy::{Policy, Spread};
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{Check, Config, Driver, Http, Target, TcpProbe};
use nix::unistd::Pid;

use crate::figures::judge;
use crate::host::Host;
use crate::process;
use crate::server::{self, address};
use crate::subject::NETWORK;
use crate::{Result, process::Program};

const CHECKS: u16 = 10_000;
const KINDS: [&str; 2] = ["tcp", "http"];

pub(crate) fn measure() -> Result<()> {
    let host = Host::new("memory")?;
    let _server = server::start(&host)?;
    for kind in KINDS {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("figures");
        let path = file.to_str().ok_or("a strange path")?;
        let mut program = Program::own(&host, ["memory-of", kind, path])?;
        let text = program.wait_for(&file)?;
        println!("memory of 10,000 {kind} checks: {text}");
        let each = text.split_whitespace().next().unwrap_or_default().parse()?;
        judge(
            &format!("{kind}, bytes each between two attempts"),
            each,
            2048.0,
        );
    }
    Ok(())
}

/// Writes how much memory 10,000 checks take, after one attempt of each.
pub(crate) fn fill(arguments: &[OsString]) -> Result<()> {
    let [kind, file] = arguments else {
        return Err("wanted: a kind of check and a file".into());
    };
    let own = || process::memory(Pid::this()).map(|(_, own)| own * 1024);
    let hour = Duration::from_secs(3600);
    // All of them within 2 s, then not for an hour.
    let policy = |index| {
        let window = Duration::from_secs(2);
        let count = CHECKS.into();
        let spread = Spread::Even {
            index,
            count,
            window,
        };
        Policy::default().with_interval(hour).with_spread(spread)
    };
    let limits = Limits::default().with_start_rate(100_000);
    let mut driver = Driver::new(Config::default().with_limits(limits))?;
    let mut events = Vec::with_capacity(usize::from(CHECKS));
    driver.poll(Some(Duration::ZERO), &mut events)?;
    let empty = own()?;
    for number in 0..CHECKS {
        let probe = TcpProbe::new(Target::new(address(NETWORK, number)));
        let policy = policy(number.into());
        let check = if kind == "http" {
            Check::new(probe.with_protocol(Http::get("/health")), policy)
        } else {
            Check::new(probe, policy)
        };
        driver.add(check.with_key(&format!("director/service/{number}")))?;
    }
    let added = own()?;
    let mut done = 0;
    while done < usize::from(CHECKS) {
        driver.poll(None, &mut events)?;
        done += events.drain(..).count();
    }
    let idle = own()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = |bytes: u64| (bytes - empty) as f64 / f64::from(CHECKS);
    let (idle, added) = (each(idle), each(added));
    let mut text = std::fs::File::create(file)?;
    writeln!(
        text,
        "{idle:.0} bytes each, before the first attempt {added:.0}"
    )?;
    Ok(())
}
