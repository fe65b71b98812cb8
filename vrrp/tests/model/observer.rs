//! What holds in every step of every router, whatever the network does.

use core::time::Duration;

use lvs_vrrp::event::{Action, Notification, State, Transition};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::{Actions, Timestamp};

/// The longest down interval there is: 3 times 255 s and a skew of 1 s, in VRRPv2.
const LONGEST: Duration = Duration::from_secs(766);

/// Looks at one step of a router that was in this state. Invariants 1 to 4.
pub(crate) fn observe(
    now: Timestamp,
    before: State,
    is_shutdown: bool,
    router: &VirtualRouter,
    actions: &Actions,
) -> Result<(), String> {
    let check = |holds: bool, invariant: u8| {
        if holds {
            return Ok(());
        }
        Err(format!(
            "invariant {invariant} at {now:?}: {before} to {}: {actions:?}",
            router.state()
        ))
    };
    let after = router.state();
    let (mut sent, mut resigned, mut installed, mut removed, mut announced) = (0, 0, 0, 0, 0);
    for action in actions {
        match action {
            Action::SendAdvert(advert) if advert.priority.is_resign() => resigned += 1,
            Action::SendAdvert(_) => sent += 1,
            Action::InstallAddresses => installed += 1,
            Action::RemoveAddresses => removed += 1,
            Action::Announce(_) => announced += 1,
            Action::Notify(Notification::Transition(Transition { from, to, .. })) => {
                check(*from != State::Active || removed == 1, 3)?;
                check(*to != State::Active || installed == 1, 3)?;
            }
            _ => {}
        }
    }
    let is_active = after == State::Active;
    check(sent == 0 || before == State::Active || is_active, 1)?;
    check(resigned == 0 || (before == State::Active && is_shutdown), 2)?;
    let enters = is_active && before != State::Active;
    check(installed == i32::from(enters), 3)?;
    check(!enters || announced >= 1, 3)?;
    let leaves = before == State::Active && !is_active;
    check(removed == i32::from(leaves), 3)?;
    let is_bounded = router
        .next_deadline()
        .is_some_and(|deadline| deadline <= now + LONGEST);
    check(after == State::Initialize || is_bounded, 4)
}
