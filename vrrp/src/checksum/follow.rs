//! Follows the checksum form of the peers.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::{ChecksumForm, TxChecksum};
use crate::timer::Timestamp;

/// Decides which checksum form a virtual router sends, from the forms it hears (`VRRP-202`).
///
/// It never changes to and fro: while routers of both forms are being heard, the configured default
/// is sent, and the conflict is told once. A router that changes its form is followed; silence
/// changes nothing.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::checksum::{ChecksumForm, FormFollower, TxChecksum};
///
/// let mut follower = FormFollower::new(TxChecksum::default());
/// assert_eq!(follower.form(), ChecksumForm::PseudoHeader);
/// let (now, heard_for) = (Duration::from_secs(7), Duration::from_secs(4));
/// follower.heard(now, "192.0.2.1".parse()?, ChecksumForm::MessageOnly, heard_for);
/// assert_eq!(follower.form(), ChecksumForm::MessageOnly);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FormFollower {
    policy: TxChecksum,
    message_only: Speakers,
    pseudo_header: Speakers,
    form: ChecksumForm,
    in_conflict: bool,
}

/// So many routers of a form are remembered: those that were heard last.
const MAX_SPEAKERS: usize = 4;

/// The routers heard in a form; there is no room for any until one is heard.
#[derive(Clone, Debug)]
struct Speakers(Vec<Heard>);

/// A router, and until when it counts as being heard.
#[derive(Clone, Copy, Debug)]
struct Heard {
    source: IpAddr,
    until: Timestamp,
}

impl Speakers {
    const NONE: Self = Self(Vec::new());

    fn forget(&mut self, is_forgotten: impl Fn(&Heard) -> bool) {
        self.0.retain(|heard| !is_forgotten(heard));
    }

    /// Replaces the same router, or takes a free place, or that of whoever is silent for the longest
    /// time.
    fn remember(&mut self, heard: Heard) {
        let is_same = |other: &&mut Heard| other.source == heard.source;
        if let Some(same) = self.0.iter_mut().find(is_same) {
            *same = heard;
        } else if self.0.len() < MAX_SPEAKERS {
            // Mostly there is one.
            self.0.reserve_exact(1);
            self.0.push(heard);
        } else if let Some(silent) = self.0.iter_mut().min_by_key(|other| other.until) {
            *silent = heard;
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FormFollower {
    /// A follower that has heard nothing yet.
    #[must_use]
    pub const fn new(policy: TxChecksum) -> Self {
        let (TxChecksum::Fixed(form) | TxChecksum::Follow { default: form }) = policy;
        Self {
            policy,
            message_only: Speakers::NONE,
            pseudo_header: Speakers::NONE,
            form,
            in_conflict: false,
        }
    }

    /// The form to send.
    #[must_use]
    pub const fn form(&self) -> ChecksumForm {
        self.form
    }

    /// Whether routers of both forms were being heard when the last advertisement came.
    #[must_use]
    pub const fn is_in_conflict(&self) -> bool {
        self.in_conflict
    }

    /// Takes note of the form of an accepted advertisement from another router. Its sender counts
    /// as being heard for the given time: the active-down interval is a good choice.
    ///
    /// Returns whether a conflict begins with it: `checksum-form-conflict` is to be raised, once.
    pub fn heard(
        &mut self,
        now: Timestamp,
        source: IpAddr,
        form: ChecksumForm,
        heard_for: Duration,
    ) -> bool {
        let until = now.saturating_add(heard_for);
        let (same, other) = match form {
            ChecksumForm::MessageOnly => (&mut self.message_only, &mut self.pseudo_header),
            ChecksumForm::PseudoHeader => (&mut self.pseudo_header, &mut self.message_only),
        };
        same.remember(Heard { source, until });
        // Whoever uses this form now does not need the other any more.
        other.forget(|other| other.source == source || other.until <= now);
        let conflict = !other.is_empty();
        if let TxChecksum::Follow { default } = self.policy {
            self.form = if conflict { default } else { form };
        }
        let begins = conflict && !self.in_conflict;
        self.in_conflict = conflict;
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChecksumForm::{MessageOnly, PseudoHeader};
    use core::net::Ipv4Addr;

    const FOLLOW: TxChecksum = TxChecksum::Follow {
        default: PseudoHeader,
    };

    /// Feeds (second, router, form); each is heard for four seconds. Gives, after each, what is
    /// sent and whether a conflict was raised.
    fn feed(policy: TxChecksum, adverts: &[(u64, u8, ChecksumForm)]) -> Vec<(ChecksumForm, bool)> {
        let mut follower = FormFollower::new(policy);
        let heard = |&(second, router, form): &(u64, u8, ChecksumForm)| {
            let source = Ipv4Addr::new(192, 0, 2, router).into();
            let now = Duration::from_secs(second);
            let raised = follower.heard(now, source, form, Duration::from_secs(4));
            (follower.form(), raised)
        };
        adverts.iter().map(heard).collect()
    }
    use std::vec::Vec;

    /// `VRRP-202`
    #[test]
    fn the_only_peer_is_followed_also_when_it_changes() {
        let sent = feed(
            FOLLOW,
            &[
                (1, 1, MessageOnly),
                (2, 1, PseudoHeader),
                (3, 1, MessageOnly),
            ],
        );
        assert_eq!(
            sent,
            [
                (MessageOnly, false),
                (PseudoHeader, false),
                (MessageOnly, false)
            ]
        );
    }

    /// `VRRP-202`: one conflict raised, no flapping.
    #[test]
    fn peers_that_disagree_leave_the_default() {
        let sent = feed(
            FOLLOW,
            &[
                (1, 1, MessageOnly),
                (2, 2, PseudoHeader),
                (3, 1, MessageOnly),
                (4, 2, PseudoHeader),
                (5, 1, MessageOnly),
                (9, 1, MessageOnly), // router 2 is silent for more than four seconds
                (10, 2, PseudoHeader),
            ],
        );
        assert_eq!(
            sent,
            [
                (MessageOnly, false),
                (PseudoHeader, true),
                (PseudoHeader, false),
                (PseudoHeader, false),
                (PseudoHeader, false),
                (MessageOnly, false),
                (PseudoHeader, true),
            ]
        );
    }

    /// `VRRP-202`: the form stays the default as long as any router that needs the other is heard.
    #[test]
    fn one_that_changes_its_form_does_not_speak_for_others() {
        let adverts = [
            (1, 1, MessageOnly),
            (2, 3, MessageOnly),
            (3, 3, PseudoHeader),
            (4, 3, PseudoHeader),
            // Router 1 is not heard any more.
            (6, 3, PseudoHeader),
        ];
        let default = TxChecksum::Follow {
            default: MessageOnly,
        };
        let sent: Vec<_> = feed(default, &adverts);
        let form = |place: usize| sent.get(place).copied();
        assert_eq!(form(2), Some((MessageOnly, true)));
        assert_eq!(form(3), Some((MessageOnly, false)));
        assert_eq!(form(4), Some((PseudoHeader, false)));
    }

    /// However many there are, one of them is heard.
    #[test]
    fn many_routers_of_a_form_are_heard() {
        let mut adverts: Vec<_> = (1..=9).map(|router| (1, router, MessageOnly)).collect();
        adverts.push((1, 10, PseudoHeader));
        adverts.push((2, 1, PseudoHeader));
        let sent = feed(FOLLOW, &adverts);
        let raised: Vec<bool> = sent.iter().map(|(_, raised)| *raised).collect();
        assert_eq!(raised.iter().filter(|raised| **raised).count(), 1);
        assert_eq!(sent.last(), Some(&(PseudoHeader, false)));
    }

    #[test]
    fn a_fixed_form_stays_and_conflicts_are_told_all_the_same() {
        let adverts = [(1, 1, MessageOnly), (2, 2, PseudoHeader)];
        let sent = feed(TxChecksum::Fixed(MessageOnly), &adverts);
        assert_eq!(sent, [(MessageOnly, false), (MessageOnly, true)]);
    }

    /// A router counts as being heard until its time is over, and no longer.
    #[test]
    fn whoever_fell_silent_is_no_conflict_from_the_end_of_its_time_on() {
        let [one, other] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let time = Duration::from_secs(4);
        for (at, conflicts) in [(time - Duration::from_nanos(1), true), (time, false)] {
            let mut follower = FormFollower::new(FOLLOW);
            follower.heard(Duration::ZERO, one, MessageOnly, time);
            assert_eq!(follower.heard(at, other, PseudoHeader, time), conflicts);
        }
    }
}
