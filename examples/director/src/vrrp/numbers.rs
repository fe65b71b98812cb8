//! Numbers for names: a name keeps its number when the configuration is read again, and no number
//! is given to another name.

use std::collections::HashMap;

/// Numbers of everything that has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    pub(super) routers: Numbers,
    pub(super) groups: Numbers,
    pub(super) trackers: Numbers,
}

/// Numbers given so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Numbers {
    numbers: HashMap<String, u32>,
    last: u32,
}

impl Numbers {
    /// The number of a name, from 1.
    pub(super) fn of(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.last = self.last.saturating_add(1);
        self.numbers.insert(name.to_owned(), self.last);
        self.last
    }
}
