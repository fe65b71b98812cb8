//! `ip_vs_conn` and `ip_vs_conn_sync`.

use core::time::Duration;

use lvs_ipvs::procfs::{Connection, ConnectionState, Connections, Origin, ReadError};
use lvs_ipvs::{DestinationKey, Family, Protocol, ServiceKey};

use super::{RELEASES, recorded};

fn read(text: &str) -> Vec<Connection> {
    Connections::new(text.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

fn line(line: &str) -> Connection {
    let [connection] = read(line).try_into().unwrap();
    connection
}

#[test]
fn a_connection_has_three_ends_a_state_and_a_time() {
    let text = recorded("6.1.176", "ip_vs_conn");
    let mut rows = Connections::new(text.as_bytes());
    let row = rows.next_row().unwrap().unwrap();
    assert_eq!(row.protocol_text, "TCP");
    assert_eq!(row.line, text.lines().nth(1).unwrap().as_bytes());
    let connection = row.to_connection();
    assert_eq!(connection.protocol, Some(Protocol::TCP));
    assert_eq!(connection.client, "10.1.0.2:47846".parse().unwrap());
    assert_eq!(connection.virtual_address, "192.0.2.10:83".parse().unwrap());
    assert_eq!(connection.destination.to_string(), "10.2.0.2:8080");
    assert_eq!(connection.state, ConnectionState::Established);
    assert_eq!(connection.expires_in, Duration::from_secs(897));
    assert_eq!(connection.origin, None);
    assert_eq!(
        (connection.engine, &connection.engine_data[..]),
        (None, &b""[..])
    );
    assert!(!connection.is_template());
    assert_eq!(
        connection.service_key(),
        Some(ServiceKey::tcp(([192, 0, 2, 10], 83).into()))
    );
}

#[test]
fn every_recorded_row_is_read_on_every_kernel() {
    for release in RELEASES {
        let connections = read(&recorded(release, "ip_vs_conn"));
        assert_eq!(connections.len(), 16);
        let sync = read(&recorded(release, "ip_vs_conn_sync"));
        for (connection, sync) in connections.iter().zip(&sync) {
            assert_eq!(sync.origin, Some(Origin::Local));
            // The file of the sync daemon lacks what an engine left, the other one the origin.
            let mut same = sync.clone();
            same.origin = None;
            same.engine = connection.engine;
            same.engine_data.clone_from(&connection.engine_data);
            assert_eq!(*connection, same);
        }
        assert_eq!(connections.len(), sync.len());
        let states: Vec<_> = connections.iter().map(|it| it.state).collect();
        for (state, count) in [
            (ConnectionState::Established, 5),
            (ConnectionState::CloseWait, 1),
            (ConnectionState::Close, 2),
            (ConnectionState::Udp, 1),
            (ConnectionState::Assured, 5),
            (ConnectionState::None, 2),
        ] {
            assert_eq!(
                states.iter().filter(|it| **it == state).count(),
                count,
                "{state}"
            );
        }
    }
}

#[test]
fn a_template_is_told_by_its_port_and_its_masked_client() {
    for release in RELEASES {
        let connections = read(&recorded(release, "ip_vs_conn"));
        let mut templates: Vec<_> = connections
            .iter()
            .filter(|it| it.is_template())
            .map(|it| {
                (
                    it.client.ip().to_string(),
                    it.service_key().unwrap().to_string(),
                )
            })
            .collect();
        templates.sort();
        let expected = [
            ("10.1.0.0", "TCP 192.0.2.10:81"),
            ("10.1.0.2", "TCP 192.0.2.10:83"),
            ("10.1.0.2", "UDP 192.0.2.10:5060"),
            ("10.1.0.2", "UDP 192.0.2.10:53"),
            ("10.1.0.2", "fwmark 5"),
            ("fd00:1::", "TCP [fd00::10]:81"),
            ("fd00:1::2", "fwmark 6 IPv6"),
        ];
        assert_eq!(
            templates,
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}

#[test]
fn the_template_of_a_mark_shows_the_mark_as_an_address() {
    let template = line("IP  0A010002 0000 80000007 0000 0A020002 0000 NONE             57");
    assert_eq!(template.protocol, Some(Protocol::from_number(0)));
    assert_eq!(template.mark(), Some(0x8000_0007));
    assert_eq!(template.virtual_address, "128.0.0.7:0".parse().unwrap());
    let mark = ServiceKey::firewall_mark(Family::Inet, 0x8000_0007);
    assert_eq!(template.service_key(), Some(mark));
    assert!(template.is_of(&mark));
    assert!(!template.is_of(&ServiceKey::firewall_mark(Family::Inet6, 0x8000_0007)));
    // Not a mark: an address of that protocol.
    let other = line(
        "IP  fd00:0000:0000:0000:0000:0000:0000:0002 0000 0000:0006:0000:0000:0000:0000:0000:0001 \
         0000 0A020002 0000 NONE 57",
    );
    assert_eq!(other.mark(), None);
    assert_eq!(
        other.service_key().unwrap().to_string(),
        "protocol 0 [0:6::1]:0"
    );
}

#[test]
fn an_engine_leaves_its_name_and_what_it_took_from_the_packet() {
    for release in RELEASES {
        let connections = read(&recorded(release, "ip_vs_conn"));
        let sip: Vec<_> = connections
            .iter()
            .filter(|it| it.engine.is_some())
            .collect();
        assert_eq!(sip.len(), 1);
        assert_eq!(sip[0].engine.unwrap().as_str(), "sip");
        assert_eq!(sip[0].engine_data, b"abc-123@host");
    }
    // Raw: blanks and anything else stay as they are.
    let raw = b"UDP 0A010002 0000 C000020A 13C4 0A020002 13C4 ASSURED 57 sip  a b\xff\t \n";
    let mut rows = Connections::new(&raw[..]);
    let row = rows.next_row().unwrap().unwrap();
    assert_eq!(row.connection.engine_data, b" a b\xff\t ");
}

#[test]
fn an_invalidated_template_is_told_by_its_destination_port() {
    for release in RELEASES {
        let connections = read(&recorded(release, "ip_vs_conn-invalidated"));
        let invalidated: Vec<_> = connections
            .iter()
            .filter(|it| it.is_invalidated())
            .collect();
        assert_eq!(invalidated.len(), 1);
        assert_eq!(invalidated[0].client, "10.1.0.0:0".parse().unwrap());
        // Newer kernels keep the virtual port.
        let port = if release == "6.1.176" { u16::MAX } else { 81 };
        assert_eq!(invalidated[0].virtual_address.port(), port);
    }
}

#[test]
fn a_tunnel_may_lead_to_the_other_family() {
    let connection = line(
        "TCP 0A010002 E7EC C000020A 0050 fd00:0002:0000:0000:0000:0000:0000:0002 0050 \
         SYN_RECV         3",
    );
    assert_eq!(connection.destination.to_string(), "[fd00:2::2]:80");
    assert!(connection.state.is_active());
}

#[test]
fn unknown_names_are_values() {
    let connection = line("IP_50 0A010002 E7EC C000020A 0050 0A020002 0050 ERR! 3");
    assert_eq!(connection.protocol, Some(Protocol::from_number(50)));
    assert_eq!(connection.state.to_string(), "ERR!");
    let connection = line("QUIC 0A010002 E7EC C000020A 0050 0A020002 0050 ? 3");
    assert_eq!(
        (connection.protocol, connection.service_key()),
        (None, None)
    );
    assert!(!connection.is_of(&ServiceKey::tcp(([192, 0, 2, 10], 80).into())));
}

#[test]
fn the_connections_of_a_service_or_to_a_destination_can_be_counted() {
    for release in RELEASES {
        let text = recorded(release, "ip_vs_conn");
        let count = |wanted: &dyn Fn(&Connection<&[u8]>) -> bool| {
            let rows = Connections::new(text.as_bytes());
            let counts = rows.tally(|row| wanted(&row.connection)).unwrap();
            (counts.active, counts.inactive, counts.templates)
        };
        let service = |port| ServiceKey::tcp(([192, 0, 2, 10], port).into());
        assert_eq!(count(&|it| it.is_of(&service(80))), (1, 1, 0));
        assert_eq!(count(&|it| it.is_of(&service(81))), (1, 0, 1));
        // Port 0: all TCP ports of the address.
        assert_eq!(count(&|it| it.is_of(&service(0))), (3, 2, 2));
        let server = |port| DestinationKey {
            address: [10, 2, 0, 2].into(),
            port,
        };
        // Port 8080 of the server, and the template of the mark service, which has no port.
        assert_eq!(count(&|it| it.is_to(&server(8080))), (3, 1, 3));
        assert_eq!(count(&|it| it.is_to(&server(0))), (3, 3, 5));
    }
}

#[test]
fn a_malformed_line_is_an_error_and_the_next_one_is_read() {
    let text = recorded("6.1.176", "ip_vs_conn");
    let good: Vec<&str> = text.lines().skip(1).collect();
    for (wrong, expected) in [
        ("", "column 1: protocol missing: expected a name in ASCII"),
        (
            "TCP 0A010002 BAE6 C000020A 0053 0A020002",
            "column 41: destination port missing: expected 4 hexadecimal digits",
        ),
        (
            "TCP 0A010002 BAE6 C000020A 0053 0A020002 1F90",
            "column 46: state missing: expected a name of 1 to 16 bytes",
        ),
        (
            "TCP 0A010002 BAE6 C000020A 0053 0A020002 1F90 ESTABLISHED",
            "column 58: expiry missing: expected seconds, or LOCAL or SYNC before them",
        ),
        (
            "TCP 0A010002 BAE6 C000020A 0053 0A020002 1F90 ESTABLISHED SYNC",
            "column 63: expiry missing: expected a decimal number of at most 64 bits",
        ),
        (
            "TCP 0A010002 BAE6 C000020A 53 0A020002 1F90 NONE 7",
            "column 28: virtual port \"53\": expected 4 hexadecimal digits",
        ),
        (
            "TCP 0A010002 BAE6 fd00:0000:0000:0000:0000:0000:0000:0010 0053 0A020002 1F90 NONE 7",
            "column 19: virtual address \"fd00:0000:0000:0000:0000:0000:0000:0010\": \
             expected an address of the client's family",
        ),
        (
            "TCP 0A010002 BAE6 C000020A 0053 0A020002 1F90 NONE 7 an-engine-of-more-than-16",
            "column 54: persistence engine \"an-engine-of-more-than-16\": \
             expected a name of 1 to 16 bytes",
        ),
        (
            "TCP 0A010002 BAE6 C000020A 0053 0A020002 1F90 NO\u{7}NE-OF-THE-NAMES 7",
            "column 47: state \"NO\\x07NE-OF-THE-NAMES\": expected a name of 1 to 16 bytes",
        ),
    ] {
        let text = format!("{}\n{wrong}\n{}", good[0], good[1]);
        let mut rows = Connections::new(text.as_bytes());
        assert!(rows.next_row().unwrap().is_ok());
        let error = rows.next_row().unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("line 2, {expected}"));
        let ReadError::Malformed(line) = &error else {
            unreachable!("{error}")
        };
        assert_eq!(line.line(), 2);
        assert!(rows.next_row().unwrap().is_ok());
        assert!(rows.next_row().is_none());
    }
}

/// Each prefix of a row is an error or fewer digits of the same; none panics.
#[test]
fn truncated_rows_are_errors() {
    let text = recorded("7.2.7", "ip_vs_conn_sync");
    for row in text.lines().skip(1) {
        let digits = row.trim_end_matches(|it: char| it.is_ascii_digit()).len();
        for end in 0..row.len() {
            let read = Connections::new(&row.as_bytes()[..end]).next();
            // An empty file has no row.
            let is_fine = end == 0 || end > digits;
            assert_eq!(
                read.is_none_or(|read| read.is_ok()),
                is_fine,
                "{}",
                &row[..end]
            );
        }
    }
}
