//! The blocking client on the memory kernel: what it returns when things go wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lvs_ipvs::operation::{Operation, Step};
use lvs_ipvs::session::{Event, Session};
use lvs_ipvs::{
    Actual, Change, Client, CounterWidth, DaemonRole, Desired, Destination, Error, Family, Fault,
    Generation, Interface, MemoryKernel, NotSentCause, Options, Outcome, Plan, Policy, Protocol,
    Query, Reason, Scheduler, Scope, ServiceKey, Stats, Surplus, SyncDaemon, Table, Timeouts,
    UnknownCause, VirtualService,
};
use nix::errno::Errno;

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn server(host: u8) -> Destination {
    Destination::masquerade(([10, 0, 0, host], 80).into())
}

fn kernel() -> (MemoryKernel, Client) {
    let kernel = MemoryKernel::default();
    let client = Client::with_transport(kernel.socket()).unwrap();
    (kernel, client)
}

/// Adds the service and that many destinations.
fn fill(client: &mut Client, hosts: u8) {
    client.add_service(&web()).unwrap();
    for host in 1..=hosts {
        client.add_destination(web().key(), &server(host)).unwrap();
    }
}

fn cause(error: &Error) -> Option<UnknownCause> {
    match error {
        Error::UnknownOutcome { cause, .. } => Some(*cause),
        _ => None,
    }
}

#[test]
fn every_command_does_what_it_says() {
    let (kernel, mut client) = kernel();
    kernel.set_interfaces([
        Interface::loopback(),
        Interface::new("eth0").with_address("192.0.2.1".parse().unwrap(), 24),
    ]);
    let key = web().key();
    fill(&mut client, 2);
    let sh = web().with_scheduler(Scheduler::Sh);
    client.set_service(&sh).unwrap();
    assert_eq!(client.service(key).unwrap().service, sh);
    assert_eq!(client.services().unwrap().len(), 1);
    client
        .set_destination(key, &server(1).with_weight(7))
        .unwrap();
    let read = client.destinations(key).unwrap();
    let weights: Vec<_> = read
        .iter()
        .map(|entry| entry.destination.weight())
        .collect();
    assert_eq!(weights, [1, 7], "newest first");
    client.remove_destination(key, server(2).key()).unwrap();
    assert_eq!(client.destinations(key).unwrap().len(), 1);

    let timeouts = Timeouts {
        udp_secs: Some(30),
        ..Timeouts::default()
    };
    client.set_timeouts(timeouts).unwrap();
    let read = client.timeouts().unwrap();
    assert_eq!((read.tcp_secs, read.udp_secs), (Some(900), Some(30)));

    let daemon = SyncDaemon::new(DaemonRole::Backup, "eth0".parse().unwrap(), 3).with_ttl(9);
    client.start_daemon(&daemon).unwrap();
    let [running] = client.daemons().unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (running.role, running.sync_id, running.ttl),
        (DaemonRole::Backup, 3, Some(9))
    );
    client.stop_daemon(DaemonRole::Backup).unwrap();
    assert!(client.daemons().unwrap().is_empty());

    client.zero().unwrap();
    client.zero_service(key).unwrap();
    assert_eq!(client.info().unwrap().version.to_string(), "1.2.1");
    client.remove_service(key).unwrap();
    client.add_service(&web()).unwrap();
    client.flush().unwrap();
    assert!(client.services().unwrap().is_empty());
}

#[test]
fn reasons_depend_on_what_was_asked() {
    let (kernel, mut client) = kernel();
    let key = web().key();
    fill(&mut client, 1);
    let other = ServiceKey::tcp("192.0.2.99:80".parse().unwrap());
    let reason = |result: Result<(), Error>| result.unwrap_err().reason().unwrap();
    assert_eq!(reason(client.add_service(&web())), Reason::ServiceExists);
    assert_eq!(
        reason(client.add_destination(key, &server(1))),
        Reason::DestinationExists
    );
    assert_eq!(
        reason(client.set_destination(key, &server(9))),
        Reason::NoSuchDestination
    );
    assert_eq!(reason(client.remove_service(other)), Reason::NoSuchService);
    assert_eq!(
        reason(client.stop_daemon(DaemonRole::Active)),
        Reason::DaemonNotRunning
    );
    let nosuch: Scheduler = "nosuch".parse().unwrap();
    let set = client.set_service(&web().with_scheduler(nosuch));
    assert_eq!(reason(set), Reason::UnknownScheduler(nosuch));
    let multicast = Destination::masquerade("224.0.0.1:80".parse().unwrap());
    assert_eq!(
        reason(client.add_destination(key, &multicast)),
        Reason::DestinationRefused
    );
    let daemon = SyncDaemon::new(DaemonRole::Active, "eth9".parse().unwrap(), 0);
    assert_eq!(
        reason(client.start_daemon(&daemon)),
        Reason::NoSuchInterface(daemon.interface)
    );
    kernel.set_permitted(false);
    let error = client.info().unwrap_err();
    assert!(error.is_permission());
    assert!(
        error
            .to_string()
            .contains("CAP_NET_ADMIN in the initial user namespace"),
        "{error}"
    );
}

#[test]
fn a_kernel_without_ipvs_is_unavailable() {
    let kernel = MemoryKernel::default().without_ipvs();
    let error = Client::with_transport(kernel.socket()).unwrap_err();
    assert!(error.is_unavailable());
    assert!(error.to_string().contains("modprobe ip_vs"), "{error}");
}

#[test]
fn nothing_invalid_is_sent_unless_asked_for() {
    let (_, mut client) = kernel();
    let mark = VirtualService::firewall_mark(Family::Inet, 0);
    let Err(Error::Invalid { error, .. }) = client.add_service(&mark) else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        "firewall mark 0: must be 1 to 4294967295"
    );
    assert!(client.services().unwrap().is_empty());
    client.set_options(Options::default().without_validation());
    client.add_service(&mark).unwrap();
    assert_eq!(client.services().unwrap().len(), 1);
}

#[test]
fn a_missing_service_is_told_from_an_empty_one() {
    let (_, mut client) = kernel();
    let error = client.destinations(web().key()).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService));
    fill(&mut client, 0);
    assert!(client.destinations(web().key()).unwrap().is_empty());
}

#[test]
fn a_lost_answer_is_an_unknown_outcome_and_no_more() {
    let (kernel, mut client) = kernel();
    kernel.inject(Fault::LoseReplies(1));
    let error = client.add_service(&web()).unwrap_err();
    assert_eq!(cause(&error), Some(UnknownCause::TimedOut));
    assert!(error.is_retryable());
    // It was carried out, and the client goes on.
    assert_eq!(client.services().unwrap().len(), 1);
}

#[test]
fn a_late_answer_is_not_taken_for_another() {
    let (kernel, mut client) = kernel();
    kernel.inject(Fault::DelayReplies(1));
    assert!(client.add_service(&web()).is_err());
    // The late acknowledgement of success arrives first.
    let error = client.add_service(&web()).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ServiceExists));
}

#[test]
fn a_late_dump_does_not_disturb_the_next() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 40);
    kernel.inject(Fault::SlowDumps(8));
    kernel.inject(Fault::PassReplies(1));
    kernel.inject(Fault::DelayReplies(1));
    let error = client.destinations(web().key()).unwrap_err();
    assert_eq!(cause(&error), Some(UnknownCause::TimedOut));
    for _ in 0..3 {
        assert_eq!(client.destinations(web().key()).unwrap().len(), 40);
    }
}

#[test]
fn an_overrun_leaves_the_lost_unknown_and_the_client_usable() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 0);
    kernel.inject(Fault::OverrunAfter(20));
    let changes = (1..=60).map(|host| Change::AddDestination(web().key(), server(host)));
    let report = client.execute(changes).unwrap();
    assert_eq!(report.len(), 60);
    let unknown = Outcome::Unknown(UnknownCause::Overrun);
    let count = |wanted: &Outcome| report.entries().filter(|(_, o)| o == wanted).count();
    assert_eq!((count(&Outcome::Done), count(&unknown)), (20, 40));
    // All were carried out: unknown is not refused.
    assert_eq!(client.destinations(web().key()).unwrap().len(), 60);
}

#[test]
fn a_failed_send_says_why_and_that_nothing_was_done() {
    let (kernel, mut client) = kernel();
    kernel.inject(Fault::FailSend(Errno::ENOBUFS as i32));
    let error = client.add_service(&web()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot add service TCP 192.0.2.10:80: not sent: sending to the netlink socket failed: \
         No buffer space available (os error 105)"
    );
    kernel.inject(Fault::FailSend(Errno::ENOBUFS as i32));
    let report = client.execute([Change::Flush, Change::Zero(None)]).unwrap();
    assert!(report.entries().all(|(_, outcome)| *outcome
        == Outcome::NotSent(NotSentCause::SendFailed {
            errno: Errno::ENOBUFS as i32
        })));
    assert!(client.services().unwrap().is_empty());
}

#[test]
fn a_failed_receive_leaves_the_outcome_open_and_the_client_usable() {
    let (kernel, mut client) = kernel();
    kernel.inject(Fault::FailReceive(Errno::ENOMEM as i32));
    let error = client.add_service(&web()).unwrap_err();
    let errno = Errno::ENOMEM as i32;
    let failed = UnknownCause::ConnectionFailed { errno };
    assert_eq!(cause(&error), Some(failed));
    assert_eq!(client.services().unwrap().len(), 1);

    // Of many, what was sent is unknown and the rest was not sent; no outcome is lost.
    client.flush().unwrap();
    kernel.inject(Fault::FailReceive(errno));
    let services = (1..=500).map(|port| VirtualService::tcp(([192, 0, 2, 1], port).into()));
    let report = client.execute(services.map(Change::AddService)).unwrap();
    let count = |wanted: Outcome| report.entries().filter(|(_, o)| *o == wanted).count();
    let done = client.services().unwrap().len();
    assert_eq!(count(Outcome::Unknown(failed)), done);
    let not_sent = NotSentCause::ConnectionFailed { errno };
    assert_eq!(count(Outcome::NotSent(not_sent)), 500 - done);
    assert!((1..500).contains(&done), "{done}");
}

#[test]
fn a_failed_receive_in_the_middle_of_a_dump_does_not_disturb_the_next() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 40);
    kernel.inject(Fault::SlowDumps(8));
    kernel.inject(Fault::FailReceive(Errno::ENOMEM as i32));
    assert!(client.destinations(web().key()).is_err());
    assert_eq!(client.destinations(web().key()).unwrap().len(), 40);
}

#[test]
fn a_malformed_answer_names_the_attribute() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 1);
    // Bytes 28 and 29 are the length of the attribute AF of the first service.
    kernel.inject(Fault::FlipBit(24 * 8 + 15));
    let error = client.services().unwrap_err();
    assert!(
        matches!(cause(&error), Some(UnknownCause::Unreadable(_))),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("attribute SERVICE.AF at byte 24"),
        "{error}"
    );
    assert_eq!(client.services().unwrap().len(), 1);
}

#[test]
fn one_refused_change_does_not_stop_the_others() {
    let (_, mut client) = kernel();
    let report = client
        .execute([
            Change::AddService(web()),
            Change::AddService(web()),
            Change::AddDestination(web().key(), server(1).with_thresholds(5, 1)),
            Change::AddDestination(web().key(), server(2)),
        ])
        .unwrap();
    let outcomes: Vec<_> = report
        .entries()
        .map(|(_, outcome)| outcome.clone())
        .collect();
    assert!(matches!(&outcomes[1], Outcome::Rejected(r) if r.reason == Reason::ServiceExists));
    assert!(matches!(&outcomes[2], Outcome::Invalid(error) if error.field() == "lower threshold"));
    assert_eq!(
        (&outcomes[0], &outcomes[3]),
        (&Outcome::Done, &Outcome::Done)
    );
    assert_eq!(
        report.to_string(),
        "cannot add service TCP 192.0.2.10:80: the service exists already\n\
         cannot add destination 10.0.0.1:80 to TCP 192.0.2.10:80: invalid lower threshold 5: must \
         not be above the upper threshold; where that is 0 it must be 0\n"
    );
    let error = report.into_result().unwrap_err();
    assert!(error.is_exists());
    assert!(client.execute([]).unwrap().is_empty());
}

#[test]
fn a_table_of_thousands_goes_through_the_window() {
    let (_, mut client) = kernel();
    let service = |port: u16| VirtualService::tcp(([192, 0, 2, 1], port).into());
    let report = client
        .execute((1..=5000).map(|port| Change::AddService(service(port))))
        .unwrap();
    assert!(report.is_success());
    let snapshot = client.snapshot().unwrap();
    assert!(snapshot.agreed);
    assert_eq!(snapshot.services.len(), 5000);
}

#[test]
fn a_snapshot_tells_when_the_table_did_not_rest() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 40);
    kernel.inject(Fault::SlowDumps(8));
    let mut other = Client::with_transport(kernel.socket()).unwrap();
    let mut port = 8000;
    kernel.between_batches(move |_, batches| {
        // Once in each dump: one more for each batch would make it last for ever.
        if batches == 1 {
            port += 1;
            let newcomer = Destination::masquerade(([10, 0, 0, 1], port).into());
            other.add_destination(web().key(), &newcomer).unwrap();
        }
    });
    assert!(!client.snapshot().unwrap().agreed);

    // One change during the first reading: the second and the third agree.
    let (kernel, mut client) = self::kernel();
    fill(&mut client, 40);
    kernel.inject(Fault::SlowDumps(8));
    let mut other = Client::with_transport(kernel.socket()).unwrap();
    let mut once = true;
    kernel.between_batches(move |_, _| {
        if core::mem::take(&mut once) {
            other
                .remove_destination(web().key(), server(40).key())
                .unwrap();
        }
    });
    let snapshot = client.snapshot().unwrap();
    assert!(snapshot.agreed);
    assert_eq!(snapshot.destinations(&web().key()).len(), 39);
}

#[test]
fn a_daemon_that_goes_unanswered_is_looked_for() {
    let (kernel, mut client) = kernel();
    kernel.set_interfaces([Interface::new("eth0")]);
    let daemon = SyncDaemon::new(DaemonRole::Active, "eth0".parse().unwrap(), 0);
    client.start_daemon(&daemon).unwrap();
    // What a real kernel does when the daemon's thread never ran: it stops, without a word.
    kernel.inject(Fault::LoseReplies(1));
    client.stop_daemon(DaemonRole::Active).unwrap();
    assert!(client.daemons().unwrap().is_empty());
    assert!(
        client
            .stop_daemon(DaemonRole::Active)
            .unwrap_err()
            .is_not_found()
    );
}

fn plan_for(client: &mut Client, desired: &Table) -> Plan {
    let policy = Policy::new(Scope::all()).with_surplus_services(Surplus::Delete);
    let snapshot = client.snapshot().unwrap();
    Plan::new(Actual(&snapshot), Desired(desired), &policy)
}

#[test]
fn applying_a_plan_makes_the_table_and_applying_it_again_sends_nothing() {
    let (_, mut client) = kernel();
    fill(&mut client, 3);
    let mut desired = Table::new();
    desired.insert(
        web().with_scheduler(Scheduler::Sh),
        [server(2).with_weight(9), server(7)],
    );
    let plan = plan_for(&mut client, &desired);
    assert!(client.apply(&plan).unwrap().is_success());
    assert_eq!(client.snapshot().unwrap().table(), desired);
    assert!(plan_for(&mut client, &desired).is_empty());
}

#[test]
fn what_changed_since_the_snapshot_is_repaired() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 1);
    let mut desired = Table::new();
    desired.insert(web(), [server(1).with_weight(5), server(2)]);
    let plan = plan_for(&mut client, &desired);
    // Meanwhile the one to be changed goes, and the one to be added comes.
    let mut other = Client::with_transport(kernel.socket()).unwrap();
    other
        .remove_destination(web().key(), server(1).key())
        .unwrap();
    other
        .add_destination(web().key(), &server(2).with_weight(99))
        .unwrap();
    assert!(client.apply(&plan).unwrap().is_success());
    let snapshot = client.snapshot().unwrap();
    let found = snapshot.service(&web().key()).unwrap();
    assert_eq!(
        found
            .destination(&server(1).key())
            .unwrap()
            .destination
            .weight(),
        5
    );
    assert_eq!(
        found
            .destination(&server(2).key())
            .unwrap()
            .destination
            .weight(),
        1
    );
}

#[test]
fn the_last_usable_destination_stays_when_its_successor_is_refused() {
    let (kernel, mut client) = kernel();
    fill(&mut client, 1);
    let mut desired = Table::new();
    desired.insert(web(), [server(2)]);
    let plan = plan_for(&mut client, &desired);
    assert_eq!(plan.len(), 2);
    kernel.inject(Fault::RejectRequest {
        after: 0,
        errno: Errno::ENOMEM as i32,
    });
    let report = client.apply(&plan).unwrap();
    let outcomes: Vec<_> = report
        .entries()
        .map(|(_, outcome)| outcome.clone())
        .collect();
    assert!(matches!(&outcomes[0], Outcome::Rejected(r) if r.reason == Reason::OutOfMemory));
    assert_eq!(outcomes[1], Outcome::NotSent(NotSentCause::Withheld));
    assert_eq!(
        client.destinations(web().key()).unwrap()[0].destination,
        server(1)
    );
}

#[test]
fn what_a_panicking_visitor_leaves_behind_is_not_taken_for_an_answer() {
    let (_, mut client) = kernel();
    fill(&mut client, 3);
    let visit = core::panic::AssertUnwindSafe(|| {
        client.for_each_destination(web().key(), |_| panic!("the visitor's own fault"))
    });
    std::panic::catch_unwind(visit).unwrap_err();
    assert!(client.add_service(&web()).unwrap_err().is_exists());
    assert_eq!(client.destinations(web().key()).unwrap().len(), 3);
}

/// Ends as soon as it has asked.
struct Hasty;

impl Operation for Hasty {
    type Output = ();

    fn start(&mut self, session: &mut Session) -> Step<()> {
        session.submit(Change::AddService(web()));
        session.submit(Query::Services);
        Step::Continue
    }

    fn step(&mut self, _: &mut Session, _: Event<'_>) -> Result<Step<()>, Error> {
        Ok(Step::Done(()))
    }
}

#[test]
fn what_an_operation_leaves_behind_is_not_taken_for_an_answer() {
    let (_, mut client) = kernel();
    client.run(Hasty).unwrap();
    assert!(client.add_service(&web()).unwrap_err().is_exists());
    assert_eq!(client.services().unwrap().len(), 1);
}

#[test]
fn a_batch_that_stops_a_daemon_does_not_wait_for_an_answer_that_never_comes() {
    let (kernel, mut client) = kernel();
    kernel.set_interfaces([Interface::new("eth0")]);
    let daemon = SyncDaemon::new(DaemonRole::Active, "eth0".parse().unwrap(), 0);
    kernel.inject(Fault::PassReplies(1));
    kernel.inject(Fault::LoseReplies(1));
    let report = client
        .execute([
            Change::StartDaemon(daemon),
            Change::StopDaemon(DaemonRole::Active),
        ])
        .unwrap();
    let outcomes: Vec<_> = report.entries().map(|(_, outcome)| outcome).collect();
    let unanswered = Outcome::Unknown(UnknownCause::Unanswered);
    assert_eq!(outcomes, [&Outcome::Done, &unanswered]);
}

#[test]
fn counters_of_an_old_kernel_are_read_and_marked_as_narrow() {
    let mut generation = Generation::LINUX_6_1;
    generation.stats64 = false;
    for (generation, width) in [
        (generation, CounterWidth::Bits32),
        (Generation::LINUX_6_1, CounterWidth::Bits64),
    ] {
        let kernel = MemoryKernel::new(generation);
        let mut client = Client::with_transport(kernel.socket()).unwrap();
        fill(&mut client, 1);
        let mut stats = Stats::default();
        stats.connections = u64::from(u32::MAX);
        stats.bytes_in = 1 << 40;
        stats.rates.packets_out = 7;
        assert!(kernel.set_stats(web().key(), Some(server(1).key()), stats));
        let read = client.destinations(web().key()).unwrap()[0].stats;
        stats.width = width;
        assert_eq!(read, stats, "bytes have 64 bits in either");
    }
}

#[test]
fn firewall_mark_0_is_not_asked_for() {
    let (_, mut client) = kernel();
    let zero = ServiceKey::firewall_mark(Family::Inet, 0);
    assert!(matches!(client.service(zero), Err(Error::Invalid { .. })));
    assert!(matches!(
        client.remove_service(zero),
        Err(Error::Invalid { .. })
    ));
}

#[test]
fn what_others_made_can_be_removed_whatever_its_protocol() {
    let (_, mut client) = kernel();
    let odd = ServiceKey::Address {
        protocol: Protocol::from_number(50),
        address: "192.0.2.1".parse().unwrap(),
        port: 0,
    };
    client.set_options(Options::default().without_validation());
    client.add_service(&VirtualService::new(odd)).unwrap();
    client.set_options(Options::default());
    client.remove_service(odd).unwrap();
}
