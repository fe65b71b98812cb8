//! One try of a check: its number and its time budget.

use core::net::SocketAddr;
use core::time::Duration;

use crate::Timestamp;
use crate::policy::Health;

/// What an engine is told about the attempt it is made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// Counts the attempts of a check from 1; stays at the largest number.
    pub number: u64,
    /// When the attempt started.
    pub started: Timestamp,
    /// When an outcome is due at the latest, whatever happens.
    pub deadline: Timestamp,
    /// When the transport must be connected; never after `deadline`.
    pub connect_deadline: Timestamp,
    /// The check's health before this attempt.
    pub health: Health,
    /// A number that nobody can guess, for what must not be forged: query identifiers, cookies.
    /// Repeatable only if the driver was given a seed.
    pub random: u64,
    /// Whom a [`Dialogue`](crate::probe::Dialogue) is held with;
    /// [`TcpProbe`](crate::TcpProbe) fills it in.
    pub server: Option<SocketAddr>,
    /// Whether TLS begins as soon as that connection is open.
    pub tls: bool,
}

impl Attempt {
    /// An attempt that starts `now`, with a total budget and optionally a smaller one for
    /// connecting.
    #[must_use]
    pub fn new(
        number: u64,
        now: Timestamp,
        timeout: Duration,
        connect_timeout: Option<Duration>,
        health: Health,
    ) -> Self {
        let deadline = now.saturating_add(timeout);
        let connect_deadline =
            connect_timeout.map_or(deadline, |limit| now.saturating_add(limit).min(deadline));
        Self {
            number,
            started: now,
            deadline,
            connect_deadline,
            health,
            random: 0,
            server: None,
            tls: false,
        }
    }

    /// With this random number; 0 without.
    #[must_use]
    pub const fn with_random(mut self, random: u64) -> Self {
        self.random = random;
        self
    }

    /// With the server a dialogue is held with, over TLS or not.
    #[must_use]
    pub const fn with_server(mut self, server: SocketAddr, tls: bool) -> Self {
        self.server = Some(server);
        self.tls = tls;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connecting_never_gets_longer_than_the_whole() {
        let second = Duration::from_secs(1);
        let at = Duration::from_secs(100);
        let attempt = Attempt::new(1, at, second, Some(2 * second), Health::Unknown);
        assert_eq!(attempt.connect_deadline, at + second);
        let attempt = Attempt::new(1, at, 3 * second, Some(second), Health::Up);
        assert_eq!(attempt.connect_deadline, at + second);
        assert_eq!(attempt.deadline, at + 3 * second);
        let attempt = Attempt::new(1, at, Duration::MAX, None, Health::Down);
        assert_eq!(attempt.connect_deadline, Duration::MAX);
    }
}
