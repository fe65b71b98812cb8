//! What a user gets to hear when the kernel refuses: real errors from a real kernel, by the words a
//! user needs to act on them.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_messages-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "of networks only the hosts are needed here")]
mod network;

use core::time::Duration;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use lvs_ipvs::{
    Change, Client, DaemonRole, Destination, Encapsulation, EngineName, Error, Family, Forwarding,
    InterfaceName, Options, Outcome, Persistence, Reason, Scheduler, ServiceKey, SyncDaemon,
    Timeouts, UnknownCause, VirtualService,
};
use network::Host;

/// Set for a child of [`run_child`], which then does what its test is about.
const CHILD: &str = "LVS_IPVS_TEST_CHILD";

fn service() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn server(address: &str) -> Destination {
    Destination::masquerade(address.parse().unwrap())
}

fn interface(name: &str) -> InterfaceName {
    InterfaceName::new(name).unwrap()
}

/// A client that leaves judging to the kernel.
fn lenient(host: &Host) -> Client {
    let mut client = host.ipvs();
    client.set_options(Options::default().without_validation());
    client
}

/// Checks a refusal: why, the error number, and the whole text.
#[track_caller]
fn check<T: core::fmt::Debug>(result: Result<T, Error>, reason: Reason, errno: i32, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(error.reason(), Some(reason));
    let Error::Rejected(rejected) = error else {
        panic!("{error:?}");
    };
    assert_eq!(rejected.errno, errno);
}

/// Checks an argument that never gets to the kernel.
#[track_caller]
fn check_invalid<T: core::fmt::Debug>(result: Result<T, Error>, text: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    let (what, why) = (error.to_string(), text);
    assert!(what.starts_with("cannot ") && what.ends_with(why), "{what}");
}

/// Runs the named test of this program again as a child that is told so.
fn run_child(mut command: Command, test: &str) {
    let output = command
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{errors}"
    );
}

/// Every kind of request is refused, reading included; connecting is not.
fn check_not_permitted() {
    let mut ipvs = Client::connect().unwrap();
    let refusal = "not permitted: needs CAP_NET_ADMIN in the initial user namespace; being root \
                   in a user namespace (rootless container, `unshare -r`) is not enough";
    let key = service().key();
    let results = [
        ("cannot read the version of IPVS", ipvs.info().map(drop)),
        ("cannot read services", ipvs.services().map(drop)),
        ("cannot read services", ipvs.snapshot().map(drop)),
        (
            "cannot read service TCP 192.0.2.10:80",
            ipvs.service(key).map(drop),
        ),
        (
            "cannot read destinations of TCP 192.0.2.10:80",
            ipvs.destinations(key).map(drop),
        ),
        ("cannot read sync daemons", ipvs.daemons().map(drop)),
        ("cannot read timeouts", ipvs.timeouts().map(drop)),
        (
            "cannot add service TCP 192.0.2.10:80",
            ipvs.add_service(&service()),
        ),
        ("cannot remove all services", ipvs.flush()),
        (
            "cannot stop the active sync daemon",
            ipvs.stop_daemon(DaemonRole::Active),
        ),
    ];
    for (request, result) in results {
        assert!(result.as_ref().unwrap_err().is_permission());
        check(
            result,
            Reason::NotPermitted,
            1,
            &format!("{request}: {refusal}"),
        );
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn an_unprivileged_user_hears_which_capability_is_missing() {
    if env::var_os(CHILD).is_some() {
        return check_not_permitted();
    }
    // By this link also where the user may not enter the folder of the program.
    let mut command = Command::new("/proc/self/exe");
    command.uid(65534).gid(65534);
    run_child(
        command,
        "an_unprivileged_user_hears_which_capability_is_missing",
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn root_in_a_user_namespace_hears_which_one_counts() {
    if env::var_os(CHILD).is_some() {
        return check_not_permitted();
    }
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net"])
        .arg(env::current_exe().unwrap());
    run_child(command, "root_in_a_user_namespace_hears_which_one_counts");
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn unknown_schedulers_and_engines_are_named() {
    let host = Host::new("names");
    let mut ipvs = host.ipvs();
    let unknown: Scheduler = "nosuch".parse().unwrap();
    let text = |request| {
        format!("{request}: unknown scheduler nosuch: the kernel has no module ip_vs_nosuch")
    };
    let wrong = service().with_scheduler(unknown);
    let reason = Reason::UnknownScheduler(unknown);
    check(
        ipvs.add_service(&wrong),
        reason,
        2,
        &text("cannot add service TCP 192.0.2.10:80"),
    );
    ipvs.add_service(&service()).unwrap();
    check(
        ipvs.set_service(&wrong),
        reason,
        2,
        &text("cannot change service TCP 192.0.2.10:80"),
    );
    // It has kept what it had.
    assert_eq!(ipvs.service(service().key()).unwrap().service, service());

    let engine = EngineName::new("nosuch").unwrap();
    let wrong = service().with_persistence(Persistence::new(60).with_engine(engine));
    check(
        ipvs.set_service(&wrong),
        Reason::UnknownSchedulerOrEngine(Scheduler::Wlc, engine),
        2,
        "cannot change service TCP 192.0.2.10:80: unknown scheduler wlc or persistence engine \
         nosuch: the kernel lacks one of the modules ip_vs_wlc and ip_vs_pe_nosuch",
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_missing_service_and_a_missing_destination_are_told_apart() {
    let host = Host::new("missing");
    let mut ipvs = host.ipvs();
    let key = service().key();
    let one = server("10.0.0.11:80");
    let results = [
        ("cannot change service", ipvs.set_service(&service())),
        ("cannot remove service", ipvs.remove_service(key)),
        ("cannot read service", ipvs.service(key).map(drop)),
        // The kernel answers this one with an empty list.
        ("cannot read service", ipvs.destinations(key).map(drop)),
        (
            "cannot add destination 10.0.0.11:80 to",
            ipvs.add_destination(key, &one),
        ),
        (
            "cannot change destination 10.0.0.11:80 of",
            ipvs.set_destination(key, &one),
        ),
        (
            "cannot remove destination 10.0.0.11:80 of",
            ipvs.remove_destination(key, one.key()),
        ),
    ];
    for (request, result) in results {
        let text = format!("{request} TCP 192.0.2.10:80: there is no such service");
        check(result, Reason::NoSuchService, 3, &text);
    }
    let error = ipvs.zero_service(key);
    check(
        error,
        Reason::NoSuchService,
        3,
        "cannot zero the counters of TCP 192.0.2.10:80: there is no such service",
    );

    ipvs.add_service(&service()).unwrap();
    assert!(ipvs.destinations(key).unwrap().is_empty());
    let results = [
        ("cannot change destination", ipvs.set_destination(key, &one)),
        (
            "cannot remove destination",
            ipvs.remove_destination(key, one.key()),
        ),
    ];
    for (request, result) in results {
        assert!(result.as_ref().unwrap_err().is_not_found());
        let text = format!(
            "{request} 10.0.0.11:80 of TCP 192.0.2.10:80: the service has no such destination"
        );
        check(result, Reason::NoSuchDestination, 2, &text);
    }
    check(
        ipvs.add_service(&service()),
        Reason::ServiceExists,
        17,
        "cannot add service TCP 192.0.2.10:80: the service exists already",
    );
    ipvs.add_destination(key, &one).unwrap();
    check(
        // Other settings do not make it another destination.
        ipvs.add_destination(key, &one.with_weight(7)),
        Reason::DestinationExists,
        17,
        "cannot add destination 10.0.0.11:80 to TCP 192.0.2.10:80: the destination exists already",
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn bad_thresholds_and_weights_are_out_of_range() {
    let host = Host::new("thresholds");
    let (mut ipvs, mut lenient) = (host.ipvs(), lenient(&host));
    let key = service().key();
    ipvs.add_service(&service()).unwrap();
    let refused = "out of range: a weight above 2147483647, or a lower threshold above the upper";
    for (wrong, invalid) in [
        (
            server("10.0.0.11:80").with_thresholds(100, 75),
            "invalid lower threshold 100: must not be above the upper threshold; where that is 0 it \
             must be 0",
        ),
        (
            // No upper threshold means no limit, and still a lower one is refused.
            server("10.0.0.11:80").with_thresholds(1, 0),
            "invalid lower threshold 1: must not be above the upper threshold; where that is 0 it \
             must be 0",
        ),
        (
            server("10.0.0.11:80").with_weight(1 << 31),
            "invalid weight 2147483648: must be 0 to 2147483647",
        ),
    ] {
        check_invalid(ipvs.add_destination(key, &wrong), invalid);
        let text = format!("cannot add destination 10.0.0.11:80 to TCP 192.0.2.10:80: {refused}");
        check(
            lenient.add_destination(key, &wrong),
            Reason::OutOfRange,
            34,
            &text,
        );
    }
    assert!(ipvs.destinations(key).unwrap().is_empty());

    let limits = server("10.0.0.11:80")
        .with_weight(i32::MAX as u32)
        .with_thresholds(75, 100);
    ipvs.add_destination(key, &limits).unwrap();
    assert_eq!(ipvs.destinations(key).unwrap()[0].destination, limits);
}

/// What the kernel has a bare `EINVAL` for.
fn refused(destination: &str, service: &str) -> String {
    format!(
        "cannot add destination {destination} to {service}: refused: the address must be unicast \
         or local by the routing tables, and a destination of the other address family needs a \
         tunnel and no sync daemon; a GUE tunnel needs a port"
    )
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_other_family_needs_a_tunnel_and_no_sync_daemon() {
    let host = Host::new("families");
    let (mut ipvs, mut lenient) = (host.ipvs(), lenient(&host));
    let key = service().key();
    ipvs.add_service(&service()).unwrap();
    let address = "[fd00::11]:80";
    for forwarding in [Forwarding::Masquerade, Forwarding::DirectRoute] {
        let wrong = server(address).with_forwarding(forwarding);
        check_invalid(
            ipvs.add_destination(key, &wrong),
            "invalid destination address fd00::11: only a tunnel may lead to the other address \
             family",
        );
        let text = refused(address, "TCP 192.0.2.10:80");
        check(
            lenient.add_destination(key, &wrong),
            Reason::DestinationRefused,
            22,
            &text,
        );
    }

    let daemon = SyncDaemon::new(DaemonRole::Active, interface("lo"), 1);
    let tunnel = Destination::tunnel(address.parse().unwrap());
    ipvs.start_daemon(&daemon).unwrap();
    let text = refused(address, "TCP 192.0.2.10:80");
    check(
        ipvs.add_destination(key, &tunnel),
        Reason::DestinationRefused,
        22,
        &text,
    );
    ipvs.stop_daemon(DaemonRole::Active).unwrap();

    ipvs.add_destination(key, &tunnel).unwrap();
    assert_eq!(ipvs.destinations(key).unwrap()[0].destination, tunnel);
    let mixed = "cannot start the active sync daemon: refused: the group must be multicast, and no \
                 service may have a destination of the other address family";
    check(ipvs.start_daemon(&daemon), Reason::DaemonRefused, 22, mixed);
    assert!(ipvs.daemons().unwrap().is_empty());
    ipvs.remove_destination(key, tunnel.key()).unwrap();
    ipvs.start_daemon(&daemon).unwrap();
    ipvs.stop_daemon(DaemonRole::Active).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn gue_needs_a_port() {
    let host = Host::new("gue");
    let (mut ipvs, mut lenient) = (host.ipvs(), lenient(&host));
    let key = service().key();
    ipvs.add_service(&service()).unwrap();
    let tunnel = |port| {
        let destination = Destination::tunnel("10.0.0.11:80".parse().unwrap());
        destination.with_encapsulation(Encapsulation::gue(port))
    };
    let invalid = "invalid tunnel port 0: GUE needs 1 to 65535";
    check_invalid(ipvs.add_destination(key, &tunnel(0)), invalid);
    let text = refused("10.0.0.11:80", "TCP 192.0.2.10:80");
    check(
        lenient.add_destination(key, &tunnel(0)),
        Reason::DestinationRefused,
        22,
        &text,
    );
    ipvs.add_destination(key, &tunnel(6080)).unwrap();
    assert_eq!(ipvs.destinations(key).unwrap()[0].destination, tunnel(6080));
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn destinations_must_be_unicast() {
    let host = Host::new("unicast");
    host.ip("link add eth0 type veth peer name eth1\nlink set eth0 up\n\
             address add 10.9.0.1/24 dev eth0");
    let mut ipvs = host.ipvs();
    let ipv6 = VirtualService::tcp("[fd00::10]:80".parse().unwrap());
    for service in [service(), ipv6.clone()] {
        ipvs.add_service(&service).unwrap();
    }
    for (service, address) in [
        (service(), "224.0.0.1:80"),
        (service(), "255.255.255.255:80"),
        (service(), "0.0.0.0:80"),
        // The broadcast address of a network the host is on.
        (service(), "10.9.0.255:80"),
        (ipv6.clone(), "[ff02::1]:80"),
        (ipv6.clone(), "[fe80::1]:80"),
        (ipv6.clone(), "[::]:80"),
    ] {
        let key = service.key();
        let text = refused(address, &key.to_string());
        let result = ipvs.add_destination(key, &server(address));
        check(result, Reason::DestinationRefused, 22, &text);
    }
    // Unicast is enough: no route need lead there.
    for (service, address) in [(service(), "203.0.113.1:80"), (ipv6, "[2001:db8::1]:80")] {
        ipvs.add_destination(service.key(), &server(address))
            .unwrap();
        let read = ipvs.destinations(service.key()).unwrap();
        assert_eq!(read[0].destination, server(address));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn firewall_mark_0_never_gets_to_the_kernel() {
    let host = Host::new("mark");
    let (mut ipvs, mut lenient) = (host.ipvs(), lenient(&host));
    let wrong = VirtualService::firewall_mark(Family::Inet, 0);
    let invalid = "invalid firewall mark 0: must be 1 to 4294967295";
    check_invalid(ipvs.add_service(&wrong), invalid);
    check_invalid(ipvs.remove_service(wrong.key()), invalid);
    check_invalid(
        ipvs.add_destination(wrong.key(), &server("10.0.0.11:80")),
        invalid,
    );
    assert!(ipvs.services().unwrap().is_empty());

    // Why: the kernel makes something else of it.
    lenient.add_service(&wrong).unwrap();
    let read = ipvs.services().unwrap();
    assert_eq!(
        read[0].service.key(),
        ServiceKey::tcp("0.0.0.0:0".parse().unwrap())
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn timeouts_beyond_the_kernels_clock_change_nothing() {
    let host = Host::new("timeouts");
    let (mut ipvs, mut lenient) = (host.ipvs(), lenient(&host));
    let before = ipvs.timeouts().unwrap();
    let defaults = Timeouts {
        tcp_secs: Some(900),
        tcp_fin_secs: Some(120),
        udp_secs: Some(300),
    };
    assert_eq!(before, defaults);
    let wrong = Timeouts {
        tcp_secs: Some(60),
        udp_secs: Some(21_474_837),
        ..Timeouts::default()
    };
    let invalid = "invalid UDP timeout 21474837: must be 0 to 21474836 seconds";
    check_invalid(ipvs.set_timeouts(wrong), invalid);
    let text = "cannot set timeouts: a timeout is above the kernel's limit of (2^31-1)/HZ seconds: \
                2147483 at HZ=1000";
    check(
        lenient.set_timeouts(wrong),
        Reason::TimeoutTooLong,
        22,
        text,
    );
    assert_eq!(ipvs.timeouts().unwrap(), before);
    ipvs.set_timeouts(Timeouts {
        udp_secs: Some(30),
        ..Timeouts::default()
    })
    .unwrap();
    assert_eq!(
        ipvs.timeouts().unwrap(),
        Timeouts {
            udp_secs: Some(30),
            ..before
        }
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn sync_daemons_say_what_keeps_them_from_starting_and_stopping() {
    let host = Host::new("daemons");
    let (mut ipvs, mut lenient) = (host.ipvs(), lenient(&host));
    let daemon = SyncDaemon::new(DaemonRole::Active, interface("lo"), 1);

    check(
        ipvs.start_daemon(&SyncDaemon::new(
            DaemonRole::Active,
            interface("nosuch0"),
            1,
        )),
        Reason::NoSuchInterface(interface("nosuch0")),
        19,
        "cannot start the active sync daemon: there is no interface nosuch0",
    );
    let unicast = daemon.with_group([10, 0, 0, 1].into());
    check_invalid(
        ipvs.start_daemon(&unicast),
        "invalid sync group 10.0.0.1: must be multicast",
    );
    let text = "cannot start the active sync daemon: refused: the group must be multicast, and no \
                service may have a destination of the other address family";
    check(
        lenient.start_daemon(&unicast),
        Reason::DaemonRefused,
        22,
        text,
    );

    for role in [DaemonRole::Active, DaemonRole::Backup] {
        let not_running =
            &format!("cannot stop the {role} sync daemon: no sync daemon of this role runs");
        check(
            ipvs.stop_daemon(role),
            Reason::DaemonNotRunning,
            3,
            not_running,
        );
        let daemon = SyncDaemon::new(role, interface("lo"), 1);
        ipvs.start_daemon(&daemon).unwrap();
        let error = ipvs.start_daemon(&daemon);
        assert!(error.as_ref().unwrap_err().is_exists());
        let running =
            format!("cannot start the {role} sync daemon: a sync daemon of this role runs already");
        check(error, Reason::DaemonRunning, 17, &running);
        ipvs.stop_daemon(role).unwrap();
        check(
            ipvs.stop_daemon(role),
            Reason::DaemonNotRunning,
            3,
            not_running,
        );
    }

    // The kernel would keep a sync id it cannot send.
    let mut wide = daemon;
    wide.sync_id = 300;
    check_invalid(
        ipvs.start_daemon(&wide),
        "invalid sync id 300: must be 0 to 255",
    );
    lenient.start_daemon(&wide).unwrap();
    assert_eq!(ipvs.daemons().unwrap()[0].sync_id, 300);
    ipvs.stop_daemon(DaemonRole::Active).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn sync_daemons_of_both_roles_read_back_as_started() {
    let host = Host::new("roles");
    host.ip(
        "link add eth0 type veth peer name eth1\nlink set eth0 up\nlink set eth1 up\n\
             address add 10.9.0.1/24 dev eth0",
    );
    let mut ipvs = host.ipvs();
    assert!(ipvs.daemons().unwrap().is_empty());

    let active = SyncDaemon::new(DaemonRole::Active, interface("eth0"), 7)
        .with_group([239, 1, 2, 3].into())
        .with_port(9000)
        .with_max_length(1400)
        .with_ttl(3);
    let backup = SyncDaemon::new(DaemonRole::Backup, interface("eth1"), 255)
        .with_group("ff05::42".parse().unwrap())
        .with_port(9001)
        .with_max_length(1200)
        .with_ttl(255);
    ipvs.start_daemon(&backup).unwrap();
    ipvs.start_daemon(&active).unwrap();
    assert_eq!(ipvs.daemons().unwrap(), [active, backup]);
    ipvs.stop_daemon(DaemonRole::Active).unwrap();
    assert_eq!(ipvs.daemons().unwrap(), [backup]);
    ipvs.stop_daemon(DaemonRole::Backup).unwrap();
    assert!(ipvs.daemons().unwrap().is_empty());

    // What is not given gets the documented default.
    let plain = SyncDaemon::new(DaemonRole::Active, interface("eth0"), 0);
    ipvs.start_daemon(&plain).unwrap();
    let defaults = plain
        .with_group([224, 0, 0, 81].into())
        .with_port(8848)
        .with_max_length(1472)
        .with_ttl(1);
    assert_eq!(ipvs.daemons().unwrap(), [defaults]);
    ipvs.stop_daemon(DaemonRole::Active).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_daemon_stopped_before_it_ran_is_known_to_be_stopped() {
    // Its thread ends with `EINTR`, to which the kernel sends no answer.
    let host = Host::new("hasty");
    let mut ipvs = host.ipvs();
    let options = Options::default().with_timeout(Duration::from_secs(5));
    ipvs.set_options(options);
    let start = Instant::now();
    for role in [DaemonRole::Active, DaemonRole::Backup] {
        for _ in 0..3 {
            ipvs.start_daemon(&SyncDaemon::new(role, interface("lo"), 1))
                .unwrap();
            ipvs.stop_daemon(role).unwrap();
            assert!(ipvs.daemons().unwrap().is_empty());
        }
    }
    assert!(start.elapsed() < options.timeout, "{:?}", start.elapsed());

    // Two of a batch, in one system call: the thread has no chance to run.
    let daemon = SyncDaemon::new(DaemonRole::Active, interface("lo"), 1);
    let report = ipvs.execute([
        Change::StartDaemon(daemon),
        Change::StopDaemon(DaemonRole::Active),
        Change::AddService(service()),
    ]);
    let report = report.unwrap();
    let outcomes: Vec<_> = report.entries().map(|(_, outcome)| outcome).collect();
    let unanswered = Outcome::Unknown(UnknownCause::Unanswered);
    assert_eq!((outcomes[0], outcomes[2]), (&Outcome::Done, &Outcome::Done));
    assert!(
        [&Outcome::Done, &unanswered].contains(&outcomes[1]),
        "{outcomes:?}"
    );
    assert!(ipvs.daemons().unwrap().is_empty());
}
