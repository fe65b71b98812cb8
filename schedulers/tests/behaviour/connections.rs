//! Connections: counted by their states, kept by their timers, adopted from other directors.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_schedulers::{
    Algorithm, ConnectionId, ConnectionState, Context, Destination, Direction, Explanation, Flow,
    Forwarding, SctpChunk, SctpState, Semantics, Settings, Synced, TcpActive, TcpFlags, TcpState,
    VirtualService,
};

use crate::support::address;

const CLIENT: SocketAddr = SocketAddr::new(
    core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)),
    40000,
);
const VIRTUAL: SocketAddr = SocketAddr::new(
    core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)),
    80,
);

fn at<'a>(seconds: u64) -> Context<'a> {
    Context::new(Duration::from_secs(seconds))
}

fn service(semantics: Semantics, forwarding: Forwarding) -> VirtualService {
    let mut service = VirtualService::new(Algorithm::Rr, semantics);
    let destination = Destination::new(address('A')).with_forwarding(forwarding);
    service.add(destination).unwrap();
    service
}

fn masquerading() -> VirtualService {
    service(Semantics::LINUX_6_1, Forwarding::Masquerade)
}

fn counts(service: &VirtualService) -> (u32, u32) {
    let entry = service.destination_at(address('A')).unwrap();
    (entry.active(), entry.inactive())
}

fn state(service: &VirtualService, connection: ConnectionId) -> String {
    service.state_of(connection).unwrap().to_string()
}

#[test]
fn tcp_connection_goes_through_its_states() {
    let mut service = masquerading();
    let connection = service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    let steps = [
        (
            Direction::Out,
            TcpFlags::SYN | TcpFlags::ACK,
            "SYN_RECV",
            60,
            (1, 0),
        ),
        (Direction::In, TcpFlags::ACK, "ESTABLISHED", 900, (1, 0)),
        (
            Direction::Out,
            TcpFlags::FIN | TcpFlags::ACK,
            "FIN_WAIT",
            120,
            (0, 1),
        ),
        (Direction::In, TcpFlags::ACK, "FIN_WAIT", 120, (0, 1)),
        (
            Direction::In,
            TcpFlags::FIN | TcpFlags::ACK,
            "TIME_WAIT",
            120,
            (0, 1),
        ),
        (Direction::In, TcpFlags::SYN, "SYN_RECV", 60, (1, 0)),
        (Direction::In, TcpFlags::NONE, "CLOSE", 10, (0, 1)),
    ];
    assert_eq!(state(&service, connection), "SYN_RECV");
    for (now, (direction, flags, name, timeout, expected)) in (10..).zip(steps) {
        let after = service.packet(connection, direction, flags, &mut at(now));
        assert_eq!(after.unwrap().to_string(), name);
        assert_eq!(state(&service, connection), name);
        let timeout = Duration::from_secs(timeout);
        assert_eq!(service.timeout_of(connection), Some(timeout), "{name}");
        let due = Duration::from_secs(now) + timeout;
        assert_eq!(service.due_of(connection), Some(due));
        assert_eq!(counts(&service), expected, "{name}");
        assert_eq!(service.is_active(connection), Some(expected.0 == 1));
    }
}

#[test]
fn sctp_association_is_active_while_established() {
    let mut service = masquerading();
    let connection = service
        .connect(&Flow::sctp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    assert_eq!(
        (state(&service, connection).as_str(), counts(&service)),
        ("INIT1", (0, 1))
    );
    assert!(service.establish(connection));
    assert_eq!(
        (state(&service, connection).as_str(), counts(&service)),
        ("ESTABLISHED", (1, 0))
    );
    let heartbeat = SctpChunk::Other(4);
    service.packet(connection, Direction::Out, heartbeat, &mut at(5));
    assert_eq!(service.due_of(connection), Some(Duration::from_secs(905)));
    assert!(service.close(connection));
    assert_eq!(
        (state(&service, connection).as_str(), counts(&service)),
        ("CLOSED", (0, 1))
    );
}

/// The handshake and the end of one-way connections are those of the client alone.
#[test]
fn one_way_connections_are_established_and_closed_by_the_client() {
    for forwarding in [
        Forwarding::DirectRoute,
        Forwarding::Tunnel,
        Forwarding::Local,
    ] {
        for (flow, [first, established, closed]) in [
            (
                Flow::tcp(CLIENT, VIRTUAL),
                ["SYN_RECV", "ESTABLISHED", "FIN_WAIT"],
            ),
            (
                Flow::sctp(CLIENT, VIRTUAL),
                ["INIT1", "ESTABLISHED", "CLOSED"],
            ),
            (Flow::udp(CLIENT, VIRTUAL), ["UDP", "UDP", "UDP"]),
        ] {
            let mut service = service(Semantics::LINUX_6_1, forwarding);
            let connection = service.connect(&flow, &mut at(0)).unwrap();
            assert_eq!(state(&service, connection), first);
            service.establish(connection);
            assert_eq!(state(&service, connection), established);
            service.close(connection);
            assert_eq!(state(&service, connection), closed);
            assert_eq!(counts(&service), (0, 1));
        }
    }
}

/// Seen with 6.1.176 and 7.2.7.
#[test]
fn server_packets_of_one_way_connections_change_nothing() {
    let mut service = service(Semantics::LINUX_6_1, Forwarding::DirectRoute);
    let connection = service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    for flags in [TcpFlags::RST, TcpFlags::ACK, TcpFlags::FIN] {
        let after = service.packet(connection, Direction::Out, flags, &mut at(9));
        assert_eq!(after, Some(ConnectionState::Tcp(TcpState::SynRecv)));
    }
    assert_eq!(service.due_of(connection), Some(Duration::from_secs(60)));
}

#[test]
fn secure_tcp_applies_from_the_next_packet_on() {
    let mut service = service(Semantics::LINUX_6_1, Forwarding::DirectRoute);
    let mut settings = Settings::default();
    settings.secure_tcp = true;
    settings.tcp_fin_timeout = Duration::from_secs(7);
    let before = service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    service.set_settings(settings);
    let after = service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    assert_eq!(
        (state(&service, before), state(&service, after)),
        ("SYN_RECV".into(), "SYNACK".into())
    );
    assert_eq!(counts(&service), (2, 0));
    service.establish(before);
    service.packet(before, Direction::In, TcpFlags::FIN, &mut at(0));
    assert_eq!(service.timeout_of(before), Some(Duration::from_secs(7)));
    assert_eq!(*service.settings(), settings);
}

/// About 4.7 and before.
#[test]
fn handshake_does_not_count_as_active_in_old_generations() {
    let mut semantics = Semantics::LINUX_6_1;
    semantics.tcp_active = TcpActive::Established;
    let mut service = service(semantics, Forwarding::Masquerade);
    let connection = service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    assert_eq!(counts(&service), (0, 1));
    service.establish(connection);
    assert_eq!(counts(&service), (1, 0));
}

#[test]
fn packets_of_another_protocol_are_refused() {
    let mut service = masquerading();
    let connection = service
        .connect(&Flow::udp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    assert_eq!(
        service.packet(connection, Direction::In, TcpFlags::SYN, &mut at(0)),
        None
    );
    assert_eq!(
        service.packet(connection, Direction::In, SctpChunk::Init, &mut at(0)),
        None
    );
    let udp = lvs_schedulers::Packet::Udp;
    assert_eq!(
        service.packet(connection, Direction::Out, udp, &mut at(40)),
        Some(ConnectionState::Udp)
    );
    assert_eq!(service.due_of(connection), Some(Duration::from_secs(340)));
    service.expire(connection);
    assert_eq!(
        service.packet(connection, Direction::In, udp, &mut at(0)),
        None
    );
    assert_eq!(service.timeout_of(connection), None);
    assert!(!service.establish(connection));
}

#[test]
fn due_connections_leave_in_the_order_of_their_times() {
    let mut service = masquerading();
    let tcp = service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    let udp = service
        .connect(&Flow::udp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    let sctp = service
        .connect(&Flow::sctp(CLIENT, VIRTUAL), &mut at(10))
        .unwrap();
    assert_eq!(service.next_due(), Some(Duration::from_secs(14)));
    assert_eq!(service.expire_due(Duration::from_secs(13)), []);
    assert_eq!(service.expire_due(Duration::from_secs(60)), [sctp, tcp]);
    assert_eq!(
        service.expire_due(Duration::from_secs(30)),
        [],
        "time does not go back"
    );
    assert_eq!(service.now(), Duration::from_secs(60));
    assert_eq!(service.connections(), 1);
    assert_eq!(service.expire_due(Duration::MAX), [udp]);
    assert_eq!(counts(&service), (0, 0));
    assert_eq!(service.next_due(), None);
}

/// Spec 1.3: entries created by messages keep the bit of the message; later messages adjust.
#[test]
fn adopted_connections_count_as_they_were_reported() {
    let mut service = masquerading();
    let report = |state, is_active| Synced {
        state: ConnectionState::Tcp(state),
        is_active,
        timeout: Duration::from_secs(180),
    };
    assert!(
        service
            .adopt(address('Z'), report(TcpState::Established, true))
            .is_none()
    );
    let odd = service
        .adopt(address('A'), report(TcpState::Established, false))
        .unwrap();
    assert_eq!(counts(&service), (0, 1));
    // A packet that leaves the state alone leaves the bit alone.
    service.packet(odd, Direction::In, TcpFlags::ACK, &mut at(1));
    assert_eq!(counts(&service), (0, 1));
    assert_eq!(service.timeout_of(odd), Some(Duration::from_secs(900)));
    let other = service
        .adopt(address('A'), report(TcpState::SynRecv, true))
        .unwrap();
    assert_eq!(counts(&service), (1, 1));
    assert!(service.synchronise(other, report(TcpState::TimeWait, false)));
    assert_eq!(counts(&service), (0, 2));
    assert!(service.synchronise(odd, report(TcpState::Established, true)));
    assert_eq!(counts(&service), (1, 1));
    assert_eq!(service.due_of(odd), Some(Duration::from_secs(181)));
    assert!(service.expire(odd) && service.expire(other));
    assert_eq!(counts(&service), (0, 0));
    assert!(!service.synchronise(odd, report(TcpState::Established, true)));
    let association = Synced {
        state: ConnectionState::Sctp(SctpState::Established),
        is_active: true,
        timeout: Duration::ZERO,
    };
    assert!(service.adopt(address('A'), association).is_some());
    assert_eq!(counts(&service), (1, 0));
}

/// Seen with 6.1.176: an upper threshold of 1 lets every datagram through.
#[test]
fn one_packet_connections_count_while_the_packet_is_processed() {
    let mut service = VirtualService::new(Algorithm::Lc, Semantics::LINUX_6_1).with_one_packet();
    service
        .add(Destination::new(address('A')).with_thresholds(1, 0))
        .unwrap();
    let mut last = None;
    for _ in 0..3 {
        let datagram = service
            .connect(&Flow::udp(CLIENT, VIRTUAL), &mut at(0))
            .unwrap();
        assert!(service.destination_of(datagram).is_some());
        if let Some(last) = last.replace(datagram) {
            assert!(service.destination_of(last).is_none());
        }
        assert_eq!((counts(&service), service.connections()), ((0, 0), 0));
        let entry = service.destination_at(address('A')).unwrap();
        assert!(!entry.is_overloaded());
    }
    let last = last.unwrap();
    assert_eq!(service.next_due(), None, "it has no timer");
    assert_eq!(service.expire_due(Duration::MAX), []);
    assert!(service.expire(last) && !service.expire(last));
    assert_eq!((counts(&service), service.connections()), ((0, 0), 0));
    // Other protocols of a mark service are connections as ever.
    service
        .connect(&Flow::tcp(CLIENT, VIRTUAL), &mut at(0))
        .unwrap();
    assert_eq!((counts(&service), service.connections()), ((1, 0), 1));
}

/// Spec 1.6, step 4; of any protocol, with and without persistence (seen with 6.1.176).
#[test]
fn source_port_20_is_never_scheduled() {
    let persistence = lvs_schedulers::Persistence::default();
    for mut service in [masquerading(), masquerading().with_persistence(persistence)] {
        let ftp = SocketAddr::new(CLIENT.ip(), 20);
        for flow in [
            Flow::tcp(ftp, VIRTUAL),
            Flow::udp(ftp, VIRTUAL),
            Flow::sctp(ftp, VIRTUAL),
        ] {
            let mut why = Explanation::new();
            assert!(
                service
                    .connect(&flow, &mut at(0).with_trace(&mut why))
                    .is_none()
            );
            assert_eq!(
                why.to_string(),
                "rr picks nobody\n  source port 20 is never scheduled\n"
            );
            assert!(service.schedule(&flow, &mut at(0)).is_none());
        }
        assert_eq!((service.connections(), service.templates()), (0, 0));
    }
}

/// Seen with 6.1.176 and 7.2.7: the kernel drops what clients send to a removed destination, but passes on what
/// that sends.
#[test]
fn clients_of_a_removed_destination_are_not_heard() {
    let mut service = masquerading();
    let flow = Flow::sctp(CLIENT, VIRTUAL);
    let connection = service.connect(&flow, &mut at(0)).unwrap();
    service.establish(connection);
    let removed = service.destination_of(connection).unwrap().id();
    service.remove(address('A')).unwrap();

    let abort = service.packet(connection, Direction::In, SctpChunk::Abort, &mut at(10));
    assert_eq!(abort.unwrap().to_string(), "ESTABLISHED");
    assert_eq!(service.destination(removed).unwrap().active(), 1);
    let wrong = service.packet(connection, Direction::In, TcpFlags::FIN, &mut at(10));
    assert_eq!(wrong, None);
    assert_eq!(service.due_of(connection), Some(Duration::from_secs(900)));

    let abort = service.packet(connection, Direction::Out, SctpChunk::Abort, &mut at(10));
    assert_ne!(abort.unwrap().to_string(), "ESTABLISHED");
    assert_eq!(service.destination(removed).unwrap().active(), 0);
}
