//! The list of actions of one step.

use core::iter::FusedIterator;
use core::{fmt, slice};

use crate::event::Action;

/// More than any step needs: to assert oneself after a pause and then give way with all there is to
/// report takes fourteen.
const CAPACITY: usize = 16;

/// What one step wants done, in order, without allocation.
#[derive(Clone, Copy)]
#[must_use = "actions are to be performed, in order"]
pub struct Actions {
    items: [Action; CAPACITY],
    len: usize,
}

impl Actions {
    pub(crate) const fn new() -> Self {
        Self {
            items: [Action::CancelAnnouncements; CAPACITY],
            len: 0,
        }
    }

    pub(crate) fn push(&mut self, action: Action) {
        debug_assert!(
            self.len < CAPACITY,
            "a step of more than {CAPACITY} actions"
        );
        if let Some(item) = self.items.get_mut(self.len) {
            *item = action;
            self.len = self.len.saturating_add(1);
        }
    }

    /// They, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        self.items.get(..self.len).unwrap_or_default()
    }

    /// They, in order.
    pub fn iter(&self) -> slice::Iter<'_, Action> {
        self.as_slice().iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl PartialEq for Actions {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Actions {}

impl<'a> IntoIterator for &'a Actions {
    type Item = &'a Action;
    type IntoIter = slice::Iter<'a, Action>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter {
            actions: self,
            next: 0,
        }
    }
}

/// The actions of one step, in order.
#[derive(Clone, Debug)]
pub struct IntoIter {
    actions: Actions,
    next: usize,
}

impl Iterator for IntoIter {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        let action = self.actions.as_slice().get(self.next).copied()?;
        self.next = self.next.saturating_add(1);
        Some(action)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.actions.len.saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for IntoIter {}

impl FusedIterator for IntoIter {}
