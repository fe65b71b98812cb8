//! A switch with hysteresis: the quorum of a pool.

/// Whether there is a quorum; the rule of `keepalived.conf`'s `quorum` and `hysteresis`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Quorum {
    pub(super) is_up: bool,
}

impl Quorum {
    /// At the start there is a quorum only if it would be gained.
    pub(super) const fn start(sum: u64, quorum: u64, hysteresis: u64) -> Self {
        Self {
            is_up: sum >= quorum.saturating_add(hysteresis),
        }
    }

    /// Takes the sum of weights into account; whether it changed anything.
    pub(super) const fn update(&mut self, sum: u64, quorum: u64, hysteresis: u64) -> bool {
        let before = self.is_up;
        self.is_up = if before {
            sum != 0 && sum >= quorum.saturating_sub(hysteresis)
        } else {
            sum >= quorum.saturating_add(hysteresis)
        };
        self.is_up != before
    }
}
