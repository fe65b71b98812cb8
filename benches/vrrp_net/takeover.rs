//! How long a take-over takes, against keepalived in the same run:
//! `cargo bench -p benches --bench vrrp_takeover`. It needs root, and Debian's keepalived.
//!
//! A switch with three hosts (network namespaces that this program makes): two with one virtual
//! router of VRRPv3, 10 ms between advertisements, priorities 200 and 100; and a client that pings
//! the virtual address every millisecond. The Active is killed (SIGKILL) at a random moment, 30
//! times with our driver on both hosts and 30 times with keepalived on both, in turn.
//!
//! | Figure | Is |
//! |---|---|
//! | overshoot | from the last advertisement of the old Active to the first of the new one, by the client's kernel, beyond the down interval that RFC 9568 6.1 asks for: 36.094 ms |
//! | installed | from the last advertisement of the old Active until the address is at the new one |
//! | outage | the longest time for which no ping was answered, by pings a millisecond apart |
//!
//! The kernel of a host whose process was killed still answers; here the host falls silent with the
//! process, as if it had died: it is told to answer no pings right after the kill.
//!
//! Arguments: `-- --rounds N` (default 30).

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::indexing_slicing, reason = "a bench fails by panicking")]

mod figures;
mod host;
mod layout;
mod ping;
mod subject;
mod usage;
mod watch;

use core::error::Error;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use figures::{Figures, judge};
use host::Host;
use layout::{Layout, Maker};
use ping::Pinging;
use watch::{Addresses, Capture, Frame, Kind, wall};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

const LAYOUT: Layout = Layout {
    interfaces: 1,
    routers: 1,
    interval_cs: 1,
};
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const PATIENCE: Duration = Duration::from_secs(20);
const SILENT: &str = "ipv4/icmp_echo_ignore_all";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("vrrp_takeover: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<()> {
    // First what this program starts of itself.
    if arguments.first().is_some_and(|first| first == "subject") {
        return subject::run(&arguments[1..]);
    }
    // `cargo test --benches` wants to know that it runs, not how fast.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let mut rounds: u32 = 30;
    let mut arguments = arguments.iter().map(|argument| argument.to_str());
    while let Some(argument) = arguments.next() {
        match argument {
            // From cargo.
            Some("--bench") => {}
            Some("--rounds") => {
                let value = arguments
                    .next()
                    .flatten()
                    .and_then(|value| value.parse().ok());
                let value = value.filter(|value| (1..=1000).contains(value));
                rounds = value.ok_or("--rounds wants a number from 1 to 1000")?;
            }
            Some(name) if !name.starts_with('-') => {
                // Other benches were chosen by name.
                if !"vrrp_takeover".contains(name) {
                    return Ok(());
                }
            }
            _ => return Err(format!("{argument:?}: unknown argument").into()),
        }
    }
    layout::check()?;
    compare(rounds)
}

/// The figures of one maker.
#[derive(Debug, Default)]
struct Column {
    overshoot_us: Figures,
    installed_us: Figures,
    outage_ms: Figures,
}

/// A switch with three hosts.
#[derive(Debug)]
struct Network {
    routers: [Host; 2],
    client: Host,
    _switch: Host,
}

impl Network {
    fn new() -> Result<Self> {
        let switch = Host::new("takeover-switch")?;
        switch.ip(
            "link add name br0 type bridge mcast_snooping 0 forward_delay 0\nlink set dev br0 up",
        )?;
        let connect = |role: &str, number: u8| -> Result<Host> {
            let host = Host::new(role)?;
            host.connect("eth0", &switch, &format!("port{number}"))?;
            switch.ip(&format!("link set dev port{number} master br0"))?;
            host.ip(&format!("address add 10.77.0.{number}/24 dev eth0"))?;
            Ok(host)
        };
        Ok(Self {
            routers: [
                connect("takeover-one", 251)?,
                connect("takeover-other", 252)?,
            ],
            client: connect("takeover-client", 253)?,
            _switch: switch,
        })
    }
}

fn compare(rounds: u32) -> Result<()> {
    let network = Network::new()?;
    let folder = tempfile::tempdir()?;
    let mut columns = [Column::default(), Column::default()];
    println!("load of the machine before: {}", usage::load());
    for _ in 0..rounds {
        for (maker, column) in Maker::BOTH.into_iter().zip(&mut columns) {
            fail_over(maker, &network, folder.path(), column)?;
        }
    }
    println!("load of the machine after: {}", usage::load());
    println!("{rounds} fail-overs each, 10 ms adverts: median, nine of ten, most");
    for (maker, column) in Maker::BOTH.into_iter().zip(&columns) {
        println!(
            "{:<10} overshoot {}, installed {} after the down interval, outage of the client {}",
            maker.name(),
            three(&column.overshoot_us, "µs"),
            three(&column.installed_us, "µs"),
            three(&column.outage_ms, "ms"),
        );
    }
    let [ours, theirs] = &columns;
    let judge = |name: &str, figures: [&Figures; 2]| {
        judge(name, figures[0].median(), figures[1].median());
    };
    judge("overshoot, µs", [&ours.overshoot_us, &theirs.overshoot_us]);
    judge("installed, µs", [&ours.installed_us, &theirs.installed_us]);
    Ok(())
}

fn three(figures: &Figures, unit: &str) -> String {
    let (median, p90, most) = (figures.median(), figures.p90(), figures.max());
    format!("{median:.0}, {p90:.0}, {most:.0} {unit}")
}

fn fail_over(maker: Maker, network: &Network, folder: &Path, column: &mut Column) -> Result<()> {
    let [one, other] = &network.routers;
    one.sysctl(SILENT, "0")?;
    let mut active = maker.start(one, LAYOUT, 200, folder)?;
    // The host's own address counts too.
    Addresses::of(one)?.wait_for(2, PATIENCE)?;
    let backup = maker.start(other, LAYOUT, 100, folder)?;
    thread::sleep(Duration::from_millis(400));
    let adverts = Capture::start(&network.client, Kind::Ipv4)?;
    let pinging = Pinging::start(&network.client, VIRTUAL)?;
    let mut addresses = Addresses::of(other)?;
    // At some moment of an interval.
    thread::sleep(Duration::from_millis(100) + Duration::from_nanos(seed() % 10_000_000));
    active.kill()?;
    one.sysctl(SILENT, "1")?;
    let installed = addresses.wait_for(2, PATIENCE)?;
    thread::sleep(Duration::from_millis(100));
    let outage = pinging.end()?;
    let adverts: Vec<_> = adverts.end()?.iter().filter_map(Frame::advert).collect();
    let of = |priority| {
        adverts
            .iter()
            .filter(move |advert| advert.priority == priority)
    };
    let last = of(200)
        .next_back()
        .ok_or("the old Active was not heard")?
        .at;
    let first = of(100).next().ok_or("the new Active was not heard")?.at;
    let due = last + LAYOUT.down_interval(100);
    let beyond = |at: Duration| (at.as_secs_f64() - due.as_secs_f64()) * 1e6;
    column.overshoot_us.add(beyond(first));
    column.installed_us.add(beyond(installed));
    column.outage_ms.add(outage.as_secs_f64() * 1000.0);
    drop((active, backup));
    for host in [one, other] {
        host.forget([("eth0", VIRTUAL.to_string())])?;
        Addresses::of(host)?.wait_for(1, PATIENCE)?;
    }
    Ok(())
}

/// A number that nobody knows before.
fn seed() -> u64 {
    u64::from(wall().subsec_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}
