//! Calls that may be repeated, calls that change one setting and keep the others, and readings of
//! the whole table, with the blocking client on the memory kernel.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use core::time::Duration;

use bytes::BytesMut;
use lvs_ipvs::operation::{Operation, Step, UpdateService};
use lvs_ipvs::session::{Event, Session};
use lvs_ipvs::transport::{Received, Transport};
use lvs_ipvs::wire::attributes::command::{
    DEL_DAEMON, GET_DAEMON, GET_DEST, GET_SERVICE, NEW_DAEMON, NEW_SERVICE, SET_SERVICE,
};
use lvs_ipvs::wire::{FamilyId, Messages};
use lvs_ipvs::{
    Client, DaemonRole, Destination, Encapsulation, EngineName, Ensured, Error, Fault, Interface,
    MemoryKernel, Options, Persistence, Reason, Scheduler, Snapshot, SyncDaemon, VirtualService,
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
    kernel.set_interfaces([Interface::loopback(), Interface::new("eth0")]);
    let client = Client::with_transport(kernel.socket()).unwrap();
    kernel.set_recording(true);
    (kernel, client)
}

/// The commands that were sent: the byte behind the netlink header.
fn commands(kernel: &MemoryKernel) -> Vec<u8> {
    let datagrams = kernel.take_recorded();
    let mut commands = Vec::new();
    for datagram in &datagrams {
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            commands.push(rest[16]);
            let length = u32::from_ne_bytes(rest[..4].try_into().unwrap());
            rest = &rest[length as usize..];
        }
    }
    commands
}

#[test]
fn a_service_is_added_once_and_replaced_ever_after() {
    let (kernel, mut client) = kernel();
    assert_eq!(client.ensure_service(&web()).unwrap(), Ensured::Added);
    client.add_destination(web().key(), &server(1)).unwrap();
    let sh = web().with_scheduler(Scheduler::Sh);
    kernel.take_recorded().clear();
    assert_eq!(client.ensure_service(&sh).unwrap(), Ensured::Replaced);
    assert_eq!(commands(&kernel), [NEW_SERVICE, SET_SERVICE]);
    assert_eq!(client.service(web().key()).unwrap().service, sh);
    assert_eq!(client.destinations(web().key()).unwrap().len(), 1);
}

#[test]
fn a_destination_needs_its_service_and_no_more() {
    let (_, mut client) = kernel();
    let key = web().key();
    let error = client.ensure_destination(key, &server(1)).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService));
    client.add_service(&web()).unwrap();
    let ensured = client.ensure_destination(key, &server(1)).unwrap();
    assert_eq!(ensured, Ensured::Added);
    let heavy = server(1).with_weight(9);
    let ensured = client.ensure_destination(key, &heavy).unwrap();
    assert_eq!(ensured, Ensured::Replaced);
    assert_eq!(client.destinations(key).unwrap()[0].destination, heavy);
}

#[test]
fn what_is_not_there_need_not_be_removed() {
    let (_, mut client) = kernel();
    let key = web().key();
    let destination = server(1).key();
    // Without the service, without the destination, with both.
    let remove = |client: &mut Client| client.ensure_no_destination(key, destination).unwrap();
    assert_eq!(remove(&mut client), Ensured::Unchanged);
    client.add_service(&web()).unwrap();
    assert_eq!(remove(&mut client), Ensured::Unchanged);
    client.add_destination(key, &server(1)).unwrap();
    assert_eq!(remove(&mut client), Ensured::Removed);
    assert!(client.destinations(key).unwrap().is_empty());
    assert_eq!(client.ensure_no_service(key).unwrap(), Ensured::Removed);
    assert_eq!(client.ensure_no_service(key).unwrap(), Ensured::Unchanged);
}

fn refuse(kernel: &MemoryKernel, errnos: &[Errno]) {
    for errno in errnos {
        kernel.inject(Fault::RejectRequest {
            after: 0,
            errno: *errno as i32,
        });
    }
}

#[test]
fn who_removes_and_adds_it_meanwhile_is_met_four_times() {
    let (kernel, mut client) = kernel();
    // It exists when it is to be added, and is gone when it is to be set.
    refuse(&kernel, &[Errno::EEXIST, Errno::ESRCH]);
    assert_eq!(client.ensure_service(&web()).unwrap(), Ensured::Added);
    assert_eq!(commands(&kernel), [NEW_SERVICE, SET_SERVICE, NEW_SERVICE]);
    refuse(
        &kernel,
        &[Errno::EEXIST, Errno::ESRCH, Errno::EEXIST, Errno::ESRCH],
    );
    let error = client.ensure_service(&web()).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService));
    assert_eq!(
        commands(&kernel),
        [NEW_SERVICE, SET_SERVICE, NEW_SERVICE, SET_SERVICE]
    );
}

#[test]
fn other_refusals_are_errors() {
    let (kernel, mut client) = kernel();
    let nosuch: Scheduler = "nosuch".parse().unwrap();
    let error = client
        .ensure_service(&web().with_scheduler(nosuch))
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::UnknownScheduler(nosuch)));
    kernel.set_permitted(false);
    for error in [
        client.ensure_service(&web()).unwrap_err(),
        client.ensure_no_service(web().key()).unwrap_err(),
        client.ensure_no_daemon(DaemonRole::Active).unwrap_err(),
        client
            .update_service(web().key(), |service| service)
            .unwrap_err(),
    ] {
        assert!(error.is_permission(), "{error}");
    }
}

#[test]
fn nothing_invalid_is_sent() {
    let (kernel, mut client) = kernel();
    let key = web().key();
    client.add_service(&web()).unwrap();
    client.add_destination(key, &server(1)).unwrap();
    kernel.take_recorded().clear();
    let odd = server(1).with_thresholds(5, 1);
    let zero = VirtualService::firewall_mark(lvs_ipvs::Family::Inet, 0);
    let daemon = SyncDaemon::new(DaemonRole::Active, "eth0".parse().unwrap(), 0).with_ttl(0);
    for error in [
        client.ensure_service(&zero).unwrap_err(),
        client.ensure_no_service(zero.key()).unwrap_err(),
        client.ensure_destination(key, &odd).unwrap_err(),
        client.ensure_daemon(&daemon).unwrap_err(),
        client.update_service(zero.key(), |it| it).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    assert_eq!(commands(&kernel), []);
    let modify = |it: Destination| it.with_thresholds(5, 1);
    let error = client
        .update_destination(key, server(1).key(), modify)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot change destination 10.0.0.1:80 of TCP 192.0.2.10:80: invalid lower threshold 5: \
         must not be above the upper threshold; where that is 0 it must be 0"
    );
    assert_eq!(commands(&kernel), [GET_DEST]);
    client.set_options(Options::default().without_validation());
    let error = client
        .update_destination(key, server(1).key(), modify)
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutOfRange));
}

#[test]
fn an_update_keeps_engine_mask_and_tunnel() {
    let (_, mut client) = kernel();
    let mut persistence = Persistence::new(60);
    persistence.engine = EngineName::new("sip");
    let sip = VirtualService::udp("192.0.2.10:5060".parse().unwrap()).with_persistence(persistence);
    let key = sip.key();
    client.add_service(&sip).unwrap();
    let gue = Destination::tunnel("10.0.0.1:5060".parse().unwrap())
        .with_encapsulation(Encapsulation::gue(6080))
        .with_thresholds(1, 9);
    client.add_destination(key, &gue).unwrap();
    client.add_destination(key, &server(2)).unwrap();

    let updated = client
        .update_service(key, |it| it.with_scheduler(Scheduler::Mh))
        .unwrap();
    assert_eq!(updated, Ensured::Replaced);
    let expected = sip.with_scheduler(Scheduler::Mh);
    assert_eq!(client.service(key).unwrap().service, expected);
    client
        .update_destination(key, gue.key(), |it| it.with_weight(0))
        .unwrap();
    let read = client.destinations(key).unwrap();
    assert_eq!(read[1].destination, gue.with_weight(0));
    assert_eq!(read[0].destination, server(2));
}

#[test]
fn an_update_that_changes_nothing_sends_nothing() {
    let (kernel, mut client) = kernel();
    client.add_service(&web()).unwrap();
    client.add_destination(web().key(), &server(1)).unwrap();
    kernel.take_recorded().clear();
    let updated = client.update_service(web().key(), |it| it).unwrap();
    assert_eq!(updated, Ensured::Unchanged);
    let updated = client
        .update_destination(web().key(), server(1).key(), |it| it)
        .unwrap();
    assert_eq!(updated, Ensured::Unchanged);
    assert_eq!(commands(&kernel), [GET_SERVICE, GET_DEST]);
}

#[test]
fn an_update_cannot_reach_another_entry() {
    let (_, mut client) = kernel();
    let other = VirtualService::tcp("192.0.2.11:80".parse().unwrap());
    for service in [&web(), &other] {
        client.add_service(service).unwrap();
    }
    let changed = other.clone().with_scheduler(Scheduler::Sh);
    client.update_service(web().key(), |_| changed).unwrap();
    let scheduler = |client: &mut Client, service: &VirtualService| {
        client.service(service.key()).unwrap().service.scheduler()
    };
    assert_eq!(scheduler(&mut client, &web()), Scheduler::Sh);
    assert_eq!(scheduler(&mut client, &other), Scheduler::Wlc);
}

#[test]
fn what_is_missing_cannot_be_updated() {
    let (_, mut client) = kernel();
    let key = web().key();
    let mut update = |service: bool| {
        let result = match service {
            true => client.update_service(key, |_| unreachable!("there is nothing to change")),
            false => client.update_destination(key, server(1).key(), |_| {
                unreachable!("there is nothing to change")
            }),
        };
        let reason = result.unwrap_err().reason().unwrap();
        if let Reason::NoSuchService = reason {
            client.ensure_service(&web()).unwrap();
            client.ensure_destination(key, &server(2)).unwrap();
        }
        reason
    };
    assert_eq!(update(true), Reason::NoSuchService);
    assert_eq!(update(false), Reason::NoSuchDestination);
    let error = client
        .update_destination(
            lvs_ipvs::ServiceKey::udp("192.0.2.1:1".parse().unwrap()),
            server(1).key(),
            |it| it,
        )
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService));
}

/// Adds an attribute that no kernel has yet to the nest of the one message in a datagram.
fn add_unknown(datagram: &mut Vec<u8>, attribute: &[u8]) {
    // The netlink header is 16 bytes and begins with the length, the nest begins at 20.
    let grown = u16::try_from(attribute.len()).unwrap();
    let total = u32::from_ne_bytes(datagram[..4].try_into().unwrap());
    assert_eq!(total as usize, datagram.len());
    datagram.extend_from_slice(attribute);
    datagram[..4].copy_from_slice(&(total + u32::from(grown)).to_ne_bytes());
    let nest = u16::from_ne_bytes(datagram[20..22].try_into().unwrap());
    datagram[20..22].copy_from_slice(&(nest + grown).to_ne_bytes());
}

#[test]
fn an_update_sends_unknown_attributes_back() {
    let (kernel, mut client) = kernel();
    client.add_service(&web()).unwrap();
    let [family] = kernel_family(&kernel)[..] else {
        unreachable!("one request was sent")
    };

    let mut socket = kernel.socket();
    let mut session = Session::new(FamilyId::new(family));
    let modify = |it: VirtualService| it.with_scheduler(Scheduler::Sh);
    let mut update = UpdateService::new(web().key(), modify, true);
    assert_eq!(update.start(&mut session), Step::Continue);
    let (mut outgoing, mut incoming) = (BytesMut::new(), BytesMut::new());
    assert!(session.poll_transmit(&mut outgoing));
    socket.send(&outgoing).unwrap();
    let unknown = [&8_u16.to_ne_bytes()[..], &77_u16.to_ne_bytes(), b"new!"].concat();
    let mut first = true;
    while let Received::Datagram = socket.receive(&mut incoming, Duration::ZERO).unwrap() {
        let mut datagram = incoming.to_vec();
        if core::mem::take(&mut first) {
            add_unknown(&mut datagram, &unknown);
        }
        let mut messages = Messages::new(&datagram);
        while let Some(event) = session.handle(&mut messages) {
            let step = update.step(&mut session, event).unwrap();
            assert_eq!(step, Step::Continue);
        }
    }
    outgoing.clear();
    assert!(session.poll_transmit(&mut outgoing), "the change");
    let found = outgoing.windows(unknown.len()).any(|it| it == unknown);
    assert!(found, "{outgoing:?}");
    assert!(outgoing.windows(3).any(|it| it == b"sh\0"));
}

/// The numbers of the family in what was recorded.
fn kernel_family(kernel: &MemoryKernel) -> Vec<u16> {
    let datagrams = kernel.take_recorded();
    let number = |datagram: &Vec<u8>| u16::from_ne_bytes(datagram[4..6].try_into().unwrap());
    datagrams.iter().map(number).collect()
}

fn daemon() -> SyncDaemon {
    SyncDaemon::new(DaemonRole::Backup, "eth0".parse().unwrap(), 3)
}

#[test]
fn a_daemon_that_runs_as_wanted_is_left_alone() {
    let (kernel, mut client) = kernel();
    assert_eq!(client.ensure_daemon(&daemon()).unwrap(), Ensured::Added);
    assert_eq!(commands(&kernel), [GET_DAEMON, NEW_DAEMON]);
    // With the defaults left out and spelled out.
    let running = client.daemons().unwrap()[0];
    for wanted in [daemon(), running, daemon().with_port(8848)] {
        kernel.take_recorded().clear();
        assert_eq!(client.ensure_daemon(&wanted).unwrap(), Ensured::Unchanged);
        assert_eq!(commands(&kernel), [GET_DAEMON]);
    }
    // The other role is another daemon.
    let active = SyncDaemon::new(DaemonRole::Active, "eth0".parse().unwrap(), 3);
    assert_eq!(client.ensure_daemon(&active).unwrap(), Ensured::Added);
    assert_eq!(client.daemons().unwrap().len(), 2);
    for role in [DaemonRole::Active, DaemonRole::Backup] {
        assert_eq!(client.ensure_no_daemon(role).unwrap(), Ensured::Removed);
        assert_eq!(client.ensure_no_daemon(role).unwrap(), Ensured::Unchanged);
    }
}

#[test]
fn a_daemon_that_runs_otherwise_is_started_anew() {
    let (kernel, mut client) = kernel();
    client.start_daemon(&daemon()).unwrap();
    kernel.take_recorded().clear();
    let other = daemon().with_ttl(9);
    assert_eq!(client.ensure_daemon(&other).unwrap(), Ensured::Replaced);
    assert_eq!(
        commands(&kernel),
        [GET_DAEMON, DEL_DAEMON, GET_DAEMON, NEW_DAEMON]
    );
    assert_eq!(client.daemons().unwrap()[0].ttl, Some(9));

    // Stopping may go unanswered, or somebody else was faster.
    kernel.inject(Fault::PassReplies(2));
    kernel.inject(Fault::LoseReplies(1));
    assert_eq!(client.ensure_daemon(&daemon()).unwrap(), Ensured::Replaced);
    kernel.clear_faults();
    kernel.inject(Fault::RejectRequest {
        after: 1,
        errno: Errno::ESRCH as i32,
    });
    let error = client.ensure_daemon(&other).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::DaemonRunning), "it still runs");
    // What cannot be started is not, and what ran was stopped for it.
    let missing = SyncDaemon::new(DaemonRole::Backup, "eth9".parse().unwrap(), 3);
    let error = client.ensure_daemon(&missing).unwrap_err();
    assert_eq!(
        error.reason(),
        Some(Reason::NoSuchInterface("eth9".parse().unwrap()))
    );
    assert!(client.daemons().unwrap().is_empty());
}

#[test]
fn one_reading_shows_the_same_at_half_the_price() {
    let (kernel, mut client) = kernel();
    for port in 1..=20 {
        let service = VirtualService::tcp(([192, 0, 2, 1], port).into());
        client.add_service(&service).unwrap();
        for host in 1..=3 {
            client
                .add_destination(service.key(), &server(host))
                .unwrap();
        }
    }
    kernel.take_recorded().clear();
    let once = client.snapshot_once().unwrap();
    let asked = kernel.take_recorded().len();
    assert_eq!(asked, 21, "the services, and for each its destinations");
    assert!(!once.agreed, "with nothing");
    let twice = client.snapshot().unwrap();
    assert!(twice.agreed);
    assert_eq!(kernel.take_recorded().len(), 2 * asked);
    assert_eq!(once.services, twice.services);

    let mut visited = Vec::new();
    client
        .for_each_with_destinations(|service| visited.push(service))
        .unwrap();
    assert_eq!(Snapshot::new(visited, true), twice);
    assert_eq!(kernel.take_recorded().len(), asked);
}

#[test]
fn a_streamed_entry_says_what_the_stored_one_says() {
    let (kernel, mut client) = kernel();
    let mut persistence = Persistence::new(60);
    persistence.engine = EngineName::new("sip");
    let sip = VirtualService::udp("192.0.2.10:5060".parse().unwrap())
        .with_persistence(persistence)
        .with_one_packet();
    client.add_service(&sip).unwrap();
    let gue = Destination::tunnel("10.0.0.1:5060".parse().unwrap())
        .with_encapsulation(Encapsulation::gue(6080))
        .with_weight(7)
        .with_thresholds(1, 9);
    client.add_destination(sip.key(), &gue).unwrap();
    assert!(kernel.set_connections(sip.key(), gue.key(), 1, 2, 3));
    let mut seen = 0;
    client
        .for_each_service(|view| {
            let service = view.to_entry().service;
            assert_eq!(view.key(), service.key());
            assert_eq!(view.scheduler(), service.scheduler());
            assert_eq!(view.flags(), service.flags());
            assert_eq!(view.timeout_secs(), 60);
            assert_eq!(view.mask(), service.mask());
            assert_eq!(view.engine(), EngineName::new("sip"));
            seen += 1;
        })
        .unwrap();
    client
        .for_each_destination(sip.key(), |view| {
            assert_eq!(view.key(), gue.key());
            assert_eq!(view.forwarding(), gue.forwarding());
            assert_eq!(view.encapsulation(), gue.encapsulation());
            assert_eq!((view.lower_threshold(), view.upper_threshold()), (1, 9));
            assert_eq!(view.weight(), 7);
            let (active, inactive) = (view.active_connections(), view.inactive_connections());
            assert_eq!((active, inactive, view.persistent_connections()), (1, 2, 3));
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn the_receive_buffer_is_an_option() {
    let (_, mut client) = kernel();
    assert_eq!(client.receive_buffer().unwrap(), 212_992);
    client.set_options(Options::default().with_receive_buffer(1 << 20));
    assert_eq!(client.receive_buffer().unwrap(), 1 << 20);
    // Options that do not speak of it leave it.
    client.set_options(Options::default());
    assert_eq!(client.receive_buffer().unwrap(), 1 << 20);
}

#[test]
fn an_operation_that_asks_for_nothing_and_waits_is_an_error() {
    struct Idle;
    impl Operation for Idle {
        type Output = ();

        fn start(&mut self, _: &mut Session) -> Step<()> {
            Step::Continue
        }

        fn step(&mut self, _: &mut Session, _: Event<'_>) -> Result<Step<()>, Error> {
            Ok(Step::Continue)
        }
    }
    let (_, mut client) = kernel();
    let error = client.run(Idle).unwrap_err();
    assert!(error.to_string().contains("has asked for none"), "{error}");
}
