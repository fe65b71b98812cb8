//! The director is killed again and again, at moments nobody chose, while servers fail and return and
//! the configuration changes: each next one brings the table to where it should be, and what others
//! put there stays as it is. So does each next one with virtual routers and sync daemons.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_crashes-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
#[expect(dead_code, reason = "made for other tests as well")]
mod program;

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use electing::ask;
use lvs_ipvs::{
    Actual, Client, DaemonRole, Desired, Destination, Persistence, Plan, Policy, Scheduler, Scope,
    ServiceKey, Snapshot, Table, VirtualService,
};
use network::{Host, PATIENCE, cable, eventually};
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
        command.arg("--ledger").arg(self.path("ledger")).arg("-D");
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

/// Two virtual routers on a host, each with a service, and sync daemons that follow the first.
struct RoutersPlace {
    place: Place,
    _peer: Host,
}

/// Addresses of somebody else: one for good, one for a time, one beside ours.
const FOREIGN: [&str; 3] = ["198.51.100.7/24", "198.51.100.8/32", "192.0.2.77/24"];

/// What is run in a round.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Services, and virtual routers, which have their addresses.
    routers: &'static [u8],
    /// Id of the sync daemons.
    sync: u32,
}

impl RoutersPlace {
    fn new() -> Self {
        let (place, peer) = (Place::new(), Host::new("peer"));
        cable(&place.host, "eth0", &peer, "eth0");
        for address in FOREIGN {
            let lifetime = match address {
                "198.51.100.8/32" => " valid_lft 3600 preferred_lft 3600",
                _ => "",
            };
            place
                .host
                .ip(&format!("address add {address} dev eth0{lifetime}"));
        }
        Self { place, _peer: peer }
    }

    fn configure(&self, wanted: Wanted) {
        let mut text = format!(
            "global_defs {{\n lvs_sync_daemon eth0 inst VI_1 id {}\n}}\n",
            wanted.sync
        );
        for router in wanted.routers {
            let _ = write!(
                text,
                "vrrp_instance VI_{router} {{\n interface eth0\n version 3\n \
                 virtual_router_id {router}\n priority 150\n advert_int 0.1\n \
                 virtual_ipaddress {{\n 192.0.2.{router}/24\n }}\n}}\n\
                 virtual_server 192.0.2.{router} 80 {{\n lb_algo wrr\n lb_kind NAT\n protocol TCP\n"
            );
            for weight in 1..=SERVERS {
                let _ = write!(
                    text,
                    " real_server 10.0.0.{weight} 80 {{\n weight {weight}\n }}\n"
                );
            }
            text.push_str("}\n");
        }
        fs::write(self.place.path("director.conf"), text).unwrap();
    }

    fn addresses(&self) -> BTreeSet<String> {
        let text = ask(&self.place.host, "-o -4 address show dev eth0");
        let lines = text.lines().map(|line| {
            let mut words = line.split_whitespace().skip_while(|word| *word != "inet");
            words.nth(1).unwrap().to_owned()
        });
        lines.collect()
    }
}

/// With those of the virtual routers there.
fn expected_addresses(routers: &[u8]) -> BTreeSet<String> {
    let ours = routers.iter().map(|router| format!("192.0.2.{router}/24"));
    ours.chain(FOREIGN.map(str::to_owned)).collect()
}

/// The same with virtual routers and sync daemons: table, addresses and roles are those of the
/// configuration, whatever another one has left when it was killed (`OP-1`, `OP-4`).
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn whenever_it_is_killed_the_next_one_has_addresses_and_roles_in_order() {
    let it = RoutersPlace::new();
    let host = &it.place.host;
    let mut ipvs = host.ipvs();
    let foreign = put_foreign_services(&mut ipvs);
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let configurations = [
        Wanted {
            routers: &[1, 2],
            sync: 51,
        },
        Wanted {
            routers: &[1],
            sync: 51,
        },
        Wanted {
            routers: &[1, 2],
            sync: 9,
        },
    ];
    let all = [1, 2];
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    for round in 0..KILLS {
        let wanted = configurations[usize::try_from(numbers.below(3)).unwrap()];
        it.configure(wanted);
        let mut program = it.place.start();
        let begin = Instant::now();
        // Every other one is killed on its way, wherever it is then.
        if round % 2 == 0 {
            thread::sleep(Duration::from_millis(numbers.below(1000)));
        } else {
            program = converges(&it, program, &mut ipvs, wanted, &foreign);
            longest = longest.max(begin.elapsed());
            thread::sleep(Duration::from_millis(numbers.below(200)));
        }
        program.signal(Signal::SIGKILL);
        assert_eq!(program.end().code, None);
        let table = ipvs.snapshot().unwrap().table();
        assert_eq!(without(&table, &all), foreign, "round {round}");
        let addresses = it.addresses();
        assert!(
            addresses.is_superset(&expected_addresses(&[])),
            "{addresses:?}"
        );
        assert!(
            addresses.is_subset(&expected_addresses(&all)),
            "{addresses:?}"
        );
    }
    let wanted = configurations[2];
    it.configure(wanted);
    let program = it.place.start();
    let program = converges(&it, program, &mut ipvs, wanted, &foreign);
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(ipvs.snapshot().unwrap().table(), foreign);
    assert_eq!(it.addresses(), expected_addresses(&[]));
    assert!(ipvs.daemons().unwrap().is_empty());
    println!(
        "{:?} for all, {longest:?} at most until all was in order",
        start.elapsed()
    );
}

/// Waits until all is as it is to be, by the doing of this one.
fn converges(
    it: &RoutersPlace,
    program: Program,
    ipvs: &mut Client,
    wanted: Wanted,
    foreign: &Table,
) -> Program {
    for router in wanted.routers {
        let active = format!("VI_{router}: backup to active");
        program.wait_for(|line| line.contains(&active).then_some(()));
    }
    let table = expected(wanted.routers, [true; SERVERS], foreign);
    let expected = (
        Vec::new(),
        expected_addresses(wanted.routers),
        vec![(DaemonRole::Active, wanted.sync)],
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let daemons = ipvs.daemons().unwrap().into_iter();
        let roles: Vec<_> = daemons
            .map(|daemon| (daemon.role, daemon.sync_id))
            .collect();
        let seen = (differences(ipvs, &table), it.addresses(), roles);
        if seen == expected {
            return program;
        }
        if deadline < Instant::now() {
            program.signal(Signal::SIGTERM);
            panic!("still {seen:#?}, wanted {wanted:?}:\n{}", program.end().out);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
