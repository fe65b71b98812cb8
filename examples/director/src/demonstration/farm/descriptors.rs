//! How many connections the limit of open files allows.
//!
//! A forwarded connection takes two descriptors, one towards the client and one towards the server,
//! and in this demonstration a third one at the server, which lives in the same process. The usual
//! soft limit of 1,024 is too small for 1,000 connections; the hard limit usually is not.

use core::fmt;
use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The limits of open files of this process (see `getrlimit(2)`, `RLIMIT_NOFILE`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Descriptors {
    /// The limit in force.
    pub soft: u64,
    /// How far an unprivileged process may raise it.
    pub hard: u64,
}

impl Descriptors {
    /// Descriptors of one connection: at the client's side, the server's side, and in the server.
    pub const PER_CONNECTION: u64 = 3;

    /// Descriptors for everything else: listeners, checks, standard streams, the event loop.
    pub const RESERVED: u64 = 64;

    /// The limit that `connections` at once need.
    pub const fn needed(connections: u64) -> u64 {
        connections
            .saturating_mul(Self::PER_CONNECTION)
            .saturating_add(Self::RESERVED)
    }

    /// Raises the soft limit to `wanted`, or to the hard limit if that is lower, and returns what is
    /// in force. It is not raised further than wanted, because programs started later inherit it and
    /// some of them walk through all possible descriptors.
    pub(super) fn raise(wanted: u64) -> io::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let raised = wanted.min(hard).max(soft);
        if raised > soft {
            setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
        }
        Ok(Self { soft: raised, hard })
    }

    /// What is missing for `connections` at once.
    pub const fn shortage(&self, connections: u64) -> Option<Shortage> {
        if self.soft >= Self::needed(connections) {
            return None;
        }
        Some(Shortage {
            limit: self.soft,
            connections,
        })
    }
}

/// The limit of open files is too small for the connections expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shortage {
    limit: u64,
    connections: u64,
}

impl Shortage {
    /// How many connections at once the limit allows.
    pub const fn possible(&self) -> u64 {
        self.limit.saturating_sub(Descriptors::RESERVED) / Descriptors::PER_CONNECTION
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, connections } = self;
        let needed = Descriptors::needed(*connections);
        write!(
            f,
            "only about {possible} connections at once are possible: the hard limit of open files is \
             {limit}, {connections} connections need {needed}; raise it as root with \
             `ulimit -Hn {needed}` before starting, or `LimitNOFILE={needed}` in a unit file",
            possible = self.possible(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortage_names_what_is_possible_and_what_is_needed() {
        let limits = Descriptors {
            soft: 1_024,
            hard: 1_024,
        };
        assert_eq!(limits.shortage(320), None);
        let shortage = limits.shortage(321).unwrap();
        assert_eq!(shortage.possible(), 320);
        let text = limits.shortage(1_000).unwrap().to_string();
        for part in [
            "320 connections",
            "is 1024",
            "1000 connections need 3064",
            "-Hn 3064",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(
            Descriptors { soft: 10, hard: 10 }
                .shortage(1)
                .unwrap()
                .possible(),
            0
        );
        assert!(
            Descriptors {
                soft: u64::MAX,
                hard: u64::MAX
            }
            .shortage(u64::MAX)
            .is_none()
        );
    }

    #[test]
    fn raise_reaches_the_hard_limit_at_most_and_lowers_nothing() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard - 2, hard).unwrap();
        let limits = |soft| Descriptors { soft, hard };
        assert_eq!(Descriptors::raise(0).unwrap(), limits(hard - 2));
        assert_eq!(Descriptors::raise(hard - 1).unwrap(), limits(hard - 1));
        assert_eq!(
            getrlimit(Resource::RLIMIT_NOFILE).unwrap(),
            (hard - 1, hard)
        );
        assert_eq!(Descriptors::raise(u64::MAX).unwrap(), limits(hard));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
