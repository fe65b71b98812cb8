//! A reload brings services before their addresses and takes addresses before their services: whoever
//! connects all the time is served or hears nothing, and is never told that nobody listens (`OP-1`).
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_reload_order-…
//! --include-ignored`.

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
mod program;

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use electing::{director, has_address, wait_state};
use network::eventually;
use network::topology::Network;
use nix::sys::signal::Signal;
use program::Program;

const FIRST: &str = "192.0.2.20";
/// Comes and goes.
const SECOND: &str = "192.0.2.21";

/// Services before the one that is asked for: the kernel takes some time to have them all.
const MANY: u16 = 150;

/// A virtual router with these addresses, and at each of them services at port 80 and others.
fn configure(file: &Path, addresses: &[&str], server: IpAddr) {
    let mut text = format!(
        "vrrp_instance ONE {{\n interface client\n version 3\n virtual_router_id 51\n \
         advert_int 1\n virtual_ipaddress {{\n {}\n }}\n}}\n",
        addresses.join("\n ")
    );
    for address in addresses {
        let others = match *address == SECOND {
            true => MANY,
            false => 0,
        };
        for port in (1000..1000 + others).chain([80]) {
            let _ = write!(
                text,
                "virtual_server {address} {port} {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
                 real_server {server} 80 {{\n}}\n}}\n"
            );
        }
    }
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What became of connections.
#[derive(Debug, Default)]
struct Counts {
    served: AtomicUsize,
    refused: AtomicUsize,
    unreachable: AtomicUsize,
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn who_connects_during_a_reload_is_never_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("director.conf");
    let mut network = Network::masquerading();
    network.serve_http(80);
    let [server, _] = network.addresses;
    configure(&file, &[FIRST], server);
    let program = director(&network.director, &file, &["-P", "-C"]);
    wait_state(&program, "backup", "active");
    let (is_over, counts) = (AtomicBool::new(false), Counts::default());
    let target = SocketAddr::new(SECOND.parse().unwrap(), 80);
    let second: IpAddr = SECOND.parse().unwrap();
    let (served, has) = (
        || counts.served.load(Ordering::Relaxed),
        || has_address(&network.director, "client", second),
    );
    let services = || network.director.ipvs().services().unwrap().len();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            network.client.enter(|| {
                while !is_over.load(Ordering::Relaxed) {
                    connect(target, &counts);
                    // Or the one processor of a guest is all its.
                    thread::sleep(Duration::from_millis(5));
                }
            });
        });
        let _over = Over(&is_over);
        for round in 1..=2 {
            let before = served();
            configure(&file, &[FIRST, SECOND], server);
            program.signal(Signal::SIGHUP);
            wait_reloads(&program, 2 * round - 1);
            eventually(has, |has_it| *has_it);
            eventually(served, |served| *served > before);
            configure(&file, &[FIRST], server);
            program.signal(Signal::SIGHUP);
            wait_reloads(&program, 2 * round);
            eventually(has, |has_it| !*has_it);
            eventually(services, |services| *services == 1);
            println!("round {round}: {counts:?} {:?}", start.elapsed());
        }
    });
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert_eq!(counts.refused.into_inner(), 0, "refused\n{}", end.out);
}

/// Ends whoever connects, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until so many reloads are done.
fn wait_reloads(program: &Program, count: usize) {
    let mut done = 0;
    program.wait_for(|line| {
        assert!(!line.contains("refused"), "{line}");
        done += usize::from(line.contains("is run now"));
        (done == count).then_some(())
    });
}

/// Tries it once, for a moment.
fn connect(target: SocketAddr, counts: &Counts) {
    let connected = TcpStream::connect_timeout(&target, Duration::from_millis(100));
    let count = match connected.map_err(|error| error.kind()) {
        Ok(_) => &counts.served,
        Err(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => &counts.refused,
        Err(ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            &counts.unreachable
        }
        Err(other) => panic!("{other}"),
    };
    count.fetch_add(1, Ordering::Relaxed);
}
