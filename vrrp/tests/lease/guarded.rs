//! A virtual router whose guard is a lease.

use core::time::Duration;

use lvs_vrrp::event::{Action, Event, HeardAdvert, State};
use lvs_vrrp::lease::{HolderId, Lease, LeaseEvent, MemoryStore};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::{
    Actions, AddressList, GuardStatus, Interval, Priority, Rank, RouterConfig, Timestamp, Version,
    Vrid,
};

use crate::rig::{config, ms};

const SOURCE: [u8; 4] = [192, 0, 2, 9];

/// A router with its lease and its store; addresses are installed and removed at once.
struct Director {
    router: VirtualRouter,
    lease: Lease,
    store: Option<MemoryStore>,
    has_addresses: bool,
    /// When an advertisement other than a resignation was sent.
    sent: Vec<Timestamp>,
}

impl Director {
    fn new(holder: u128, store: Option<MemoryStore>) -> Self {
        let addresses = AddressList::new(["192.0.2.1".parse().unwrap()]).unwrap();
        let router = RouterConfig::new(Vrid::try_from(51).unwrap(), addresses);
        let mut director = Self {
            router: VirtualRouter::new(router.with_guard(ms(500))).unwrap(),
            lease: Lease::new(config(), HolderId::new(holder)),
            store,
            has_addresses: false,
            sent: Vec::new(),
        };
        director.feed(ms(0), Event::Source(Some(SOURCE.into())));
        director.feed(ms(0), Event::Startup);
        director
    }

    fn feed(&mut self, now: Timestamp, event: Event) {
        let actions = self.router.handle(now, event);
        self.perform(now, &actions);
        self.serve(now);
    }

    fn perform(&mut self, now: Timestamp, actions: &Actions) {
        for action in actions {
            match action {
                Action::SendAdvert(advert) if !advert.priority.is_resign() => self.sent.push(now),
                Action::InstallAddresses => self.has_addresses = true,
                Action::RemoveAddresses => self.has_addresses = false,
                Action::RequestGuard => {
                    let rank = Rank::new(Priority::DEFAULT, SOURCE.into());
                    self.lease.request(now, rank);
                }
                Action::ReleaseGuard => self.lease.withdraw(now),
                _ => {}
            }
        }
        if !self.has_addresses {
            self.lease.addresses_gone(now);
        }
    }

    fn serve(&mut self, now: Timestamp) {
        loop {
            if let Some(event) = self.lease.poll_event() {
                if let LeaseEvent::Status(status) = event {
                    let actions = self.router.handle(now, Event::Guard(status));
                    self.perform(now, &actions);
                }
            } else if let Some(job) = self.lease.poll_job() {
                if let Some(store) = &mut self.store {
                    let answer = store.handle(now, &job.request);
                    self.lease.answer(now, job.id, answer);
                }
            } else {
                return;
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [self.router.next_deadline(), self.lease.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn run(&mut self, until: Timestamp) {
        while let Some(now) = self.next_deadline().filter(|now| *now <= until) {
            self.lease.tick(now);
            self.serve(now);
            self.feed(now, Event::Tick);
        }
    }
}

fn advert(now: Timestamp, priority: u8) -> Event {
    Event::Advert(HeardAdvert {
        received_at: now,
        source: [192, 0, 2, 200].into(),
        priority: Priority::new(priority),
        interval: Interval::DEFAULT,
        version: Version::V3,
    })
}

/// `VRRP-217`: silence alone promotes nobody whose arbiter cannot be asked.
#[test]
fn an_unknown_guard_never_promotes() {
    let mut director = Director::new(1, None);
    director.run(ms(600_000));
    assert_eq!(director.lease.status(), GuardStatus::Unknown);
    assert_eq!(director.router.state(), State::Backup);
    assert!(director.sent.is_empty() && !director.has_addresses);
}

/// `VRRP-216`: it advertises before the deadline; at the deadline it stops.
#[test]
fn nothing_is_advertised_at_or_after_the_deadline() {
    let mut director = Director::new(1, Some(MemoryStore::new()));
    director.run(ms(20_000));
    assert_eq!(director.router.state(), State::Active);
    assert!(director.has_addresses);
    director.store = None;
    let deadline = director.lease.stop_at().unwrap();
    director.run(deadline - Duration::from_nanos(1));
    assert!(director.has_addresses);
    director.run(ms(100_000));
    assert!(!director.has_addresses);
    assert_eq!(director.router.state(), State::Backup);
    let last = *director.sent.last().unwrap();
    assert!(last < deadline && last + ms(1000) >= deadline);
}

/// A driver that comes late finds the guard lost, whichever machine it asks first.
#[test]
fn a_late_driver_sends_nothing_more() {
    for router_first in [false, true] {
        let mut director = Director::new(1, Some(MemoryStore::new()));
        director.run(ms(20_000));
        let (count, late) = (director.sent.len(), ms(40_000));
        if router_first {
            director.feed(late, Event::Tick);
        } else {
            director.lease.tick(late);
            director.serve(late);
        }
        assert_eq!(director.sent.len(), count);
        assert!(!director.has_addresses);
    }
}

/// A rightful Active that speaks while the lease is asked for, or held, gets it back.
#[test]
fn a_rightful_active_gets_the_lease_back() {
    let mut director = Director::new(1, Some(MemoryStore::new()));
    director.run(ms(20_000));
    let store = |director: &Director| director.store.as_ref().unwrap().holder();
    assert_eq!(store(&director), Some(HolderId::new(1)));
    director.feed(ms(20_100), advert(ms(20_100), 200));
    assert_eq!(director.router.state(), State::Backup);
    assert_eq!(store(&director), None);
    assert!(!director.has_addresses);
}

/// Two routers that hear nothing of each other, and one store: never both.
#[test]
fn a_partition_has_one_active() {
    let mut first = Director::new(1, Some(MemoryStore::new()));
    first.run(ms(10_000));
    let mut second = Director::new(2, first.store.take());
    for step in 1000..6000 {
        let now = ms(step * 10);
        // The store is at one of them at a time; the other's link to it is cut.
        if step % 2500 == 1250 {
            core::mem::swap(&mut first.store, &mut second.store);
        }
        first.run(now);
        second.run(now);
        assert!(!(first.has_addresses && second.has_addresses), "{now:?}");
    }
    assert!(!first.sent.is_empty() && !second.sent.is_empty());
}
