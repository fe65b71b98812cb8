//! Never a moment without a usable destination, for a service that has one before and after
//! (`OP-13`): which steps must wait for others.

use super::fate::Verdict;

/// Which steps of a service must wait until something that takes over is known to be in place.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Waits {
    /// For each destination that is removed and added again: whether its removal waits.
    pub(super) reordered: Vec<bool>,
    /// Whether all other steps that take a usable destination wait.
    pub(super) others: bool,
}

/// The waits when the desired destinations from `beginning` on are put in order. `None` when
/// there would be nothing to wait for.
pub(super) fn waits(
    desired: &[Verdict<'_>],
    beginning: usize,
    surplus: &[Verdict<'_>],
) -> Option<Waits> {
    let (staying, reordered) = desired
        .split_at_checked(beginning)
        .unwrap_or((desired, &[]));
    let rest = || staying.iter().chain(surplus);
    let was_usable = desired.iter().chain(surplus).any(Verdict::was_usable);
    let will_be = desired.iter().chain(surplus).any(Verdict::is_usable);
    let lasts = rest().any(|verdict| verdict.was_usable() && verdict.is_usable());
    let is_swap = was_usable && will_be && !lasts;

    // What still stands while a destination is away, and what has taken over by then.
    let taken_last = rest().filter(|verdict| verdict.was_usable()).count();
    let still_to_go = reordered.iter().filter(|verdict| verdict.was_usable());
    let mut standing = taken_last.saturating_add(still_to_go.count());
    let mut gained = staying
        .iter()
        .any(|verdict| !verdict.was_usable() && verdict.is_usable());
    let mut waits = Vec::with_capacity(reordered.len());
    for verdict in reordered {
        let mut must_wait = false;
        if verdict.was_usable() {
            standing = standing.saturating_sub(1);
            must_wait = is_swap && standing == 0;
            if must_wait && !gained {
                return None;
            }
        }
        waits.push(must_wait);
        gained |= verdict.is_usable();
    }
    Some(Waits {
        reordered: waits,
        others: is_swap,
    })
}
