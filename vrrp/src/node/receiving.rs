//! A packet goes up the ladder, to its machine, and into exactly one counter.

use core::net::IpAddr;

use super::{Interface, Node, ReportKind, Subject, Wake};
use crate::checksum::ChecksumFinding;
use crate::event::{Event, HeardAdvert};
use crate::receive::{Datagram, Meta, Observation, Reason, Rejection, Scope, receive};
use crate::timer::Timestamp;
use crate::vrid::Vrid;

impl Node {
    /// A packet was received.
    ///
    /// What is dropped moves one counter and may be reported, and has no other effect
    /// (`VRRP-093`, `VRRP-203`).
    pub fn receive(&mut self, now: Timestamp, meta: &Meta, bytes: &[u8]) {
        self.begin(now);
        self.hear_traffic(meta);
        match receive(meta, bytes, self) {
            Ok(accepted) => {
                let (vrid, source) = (accepted.advertisement.vrid, accepted.source);
                let key = self.find_key(meta.interface(), meta.family(), vrid, source);
                let at = self.now;
                let limit = self.config.settings.flood;
                let at_key = key.and_then(|key| Some((key, self.router_mut(key)?)));
                if let Some((key, router)) = at_key {
                    if !router.buckets.take(limit, at, &accepted, &router.machine) {
                        router.counters.record_flooded();
                        let kind = ReportKind::Flooded { suppressed: 0 };
                        self.report_limited(key, "flood", None, kind);
                        self.settle();
                        return;
                    }
                    router.counters.record_accepted(&accepted);
                    router.sequence = accepted.sequence.or(router.sequence);
                    #[cfg(feature = "hmac-trailer")]
                    if let Some(sequence) = accepted.trailer_sequence {
                        router.trailers.heard(source, sequence);
                    }
                    let form = accepted.checksum.and_then(ChecksumFinding::form);
                    let heard_for = router.machine.active_down_interval();
                    let conflict =
                        form.is_some_and(|form| router.follower.heard(at, source, form, heard_for));
                    if conflict {
                        router
                            .counters
                            .record_observed(Observation::ChecksumFormConflict);
                        self.observe(key, Observation::ChecksumFormConflict, source);
                    }
                    for observation in accepted.observations.iter() {
                        self.observe(key, observation, source);
                    }
                    self.feed(key, Event::Advert(HeardAdvert::from(&accepted)));
                }
            }
            Err(rejection) => self.reject(meta, bytes, rejection),
        }
        self.settle();
    }

    /// Whatever it is: the link passes traffic, so nothing waits for it to settle any more.
    fn hear_traffic(&mut self, meta: &Meta) {
        let now = self.now;
        let index = meta.interface();
        let waits = |interface: &&mut Interface| interface.is_up && interface.settles_at > now;
        if let Some(interface) = self.interfaces.get_mut(&index).filter(waits) {
            interface.settles_at = now;
            self.mark_interface(index);
            self.touched.push(Wake::Interface(index));
        }
    }

    fn reject(&mut self, meta: &Meta, bytes: &[u8], rejection: Rejection) {
        let datagram = Datagram::new(meta, bytes).ok();
        let source = datagram.as_ref().map(Datagram::source);
        // Whatever it is worth in a packet that is wrong.
        let named = datagram.as_ref().and_then(|d| d.message().get(1));
        let vrid = named.and_then(|number| Vrid::new(*number));
        let key = rejection
            .router()
            .and_then(|vrid| self.find_key(meta.interface(), meta.family(), vrid, source?));
        match (rejection.scope(), key) {
            (Scope::Router(_), Some(key)) => {
                if let Some(router) = self.router_mut(key) {
                    router.counters.record_rejection(rejection);
                }
            }
            _ => self.counters.record_rejection(rejection),
        }
        let reason = rejection.reason();
        if reason == Reason::Vrid && !self.config.settings.report_unknown_vrids {
            return;
        }
        let subject = key.and_then(|key| self.router(key)).map_or_else(
            || Subject {
                router: None,
                interface: meta.interface(),
                family: meta.family(),
                vrid,
            },
            super::Router::subject,
        );
        let kind = ReportKind::Rejected {
            reason,
            source,
            suppressed: 0,
        };
        self.report_seldom(subject, reason.as_str(), source, kind);
        if let (Some(key), Some(source)) = (key, source) {
            for observation in rejection.observations().iter() {
                self.observe(key, observation, source);
            }
        }
    }

    fn observe(&mut self, key: usize, observation: Observation, source: IpAddr) {
        let kind = ReportKind::Observed {
            observation,
            source,
            suppressed: 0,
        };
        self.report_limited(key, observation.as_str(), Some(source), kind);
    }

    /// Reports of a router, unless the same was reported just now.
    pub(super) fn report_limited(
        &mut self,
        key: usize,
        token: &'static str,
        source: Option<IpAddr>,
        kind: ReportKind,
    ) {
        if let Some(subject) = self.router(key).map(super::Router::subject) {
            self.report_seldom(subject, token, source, kind);
        }
    }

    fn report_seldom(
        &mut self,
        subject: Subject,
        token: &'static str,
        source: Option<IpAddr>,
        kind: ReportKind,
    ) {
        let interval = self.config.settings.report_interval;
        let key = (subject, token, source);
        if let Some(kind) = self.limiter.admit(self.now, interval, key, kind) {
            self.report(subject, kind);
        }
    }

    /// What was not reported until now, and has waited long enough.
    pub(super) fn report_suppressed(&mut self) {
        let interval = self.config.settings.report_interval;
        for (subject, kind) in self.limiter.take_due(self.now, interval) {
            self.report(subject, kind);
        }
    }
}
