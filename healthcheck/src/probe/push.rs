//! Checks whose outcomes somebody else finds out.

use core::time::Duration;

use super::{Engine, Event, Probe, Step};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};
use crate::policy::Ttl;

/// Waits for a reporter, who says what was found out by
/// [`Driver::report`](crate::Driver::report).
///
/// When nothing was reported for the time to live, that is a failure
/// ([`Code::TimeoutIo`]), and again after each further such time. The policy's
/// rise and fall apply as to any other check; its intervals mean nothing.
///
/// ```
/// use std::time::Duration;
/// use lvs_healthcheck::probe::PushProbe;
/// use lvs_healthcheck::{Check, CheckEvent, Code, Config, Driver, Health, Outcome, Phase, Policy};
///
/// let mut driver = Driver::new(Config::default())?;
/// let probe = PushProbe::new(Duration::from_millis(50));
/// let check = driver.add(Check::new(probe, Policy::default().with_fall(1)))?;
///
/// driver.report(check, Outcome::new(Code::Ok, Phase::Match))?;
/// let mut events = Vec::new();
/// while driver.health(check) != Some(Health::Down) {
///     driver.poll(None, &mut events)?; // nothing comes any more
/// }
/// let [CheckEvent::Completed(first), .., CheckEvent::Completed(last)] = &events[..] else {
///     panic!("{events:?}")
/// };
/// assert_eq!(first.health, Health::Up);
/// assert_eq!(last.outcome.to_string(), "timeout_io (recv): no report within 50ms");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PushProbe {
    ttl: Duration,
}

impl PushProbe {
    /// With this time to live, 1 ms to 10⁹ s.
    pub const fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

impl Probe for PushProbe {
    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(Missing(self.ttl))
    }

    fn validate(&self) -> Result<(), Invalid> {
        Ttl::check(self.ttl)
    }

    fn time_to_live(&self) -> Option<Duration> {
        Some(self.ttl)
    }
}

/// Nothing was reported.
#[derive(Debug)]
struct Missing(Duration);

impl Engine for Missing {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Done(Ttl::missing(self.0))
    }

    fn on_event(&mut self, _event: Event<'_>, _now: Timestamp) -> Step {
        Step::Done(Outcome::new(Code::Cancelled, Phase::Recv))
    }
}
