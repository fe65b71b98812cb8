//! `bfd_instance NAME { … }`: a BFD session (keepalived.conf(5), RFC 5880).

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::track::{self, Weight};
use super::write;

/// The longest interval, in milliseconds.
const INTERVAL_MAX: u64 = 4_294_967;

/// A BFD session that virtual routers may follow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BfdInstance {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// `neighbor_ip`: the other end.
    pub neighbor: IpAddr,
    /// `source_ip`
    pub source: Option<IpAddr>,
    /// `min_rx`, 1 ms to 4294967 ms. Default 10 ms.
    pub min_rx: Duration,
    /// `min_tx`, as `min_rx`. Default 10 ms.
    pub min_tx: Duration,
    /// `idle_tx`, 1000 ms to 4294967 ms. Default 1000 ms.
    pub idle_tx: Duration,
    /// `multiplier`, 1..=255: missing packets that mean the session is down. Default 5.
    pub multiplier: u8,
    /// `passive`: waits for the other end.
    pub passive: bool,
    /// `ttl`, also `hoplimit`, 1..=255. Default 255, or 64 for IPv6.
    pub ttl: Option<u8>,
    /// `max_hops`, -1..=255: how much a time to live may have lost. Default 0.
    pub max_hops: i16,
    /// `weight`, -253..=253. Default 0.
    pub weight: Weight,
    /// Whether virtual routers are told; `checker` alone says no.
    pub for_vrrp: bool,
    /// Whether checks are told; `vrrp` alone says no.
    pub for_checks: bool,
}

impl BfdInstance {
    /// Reads a block; one without a name or a neighbour is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let name = write::name(statement, report)?;
        let mut neighbor = None;
        let mut bfd = Self {
            position: statement.position().clone(),
            name,
            neighbor: IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            source: None,
            min_rx: Duration::from_millis(10),
            min_tx: Duration::from_millis(10),
            idle_tx: Duration::from_secs(1),
            multiplier: 5,
            passive: false,
            ttl: None,
            max_hops: 0,
            weight: Weight::default(),
            for_vrrp: false,
            for_checks: false,
        };
        for inner in values::block(statement, report) {
            match inner.keyword() {
                "neighbor_ip" | "neighbour_ip" => {
                    values::set(&mut neighbor, values::address(inner, report));
                }
                _ => bfd.read_statement(inner, report),
            }
        }
        if !bfd.for_vrrp && !bfd.for_checks {
            (bfd.for_vrrp, bfd.for_checks) = (true, true);
        }
        let Some(neighbor) = neighbor else {
            let message = format!(
                "bfd_instance {}: there is no neighbor_ip; block ignored",
                bfd.name
            );
            report.error(statement.position(), message);
            return None;
        };
        bfd.neighbor = neighbor;
        Some(bfd)
    }

    fn read_statement(&mut self, statement: &Statement, report: &mut Report) {
        let interval = |value: &mut Duration, least: u64, report: &mut Report| {
            let read = values::milliseconds(statement, least..=INTERVAL_MAX, report);
            *value = read.unwrap_or(*value);
        };
        match statement.keyword() {
            "source_ip" => values::set(&mut self.source, values::address(statement, report)),
            "min_rx" => interval(&mut self.min_rx, 1, report),
            "min_tx" => interval(&mut self.min_tx, 1, report),
            "idle_tx" => interval(&mut self.idle_tx, 1000, report),
            "multiplier" => {
                let read = values::number(statement, 1..=255, report);
                self.multiplier = read.unwrap_or(self.multiplier);
            }
            "passive" => self.passive = values::flag(statement, report),
            "ttl" | "hoplimit" => {
                values::set(&mut self.ttl, values::number(statement, 1..=255, report));
            }
            "max_hops" => {
                values::leaf(statement, 1, report);
                let read = values::signed(statement, -1..=255, report);
                self.max_hops = read.unwrap_or(self.max_hops);
            }
            "weight" => {
                self.weight = track::weight(statement, 253, report).unwrap_or(self.weight);
            }
            "vrrp" => self.for_vrrp = values::flag(statement, report),
            "checker" => self.for_checks = values::flag(statement, report),
            _ => values::unknown(statement, report),
        }
    }
}

/// As it is written in a file.
impl fmt::Display for BfdInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bfd_instance {} {{", write::Word(&self.name))?;
        writeln!(f, "  neighbor_ip {}", self.neighbor)?;
        if let Some(source) = self.source {
            writeln!(f, "  source_ip {source}")?;
        }
        for (keyword, time) in [
            ("min_rx", self.min_rx),
            ("min_tx", self.min_tx),
            ("idle_tx", self.idle_tx),
        ] {
            writeln!(
                f,
                "  {keyword} {}",
                write::Seconds(time.saturating_mul(1000))
            )?;
        }
        writeln!(f, "  multiplier {}", self.multiplier)?;
        if let Some(ttl) = self.ttl {
            writeln!(f, "  ttl {ttl}")?;
        }
        writeln!(f, "  max_hops {}\n  weight {}", self.max_hops, self.weight)?;
        for (keyword, is_on) in [
            ("passive", self.passive),
            ("vrrp", self.for_vrrp),
            ("checker", self.for_checks),
        ] {
            if is_on {
                writeln!(f, "  {keyword}")?;
            }
        }
        writeln!(f, "}}")
    }
}
