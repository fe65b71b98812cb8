use super::*;
use crate::{
    Change, DaemonRole, Encapsulation, EngineName, Persistence, Scheduler, VirtualService,
};

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn web6() -> VirtualService {
    VirtualService::tcp("[2001:db8::10]:80".parse().unwrap())
}

fn mark(mark: u32) -> VirtualService {
    VirtualService::firewall_mark(Family::Inet, mark)
}

fn server() -> Destination {
    Destination::masquerade("10.0.0.1:80".parse().unwrap())
}

fn daemon() -> SyncDaemon {
    SyncDaemon::new(DaemonRole::Active, "eth0".parse().unwrap(), 0)
}

/// The message of an error, or `None` when there is none.
fn message(result: Result<(), ValidationError>) -> Option<String> {
    result.err().map(|error| error.to_string())
}

fn accepts(result: Result<(), ValidationError>) {
    assert_eq!(message(result), None);
}

fn refuses(result: Result<(), ValidationError>, expected: &str) {
    assert_eq!(message(result).as_deref(), Some(expected));
}

#[test]
fn errors_tell_field_value_and_limit() {
    let error = server()
        .with_weight(MAX_WEIGHT + 1)
        .validate(&web().key())
        .unwrap_err();
    assert_eq!(error.field(), "weight");
    assert_eq!(error.value(), InvalidValue::Number(2_147_483_648));
    assert_eq!(error.limit(), "must be 0 to 2147483647");
}

mod services {
    use super::*;

    #[test]
    fn protocols_are_tcp_udp_and_sctp() {
        let key = |number| ServiceKey::Address {
            protocol: Protocol::from_number(number),
            address: [192, 0, 2, 10].into(),
            port: 80,
        };
        for number in [6, 17, 132] {
            accepts(key(number).validate());
        }
        for number in [0, 1, 5, 7, 16, 18, 131, 133, 300, u16::MAX] {
            refuses(
                key(number).validate(),
                &format!("protocol {number}: must be 6 (TCP), 17 (UDP) or 132 (SCTP)"),
            );
        }
    }

    #[test]
    fn mark_0_is_no_mark() {
        refuses(
            mark(0).validate(),
            "firewall mark 0: must be 1 to 4294967295",
        );
        accepts(mark(1).validate());
        accepts(mark(u32::MAX).validate());
    }

    #[test]
    fn port_0_needs_persistence() {
        let every_port = VirtualService::tcp("192.0.2.10:0".parse().unwrap());
        refuses(
            every_port.validate(),
            "port 0: a port of 0 means every port and needs persistence",
        );
        accepts(every_port.with_persistence(Persistence::new(60)).validate());
        accepts(VirtualService::tcp("192.0.2.10:1".parse().unwrap()).validate());
        accepts(VirtualService::tcp("192.0.2.10:65535".parse().unwrap()).validate());
        // Marks have no port.
        accepts(mark(7).validate());
    }

    #[test]
    fn persistence_lasts_from_a_second_to_31_days() {
        let lasting = |secs| web().with_persistence(Persistence::new(secs)).validate();
        refuses(
            lasting(0),
            "persistence timeout 0: must be 1 to 2678400 seconds (31 days)",
        );
        accepts(lasting(1));
        accepts(lasting(2_678_400));
        refuses(
            lasting(2_678_401),
            "persistence timeout 2678401: must be 1 to 2678400 seconds (31 days)",
        );
        assert!(lasting(u32::MAX).is_err());
        let sip = EngineName::new("sip").unwrap();
        accepts(
            web()
                .with_persistence(Persistence::new(60).with_engine(sip))
                .validate(),
        );
    }

    /// The kernel keeps a timeout when persistence is turned off, so one may be read back.
    #[test]
    fn a_timeout_without_persistence_does_not_matter() {
        let mut leftover = web();
        leftover.timeout_secs = u32::MAX;
        accepts(leftover.validate());
    }

    fn masked(service: VirtualService, mask: PersistenceMask) -> Result<(), ValidationError> {
        service
            .with_persistence(Persistence::new(60).with_mask(mask))
            .validate()
    }

    #[test]
    fn ipv4_masks_are_contiguous() {
        let with = |octets: [u8; 4]| masked(web(), PersistenceMask::Inet(octets.into()));
        for octets in [
            [0, 0, 0, 0],
            [128, 0, 0, 0],
            [255, 255, 254, 0],
            [255, 255, 255, 255],
        ] {
            accepts(with(octets));
        }
        refuses(
            with([255, 0, 255, 0]),
            "persistence mask 255.0.255.0: must be contiguous",
        );
        assert!(with([0, 0, 0, 1]).is_err());
        assert!(with([127, 255, 255, 255]).is_err());
    }

    #[test]
    fn ipv6_prefixes_have_1_to_128_bits() {
        let with = |length| masked(web6(), PersistenceMask::Inet6(length));
        refuses(with(0), "persistence prefix length 0: must be 1 to 128");
        accepts(with(1));
        accepts(with(128));
        refuses(with(129), "persistence prefix length 129: must be 1 to 128");
    }

    #[test]
    fn masks_are_of_the_services_family() {
        refuses(
            masked(web6(), PersistenceMask::Inet([255, 255, 255, 0].into())),
            "persistence mask 255.255.255.0: an IPv6 service takes a prefix length",
        );
        refuses(
            masked(web(), PersistenceMask::Inet6(64)),
            "persistence prefix length 64: an IPv4 service takes a netmask",
        );
        let mark6 = VirtualService::firewall_mark(Family::Inet6, 7);
        accepts(masked(mark6, PersistenceMask::Inet6(64)));
    }

    #[test]
    fn one_packet_is_for_udp_and_marks() {
        let udp = VirtualService::udp("192.0.2.10:53".parse().unwrap());
        accepts(udp.with_one_packet().validate());
        accepts(mark(7).with_one_packet().validate());
        refuses(
            web().with_one_packet().validate(),
            "protocol 6: one-packet scheduling is for UDP (17) and firewall-mark services",
        );
        let sctp = VirtualService::sctp("192.0.2.10:80".parse().unwrap());
        assert!(sctp.with_one_packet().validate().is_err());
    }

    #[test]
    fn scheduler_flags_are_for_schedulers_that_read_them() {
        let flagged = |scheduler, flags| {
            let service = web().with_scheduler(scheduler).with_flags(flags);
            service.validate()
        };
        for flag in [
            ServiceFlags::SCHED_1,
            ServiceFlags::SCHED_2,
            ServiceFlags::SCHED_3,
        ] {
            accepts(flagged(Scheduler::Sh, flag));
            accepts(flagged(Scheduler::Mh, flag));
            // Nobody here knows what a scheduler of another name reads.
            accepts(flagged("fancy".parse().unwrap(), flag));
            refuses(
                flagged(Scheduler::Wrr, flag),
                "scheduler wrr: does not read scheduler flags; sh and mh do",
            );
            assert!(flagged(Scheduler::None, flag).is_err());
        }
        // Bits without a name are stored and echoed by the kernel.
        let unnamed = ServiceFlags::from_bits_retain(0x40);
        accepts(flagged(Scheduler::Wrr, unnamed));
    }

    #[test]
    fn the_key_comes_first() {
        let service = mark(0).with_persistence(Persistence::new(0));
        assert_eq!(service.validate().unwrap_err().field(), "firewall mark");
    }
}

mod destinations {
    use super::*;

    fn validate(destination: &Destination) -> Result<(), ValidationError> {
        destination.validate(&web().key())
    }

    #[test]
    fn weights_end_where_the_kernels_turn_negative() {
        accepts(validate(&server().with_weight(0)));
        accepts(validate(&server().with_weight(2_147_483_647)));
        refuses(
            validate(&server().with_weight(2_147_483_648)),
            "weight 2147483648: must be 0 to 2147483647",
        );
        assert!(validate(&server().with_weight(u32::MAX)).is_err());
    }

    #[test]
    fn thresholds_end_where_the_kernels_turn_negative() {
        accepts(validate(&server().with_thresholds(0, 2_147_483_647)));
        accepts(validate(
            &server().with_thresholds(2_147_483_647, 2_147_483_647),
        ));
        refuses(
            validate(&server().with_thresholds(0, 2_147_483_648)),
            "upper threshold 2147483648: must be 0 to 2147483647",
        );
    }

    #[test]
    fn the_lower_threshold_is_not_above_the_upper() {
        accepts(validate(&server().with_thresholds(75, 75)));
        refuses(
            validate(&server().with_thresholds(76, 75)),
            "lower threshold 76: must not be above the upper threshold; where that is 0 it must be 0",
        );
        // An upper threshold of 0 is no limit, and the kernel compares all the same.
        assert!(validate(&server().with_thresholds(1, 0)).is_err());
        accepts(validate(&server().with_thresholds(0, 0)));
    }

    #[test]
    fn forwarding_methods_are_the_four_with_a_meaning() {
        let by = |number| validate(&server().with_forwarding(Forwarding::from_bits(number)));
        for number in 0..=3 {
            accepts(by(number));
        }
        refuses(
            by(4),
            "forwarding method bypass: must be masquerade, local, tunnel or direct route",
        );
        for number in 5..=7 {
            assert_eq!(by(number).unwrap_err().field(), "forwarding method");
        }
    }

    #[test]
    fn only_tunnels_cross_families() {
        let server6 = |forwarding| {
            let address = "[2001:db8::1]:80".parse().unwrap();
            let destination = Destination::masquerade(address).with_forwarding(forwarding);
            destination.validate(&web().key())
        };
        accepts(server6(Forwarding::Tunnel));
        for forwarding in [
            Forwarding::Masquerade,
            Forwarding::Local,
            Forwarding::DirectRoute,
        ] {
            refuses(
                server6(forwarding),
                "destination address 2001:db8::1: only a tunnel may lead to the other address \
                 family",
            );
        }
        let mark6 = ServiceKey::firewall_mark(Family::Inet6, 7);
        assert!(server().validate(&mark6).is_err());
        accepts(
            server()
                .with_forwarding(Forwarding::Tunnel)
                .validate(&mark6),
        );
    }

    #[test]
    fn tunnel_and_direct_route_keep_the_port() {
        let at = |port: u16, forwarding| {
            let address = ([10, 0, 0, 1], port).into();
            Destination::masquerade(address).with_forwarding(forwarding)
        };
        for forwarding in [Forwarding::Tunnel, Forwarding::DirectRoute] {
            accepts(validate(&at(80, forwarding)));
            refuses(
                validate(&at(8080, forwarding)),
                "destination port 8080: tunnel and direct route keep the port of the virtual \
                 service",
            );
            // 0 is the packet's own port, which is the same.
            accepts(validate(&at(0, forwarding)));
            // Without a port of its own the service says nothing about the destination's.
            accepts(at(8080, forwarding).validate(&mark(7).key()));
            let every_port = ServiceKey::tcp("192.0.2.10:0".parse().unwrap());
            accepts(at(8080, forwarding).validate(&every_port));
        }
        for forwarding in [Forwarding::Masquerade, Forwarding::Local] {
            accepts(validate(&at(8080, forwarding)));
        }
    }

    #[test]
    fn a_bad_service_key_is_found_here_too() {
        let error = server().validate(&mark(0).key()).unwrap_err();
        assert_eq!(error.field(), "firewall mark");
    }
}

mod tunnels {
    use super::*;

    fn tunnel(encapsulation: Encapsulation) -> Result<(), ValidationError> {
        let address = "10.0.0.1:80".parse().unwrap();
        Destination::tunnel(address)
            .with_encapsulation(encapsulation)
            .validate(&web().key())
    }

    fn flags(bits: u16) -> TunnelFlags {
        TunnelFlags::from_bits_retain(bits)
    }

    #[test]
    fn gue_needs_a_port_whatever_the_forwarding_method() {
        accepts(tunnel(Encapsulation::gue(1)));
        accepts(tunnel(Encapsulation::gue(65_535)));
        let no_port = Encapsulation::gue(0);
        refuses(tunnel(no_port), "tunnel port 0: GUE needs 1 to 65535");
        let masquerade = server().with_encapsulation(no_port);
        assert!(masquerade.validate(&web().key()).is_err());
    }

    #[test]
    fn only_gue_has_a_port() {
        for encapsulation in [Encapsulation::ipip(), Encapsulation::gre()] {
            accepts(tunnel(encapsulation));
            let with_port = Encapsulation {
                port: 1,
                ..encapsulation
            };
            refuses(tunnel(with_port), "tunnel port 1: only GUE has a port");
        }
    }

    #[test]
    fn checksums_are_those_the_tunnel_has() {
        let gue = Encapsulation::gue(6080);
        for bits in 0..=2 {
            accepts(tunnel(gue.with_flags(flags(bits))));
        }
        refuses(
            tunnel(gue.with_flags(flags(3))),
            "tunnel flags 3: GUE takes checksum or remote checksum",
        );
        let gre = Encapsulation::gre();
        for bits in 0..=1 {
            accepts(tunnel(gre.with_flags(flags(bits))));
        }
        refuses(
            tunnel(gre.with_flags(flags(2))),
            "tunnel flags 2: GRE takes checksum only",
        );
        refuses(
            tunnel(Encapsulation::ipip().with_flags(flags(1))),
            "tunnel flags 1: IPIP has no checksum",
        );
    }

    #[test]
    fn types_are_the_three_the_kernel_acts_on() {
        let of_type = |number| {
            tunnel(Encapsulation {
                tunnel_type: TunnelType::from_number(number),
                port: 6080,
                flags: TunnelFlags::empty(),
            })
        };
        accepts(of_type(1));
        for number in [3, u8::MAX] {
            refuses(
                of_type(number),
                &format!("tunnel type {number}: must be 0 (IPIP), 1 (GUE) or 2 (GRE)"),
            );
        }
    }
}

mod daemons {
    use super::*;

    #[test]
    fn sync_ids_fit_the_one_byte_on_the_wire() {
        accepts(daemon().validate());
        let mut daemon = daemon();
        daemon.sync_id = 255;
        accepts(daemon.validate());
        daemon.sync_id = 256;
        refuses(daemon.validate(), "sync id 256: must be 0 to 255");
    }

    #[test]
    fn messages_fit_a_datagram() {
        refuses(
            daemon().with_max_length(0).validate(),
            "sync message length 0: must be 1 to 65507 bytes",
        );
        accepts(daemon().with_max_length(1).validate());
        accepts(daemon().with_max_length(65_507).validate());
        refuses(
            daemon().with_max_length(65_508).validate(),
            "sync message length 65508: must be 1 to 65507 bytes",
        );
    }

    #[test]
    fn groups_are_multicast() {
        let with = |group: &str| daemon().with_group(group.parse().unwrap()).validate();
        accepts(with("224.0.0.0"));
        accepts(with("239.255.255.255"));
        accepts(with("ff02::81"));
        refuses(
            with("223.255.255.255"),
            "sync group 223.255.255.255: must be multicast",
        );
        refuses(with("240.0.0.0"), "sync group 240.0.0.0: must be multicast");
        assert!(with("fe80::1").is_err());
    }

    #[test]
    fn port_and_ttl_are_not_0() {
        refuses(
            daemon().with_port(0).validate(),
            "sync port 0: must be 1 to 65535",
        );
        accepts(daemon().with_port(1).validate());
        accepts(daemon().with_port(65_535).validate());
        refuses(
            daemon().with_ttl(0).validate(),
            "sync TTL 0: must be 1 to 255",
        );
        accepts(daemon().with_ttl(1).validate());
        accepts(daemon().with_ttl(255).validate());
    }
}

#[test]
fn timeouts_end_where_every_kernel_ends_them() {
    accepts(Timeouts::default().validate());
    let set: [fn(u32) -> Timeouts; 3] = [
        |secs| Timeouts {
            tcp_secs: Some(secs),
            ..Timeouts::default()
        },
        |secs| Timeouts {
            tcp_fin_secs: Some(secs),
            ..Timeouts::default()
        },
        |secs| Timeouts {
            udp_secs: Some(secs),
            ..Timeouts::default()
        },
    ];
    for (set, field) in set
        .into_iter()
        .zip(["TCP timeout", "TCP FIN timeout", "UDP timeout"])
    {
        accepts(set(0).validate());
        accepts(set(21_474_836).validate());
        refuses(
            set(21_474_837).validate(),
            &format!("{field} 21474837: must be 0 to 21474836 seconds"),
        );
    }
}

/// Every change goes through the checks of what it carries.
#[test]
fn changes_check_their_arguments() {
    let (bad_service, bad_key) = (web().with_one_packet(), mark(0).key());
    let heavy = server().with_weight(u32::MAX);
    let mut loud = daemon();
    loud.sync_id = 256;
    let long = Timeouts {
        tcp_secs: Some(u32::MAX),
        ..Timeouts::default()
    };
    for (change, field) in [
        (Change::AddService(bad_service.clone()), "protocol"),
        (Change::SetService(bad_service), "protocol"),
        (Change::RemoveService(bad_key), "firewall mark"),
        (Change::AddDestination(web().key(), heavy.clone()), "weight"),
        (Change::SetDestination(web().key(), heavy), "weight"),
        (
            Change::RemoveDestination(bad_key, server().key()),
            "firewall mark",
        ),
        (Change::StartDaemon(loud), "sync id"),
        (Change::SetTimeouts(long), "TCP timeout"),
        (Change::Zero(Some(bad_key)), "firewall mark"),
    ] {
        assert_eq!(change.validate().unwrap_err().field(), field, "{change}");
    }
    for change in [
        Change::StopDaemon(DaemonRole::Backup),
        Change::Zero(None),
        Change::Flush,
        // Addresses and ports nobody could add may still have to be removed.
        Change::RemoveService(ServiceKey::tcp("192.0.2.10:0".parse().unwrap())),
    ] {
        accepts(change.validate());
    }
}
