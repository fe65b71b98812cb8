//! Lost answers: a receive buffer too small for the answers of a batch, on a real kernel.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_overrun-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "of networks only the hosts are needed here")]
mod network;

use std::os::fd::OwnedFd;

use lvs_ipvs::session::WINDOW;
use lvs_ipvs::{Change, Client, Destination, Outcome, Reason, UnknownCause, VirtualService};
use network::Host;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt,
};

fn service() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn server(address: &str) -> Destination {
    Destination::masquerade(address.parse().unwrap())
}

/// A client whose receive buffer is that small, in bytes as the kernel counts them (it takes no
/// less than some 2 KiB; an acknowledgement takes about 1 KiB). Connecting needs more.
fn narrow_client(host: &Host, receive_buffer: usize) -> Client {
    let socket: OwnedFd = host.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkGeneric;
        socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap()
    });
    let second = socket.try_clone().unwrap();
    let client = Client::from_fd(socket).unwrap();
    // The kernel doubles what it is given.
    setsockopt(&second, sockopt::RcvBuf, &(receive_buffer / 2)).unwrap();
    client
}

/// What a change must come to: done, or refused for that reason.
type Expected = Option<Reason>;

/// Services and destinations, every fifth change one that must be refused.
fn changes_with_refusals() -> Vec<(Change, Expected)> {
    let mut changes = Vec::new();
    for port in 1..=200 {
        let service = VirtualService::tcp(([192, 0, 2, 10], port).into());
        let (key, first) = (service.key(), server("10.0.0.11:80"));
        changes.extend([
            (Change::AddService(service.clone()), None),
            (Change::AddDestination(key, first.clone()), None),
            (Change::AddService(service), Some(Reason::ServiceExists)),
            (Change::AddDestination(key, server("10.0.0.12:80")), None),
            (Change::SetDestination(key, first.with_weight(5)), None),
        ]);
    }
    changes
}

/// Sends a batch whose answers do not fit, and returns how many outcomes are not known.
fn check_overrun(receive_buffer: usize) -> usize {
    let host = Host::new("overrun");
    let (mut narrow, mut other) = (narrow_client(&host, receive_buffer), host.ipvs());
    let (changes, expected): (Vec<_>, Vec<_>) = changes_with_refusals().into_iter().unzip();
    let report = narrow.execute(changes).unwrap();

    let (mut done, mut refused, mut unknown) = (0, 0, 0);
    for ((change, outcome), expected) in report.entries().zip(&expected) {
        match (outcome, expected) {
            (Outcome::Done, None) => done += 1,
            (Outcome::Rejected(rejected), Some(reason)) if rejected.reason == *reason => {
                refused += 1;
            }
            (Outcome::Unknown(UnknownCause::Overrun), _) => unknown += 1,
            _ => panic!("{change}: {outcome:?}, expected {expected:?}"),
        }
    }
    println!("receive buffer {receive_buffer}: {done} done, {refused} refused, {unknown} unknown");
    assert!(done > 0 && unknown > 0, "{done} done, {unknown} unknown");
    let text = report.to_string();
    assert!(
        text.contains(": outcome unknown: the receive queue overflowed"),
        "{text}"
    );

    // The kernel has handled every request, whatever became of the answers; so what was reported
    // as done is there, and what is unknown could be either.
    let read = other.snapshot().unwrap();
    assert!(read.agreed);
    assert_eq!(read.services.len(), 200);
    for service in &read.services {
        let destinations: Vec<_> = service
            .destinations
            .iter()
            .map(|it| &it.destination)
            .collect();
        let weighted = server("10.0.0.11:80").with_weight(5);
        assert_eq!(destinations, [&server("10.0.0.12:80"), &weighted]);
    }

    // The client goes on, with single changes and with batches that fit.
    narrow
        .remove_service(read.services[0].entry.service.key())
        .unwrap();
    narrow.flush().unwrap();
    assert!(other.services().unwrap().is_empty());
    narrow.add_service(&service()).unwrap();
    assert!(narrow.add_service(&service()).unwrap_err().is_exists());
    assert_eq!(other.service(service().key()).unwrap().service, service());
    unknown
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn overruns_are_reported_as_unknown_outcomes_and_the_client_goes_on() {
    // From the least the kernel allows, to one that takes about half of what is under way at
    // first. Only the first requests under way can be lost: the client learns from it.
    let [least, small, half] = [0, 8 << 10, 64 << 10].map(check_overrun);
    assert!(least < WINDOW, "{least}");
    assert!(small < least && half < small, "{least} {small} {half}");
    assert!(half < WINDOW / 2, "{half}");
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_default_receive_buffer_holds_the_answers_of_every_batch() {
    let host = Host::new("batch");
    let mut ipvs = host.ipvs();
    let (changes, expected): (Vec<_>, Vec<_>) = changes_with_refusals().into_iter().unzip();
    let report = ipvs.execute(changes).unwrap();
    for ((change, outcome), expected) in report.entries().zip(&expected) {
        let reason = match outcome {
            Outcome::Done => None,
            Outcome::Rejected(rejected) => Some(rejected.reason),
            other => panic!("{change}: {other:?}"),
        };
        assert_eq!(reason, *expected, "{change}");
    }
}
