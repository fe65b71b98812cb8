//! IPVS of other network namespaces, sockets opened elsewhere, clients on other threads.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_namespace-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "of networks only the hosts are needed here")]
mod network;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;

use lvs_ipvs::procfs::{Services, ServicesRow};
use lvs_ipvs::{Client, Destination, Error, Namespace, ServiceKey, VirtualService, sysctl};
use network::Host;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// The namespace of this thread, as a comparable name.
fn own_namespace() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").unwrap()
}

fn service(port: u16) -> VirtualService {
    VirtualService::tcp(([192, 0, 2, 10], port).into())
}

fn keys(client: &mut Client) -> Vec<ServiceKey> {
    let services = client.services().unwrap();
    services.iter().map(|entry| entry.service.key()).collect()
}

/// A generic netlink socket of a host, neither bound nor connected.
fn netlink_socket(host: &Host) -> OwnedFd {
    host.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkGeneric;
        socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap()
    })
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn namespaces_are_programmed_from_outside() {
    let (red, blue) = (Host::new("red"), Host::new("blue"));
    let before = own_namespace();
    let mut red_ipvs = Namespace::open(red.path()).unwrap().client().unwrap();
    let mut blue_ipvs = Namespace::open(blue.path()).unwrap().client().unwrap();
    assert_eq!(own_namespace(), before);

    // In turns, so that each client must keep to its own.
    red_ipvs.add_service(&service(80)).unwrap();
    blue_ipvs.add_service(&service(81)).unwrap();
    let server = Destination::masquerade(([127, 0, 0, 1], 8080).into());
    red_ipvs
        .add_destination(service(80).key(), &server)
        .unwrap();
    let error = blue_ipvs
        .add_destination(service(80).key(), &server)
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(keys(&mut red_ipvs), [service(80).key()]);
    assert_eq!(keys(&mut blue_ipvs), [service(81).key()]);

    // The kernel shows it in the same place to those who are inside, and nothing of it here.
    let inside = red.enter(|| fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap());
    assert!(inside.contains("TCP  C000020A:0050 wlc"), "{inside}");
    assert_eq!(
        red.enter(|| keys(&mut Client::connect().unwrap())),
        [service(80).key()]
    );
    let here = keys(&mut Client::connect().unwrap());
    assert!(!here.contains(&service(80).key()) && !here.contains(&service(81).key()));

    red_ipvs.flush().unwrap();
    assert!(keys(&mut red_ipvs).is_empty());
    assert_eq!(keys(&mut blue_ipvs), [service(81).key()]);
    assert_eq!(own_namespace(), before);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_current_namespace_is_that_of_the_thread() {
    let host = Host::new("green");
    let (namespace, mut direct) =
        host.enter(|| (Namespace::current().unwrap(), Client::connect().unwrap()));
    // Opened inside, used outside: it stays the namespace it was.
    let mut opened = namespace.client().unwrap();
    opened.add_service(&service(80)).unwrap();
    assert_eq!(keys(&mut direct), [service(80).key()]);
    let mut here = Namespace::current().unwrap().client().unwrap();
    assert!(!keys(&mut here).contains(&service(80).key()));
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_namespace_outlives_its_name_while_it_is_open() {
    let host = Host::new("grey");
    let namespace = Namespace::open(host.path()).unwrap();
    let path = host.path();
    drop(host);
    assert!(!path.exists());
    let mut ipvs = namespace.client().unwrap();
    ipvs.add_service(&service(80)).unwrap();
    assert_eq!(keys(&mut ipvs), [service(80).key()]);

    let error = Namespace::open(&path).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let expected = format!(
        "cannot open the network namespace {}: No such file or directory",
        path.display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_socket_opened_elsewhere_stays_there() {
    let host = Host::new("white");
    let mut adopted = Client::from_fd(netlink_socket(&host)).unwrap();
    adopted.add_service(&service(80)).unwrap();
    assert_eq!(keys(&mut host.ipvs()), [service(80).key()]);
    assert_eq!(keys(&mut adopted), [service(80).key()]);
    // A refusal arrives in full on a socket without extended acknowledgements, too.
    let error = adopted.add_service(&service(80)).unwrap_err();
    assert!(error.is_exists(), "{error}");
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_client_works_on_any_thread() {
    let host = Host::new("black");
    let mut client = host.ipvs();
    client.add_service(&service(80)).unwrap();
    let mut client = thread::spawn(move || {
        client.add_service(&service(81)).unwrap();
        client
    })
    .join()
    .unwrap();
    let mut read = keys(&mut client);
    read.sort();
    assert_eq!(read, [service(80).key(), service(81).key()]);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn two_clients_of_a_namespace_see_the_same_table() {
    let host = Host::new("brown");
    let (mut writer, mut reader) = (host.ipvs(), host.ipvs());
    for port in 1..=20 {
        writer.add_service(&service(port)).unwrap();
        assert_eq!(
            reader.service(service(port).key()).unwrap().service,
            service(port)
        );
    }
    assert_eq!(writer.snapshot().unwrap(), reader.snapshot().unwrap());
    writer.flush().unwrap();
    assert!(reader.snapshot().unwrap().services.is_empty());
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn everything_of_a_namespace_is_reached_from_outside() {
    let (here, there) = (Host::new("here"), Host::new("there"));
    let before = own_namespace();
    let namespace = Namespace::open(there.path()).unwrap();
    let mut ipvs = namespace.client().unwrap();
    ipvs.add_service(&service(80)).unwrap();
    let sysctls = namespace.sysctls().unwrap();
    sysctls.set(sysctl::BACKUP_ONLY, &true).unwrap();
    // The handle holds the namespace on its own.
    drop((namespace, there));
    assert!(sysctls.get(sysctl::BACKUP_ONLY).unwrap());

    let (namespace, there) = (Namespace::open(here.path()).unwrap(), here);
    assert!(
        !namespace
            .sysctls()
            .unwrap()
            .get(sysctl::BACKUP_ONLY)
            .unwrap()
    );
    assert_eq!(namespace.listed_services().unwrap().count(), 0);
    there.ipvs().add_service(&service(81)).unwrap();
    let listed: Vec<_> = namespace
        .listed_services()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].key.may_be(&service(81).key()));
    assert_eq!(namespace.connections().unwrap().count(), 0);
    assert_eq!(namespace.sync_connections().unwrap().count(), 0);
    assert_eq!(namespace.totals().unwrap().stats.connections, 0);
    assert_eq!(own_namespace(), before);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_table_needs_no_privilege_to_be_read() {
    // Root of a user namespace only: netlink refuses, the files do not.
    let script = "cat /proc/net/ip_vs /proc/net/ip_vs_conn";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--net", "sh", "-c", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let read = Services::new(&output.stdout[..])
        .next_row()
        .unwrap()
        .unwrap();
    assert!(matches!(read, ServicesRow::Info(_)), "{read:?}");
}
