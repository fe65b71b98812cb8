//! States, templates and counts of `lvs-schedulers` against a kernel's.
//!
//! No packet leads to some states, and few to most; so connections are planted in each state by
//! synchronisation messages, as another director would send them. Each gets one packet, and the
//! kernel shows its new state, its timeout and whether it counts as active: every cell of the tables.
//! Beside that, connections walk at random, and persistent services are watched in real time.
//!
//! Runs inside a kernel with IPVS: `cargo test -p examples --test kernel_states --no-run`, then
//! `.ci/guest target/debug/deps/kernel_states-… --include-ignored --test-threads=1 --nocapture`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

/// A director, and packets for it, as the comparison of schedulers has them.
#[expect(dead_code, reason = "here nothing is read that leaves the director")]
mod schedulers {
    pub(crate) mod director;
    pub(crate) mod packet;
    #[path = "../parity/random.rs"]
    pub(crate) mod random;
    pub(crate) mod wire;
}
mod states;

use core::net::SocketAddr;
use core::time::Duration;
use std::{fs, thread};

use lvs_ipvs::{Destination, ServiceKey};
use lvs_schedulers::{
    Column, Forwarding, Protocol, SctpChunk, SctpState, Semantics, Settings, TcpActive, TcpFlags,
    TcpState, TemplateThresholds, ThresholdEdits,
};
use schedulers::director::Director;
use schedulers::packet::Content;
use states::planted::{Cell, Grown, Soil, grow};
use states::remembered::Pair;
use states::sync::{DIRECT_ROUTE, MASQUERADE, NO_OUTPUT};
use states::walk::walk;

/// Where packets of which column come from, and to which connections. Those that belong to no
/// destination keep what a message says of them, so even masqueraded ones are one-way: until a packet
/// of the server comes.
const SOILS: [(Column, Soil); 5] = [
    (
        Column::In,
        Soil {
            flags: MASQUERADE,
            destination: Some(Destination::masquerade),
        },
    ),
    (
        Column::Out,
        Soil {
            flags: MASQUERADE,
            destination: Some(Destination::masquerade),
        },
    ),
    (
        Column::OneWay,
        Soil {
            flags: DIRECT_ROUTE | NO_OUTPUT,
            destination: Some(Destination::direct_route),
        },
    ),
    (
        Column::OneWay,
        Soil {
            flags: MASQUERADE | NO_OUTPUT,
            destination: None,
        },
    ),
    (
        Column::Out,
        Soil {
            flags: MASQUERADE | NO_OUTPUT,
            destination: None,
        },
    ),
];

/// What the library says of a cell.
struct Expected {
    cell: String,
    name: &'static str,
    timeout: Duration,
    is_active: bool,
}

/// How many connections grow at a time: few enough to be read before the first has gone (an SCTP
/// connection that is closed lives for two seconds), even on a busy machine.
const BED: usize = 150;

/// How often the same connections are planted again because the machine was too busy.
const ATTEMPTS: usize = 10;

/// Plants connections, bed by bed, and compares what becomes of them; returns their number.
fn grow_and_compare(
    what: &str,
    (service, protocol): (ServiceKey, u8),
    soil: Soil,
    is_secure: bool,
    cells: &[Cell],
    expected: &[Expected],
) -> usize {
    let beds = cells.chunks(BED).zip(expected.chunks(BED));
    beds.map(|(cells, expected)| {
        let shortest = expected.iter().map(|it| it.timeout).min().unwrap();
        let grown = (0..ATTEMPTS)
            .find_map(|_| {
                Director::enter(|director| {
                    reuse_no_connections();
                    set_secure_tcp(is_secure);
                    grow(director, service, protocol, soil, cells, shortest)
                })
            })
            .unwrap_or_else(|| panic!("{what}: not read within {shortest:?} in any attempt"));
        compare(what, expected, &grown)
    })
    .sum()
}

/// Compares what became of the cells; returns their number.
fn compare(what: &str, expected: &[Expected], grown: &Grown) -> usize {
    for (expected, found) in expected.iter().zip(&grown.connections) {
        let cell = &expected.cell;
        assert_eq!(found.state.name(), expected.name, "{what}: {cell}");
        // Whole seconds, rounded down, some time after the packet.
        let left = found.expires_in;
        let least = expected
            .timeout
            .saturating_sub(grown.took + Duration::from_secs(1));
        assert!(
            (least..=expected.timeout).contains(&left),
            "{what}: {cell}: {left:?} of {:?}",
            expected.timeout
        );
    }
    let active = expected
        .iter()
        .filter(|expected| expected.is_active)
        .count();
    if let Some(counts) = grown.counts {
        let expected = [active, expected.len() - active];
        assert_eq!(counts.map(|count| count as usize), expected, "{what}");
    }
    expected.len()
}

/// Existing connections go on, whatever their state.
fn reuse_no_connections() {
    fs::write("/proc/sys/net/ipv4/vs/conn_reuse_mode", "0").unwrap();
}

/// 3 = always.
fn set_secure_tcp(is_secure: bool) {
    let mode = if is_secure { "3" } else { "0" };
    fs::write("/proc/sys/net/ipv4/vs/secure_tcp", mode).unwrap();
}

const VIRTUAL: SocketAddr = SocketAddr::new(
    core::net::IpAddr::V4(core::net::Ipv4Addr::new(10, 64, 0, 1)),
    80,
);

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn every_cell_of_the_tcp_table_is_the_kernels() {
    // FIN, SYN, RST and ACK in all combinations; PSH and URG alone.
    let segments: Vec<u8> = (0..16)
        .map(|bits| (bits & 7) | ((bits & 8) << 1))
        .chain([0x28])
        .collect();
    let mut count = 0;
    for (column, soil) in SOILS {
        for is_secure in [false, true] {
            let mut cells = Vec::new();
            let mut expected = Vec::new();
            for from in TcpState::ALL {
                for &segment in &segments {
                    for is_inactive in [true, false] {
                        cells.push(Cell {
                            state: u16::try_from(from.number()).unwrap(),
                            is_inactive,
                            packets: vec![(column == Column::Out, Content::Tcp(segment))],
                        });
                        let to = from.after(column, TcpFlags::from_bits(segment), is_secure);
                        expected.push(Expected {
                            cell: format!("{from}, flags {segment:#04x}, {is_inactive}"),
                            name: to.name(),
                            timeout: to.timeout(&Settings::DEFAULT),
                            // Looked at when the state changes, not before.
                            is_active: if to == from {
                                !is_inactive
                            } else {
                                to.is_active(TcpActive::FromSyn)
                            },
                        });
                    }
                }
            }
            let what = format!("{column:?}, {soil:?}, secure {is_secure}");
            let service = (ServiceKey::tcp(VIRTUAL), 6);
            count += grow_and_compare(&what, service, soil, is_secure, &cells, &expected);
        }
    }
    println!(
        "{count} connections, {} cells of the TCP table",
        2 * 3 * 11 * 5
    );
    assert_eq!(count, 2 * 5 * 11 * 17 * 2);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn every_cell_of_the_sctp_table_is_the_kernels() {
    // Those that bear on states, those beside them, and some of each kind of unknown ones.
    let alone = (0..=20)
        .chain([0x3f, 0x40, 0x7f, 0x80, 0x81, 0x82, 0xbf, 0xc0, 0xc1, 0xff])
        .map(|kind| vec![kind]);
    // Whether what stands behind the first chunk matters.
    let bundles = (0..15).flat_map(|first| {
        [[first, 6, 0], [first, 0, 6], [first, 14, 0]].map(|kinds| kinds.to_vec())
    });
    let packets: Vec<_> = alone.chain(bundles).collect();
    let mut count = 0;
    for (column, soil) in SOILS {
        let mut cells = Vec::new();
        let mut expected = Vec::new();
        for from in SctpState::ALL {
            for kinds in &packets {
                let content = match kinds[..] {
                    [kind] => Content::Sctp(kind),
                    _ => Content::SctpBundle(kinds[..].try_into().unwrap()),
                };
                cells.push(Cell {
                    state: u16::try_from(from.number()).unwrap(),
                    is_inactive: true,
                    packets: vec![(column == Column::Out, content)],
                });
                let chunks = kinds.iter().copied().map(SctpChunk::from);
                let to = from.after(column, SctpChunk::deciding(chunks).unwrap());
                expected.push(Expected {
                    cell: format!("{from}, chunks {kinds:?}"),
                    name: to.name(),
                    timeout: to.timeout(),
                    is_active: to != from && to.is_active(),
                });
            }
        }
        let what = format!("{column:?}, {soil:?}");
        let service = (ServiceKey::sctp(VIRTUAL), 132);
        count += grow_and_compare(&what, service, soil, false, &cells, &expected);
    }
    println!(
        "{count} connections, {} cells of the SCTP table",
        3 * 14 * 10
    );
    assert_eq!(count, 5 * 14 * packets.len());
}

/// The first packet of the server ends the one-way column for good, where the kernel takes it for one
/// of the connection at all: not where the destination is not masqueraded.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn one_way_ends_with_a_packet_of_the_server_of_a_masqueraded_connection() {
    const CLIENT_ENDS: (bool, Content) = (false, Content::Tcp(0x11));
    const SERVER_SPEAKS: (bool, Content) = (true, Content::Tcp(0x10));
    for ((_, soil), expected) in [
        (SOILS[3], ["FIN_WAIT", "CLOSE_WAIT"]),
        (SOILS[2], ["FIN_WAIT", "FIN_WAIT"]),
    ] {
        let cells = [vec![CLIENT_ENDS], vec![SERVER_SPEAKS, CLIENT_ENDS]].map(|packets| Cell {
            state: 1,
            is_inactive: false,
            packets,
        });
        let service = ServiceKey::tcp(VIRTUAL);
        let shortest = TcpState::CloseWait.timeout(&Settings::DEFAULT);
        let grown =
            Director::enter(|director| grow(director, service, 6, soil, &cells, shortest)).unwrap();
        let names: Vec<_> = grown.connections.iter().map(|it| it.state.name()).collect();
        assert_eq!(names, expected, "{soil:?}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn random_walks_pass_the_same_states_and_counts() {
    Director::enter(|director| {
        reuse_no_connections();
        let mut compared = 0;
        let mut seed = 0;
        for is_secure in [false, true] {
            set_secure_tcp(is_secure);
            for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
                for forwarding in [Forwarding::Masquerade, Forwarding::DirectRoute] {
                    seed += 1;
                    compared += walk(director, protocol, forwarding, is_secure, seed);
                }
            }
        }
        println!("{compared} states compared on random walks");
        assert!(compared > 10_000);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn templates_are_made_prolonged_refused_and_forgotten_alike() {
    Director::enter(|director| {
        let semantics = Semantics::LINUX_6_1;
        let mut pair = Pair::new(director, Protocol::Tcp, 4, false, semantics, &['A', 'B']);
        pair.connect([10, 1, 1, 1], 1000);
        pair.compare("a template for the client's network");
        pair.connect([10, 1, 1, 2], 1000);
        pair.connect([10, 1, 2, 1], 1000);
        pair.exchange([10, 1, 3, 1], 1000, true);
        pair.exchange([10, 1, 4, 1], 1000, false);
        pair.compare("another network goes on, established ones assure");
        pair.until(2.5);
        pair.connect([10, 1, 1, 3], 1001);
        pair.compare("the timer starts again with a connection");
        pair.until(5.5);
        pair.compare("with connections prolonged by 60 s, without gone");
        pair.connect([10, 1, 2, 1], 1001);
        pair.compare("its timeout is 60 s then");
        pair.until(8.0);
        pair.compare("that of the first is prolonged, too");

        pair.remove('B');
        pair.add('B');
        for network in 1..=5 {
            pair.connect([10, 1, network, 1], 1002);
        }
        pair.compare("removed and added again before anybody asked");
        pair.exchange([10, 1, 6, 1], 1000, true);
        pair.exchange([10, 1, 7, 1], 1000, true);
        pair.until(9.8);
        pair.remove('B');
        for network in 1..=7 {
            pair.connect([10, 1, network, 1], 1003);
        }
        pair.add('B');
        pair.compare("asked for meanwhile");
        for network in 1..=7 {
            pair.connect([10, 1, network, 1], 1004);
        }
        pair.compare("and remembered anew");
        // The timer of a template that is refused does not start again: that would end at 13.8.
        pair.until(13.0);
        pair.compare("the refused ones without connections are gone");

        pair.edit('A', 0, [0, 0]);
        pair.connect([10, 1, 1, 1], 1005);
        pair.compare("quiesced, still honoured");
        pair.expire_quiescent_templates();
        for network in 1..=8 {
            pair.connect([10, 1, network, 1], 1006);
        }
        pair.compare("not honoured any more");
        pair.edit('B', 0, [0, 0]);
        pair.connect([10, 1, 1, 1], 1007);
        pair.compare("nobody is left");
    });
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn templates_of_udp_sctp_and_single_packets() {
    let watch = |protocol, is_one_packet| {
        Director::enter(|director| {
            let semantics = Semantics::LINUX_6_1;
            let names = ['A', 'B', 'C'];
            let mut pair = Pair::new(director, protocol, 2, is_one_packet, semantics, &names);
            if is_one_packet {
                // Every datagram goes through: it is counted for a moment only.
                pair.edit('C', 1, [1, 0]);
            }
            for (network, port) in [(1, 1000), (2, 1000), (1, 1001), (3, 1000), (2, 1001)] {
                pair.connect([10, 1, network, 1], port);
                pair.compare(&format!("{protocol:?} {network} {port}"));
            }
            // One-packet templates have no connections.
            pair.until(3.5);
            pair.compare(&format!("{protocol:?} after the timeout"));
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| watch(Protocol::Udp, false));
        scope.spawn(|| watch(Protocol::Sctp, false));
        scope.spawn(|| watch(Protocol::Udp, true));
    });
}

/// Which rule the kernel has for thresholds and templates: the presets say the same.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn thresholds_and_templates_follow_one_of_the_rules() {
    Director::enter(|director| {
        let semantics = Semantics::LINUX_6_1;
        let mut pair = Pair::new(director, Protocol::Tcp, 3, false, semantics, &['A']);
        pair.edit('A', 1, [8, 2]);
        for network in 1..=8 {
            pair.exchange([10, 1, network, 1], 1000, network > 4);
        }
        assert!(!pair.takes([10, 1, 100, 1], 1000), "eight of eight");
        // Four connections are over; four of two: still marked.
        pair.until(2.2);
        assert!(
            !pair.takes([10, 1, 101, 1], 1000),
            "four, released below two"
        );
        // Four would be below six, if it were looked at.
        pair.edit('A', 1, [8, 6]);
        let after_edit = pair.takes([10, 1, 102, 1], 1000);
        // A template goes without a connection.
        pair.until(4.5);
        let after_template = pair.takes([10, 1, 103, 1], 1000);
        let rules = match (after_edit, after_template) {
            (false, true) => (ThresholdEdits::ClearOnRaise, TemplateThresholds::Evaluate),
            (true, true) => (ThresholdEdits::Recompute, TemplateThresholds::Ignore),
            other => panic!("neither rule: {other:?}"),
        };
        println!("{rules:?}");
        let preset = [Semantics::LINUX_6_1, Semantics::LINUX_7_2]
            .into_iter()
            .find(|preset| (preset.threshold_edits, preset.template_thresholds) == rules);
        assert!(preset.is_some(), "{rules:?}");
    });
}
