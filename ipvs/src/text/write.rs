//! A whole table as text, one rule a line.

use core::fmt;

use crate::destination::Destination;
use crate::service::VirtualService;
use crate::snapshot::{Snapshot, SnapshotService};
use crate::table::{Table, TableService};
use crate::text::order::{sort_destinations, sort_services};
use crate::text::rule::{Names, Style};

/// The text of a table or a snapshot; made by [`Table::text`] and [`Snapshot::text`].
///
/// Without further calls it is what `ipvsadm -S -n` prints, with its losses: thresholds, the
/// order of the destinations, marks from 2³¹ on. [`lossless`](Self::lossless) keeps them, in lines
/// that `ipvsadm -R` takes all the same.
///
/// ```
/// use lvs_ipvs::{Destination, Table, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let mut table = Table::new();
/// table.insert(
///     web,
///     [
///         Destination::masquerade("10.0.0.12:80".parse()?).with_thresholds(0, 100),
///         Destination::tunnel("10.0.0.11:80".parse()?),
///     ],
/// );
/// assert_eq!(
///     table.text().to_string(),
///     "-A -t 192.0.2.10:80 -s wlc\n\
///      -a -t 192.0.2.10:80 -r 10.0.0.11:80 -i -w 1 --tun-type ipip\n\
///      -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 1\n"
/// );
/// assert_eq!(
///     table.text().lossless().to_string(),
///     "-A -t 192.0.2.10:80 -s wlc\n\
///      -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 1 -x 100\n\
///      -a -t 192.0.2.10:80 -r 10.0.0.11:80 -i -w 1 --tun-type ipip\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct TableText<'a> {
    source: Source<'a>,
    style: Style<'a>,
    oldest_first: bool,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Table(&'a Table),
    Snapshot(&'a Snapshot),
}

/// A service of either source.
#[derive(Clone, Copy)]
enum Service<'a> {
    Table(&'a TableService),
    Snapshot(&'a SnapshotService),
}

impl<'a> TableText<'a> {
    const fn new(source: Source<'a>) -> Self {
        Self {
            source,
            style: Style::new(),
            oldest_first: false,
        }
    }

    /// Writes thresholds, too; see [`Style::with_thresholds`].
    pub const fn with_thresholds(mut self) -> Self {
        self.style = self.style.with_thresholds();
        self
    }

    /// Writes every mark and flag so that it can be loaded; see [`Style::loadable`].
    pub const fn loadable(mut self) -> Self {
        self.style = self.style.loadable();
        self
    }

    /// Writes names; see [`Style::with_names`].
    pub const fn with_names(mut self, names: &'a dyn Names) -> Self {
        self.style = self.style.with_names(names);
        self
    }

    /// Writes the destinations of each service in the order in which they were added, so that
    /// loading the text gives the kernel's list again. `ipvsadm` sorts them, which changes what
    /// schedulers that go by the list do after a reload (`OP-12`).
    pub const fn oldest_first(mut self) -> Self {
        self.oldest_first = true;
        self
    }

    /// Writes everything that the format can carry: [`with_thresholds`](Self::with_thresholds),
    /// [`loadable`](Self::loadable) and [`oldest_first`](Self::oldest_first).
    pub const fn lossless(self) -> Self {
        self.with_thresholds().loadable().oldest_first()
    }

    fn services(&self) -> Vec<Service<'a>> {
        match self.source {
            Source::Table(table) => table.services().map(Service::Table).collect(),
            Source::Snapshot(snapshot) => snapshot.services.iter().map(Service::Snapshot).collect(),
        }
    }
}

impl<'a> Service<'a> {
    const fn service(&self) -> &'a VirtualService {
        match self {
            Self::Table(table) => &table.service,
            Self::Snapshot(snapshot) => &snapshot.entry.service,
        }
    }

    /// Appends the destinations in the kernel's order, newest first.
    fn destinations(&self, into: &mut Vec<&'a Destination>) {
        match self {
            Self::Table(table) => into.extend(table.destinations.iter().rev()),
            Self::Snapshot(snapshot) => {
                into.extend(snapshot.destinations.iter().map(|entry| &entry.destination));
            }
        }
    }
}

impl fmt::Display for TableText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut services = self.services();
        sort_services(&mut services, |service| service.service().key);
        let mut destinations = Vec::new();
        for service in services {
            let key = service.service().key;
            writeln!(f, "{}", self.style.service(service.service()))?;
            destinations.clear();
            service.destinations(&mut destinations);
            if self.oldest_first {
                destinations.reverse();
            } else {
                sort_destinations(&mut destinations, |destination| destination.key);
            }
            for destination in &destinations {
                writeln!(f, "{}", self.style.destination(&key, destination))?;
            }
        }
        Ok(())
    }
}

impl Table {
    /// The table as text, with a choice of what is written and in which order.
    ///
    /// `ipvsadm` starts sorting from the kernel's order of services, which a table does not
    /// have; this matters only where addresses or marks are 2³¹ or more apart (see
    /// [`sort_services`]). [`Snapshot::text`] has it.
    pub const fn text(&self) -> TableText<'_> {
        TableText::new(Source::Table(self))
    }
}

impl Snapshot {
    /// The snapshot as text: its settings, not its counters.
    ///
    /// ```
    /// use lvs_ipvs::{Snapshot, Table, VirtualService};
    ///
    /// let mut table = Table::new();
    /// table.insert(VirtualService::tcp("192.0.2.10:80".parse()?), []);
    /// let snapshot = Snapshot::from(&table); // or read with Client::snapshot
    /// assert_eq!(snapshot.text().to_string(), "-A -t 192.0.2.10:80 -s wlc\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn text(&self) -> TableText<'_> {
        TableText::new(Source::Snapshot(self))
    }
}

/// What `ipvsadm -S -n` prints for the table; see [`Table::text`] for other ways.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Encapsulation, Family, Forwarding, Persistence, PersistenceMask, Scheduler, ServiceFlags,
        TunnelFlags,
    };

    fn at(address: &str) -> core::net::SocketAddr {
        address.parse().unwrap()
    }

    fn table(services: impl IntoIterator<Item = (VirtualService, Vec<Destination>)>) -> Table {
        let mut table = Table::new();
        for (service, destinations) in services {
            table.insert(service, destinations);
        }
        table
    }

    /// Printed by `ipvsadm -S -n` (1.31, kernel 6.1.176) for the services added with the options
    /// that follow from the lines.
    #[test]
    fn every_option_is_written_as_ipvsadm_writes_it() {
        let sip = "sip".parse().unwrap();
        let gue = |address, port, flags| {
            Destination::tunnel(at(address))
                .with_encapsulation(Encapsulation::gue(port).with_flags(flags))
        };
        let gre = |address, flags| {
            Destination::tunnel(at(address))
                .with_encapsulation(Encapsulation::gre().with_flags(flags))
        };
        let none = TunnelFlags::empty();
        let table = table([
            (
                VirtualService::tcp(at("10.1.0.1:80"))
                    .with_scheduler(Scheduler::Sh)
                    .with_flags(ServiceFlags::SH_FALLBACK | ServiceFlags::SH_PORT),
                vec![
                    Destination::masquerade(at("10.0.0.2:8080"))
                        .with_weight(3)
                        .with_thresholds(50, 100),
                    Destination::masquerade(at("127.0.0.1:80")),
                    Destination::tunnel(at("10.0.0.3:80")).with_weight(65535),
                    gue("10.0.0.4:80", 6080, none),
                    gue("10.0.0.5:80", 6080, TunnelFlags::CHECKSUM),
                    gue("10.0.0.6:80", 65535, TunnelFlags::REMOTE_CHECKSUM),
                    gre("10.0.0.7:80", none),
                    gre("10.0.0.8:80", TunnelFlags::CHECKSUM),
                    Destination::direct_route(at("10.0.0.11:80")),
                    Destination::tunnel(at("[fd00::20]:80")),
                    gre("[fd00:1111:2222:3333:4444:5555:6666:7777]:80", none),
                    // Given over netlink.
                    Destination::new(at("10.0.0.12:80").into(), Forwarding::Local),
                ],
            ),
            (
                VirtualService::tcp(at("[fd00::1]:443"))
                    .with_scheduler(Scheduler::Mh)
                    .with_flags(ServiceFlags::MH_PORT)
                    .with_persistence(Persistence::new(600).with_mask(PersistenceMask::Inet6(64))),
                vec![
                    Destination::tunnel(at("10.0.0.1:443")),
                    Destination::masquerade(at("[fd00::20]:443")),
                ],
            ),
            (
                VirtualService::firewall_mark(Family::Inet, 5).with_persistence(
                    Persistence::new(120)
                        .with_mask(PersistenceMask::Inet([255, 255, 255, 0].into())),
                ),
                vec![
                    Destination::masquerade(at("10.0.0.1:443")),
                    Destination::masquerade(at("10.0.0.1:0")),
                ],
            ),
            (
                VirtualService::firewall_mark(Family::Inet6, 6)
                    .with_scheduler(Scheduler::Lc)
                    .with_persistence(Persistence::new(50)),
                vec![],
            ),
            (
                VirtualService::udp(at("10.1.0.3:53"))
                    .with_one_packet()
                    .with_persistence(
                        Persistence::new(2_678_400)
                            .with_mask(PersistenceMask::Inet([255, 0, 0, 0].into()))
                            .with_engine(sip),
                    )
                    .with_flags(ServiceFlags::ONE_PACKET | ServiceFlags::SCHED_1),
                vec![],
            ),
            (
                VirtualService::sctp(at("10.1.0.1:53")).with_scheduler(Scheduler::Sed),
                vec![],
            ),
            (
                VirtualService::sctp(at("255.255.255.254:65535"))
                    .with_scheduler(Scheduler::Sh)
                    .with_persistence(Persistence::new(360)),
                vec![],
            ),
            (
                VirtualService::tcp(at("10.1.0.1:81")).with_persistence(
                    Persistence::new(360).with_mask(PersistenceMask::Inet([0; 4].into())),
                ),
                vec![],
            ),
        ]);
        let expected = "\
-A -t 10.1.0.1:80 -s sh -b sh-fallback,sh-port
-a -t 10.1.0.1:80 -r [fd00::20]:80 -i -w 1 --tun-type ipip
-a -t 10.1.0.1:80 -r [fd00:1111:2222:3333:4444:5555:6666:7777]:80 -i -w 1 --tun-type gre --tun-nocsum
-a -t 10.1.0.1:80 -r 10.0.0.2:8080 -m -w 3
-a -t 10.1.0.1:80 -r 10.0.0.3:80 -i -w 65535 --tun-type ipip
-a -t 10.1.0.1:80 -r 10.0.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 10.1.0.1:80 -r 10.0.0.5:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 10.1.0.1:80 -r 10.0.0.6:80 -i -w 1 --tun-type gue --tun-port 65535 --tun-remcsum
-a -t 10.1.0.1:80 -r 10.0.0.7:80 -i -w 1 --tun-type gre --tun-nocsum
-a -t 10.1.0.1:80 -r 10.0.0.8:80 -i -w 1 --tun-type gre --tun-csum
-a -t 10.1.0.1:80 -r 10.0.0.11:80 -g -w 1
-a -t 10.1.0.1:80 -r 10.0.0.12:80 -g -w 1
-a -t 10.1.0.1:80 -r 127.0.0.1:80 -m -w 1
-A -t 10.1.0.1:81 -s wlc -p 360 -M 0.0.0.0
-A -u 10.1.0.3:53 -s wlc -p 2678400 -M 255.0.0.0 --pe sip -o -b flag-1
-A --sctp-service 255.255.255.254:65535 -s sh -p 360
-A --sctp-service 10.1.0.1:53 -s sed
-A -t [fd00::1]:443 -s mh -p 600 -M 64 -b mh-port
-a -t [fd00::1]:443 -r [fd00::20]:443 -m -w 1
-a -t [fd00::1]:443 -r 10.0.0.1:443 -i -w 1 --tun-type ipip
-A -f 5 -s wlc -p 120 -M 255.255.255.0
-a -f 5 -r 10.0.0.1:0 -m -w 1
-a -f 5 -r 10.0.0.1:443 -m -w 1
-A -f 6 -6 -s lc -p 50
";
        assert_eq!(table.to_string(), expected);
        assert_eq!(Snapshot::from(&table).text().to_string(), expected);
    }

    #[test]
    fn what_ipvsadm_loses_is_written_on_request() {
        let table = table([
            (
                VirtualService::firewall_mark(Family::Inet6, 0x8000_0000)
                    .with_scheduler(Scheduler::Sh)
                    .with_flags(ServiceFlags::SCHED_3),
                vec![
                    Destination::masquerade(at("[fd00::2]:80")).with_thresholds(50, 100),
                    Destination::masquerade(at("[fd00::1]:80")).with_thresholds(0, 7),
                ],
            ),
            (
                VirtualService::firewall_mark(Family::Inet, u32::MAX)
                    .with_scheduler(Scheduler::Mh)
                    .with_flags(ServiceFlags::MH_PORT | ServiceFlags::SCHED_3),
                vec![],
            ),
        ]);
        // The blank at the end of `-b ` is ipvsadm's.
        assert_eq!(
            table.to_string(),
            "-A -f -2147483648 -6 -s sh -b \n\
             -a -f -2147483648 -6 -r [fd00::1]:80 -m -w 1\n\
             -a -f -2147483648 -6 -r [fd00::2]:80 -m -w 1\n\
             -A -f -1 -s mh -b mh-port\n"
        );
        assert_eq!(
            table.text().lossless().to_string(),
            "-A -f 2147483648 -6 -s sh -b flag-3\n\
             -a -f 2147483648 -6 -r [fd00::2]:80 -m -w 1 -x 100 -y 50\n\
             -a -f 2147483648 -6 -r [fd00::1]:80 -m -w 1 -x 7\n\
             -A -f 4294967295 -s mh -b mh-port,flag-3\n"
        );
    }

    /// Methods that only other programs set, as `ipvsadm -S -n` (1.31) writes them.
    #[test]
    fn methods_without_an_option_are_written_all_the_same() {
        let service = VirtualService::tcp(at("10.9.9.9:80"));
        let methods = [
            Forwarding::Local,
            Forwarding::Bypass,
            Forwarding::Undefined7,
        ];
        let destinations = methods.map(|method| Destination::new(at("10.8.1.1:80").into(), method));
        let text = |style: Style<'_>| {
            destinations
                .each_ref()
                .map(|destination| style.destination(&service.key, destination).to_string())
        };
        assert_eq!(
            text(Style::new()),
            [
                "-a -t 10.9.9.9:80 -r 10.8.1.1:80 -g -w 1",
                "-a -t 10.9.9.9:80 -r 10.8.1.1:80 (null) -w 1",
                "-a -t 10.9.9.9:80 -r 10.8.1.1:80 (null) -w 1",
            ]
        );
        let loadable = "-a -t 10.9.9.9:80 -r 10.8.1.1:80 -g -w 1";
        assert_eq!(text(Style::new().loadable()), [loadable; 3]);
    }

    #[test]
    fn a_snapshot_is_sorted_from_the_kernels_order() {
        // Exactly 2³¹ apart each is smaller than the other, and so both orders stay.
        let services =
            ["138.0.0.1:80", "10.0.0.1:80"].map(|address| VirtualService::tcp(at(address)));
        let kernel = |services: &[VirtualService]| {
            let services = services.iter().map(|service| {
                SnapshotService::from(&TableService {
                    service: service.clone(),
                    destinations: vec![],
                })
            });
            Snapshot::new(services.collect(), true).text().to_string()
        };
        let [first, second] = &services;
        assert_eq!(
            kernel(&[first.clone(), second.clone()]),
            "-A -t 138.0.0.1:80 -s wlc\n-A -t 10.0.0.1:80 -s wlc\n"
        );
        assert_eq!(
            kernel(&[second.clone(), first.clone()]),
            "-A -t 10.0.0.1:80 -s wlc\n-A -t 138.0.0.1:80 -s wlc\n"
        );
    }

    /// `ipvsadm -A -u 192.0.2.10:53 -M 255.0.0.0 --pe sip -o`, then `ipvsadm -S -n` (1.31).
    #[test]
    fn an_engine_stays_without_persistence_and_a_mask_does_not() {
        let mut service = VirtualService::udp(at("192.0.2.10:53")).with_one_packet();
        service.mask = PersistenceMask::Inet([255, 0, 0, 0].into());
        service.engine = Some("sip".parse().unwrap());
        assert_eq!(
            table([(service, vec![])]).to_string(),
            "-A -u 192.0.2.10:53 -s wlc --pe sip -o\n"
        );
    }

    #[test]
    fn an_empty_table_is_an_empty_text() {
        assert_eq!(Table::new().to_string(), "");
    }
}
