//! The director is killed again and again, at moments nobody chose, while servers fail and return and
//! the configuration changes: each next one brings the table to where it should be, and what others
//! put there stays as it is.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_crashes-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
#[expect(dead_code, reason = "made for other tests as well")]
mod program;

use core::fmt::Write as _;
use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use lvs_ipvs::{
    Actual, Client, Desired, Destination, Persistence, Plan, Policy, Scheduler, Scope, ServiceKey,
    Snapshot, Table, VirtualService,
};
use network::{Host, eventually};
use nix::sys::signal::Signal;
use program::Program;
use tempfile::TempDir;

const KILLS: usize = 30;
const SERVERS: usize = 4;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A folder with configuration, ledger, and a file for each server that says how it is.
struct Place {
    folder: TempDir,
    host: Host,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("check.sh");
        fs::write(&script, "#!/bin/sh\n[ ! -e \"$1\" ]\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let host = Host::new("director");
        Self { folder, host }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The server is down while the file is there.
    fn set_up(&self, server: usize, is_up: bool) {
        let file = self.path(&server.to_string());
        match is_up {
            true => drop(fs::remove_file(file)),
            false => fs::write(file, "").unwrap(),
        }
    }

    /// One service for each address, all with the same servers.
    fn configure(&self, services: &[u8]) {
        let folder = self.folder.path().display();
        let mut text = "global_defs {\nscript_user root\n}\n".to_owned();
        for service in services {
            let _ = write!(
                text,
                "virtual_server 192.0.2.{service} 80 {{\ndelay_loop 0.2\nwarmup 0\nlb_algo wrr\n\
                 lb_kind NAT\nprotocol TCP\nsorry_server 10.0.0.99 80\n"
            );
            for server in 0..SERVERS {
                let weight = server + 1;
                let _ = write!(
                    text,
                    "real_server 10.0.0.{weight} 80 {{\nweight {weight}\nMISC_CHECK {{\n\
                     misc_path \"{folder}/check.sh {folder}/{server}\"\nmisc_timeout 5\n}}\n}}\n"
                );
            }
            text.push_str("}\n");
        }
        fs::write(self.path("director.conf"), text).unwrap();
    }

    fn start(&self) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
        command.arg(self.path("director.conf"));
        command.arg("--ledger").arg(self.path("ledger"));
        self.host.enter(|| Program::start(&mut command))
    }
}

/// The table for these services while these servers are up, with what is somebody else's.
fn expected(services: &[u8], is_up: [bool; SERVERS], foreign: &Table) -> Table {
    let mut table = foreign.clone();
    let up = is_up.into_iter().enumerate().filter(|(_, is_up)| *is_up);
    let mut servers: Vec<(u8, u32)> = up
        .map(|(server, _)| u8::try_from(server + 1).unwrap())
        .map(|number| (number, number.into()))
        .collect();
    if servers.is_empty() {
        servers.push((99, 1));
    }
    for service in services {
        let address = (core::net::Ipv4Addr::new(192, 0, 2, *service), 80).into();
        let destinations = servers.iter().map(|(last, weight)| {
            let address = (core::net::Ipv4Addr::new(10, 0, 0, *last), 80).into();
            Destination::masquerade(address).with_weight(*weight)
        });
        let service = VirtualService::tcp(address).with_scheduler(Scheduler::Wrr);
        table.insert(service, destinations);
    }
    table
}

/// What has to change before the table is that one, but for the order of destinations.
fn differences(ipvs: &mut Client, expected: &Table) -> Vec<String> {
    let actual: Snapshot = ipvs.snapshot().unwrap();
    let policy = Policy::new(Scope::all());
    let plan = Plan::new(Actual(&actual), Desired(expected), &policy);
    plan.changes().map(ToString::to_string).collect()
}

/// Services of others, one of them with the address of ours.
fn put_foreign_services(ipvs: &mut Client) -> Table {
    let mark = VirtualService::firewall_mark(lvs_ipvs::Family::Inet, 7);
    for service in [
        VirtualService::udp("192.0.2.1:80".parse().unwrap()).with_persistence(Persistence::new(77)),
        VirtualService::tcp("192.0.2.1:81".parse().unwrap()).with_scheduler(Scheduler::Sh),
        mark,
    ] {
        ipvs.add_service(&service).unwrap();
        for last in [1, 50] {
            let address = core::net::SocketAddr::from(([10, 0, 0, last], 80));
            let destination = Destination::masquerade(address).with_weight(last.into());
            ipvs.add_destination(service.key(), &destination).unwrap();
        }
    }
    ipvs.snapshot().unwrap().table()
}

fn without(table: &Table, services: &[u8]) -> Table {
    let mut rest = table.clone();
    for service in services {
        let address = (core::net::Ipv4Addr::new(192, 0, 2, *service), 80).into();
        rest.remove(&ServiceKey::tcp(address));
    }
    rest
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn whenever_it_is_killed_the_next_one_puts_the_table_in_order() {
    let place = Place::new();
    let mut ipvs = place.host.ipvs();
    let foreign = put_foreign_services(&mut ipvs);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let configurations: [&[u8]; 4] = [&[1, 2], &[2, 3], &[1], &[1, 2, 3]];
    let all = [1, 2, 3];
    for round in 0..KILLS {
        let services = configurations[round % configurations.len()];
        place.configure(services);
        let mut is_up = [true; SERVERS];
        for (server, is_up) in is_up.iter_mut().enumerate() {
            *is_up = numbers.below(3) > 0;
            place.set_up(server, *is_up);
        }
        // Some are killed before they have done much, the others while servers come and go.
        let program = place.start();
        if round % 3 > 0 {
            let table = expected(services, is_up, &foreign);
            eventually(|| differences(&mut ipvs, &table), Vec::is_empty);
        }
        let end = numbers.below(25);
        for _ in 0..end {
            let server = usize::try_from(numbers.below(4)).unwrap();
            place.set_up(server, numbers.below(2) > 0);
            thread::sleep(Duration::from_millis(numbers.below(40)));
        }
        program.signal(Signal::SIGKILL);
        assert_eq!(program.end().code, None);
        let table = ipvs.snapshot().unwrap().table();
        assert_eq!(without(&table, &all), foreign, "round {round}");
    }
    for server in 0..SERVERS {
        place.set_up(server, server != 2);
    }
    place.configure(&[2]);
    let program = place.start();
    let table = expected(&[2], [true, true, false, true], &foreign);
    eventually(|| differences(&mut ipvs, &table), Vec::is_empty);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.end().code, Some(0));
    assert_eq!(ipvs.snapshot().unwrap().table(), foreign);
}
