//! A cell of the matrix at work.

use core::time::Duration;
use std::thread;

use lvs_vrrp::{Family, Version};

use crate::holding::Report;
use crate::host::eventually;
use crate::lab::{Lab, Side};
use crate::program::Program;
use crate::router::{Counters, Router};
use crate::settings::Settings;

/// What a take-over may take longer than its timers say: programs start and answer on a machine that
/// has other work, too.
pub(crate) const SLACK: Duration = Duration::from_millis(600);
/// How long it may take to give the address up after having heard of a better router, and to take it
/// after the other was told.
pub(crate) const YIELD: Duration = Duration::from_millis(100);

/// The higher priority, and the lower one, whose skew time is nearly an interval.
pub(crate) const HIGH: u8 = 200;
pub(crate) const LOW: u8 = 10;

/// Changes what the router of a side is set to.
pub(crate) type Way = fn(Settings, Side) -> Settings;

/// The network of a cell, and what runs in it.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Ours and the peer's.
    programs: [Program; 2],
    version: Version,
    way: Way,
    pub(crate) lab: Lab,
    begin: Duration,
}

impl Scene {
    pub(crate) fn new(programs: [Program; 2], version: Version, family: Family, way: Way) -> Self {
        Self {
            programs,
            version,
            way,
            lab: Lab::new(family),
            begin: Lab::now(),
        }
    }

    pub(crate) fn settings(&self, side: Side, priority: u8) -> Settings {
        (self.way)(Settings::new(&self.lab, self.version, priority), side)
    }

    /// Starts one of the two with this priority.
    pub(crate) fn start(&self, side: Side, priority: u8) -> Box<dyn Router> {
        self.start_with(side, &self.settings(side, priority))
    }

    pub(crate) fn start_with(&self, side: Side, settings: &Settings) -> Box<dyn Router> {
        self.program(side).start(&self.lab, side, settings)
    }

    pub(crate) const fn program(&self, side: Side) -> Program {
        let [us, peer] = self.programs;
        match side {
            Side::Us => us,
            Side::Peer => peer,
        }
    }

    /// Starts both, so that this one is Active and has the higher priority.
    pub(crate) fn both_at_work(&self, active: Side) -> [Box<dyn Router>; 2] {
        let router = self.start(active, HIGH);
        self.takes(active);
        let mut other = self.start(active.other(), LOW);
        eventually("advertisement at the Backup", || {
            thread::sleep(Duration::from_millis(50));
            (other.counters().received >= 2).then_some(())
        });
        assert_eq!(self.lab.holding.holders(), [active].into());
        [router, other]
    }

    /// Waits until only this one has the address, and the client talks to it.
    pub(crate) fn takes(&self, side: Side) {
        self.lab.holding.wait(&[side]);
        self.lab.ping();
        self.client_knows(side);
    }

    /// Waits until the client's cache has the MAC of this one.
    pub(crate) fn client_knows(&self, side: Side) {
        self.lab.wait_for_neighbour(&self.mac(side));
    }

    /// The client's cache has the MAC of this one, and has it still after packets went to and fro.
    pub(crate) fn client_stays(&self, side: Side) {
        for _ in 0..2 {
            assert_eq!(self.lab.neighbour(), Some(self.mac(side)));
            self.lab.ping();
        }
        assert_eq!(self.lab.neighbour(), Some(self.mac(side)));
    }

    /// The MAC that this one has for the virtual address.
    fn mac(&self, side: Side) -> String {
        let settings = self.settings(side, LOW);
        if settings.has_virtual_mac || self.program(side).needs_virtual_mac() {
            settings.mac()
        } else {
            side.own_mac()
        }
    }

    /// What a router counted that was Active all the time.
    pub(crate) fn is_active(&self, counters: &Counters) {
        assert_eq!(
            (counters.times_active, counters.errors),
            (1, 0),
            "{counters:?}"
        );
        assert_eq!(counters.received, 0, "{counters:?}");
        assert!(
            counters.resignations_sent.is_none_or(|count| count == 0),
            "{counters:?}"
        );
        assert!(counters.sent >= 7, "{counters:?}");
    }

    /// What a router counted that was Backup all the time.
    pub(crate) fn is_backup(&self, counters: &Counters) {
        assert_eq!(
            (counters.times_active, counters.errors),
            (0, 0),
            "{counters:?}"
        );
        assert_eq!(counters.sent, 0, "{counters:?}");
        assert!(counters.received >= 6, "{counters:?}");
    }

    /// Waits until the address of a killed router is gone: by itself if the router sees to that,
    /// otherwise with the router's power.
    pub(crate) fn leftover_goes(&self, side: Side) {
        let settings = self.settings(side, HIGH);
        let limit = self.program(side).lifetime(&settings);
        if limit.is_none() {
            assert!(self.lab.holding.holders().contains(&side));
            self.lab.power_off(side);
        }
        self.lab.holding.wait(&[side.other()]);
        let report = self.lab.report("all in all", self.begin);
        assert_eq!(
            (report.overlaps, report.gap),
            (1, Duration::ZERO),
            "{report}"
        );
        if let Some(limit) = limit {
            assert!(report.overlap <= limit, "{report}, allowed {limit:?}");
        }
    }

    /// For how long whom the address belonged to, all in all.
    pub(crate) fn ends(&self) -> Report {
        self.lab.report("all in all", self.begin)
    }
}
