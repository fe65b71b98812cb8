//! Follows the checksum form of the peers.

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
    message_only: Option<Heard>,
    pseudo_header: Option<Heard>,
    form: ChecksumForm,
    in_conflict: bool,
}

/// The last advertisement in a form.
#[derive(Clone, Copy, Debug)]
struct Heard {
    source: IpAddr,
    until: Timestamp,
}

impl FormFollower {
    /// A follower that has heard nothing yet.
    #[must_use]
    pub const fn new(policy: TxChecksum) -> Self {
        let (TxChecksum::Fixed(form) | TxChecksum::Follow { default: form }) = policy;
        Self {
            policy,
            message_only: None,
            pseudo_header: None,
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
        *same = Some(Heard { source, until });
        // Whoever uses this form now does not need the other any more.
        if other.is_some_and(|other| other.source == source || other.until <= now) {
            *other = None;
        }
        let conflict = other.is_some();
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

    #[test]
    fn a_fixed_form_stays_and_conflicts_are_told_all_the_same() {
        let adverts = [(1, 1, MessageOnly), (2, 2, PseudoHeader)];
        let sent = feed(TxChecksum::Fixed(MessageOnly), &adverts);
        assert_eq!(sent, [(MessageOnly, false), (MessageOnly, true)]);
    }
}
