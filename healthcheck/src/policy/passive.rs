//! What happens to real traffic, as a second source of verdicts.
//!
//! The kernel tells nobody how single connections fare, so somebody else has to: a proxy, statistics
//! of connection tracking, an API. The words are HAProxy's.

use core::fmt;

use crate::outcome::{Code, Outcome, Phase};

/// Which events count; HAProxy's `observe`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Observe {
    /// Whether connections succeed.
    Layer4,
    /// What is replied; a connection that fails is no reply.
    Layer7,
}

/// What happened to one connection or request of real traffic.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Observation {
    /// A connection was established.
    Connected,
    /// A connection was not established.
    ConnectFailed,
    /// An HTTP reply with this status; 100 to 499, 501 and 505 are good.
    HttpStatus(u16),
    /// A good reply of another protocol.
    Replied,
    /// No reply in time, a broken one, or a connection cut off.
    ReplyFailed,
}

impl Observation {
    /// What stands for errors of which this was the last.
    pub(crate) fn outcome(self) -> Outcome {
        let (code, phase, what) = match self {
            Self::ConnectFailed | Self::Connected => (
                Code::Refused,
                Phase::Connect,
                "no connection was established".to_owned(),
            ),
            Self::HttpStatus(status) => {
                (Code::Status, Phase::Match, format!("HTTP status {status}"))
            }
            Self::ReplyFailed | Self::Replied => {
                (Code::Proto, Phase::Recv, "no good reply came".to_owned())
            }
        };
        let detail = format!("errors of real traffic, the last: {what}");
        Outcome::new(code, phase).with_detail(&detail)
    }

    /// Whether it is good or bad for who observes so; `None` if it does not count.
    #[must_use]
    pub const fn is_good(self, observe: Observe) -> Option<bool> {
        match (observe, self) {
            (Observe::Layer4, Self::Connected) | (Observe::Layer7, Self::Replied) => Some(true),
            (_, Self::ConnectFailed) | (Observe::Layer7, Self::ReplyFailed) => Some(false),
            (Observe::Layer7, Self::HttpStatus(status)) => {
                Some(matches!(status, 100..=499 | 501 | 505))
            }
            (Observe::Layer7, Self::Connected) | (Observe::Layer4, _) => None,
        }
    }
}

/// What too many errors in a row lead to; HAProxy's `on-error`.
///
/// In every case the next attempt comes after the fast interval at the latest.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OnError {
    /// Nothing more than that.
    FastInterval,
    /// They count as one failed check.
    #[default]
    FailCheck,
    /// One more failure takes the check down. If that was so already, they are this failure.
    SuddenDeath,
    /// The check is down.
    MarkDown,
}

impl fmt::Display for OnError {
    /// HAProxy's word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FastInterval => "fastinter",
            Self::FailCheck => "fail-check",
            Self::SuddenDeath => "sudden-death",
            Self::MarkDown => "mark-down",
        })
    }
}

/// How real traffic counts.
///
/// ```
/// use lvs_healthcheck::policy::{Health, Machine, Observation, Observe, OnError, Passive, Policy};
///
/// let passive = Passive::new(Observe::Layer7).with_error_limit(3).with_on_error(OnError::MarkDown);
/// let mut machine = Machine::new(Policy::default().with_passive(passive))?;
/// assert!(machine.observe(Observation::HttpStatus(502)).is_none());
/// assert!(machine.observe(Observation::ReplyFailed).is_none());
/// let decision = machine.observe(Observation::HttpStatus(503)).unwrap();
/// assert_eq!(decision.health, Health::Down);
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Passive {
    pub(crate) observe: Observe,
    pub(crate) error_limit: u32,
    pub(crate) on_error: OnError,
}

impl Passive {
    /// After 10 errors in a row, one check has failed.
    pub const fn new(observe: Observe) -> Self {
        Self {
            observe,
            error_limit: 10,
            on_error: OnError::FailCheck,
        }
    }

    /// How many errors in a row make `on_error` happen, at least 1. Default 10.
    pub const fn with_error_limit(mut self, errors: u32) -> Self {
        self.error_limit = errors;
        self
    }

    /// What they lead to. Default [`OnError::FailCheck`].
    pub const fn with_on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_see_different_events() {
        use Observation as O;
        let rows = [
            (O::Connected, Some(true), None),
            (O::ConnectFailed, Some(false), Some(false)),
            (O::Replied, None, Some(true)),
            (O::ReplyFailed, None, Some(false)),
            (O::HttpStatus(99), None, Some(false)),
            (O::HttpStatus(100), None, Some(true)),
            (O::HttpStatus(499), None, Some(true)),
            (O::HttpStatus(500), None, Some(false)),
            (O::HttpStatus(501), None, Some(true)),
            (O::HttpStatus(502), None, Some(false)),
            (O::HttpStatus(504), None, Some(false)),
            (O::HttpStatus(505), None, Some(true)),
            (O::HttpStatus(506), None, Some(false)),
        ];
        for (observation, layer4, layer7) in rows {
            assert_eq!(
                observation.is_good(Observe::Layer4),
                layer4,
                "{observation:?}"
            );
            assert_eq!(
                observation.is_good(Observe::Layer7),
                layer7,
                "{observation:?}"
            );
        }
    }

    #[test]
    fn words_are_those_of_haproxy() {
        let words = [
            OnError::FastInterval,
            OnError::FailCheck,
            OnError::SuddenDeath,
            OnError::MarkDown,
        ];
        assert_eq!(
            words.map(|word| word.to_string()),
            ["fastinter", "fail-check", "sudden-death", "mark-down"]
        );
        assert_eq!(Passive::new(Observe::Layer4).on_error, OnError::default());
    }
}
