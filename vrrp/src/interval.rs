//! Advertisement intervals.

use core::fmt;
use core::num::NonZeroU16;
use core::time::Duration;

use crate::error::ValueError;

/// Time between two advertisements, in centiseconds (10 ms).
///
/// On the wire VRRPv2 has 1 to 255 whole seconds, VRRPv3 1 to 4095 centiseconds; zero is invalid in
/// both. The default of both is one second. RFC 9568 §5.2.7, RFC 3768 §5.3.7 (`VRRP-021`,
/// `VRRP-038`, `VRRP-043`).
///
/// ```
/// use lvs_vrrp::Interval;
///
/// let interval = Interval::from_centiseconds(75)?;
/// assert_eq!(interval.as_duration().as_millis(), 750);
/// assert_eq!(interval.whole_seconds(), None); // VRRPv2 cannot say it
/// assert_eq!(Interval::from_seconds(3)?.to_string(), "3s");
/// # Ok::<(), lvs_vrrp::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Interval(NonZeroU16);

impl Interval {
    /// One second.
    pub const DEFAULT: Self = Self(NonZeroU16::MIN.saturating_add(99));
    /// The longest VRRPv3 can say: 4095 centiseconds.
    pub const MAX_V3: Self = Self(NonZeroU16::MIN.saturating_add(4094));
    /// The longest VRRPv2 can say: 255 seconds.
    pub const MAX_V2: Self = Self(NonZeroU16::MIN.saturating_add(25_499));

    /// An interval of 1 to 4095 centiseconds, as VRRPv3 sends it.
    ///
    /// # Errors
    ///
    /// [`ValueError::Centiseconds`] for 0 and for more than 4095.
    pub const fn from_centiseconds(centiseconds: u16) -> Result<Self, ValueError> {
        match NonZeroU16::new(centiseconds) {
            Some(value) if centiseconds <= Self::MAX_V3.centiseconds() => Ok(Self(value)),
            _ => Err(ValueError::Centiseconds {
                value: centiseconds,
            }),
        }
    }

    /// An interval of 1 to 255 seconds, as VRRPv2 sends it.
    ///
    /// # Errors
    ///
    /// [`ValueError::Seconds`] for 0.
    pub const fn from_seconds(seconds: u8) -> Result<Self, ValueError> {
        let [low, high] = [seconds, 0];
        match NonZeroU16::new(u16::from_le_bytes([low, high]).wrapping_mul(100)) {
            Some(value) => Ok(Self(value)),
            None => Err(ValueError::Seconds { value: 0 }),
        }
    }

    /// The interval in centiseconds, 1 to 25500.
    #[must_use]
    pub const fn centiseconds(self) -> u16 {
        self.0.get()
    }

    /// The interval in seconds if it is a whole number of them, 1 to 255: what VRRPv2 can say.
    #[must_use]
    pub fn whole_seconds(self) -> Option<u8> {
        let seconds = self.seconds_rounded_up();
        (u16::from(seconds).wrapping_mul(100) == self.centiseconds()).then_some(seconds)
    }

    /// The interval in seconds, rounded up, 1 to 255: what the VRRPv2 advertisement of a router
    /// that speaks both versions says. RFC 9568 §8.4.2 (`VRRP-132`).
    #[must_use]
    pub fn seconds_rounded_up(self) -> u8 {
        u8::try_from(self.centiseconds().div_ceil(100)).unwrap_or(u8::MAX)
    }

    /// The interval as a span of time.
    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_millis(u64::from(self.centiseconds()).wrapping_mul(10))
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whole seconds as `3s`, anything else as `75cs`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole_seconds() {
            Some(seconds) => write!(f, "{seconds}s"),
            None => write!(f, "{}cs", self.centiseconds()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// `VRRP-043`: 0 and 4096 are refused; `VRRP-021`, `VRRP-038`: the default of both versions.
    #[test]
    fn limits() {
        assert_eq!(Interval::default().centiseconds(), 100);
        assert_eq!(Interval::default().whole_seconds(), Some(1));
        assert_eq!(Interval::from_centiseconds(4095), Ok(Interval::MAX_V3));
        assert_eq!(Interval::from_seconds(255), Ok(Interval::MAX_V2));
        for value in [0, 4096, u16::MAX] {
            assert_eq!(
                Interval::from_centiseconds(value).unwrap_err().to_string(),
                std::format!("interval of {value} cs is not in 1..=4095")
            );
        }
        assert!(Interval::from_seconds(0).is_err());
    }

    /// `VRRP-132`: rounded up where VRRPv2 has to say it.
    #[test]
    fn units_agree() {
        for seconds in 1..=255 {
            let interval = Interval::from_seconds(seconds).unwrap();
            assert_eq!(interval.whole_seconds(), Some(seconds));
            assert_eq!(interval.as_duration(), Duration::from_secs(seconds.into()));
        }
        let short = Interval::from_centiseconds(1).unwrap();
        assert_eq!(short.as_duration(), Duration::from_millis(10));
        assert_eq!(
            (short.whole_seconds(), short.seconds_rounded_up()),
            (None, 1)
        );
        let longer = Interval::from_centiseconds(101).unwrap();
        assert_eq!(
            (longer.to_string().as_str(), longer.seconds_rounded_up()),
            ("101cs", 2)
        );
    }
}
