//! Listings that the original printed, all formats.

use lvs_ipvs::text::{sort_destinations, sort_services};
use lvs_ipvs::{Snapshot, Stats, Table};

use super::columns::Columns;
use super::{Format, Request, write_service};
use crate::names::{Endpoints, Reverse};

/// What ipvsadm 1.31 printed (kernel 6.1.176) for [`RULES`] with the names of [`names`], where
/// each service and destination had the counters of [`stats`] and each destination 70 active, 800
/// inactive and 9000 persistent connections. Such counters do not come by themselves: they were
/// put into the kernel's answers on the way.
const TRANSCRIPTS: &str = include_str!("transcripts.txt");

const RULES: &str = "\
-A -t 10.1.0.1:80 -s sh -b sh-fallback,sh-port
-a -t 10.1.0.1:80 -r 10.0.0.2:8080 -m -w 3 -x 100 -y 50
-a -t 10.1.0.1:80 -r 10.0.0.4:80 -i --tun-type gue --tun-port 6080 --tun-csum -w 65535
-a -t 10.1.0.1:80 -r 10.0.0.3:80 -g
-a -t 10.1.0.1:80 -r [fd00:1111:2222:3333:4444:5555:6666:7777]:80 -i
-A -u 10.1.0.2:81 -o -p 10 -M 255.0.0.0 --pe sip
-a -u 10.1.0.2:81 -r 10.0.0.1:81 -m
-A -t [fd00::20]:80 -s mh -b mh-port,flag-3 -p 600 -M 64
-a -t [fd00::20]:80 -r [fd00::1]:80 -m
-A -f 2147483649 -6 -s wrr -b flag-1,flag-3 -p 50
-A -f 5 -s sh -b flag-3
-a -f 5 -r 10.0.0.1:80 -m
";

fn names() -> Reverse {
    Reverse::fixed(
        [
            ("10.0.0.1", Some("short")),
            ("10.0.0.2", Some("www.example.com")),
            (
                "10.0.0.3",
                Some("a-very-long-host-name-indeed.subdomain.example.com"),
            ),
            ("10.0.0.4", None),
            ("10.1.0.1", Some("vip.example.com")),
            (
                "10.1.0.2",
                Some("a-very-long-virtual-host-name-indeed.subdomain.example.com"),
            ),
            ("fd00::1", Some("six.example.com")),
            (
                "fd00::20",
                Some("a-very-long-six-host-name-indeed.subdomain.example.com"),
            ),
            ("fd00:1111:2222:3333:4444:5555:6666:7777", None),
        ],
        "http 80/tcp www\nonlytcp 81/tcp\n",
    )
}

/// The last of the rates do not fit into 32 bits, which is what ipvsadm keeps of a destination's.
fn stats() -> Stats {
    let mut stats = Stats::default();
    stats.connections = 1;
    stats.packets_in = 22;
    stats.packets_out = 333;
    stats.bytes_in = 4444;
    stats.bytes_out = 100_000_000;
    stats.rates.connections = 6;
    stats.rates.packets_in = 77;
    stats.rates.packets_out = 4_294_967_301;
    stats.rates.bytes_in = 100_000_000;
    stats.rates.bytes_out = u64::MAX;
    stats
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::from(&RULES.parse::<Table>().unwrap());
    for service in &mut snapshot.services {
        service.entry.stats = stats();
        for destination in &mut service.destinations {
            destination.stats = stats();
            destination.active_connections = 70;
            destination.inactive_connections = 800;
            destination.persistent_connections = 9000;
        }
    }
    snapshot
}

fn list(snapshot: &Snapshot, request: &Request) -> String {
    let endpoints = if request.numeric {
        Endpoints::Numeric
    } else {
        Endpoints::Named(names())
    };
    let mut columns = Columns::default();
    columns.text(request.format.captions());
    let mut services: Vec<_> = snapshot.services.iter().collect();
    sort_services(&mut services, |service| service.entry.service.key());
    for service in services {
        let mut destinations: Vec<_> = service.destinations.iter().collect();
        sort_destinations(&mut destinations, |entry| entry.destination.key());
        write_service(
            &mut columns,
            request,
            &endpoints,
            &service.entry,
            &destinations,
        );
    }
    String::from_utf8(columns.as_bytes().to_vec()).unwrap()
}

#[test]
fn every_format_is_printed_as_ipvsadm_prints_it() {
    let snapshot = snapshot();
    let mut formats = Vec::new();
    for transcript in TRANSCRIPTS.split("### ipvsadm -L").skip(1) {
        let (options, expected) = transcript.split_once('\n').unwrap();
        let has = |option: &str| options.split(' ').any(|word| word == option);
        let (_version, expected) = expected.split_once('\n').unwrap();
        let format = [
            ("--stats", Format::Stats),
            ("--rate", Format::Rate),
            ("--thresholds", Format::Thresholds),
            ("--persistent-conn", Format::PersistentConnections),
            ("--tun-info", Format::TunnelInfo),
        ];
        let format = format.into_iter().find(|(option, _)| has(option));
        let request = Request {
            service: None,
            numeric: has("-n"),
            format: format.map_or(Format::Default, |(_, format)| format),
            exact: has("--exact"),
            sort: true,
        };
        assert_eq!(list(&snapshot, &request), expected, "ipvsadm -L{options}");
        formats.push((request.numeric, request.format, request.exact));
    }
    // Six formats and one of them in full, with numbers and with names.
    assert_eq!(formats.len(), 14);
    formats.dedup();
    assert_eq!(formats.len(), 14);
}
