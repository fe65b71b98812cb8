//! The ladder as a whole: order, lookup, counters.

use crate::*;

/// Only the first reason counts: what fails at a row and at all later ones is dropped at that row
/// (`VRRP-203`).
#[test]
fn the_first_row_wins() {
    let addresses = list(&["192.0.2.1"]);
    let wrong = Authentication::Simple(Password::new(b"wrong"));
    let own = [address(PEER)];
    let mut local = router(Version::V2, &addresses);
    local.own_addresses = &own;
    local.priority = Priority::OWNER;
    local.rules = Profile::Strict3768.receive_rules();
    local.interval = seconds(3);
    local.authentication = &wrong;
    let mut packet = packet(Version::V2);
    // Each step repairs the row that dropped the packet before.
    packet[16..20].copy_from_slice(&[192, 0, 2, 22]);
    packet[8] = 9;
    packet[9] = 1;
    packet[20] = 0x72;
    packet[21] = 11;
    packet[23] = 9;
    packet[24] = 5;
    packet[25] = 0;
    packet[26] ^= 1;
    let short = packet[..19].to_vec();
    assert_eq!(dropped(&short, &local), (Reason::IpHeader, 1));
    assert_eq!(dropped(&packet, &local), (Reason::Proto, 2));
    packet[9] = 112;
    assert_eq!(dropped(&packet, &local), (Reason::Ttl, 3));
    packet[8] = 255;
    assert_eq!(dropped(&packet, &local), (Reason::Version, 5));
    packet[20] = 0x22;
    assert_eq!(dropped(&packet, &local), (Reason::Type, 6));
    packet[20] = 0x21;
    assert_eq!(dropped(&packet, &local), (Reason::Vrid, 7));
    packet[21] = 10;
    assert_eq!(dropped(&packet, &local), (Reason::Length, 9));
    packet[23] = 1;
    assert_eq!(dropped(&packet, &local), (Reason::Checksum, 10));
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::IntervalZero, 12));
    packet[25] = 1;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::AuthTypeUnknown, 13));
    packet[24] = 0;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::AuthTypeMismatch, 13));
    packet[24] = 1;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::AuthFailure, 13));
    local.authentication = &Authentication::None;
    packet[24] = 0;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::CastMismatch, 15));
    packet[16..20].copy_from_slice(&[224, 0, 0, 18]);
    assert_eq!(dropped(&packet, &local), (Reason::SelfSent, 17));
    local.own_addresses = &[];
    assert_eq!(dropped(&packet, &local), (Reason::Owner, 18));
    local.priority = Priority::DEFAULT;
    packet[31] = 9;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::AddressList, 19));
    packet[31] = 1;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::IntervalMismatch, 20));
    local.interval = seconds(1);
    assert!(hear(&packet, &local).unwrap().observations.is_empty());
}

/// Two virtual routers of one number, told apart by their peers.
struct ByPeer<'a> {
    routers: Vec<LocalRouter<'a>>,
}

impl Routers for ByPeer<'_> {
    fn peer_ttl(&self, _: InterfaceIndex, source: IpAddr) -> Option<RangeInclusive<u8>> {
        let peers = self.routers.iter().flat_map(|router| match router.mode {
            Mode::Unicast { peers } => peers,
            Mode::Multicast { .. } => &[],
        });
        let ranges = peers.filter(|peer| peer.address() == source);
        ranges.map(|peer| peer.ttl().clone()).next()
    }

    fn expects_authentication_header(&self, _: InterfaceIndex) -> bool {
        false
    }

    fn find(&self, _: InterfaceIndex, _: Family, _: Vrid, source: IpAddr) -> Lookup<'_> {
        let mut routers = self.routers.iter();
        let found = routers.find(|router| match router.mode {
            Mode::Unicast { peers } => peers.iter().any(|peer| peer.address() == source),
            Mode::Multicast { .. } => false,
        });
        match found.or_else(|| self.routers.first()) {
            Some(router) => Lookup::Router(router.clone()),
            None => Lookup::Unknown,
        }
    }
}

#[test]
fn virtual_routers_of_one_number_are_told_apart_by_their_peers() {
    let lists = [list(&["192.0.2.1"]), list(&["192.0.2.2"])];
    let peers = [
        [Peer::new(address("192.0.2.11"))],
        [Peer::new(address("192.0.2.12"))],
    ];
    let routers = lists.iter().zip(&peers).map(|(list, peers)| {
        let mut local = router(Version::V3, list);
        local.mode = Mode::Unicast { peers };
        local
    });
    let here = ByPeer {
        routers: routers.collect(),
    };
    for (peer, list) in ["192.0.2.11", "192.0.2.12"].iter().zip(&lists) {
        let to_us = Transmission::unicast(address(peer), address("192.0.2.22"));
        let packet = emit(&to_us, &advertisement(Version::V3, list));
        let accepted = receive(&Meta::ipv4(HERE, Duration::ZERO), &packet, &here).unwrap();
        assert!(accepted.observations.is_empty()); // so it was compared with its own list
    }
}

/// Raw sockets of IPv6 give the payload, and the rest as ancillary data: the same comes out.
#[test]
fn a_payload_with_ancillary_data_is_the_same_packet() {
    let addresses = list(&["fe80::1", "2001:db8::1"]);
    let from = Transmission::multicast(address("fe80::a:1"));
    let packet = emit(&from, &advertisement(Version::V3, &addresses));
    let local = router(Version::V3, &addresses);
    let whole = hear(&packet, &local).unwrap();
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (whole.source, whole.destination) else {
        panic!("{whole:?}")
    };
    let now = Duration::from_secs(60);
    let single = SingleRouter::new(HERE, vrid(), local);
    let meta = |ttl| Meta::ipv6_payload(HERE, now, source, destination, ttl);
    assert_eq!(receive(&meta(255), &packet[40..], &single), Ok(whole));
    let rejection = receive(&meta(64), &packet[40..], &single).unwrap_err();
    assert_eq!(rejection.reason(), Reason::Ttl);
}

/// `VRRP-139`: the sums that RFC 8347 has leaves for.
#[test]
fn leaves_are_sums_of_reasons_and_observations() {
    let addresses = list(&["192.0.2.1"]);
    let other = list(&["192.0.2.9"]);
    let mut counters = RouterCounters::new();
    let mut global = GlobalCounters::new();
    let mut count = |packet: &[u8], local: &LocalRouter<'_>| match hear(packet, local) {
        Ok(accepted) => counters.record_accepted(&accepted),
        Err(rejection) => {
            counters.record_rejection(rejection);
            global.record_rejection(rejection);
        }
    };
    let mut local = router(Version::V3, &other);
    local.interval = seconds(3);
    count(&packet(Version::V3), &local); // list and interval are reported
    let mut v2 = router(Version::V2, &addresses);
    v2.interval = seconds(3);
    count(&packet(Version::V2), &v2); // interval: dropped
    let mut long = packet(Version::V2);
    long[23] = 2;
    count(&long, &v2);
    long[20] = 0x27;
    count(&long, &v2);
    long[8] = 1;
    count(&long, &v2);
    assert_eq!(counters.interval_errors(), 2);
    assert_eq!(counters.address_list_errors(), 1);
    assert_eq!(counters.packet_length_errors(), 1);
    assert_eq!(counters.invalid_types(), 1);
    assert_eq!((counters.received(), counters.rejected_in_all()), (1, 3));
    assert_eq!(
        (global.rejected(Reason::Ttl), global.rejected_in_all()),
        (1, 1)
    );
    counters.record_sent(Priority::DEFAULT);
    counters.record_sent(Priority::RESIGN);
    assert_eq!((counters.sent(), counters.sent_resignations()), (2, 1));
}

/// Public values are as small as they look.
#[test]
fn sizes() {
    assert_eq!(size_of::<Rejection>(), 4);
    assert_eq!(size_of::<Option<Vrid>>(), 1);
    assert_eq!(size_of::<Option<Interval>>(), 2);
    assert!(size_of::<Accepted<'_>>() <= 128);
    assert!(size_of::<Addresses<'_>>() <= 24);
}
