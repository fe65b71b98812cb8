//! `ip_vs`, and what is beside it: `ip_vs_app`, `ip_vs_status`.

use std::collections::BTreeMap;

use lvs_ipvs::procfs::{Applications, ListedKey, ListedService, Services, ServicesRow, Status};
use lvs_ipvs::{Family, Forwarding, PersistenceMask, Protocol, Scheduler, ServiceKey};

use super::{RELEASES, recorded};

fn read(text: &str) -> Vec<ListedService> {
    Services::new(text.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

/// What a service is, in the notation of `ipvsadm`; `60` is the persistence timeout at HZ=100.
fn summary(service: &ListedService) -> (String, String) {
    let (key, family) = match service.key {
        ListedKey::Address {
            protocol,
            address,
            port,
        } => {
            let key = ServiceKey::Address {
                protocol: protocol.unwrap(),
                address,
                port,
            };
            assert!(service.key.may_be(&key));
            (key.to_string(), Family::of(address))
        }
        ListedKey::FirewallMark(mark) => {
            let family = match mark {
                6 => Family::Inet6,
                _ => Family::Inet,
            };
            assert!(service.key.may_be(&ServiceKey::firewall_mark(family, mark)));
            (format!("fwmark {mark}"), family)
        }
    };
    let mut text = service.scheduler.to_string();
    if service.one_packet {
        text += " ops";
    }
    if let Some(persistence) = service.persistence {
        let seconds = persistence.timeout_secs(100).unwrap();
        text += &format!(" {seconds} {}", persistence.mask(family));
    }
    for destination in &service.destinations {
        assert_eq!(destination.forwarding, Some(Forwarding::Masquerade));
        text += &format!(
            " {}*{} {}+{}",
            destination.key,
            destination.weight,
            destination.active_connections,
            destination.inactive_connections
        );
    }
    (key, text)
}

#[test]
fn services_come_with_their_destinations() {
    for release in RELEASES {
        let text = recorded(release, "ip_vs");
        let mut services = Services::new(text.as_bytes());
        let first = services.next().unwrap().unwrap();
        let info = services.info().unwrap();
        assert_eq!(info.version.to_string(), "1.2.1");
        let size = if release == "6.1.176" { 4096 } else { 256 };
        assert_eq!(info.connection_table_size, size);
        let rest = services.map(Result::unwrap);
        let read: BTreeMap<_, _> = core::iter::once(first)
            .chain(rest)
            .map(|service| summary(&service))
            .collect();
        let expected = [
            ("TCP 192.0.2.10:80", "rr 10.2.0.2:8080*1 1+1"),
            (
                "TCP 192.0.2.10:81",
                "rr 60 255.255.255.0 10.2.0.2:8080*1 1+0",
            ),
            (
                "TCP 192.0.2.10:83",
                "rr 300 255.255.255.255 10.2.0.2:8080*1 1+0",
            ),
            ("TCP [fd00::10]:80", "rr [fd00:2::2]:8080*1 1+0"),
            ("TCP [fd00::10]:81", "rr 60 64 [fd00:2::2]:8080*1 1+0"),
            (
                "UDP 192.0.2.10:53",
                "rr 60 255.255.255.255 10.2.0.2:53*1 0+1",
            ),
            (
                "UDP 192.0.2.10:5060",
                "rr ops 60 255.255.255.255 10.2.0.2:5060*1 0+0",
            ),
            ("fwmark 5", "rr 60 255.255.255.255 10.2.0.2:8080*1 0+1"),
            ("fwmark 6", "rr ops 60 128 [fd00:2::2]:8080*1 0+1"),
            ("fwmark 7", "rr"),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(read, BTreeMap::from(expected));
    }
}

#[test]
fn rows_come_one_at_a_time_in_the_order_of_the_file() {
    let text = recorded("6.1.176", "ip_vs");
    let mut rows = Services::new(text.as_bytes());
    let (mut services, mut destinations) = (0, 0);
    while let Some(row) = rows.next_row() {
        match row.unwrap() {
            ServicesRow::Info(info) => assert_eq!((rows.info(), services), (Some(info), 0)),
            ServicesRow::Service(service) => {
                assert!(service.destinations.is_empty());
                services += 1;
            }
            ServicesRow::Destination(_) => destinations += 1,
            other => panic!("{other:?}"),
        }
        assert!(destinations <= services);
    }
    assert_eq!((services, destinations), (10, 9));
}

#[test]
fn the_quirks_of_persistence_are_the_kernels() {
    let [service] = read("FWM  80000007 wrr persistent 15000 40000000\n")
        .try_into()
        .unwrap();
    let persistence = service.persistence.unwrap();
    assert_eq!(service.key, ListedKey::FirewallMark(0x8000_0007));
    // Ticks, of which there are as many in a second as the kernel was built with.
    assert_eq!(persistence.timeout_secs(250), Some(60));
    assert_eq!(persistence.timeout_secs(0), None);
    // The family is not there, and the mask means something else in each.
    let mask = PersistenceMask::Inet([64, 0, 0, 0].into());
    assert_eq!(persistence.mask(Family::Inet), mask);
    if cfg!(target_endian = "little") {
        assert_eq!(persistence.mask(Family::Inet6), PersistenceMask::Inet6(64));
    }
}

#[test]
fn what_is_not_known_is_a_value_or_left_out() {
    let text = "\
QUIC C000020A:0050 quick brand-new 7
  -> 0A020002:1F90      Teleport 1      2          3
";
    let [service] = read(text).try_into().unwrap();
    let ListedKey::Address {
        protocol, address, ..
    } = service.key
    else {
        panic!("{service:?}")
    };
    assert_eq!(protocol, None);
    assert!(!service.key.may_be(&ServiceKey::Address {
        protocol: Protocol::UDP,
        address,
        port: 80
    }));
    assert!(matches!(service.scheduler, Scheduler::Other(name) if name.name() == "quick"));
    assert_eq!((service.one_packet, service.persistence), (false, None));
    assert_eq!(service.destinations[0].forwarding, None);
    assert_eq!(service.destinations[0].inactive_connections, 3);
}

#[test]
fn a_malformed_line_takes_only_its_own_with_it() {
    let text = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C000020A:0050 rr
  -> 0A020002:1F90      Masq    1      1          1
  -> 0A020002:1F9       Masq    1      1          1
  -> 0A020003:1F90      Masq    1      1          1
TCP  C000020A-0051 rr
  -> 0A020002:1F90      Masq    1      1          1
TCP  C000020A:0052 rr
  -> 0A020002:1F90      Masq    1      1          1
";
    let read: Vec<_> = Services::new(text.as_bytes())
        .map(|service| match service {
            Ok(service) => format!("{}", service.destinations.len()),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        read,
        [
            "line 6, column 15: port \"1F9\": expected 4 hexadecimal digits",
            "2",
            "line 8, column 6: virtual address \"C000020A-0051\": \
             expected an address, a colon and a port",
            "line 9, column 1: service missing: expected a service before its destinations",
            "1",
        ]
    );
}

#[test]
fn errors_name_the_field() {
    for (text, expected) in [
        (
            "IP Virtual Server version 1.2 (size=4096)",
            "line 1, column 27: version \"1.2\": expected three numbers of at most 255",
        ),
        (
            "IP Virtual Server version 1.2.1 (size=many)",
            "line 1, column 33: table size \"(size=many)\": expected (size=NUMBER)",
        ),
        (
            "TCP  [C000020A]:0050 rr",
            "line 1, column 7: virtual address \"C000020A\": expected brackets around IPv6 only",
        ),
        (
            "FWM  100000000 rr",
            "line 1, column 6: mark \"100000000\": expected a number of at most 32 bits",
        ),
        (
            "FWM  5",
            "line 1, column 7: scheduler missing: expected a name of 1 to 15 bytes",
        ),
        (
            "FWM  5 rr persistent 6000",
            "line 1, column 26: persistence mask missing: \
             expected a hexadecimal number of at most 64 bits",
        ),
        (
            "FWM  5 rr persistent 1m FFFFFFFF",
            "line 1, column 22: persistence timeout \"1m\": \
             expected a decimal number of at most 64 bits",
        ),
        (
            "",
            "line 1, column 1: protocol missing: expected a name, FWM or ->",
        ),
        (
            "  -> 0A020002:1F90 Masq 1 1",
            "line 1, column 28: inactive connections missing: \
             expected a decimal number of at most 64 bits",
        ),
        (
            "  -> 0A020002:1F90 Masq 4294967296 1 1",
            "line 1, column 25: weight \"4294967296\": expected a number of at most 32 bits",
        ),
    ] {
        let text = format!("{text}\n");
        let error = Services::new(text.as_bytes())
            .next_row()
            .unwrap()
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn applications_have_a_port_and_a_name() {
    for release in RELEASES {
        let text = recorded(release, "ip_vs_app");
        let read: Vec<_> = Applications::new(text.as_bytes())
            .map(|it| it.unwrap())
            .map(|it| (it.protocol, it.port, it.connections, it.name.to_string()))
            .collect();
        assert_eq!(read, [(Some(Protocol::TCP), 21, 0, "ftp".to_owned())]);
    }
    let error = Applications::new(&b"TCP  65536 0 ftp\nTCP  2121 1 ftp\n"[..])
        .next()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 6: port \"65536\": expected a number of at most 65535"
    );
}

#[test]
fn the_status_is_read_as_far_as_it_is_understood() {
    let status = Status::read(recorded("7.2.7", "ip_vs_status").as_bytes()).unwrap();
    assert_eq!(status.connections, Some(16));
    assert_eq!(status.connection_buckets, Some(256));
    assert_eq!(
        (status.services, status.service_buckets),
        (Some(10), Some(64))
    );
    assert_eq!(status.lines.len(), 12);
    assert_eq!(
        status.lines[10],
        ("Stats chain max len".to_owned(), "3958".to_owned())
    );
    let odd = Status::read(&b"\nno colon\nConns:\tmany\n\xff: \xff\n"[..]).unwrap();
    assert_eq!((odd.connections, odd.lines.len()), (None, 4));
}
