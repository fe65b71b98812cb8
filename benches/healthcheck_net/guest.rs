//! CPU of a check inside a kernel with IPVS, without which keepalived does not check anything.
//!
//! The guest counts CPU by ticks, which what works in short bursts can dodge; so it is measured
//! from outside, as what the guest uses of the host: the server and the guest's kernel included, an
//! idle guest subtracted.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::unistd::Pid;

use crate::Result;
use crate::figures::{Figures, judge};
use crate::process::{Program, opened};
use crate::server::address;
use crate::subject::NETWORK;

const SERVERS: u16 = 1000;
/// keepalived's first checks come up to 2 s after its start.
const SETTLE: Duration = Duration::from_secs(4);
/// Output comes to the host late; the guest must not end while it is measured.
const SLACK: Duration = Duration::from_secs(3);
const READY: &str = "ready";
/// Of a second in `/proc/PID/stat`.
const TICKS: f64 = 100.0;
const WHO: [&str; 4] = ["nobody", "ours", "keepalived", "floor"];

pub(crate) fn measure(rounds: u64, duration: Duration) -> Result<()> {
    let mut costs = <[Figures; 3]>::default();
    let mut rates = <[Figures; 3]>::default();
    for _ in 0..rounds {
        let mut idle = 0.0;
        for (number, who) in WHO.into_iter().enumerate() {
            let (cpu, rate) = boot(who, duration)?;
            if number == 0 {
                idle = cpu;
            } else {
                costs[number - 1].add((cpu - idle) * 1e6 / rate);
                rates[number - 1].add(rate);
            }
        }
    }
    println!("1,000 servers, each by TCP once a second, in a guest; CPU of the host per check");
    for ((who, cost), rate) in WHO[1..].iter().zip(&costs).zip(&rates) {
        println!("{who:<10} {cost:.0} µs  {rate:.0}/s");
    }
    let ratio = costs[0].over(&costs[1]);
    println!(
        "in the guest, ours / keepalived: {ratio:.2}, ours / floor: {:.2}",
        costs[0].over(&costs[2])
    );
    judge("in the guest, CPU over keepalived's", ratio.median(), 0.5);
    Ok(())
}

/// How much of a processor of the host a guest takes in which somebody checks, and how many checks a
/// second there are.
fn boot(who: &str, time: Duration) -> Result<(f64, f64)> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/guest");
    let stay = (time + SLACK).as_secs().to_string();
    let mut child = Command::new(guest)
        .arg(env::current_exe()?)
        .args(["guest", who, &stay])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(output).lines();
    let mut line = || -> Result<String> { Ok(lines.next().ok_or("the guest has ended")??) };
    if line()? != READY {
        return Err("the guest says something else".into());
    }
    let (before, start) = (ticks_of_family(child.id())?, Instant::now());
    thread::sleep(time);
    let ticks = ticks_of_family(child.id())? - before;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let cpu = ticks as f64 / TICKS / start.elapsed().as_secs_f64();
    let rate = line()?.parse()?;
    child.wait()?;
    Ok((cpu, rate))
}

/// User and system time of a process and all that come from it, also those that have ended.
fn ticks_of_family(first: u32) -> Result<u64> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        // The name may contain anything.
        let Some((_, rest)) = text.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<_> = rest.split_whitespace().collect();
        let times = fields[11..15].iter().map(|ticks| ticks.parse::<u64>());
        let times: u64 = times.sum::<core::result::Result<_, _>>()?;
        processes.insert(pid, (fields[1].parse::<u32>()?, times));
    }
    let mut family = vec![first];
    let mut seen = 0;
    while seen < family.len() {
        let parent = family[seen];
        let children = processes.iter().filter(|(_, (other, _))| *other == parent);
        family.extend(children.map(|(pid, _)| *pid));
        seen += 1;
    }
    let times = family.iter().filter_map(|pid| processes.get(pid));
    Ok(times.map(|(_, times)| times).sum())
}

/// Inside: lets somebody check for so many seconds and prints how many checks a second there were.
#[expect(clippy::print_stdout, reason = "it is what the host reads")]
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let [who, seconds] = arguments else {
        return Err("wanted: who checks, and for how many seconds".into());
    };
    let seconds: u32 = seconds.to_str().unwrap_or_default().parse()?;
    let own = env::current_exe()?;
    let _server = Program::here(Command::new(&own).arg("quiet-server"))?;
    thread::sleep(Duration::from_millis(500));
    let servers = SERVERS.to_string();
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let program = match who.to_str() {
        Some("ours") => Some(["subject", "tcp", &servers, "1000"]),
        Some("floor") => Some(["floor", "tcp", &servers, "1000"]),
        _ => None,
    };
    let mut program = match program {
        Some(arguments) => Some(Program::here(Command::new(&own).args(arguments))?),
        None if who == "keepalived" => Some(keepalived(folder.path())?),
        None => None,
    };
    thread::sleep(SETTLE);
    println!("{READY}");
    let before = opened(Pid::this())?;
    thread::sleep(Duration::from_secs(seconds.into()));
    let done = u32::try_from(opened(Pid::this())? - before)?;
    if let Some(program) = &mut program {
        program.still_runs()?;
    }
    println!("{}", f64::from(done) / f64::from(seconds));
    Ok(())
}

/// Starts it, with checks only.
fn keepalived(folder: &Path) -> Result<Program> {
    let file = |name: &str| folder.join(name);
    let mut text = String::from(
        "global_defs {\n  router_id bench\n}\nvirtual_server 192.0.2.1 80 {\n  delay_loop 1\n  \
         lb_algo rr\n  lb_kind NAT\n  protocol TCP\n",
    );
    for number in 0..SERVERS {
        let at = address(NETWORK, number);
        writeln!(
            text,
            "  real_server {} {} {{\n    TCP_CHECK {{\n      connect_timeout 1\n    }}\n  }}",
            at.ip(),
            at.port()
        )?;
    }
    text.push_str("}\n");
    fs::write(file("keepalived.conf"), text)?;
    let mut command = Command::new("keepalived");
    command.args(["--check", "--dont-fork", "--log-console", "--no-syslog"]);
    command.arg("--use-file").arg(file("keepalived.conf"));
    command.arg("--pid").arg(file("pid"));
    command.arg("--checkers_pid").arg(file("checkers"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Program::here(&mut command)
}
