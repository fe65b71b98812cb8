//! Which settings are refused.

use super::{OnLocalError, Policy, ScheduleBase, Warning};
use crate::error::Invalid;

impl Policy {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// The first setting out of range, with its value and its limit.
    pub fn validate(&self) -> Result<(), Invalid> {
        let counts = [
            ("rise", Some(u32::from(self.rise))),
            ("fall", Some(u32::from(self.fall))),
            ("rise_first", self.rise_first.map(u32::from)),
            ("on_local_error", fail_after(self.on_local_error)),
            ("on_no_route", fail_after(self.on_no_route)),
            (
                "error_limit",
                self.passive.map(|passive| passive.error_limit),
            ),
        ];
        for (field, count) in counts {
            if count == Some(0) {
                return Err(Invalid::new(field, "0", "must be at least 1"));
            }
        }
        let times = [
            ("interval", Some(self.interval)),
            ("fast_interval", self.fast),
            ("rising_interval", self.rising),
            ("down_interval", self.down),
            ("idle_interval", self.idle),
            ("idle_up_interval", self.idle_up),
            ("timeout", Some(self.timeout)),
            ("connect_timeout", self.connect_timeout),
        ];
        for (field, time) in times {
            if time.is_some_and(|time| !(Self::MIN_TIME..=Self::MAX_TIME).contains(&time)) {
                let value = format!("{:?}", time.unwrap_or_default());
                return Err(Invalid::new(field, value, "must be 1 ms to 1000000000 s"));
            }
        }
        if self.jitter_percent > 50 {
            let value = self.jitter_percent.to_string();
            return Err(Invalid::new("jitter_percent", value, "must be 0 to 50"));
        }
        if self.jitter_add_percent > 100 {
            let value = self.jitter_add_percent.to_string();
            return Err(Invalid::new(
                "jitter_add_percent",
                value,
                "must be 0 to 100",
            ));
        }
        if self.jitter_add > Self::MAX_TIME {
            let value = format!("{:?}", self.jitter_add);
            return Err(Invalid::new(
                "jitter_add",
                value,
                "must be at most 1000000000 s",
            ));
        }
        self.spread.validate()
    }

    /// What is allowed but seldom meant; empty for [`Policy::default`].
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let connect_timeout = self
            .connect_timeout
            .map_or(self.timeout, |connect| connect.min(self.timeout));
        if connect_timeout < Warning::SYN_REPEATED && self.fall == 1 {
            warnings.push(Warning::ConnectTimeoutShort { connect_timeout });
        }
        if self.base == ScheduleBase::StartToStart && self.timeout > self.interval {
            warnings.push(Warning::SlotsSkipped {
                timeout: self.timeout,
                interval: self.interval,
            });
        }
        warnings
    }
}

/// The number in [`OnLocalError::FailAfter`].
fn fail_after(on_local_error: OnLocalError) -> Option<u32> {
    match on_local_error {
        OnLocalError::FailAfter(count) => Some(count),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::{Observe, Passive, Spread};
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    /// A policy with one setting out of range, by the name of the setting.
    fn refused() -> Vec<(&'static str, Policy)> {
        let policy = Policy::default;
        let even = Spread::Even {
            index: 3,
            count: 3,
            window: ZERO,
        };
        let random = Spread::Random {
            within: Duration::MAX,
        };
        let passive = Passive::new(Observe::Layer4).with_error_limit(0);
        let never = OnLocalError::FailAfter(0);
        vec![
            ("rise", policy().with_rise(0)),
            ("fall", policy().with_fall(0)),
            ("rise_first", policy().with_rise_first(0)),
            ("interval", policy().with_interval(ZERO)),
            ("fast_interval", policy().with_fast_interval(ZERO)),
            (
                "rising_interval",
                policy().with_rising_interval(Duration::MAX),
            ),
            ("down_interval", policy().with_down_interval(ZERO)),
            ("idle_interval", policy().with_idle_interval(ZERO)),
            ("idle_up_interval", policy().with_idle_up_interval(ZERO)),
            ("timeout", policy().with_timeout(Duration::from_micros(999))),
            ("connect_timeout", policy().with_connect_timeout(ZERO)),
            ("jitter_percent", policy().with_jitter_percent(51)),
            ("jitter_add", policy().with_jitter_add(Duration::MAX)),
            ("jitter_add_percent", policy().with_jitter_add_percent(101)),
            ("error_limit", policy().with_passive(passive)),
            ("on_local_error", policy().with_on_local_error(never)),
            ("on_no_route", policy().with_on_no_route(never)),
            ("spread", policy().with_spread(even)),
            ("spread", policy().with_spread(random)),
        ]
    }

    #[test]
    fn names_the_setting_that_is_out_of_range() {
        for (field, policy) in refused() {
            assert_eq!(policy.validate().unwrap_err().field, field);
        }
        assert_eq!(Policy::default().validate(), Ok(()));
    }

    #[test]
    fn limits_themselves_are_allowed() {
        let policy = Policy::default()
            .with_rise(1)
            .with_fall(u16::MAX)
            .with_interval(Policy::MIN_TIME)
            .with_timeout(Policy::MAX_TIME)
            .with_jitter_percent(50)
            .with_jitter_add_percent(100)
            .with_jitter_add(Policy::MAX_TIME);
        assert_eq!(policy.validate(), Ok(()));
        let longer = Policy::MAX_TIME + Duration::from_nanos(1);
        assert!(Policy::default().with_timeout(longer).validate().is_err());
    }

    #[test]
    fn error_text_names_field_value_and_limit() {
        let error = Policy::default().with_interval(ZERO).validate();
        assert_eq!(
            error.unwrap_err().to_string(),
            "interval is 0ns: must be 1 ms to 1000000000 s"
        );
    }

    #[test]
    fn warns_of_a_lost_packet_that_would_be_a_failure() {
        let millis = Duration::from_millis;
        let one = Policy::default().with_fall(1);
        let ids =
            |policy: &Policy| -> Vec<_> { policy.warnings().iter().map(Warning::id).collect() };
        assert_eq!(ids(&one), [""; 0]);
        let short = one.clone().with_connect_timeout(millis(999));
        assert_eq!(ids(&short), ["connect_timeout_short"]);
        assert_eq!(ids(&short.clone().with_fall(2)), [""; 0]);
        assert_eq!(
            ids(&one.clone().with_connect_timeout(millis(1000))),
            [""; 0]
        );
        assert_eq!(
            ids(&one.with_timeout(millis(500))),
            ["connect_timeout_short"],
            "the whole limits connecting too"
        );
    }

    #[test]
    fn warns_of_attempts_that_outlast_the_interval() {
        let second = Duration::from_secs(1);
        let policy = Policy::default()
            .with_interval(2 * second)
            .with_timeout(3 * second);
        assert_eq!(
            policy.warnings(),
            [Warning::SlotsSkipped {
                timeout: 3 * second,
                interval: 2 * second
            }]
        );
        let end_to_start = policy.clone().with_schedule_base(ScheduleBase::EndToStart);
        assert_eq!(end_to_start.warnings(), []);
        assert_eq!(
            policy.with_timeout(2 * second).warnings(),
            [],
            "just in time"
        );
        assert_eq!(Policy::default().warnings(), []);
    }
}
