//! The types of values, and how the kernel writes them.

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;
use core::time::Duration;

use bitflags::bitflags;

/// A type that a sysctl can have. Implemented by this crate only.
pub trait Value: fmt::Debug + PartialEq + Sized + sealed::Sealed {
    /// What the text of such a value looks like, for error messages.
    #[doc(hidden)]
    const EXPECTED: &'static str;

    /// Reads what the kernel wrote, without blanks around it.
    #[doc(hidden)]
    fn read(text: &str) -> Option<Self>;

    /// Writes it as the kernel reads it.
    #[doc(hidden)]
    fn write(&self) -> String;
}

mod sealed {
    /// Keeps others from implementing [`Value`](super::Value).
    #[expect(unnameable_types, reason = "that it cannot be named is its use")]
    pub trait Sealed {}
}

/// The kernel takes any number for these and asks whether it is 0.
impl Value for bool {
    const EXPECTED: &'static str = "a number, 0 for no";

    fn read(text: &str) -> Option<Self> {
        i64::read(text).map(|number| number != 0)
    }

    fn write(&self) -> String {
        u8::from(*self).to_string()
    }
}

impl sealed::Sealed for bool {}

impl Value for i64 {
    const EXPECTED: &'static str = "a number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl sealed::Sealed for i64 {}

impl Value for u64 {
    const EXPECTED: &'static str = "a number that is not negative";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl sealed::Sealed for u64 {}

/// In whole seconds.
impl Value for Duration {
    const EXPECTED: &'static str = "a number of seconds";

    fn read(text: &str) -> Option<Self> {
        u64::read(text).map(Self::from_secs)
    }

    fn write(&self) -> String {
        // A fraction must not be lost in what an error says.
        match self.subsec_nanos() {
            0 => self.as_secs().to_string(),
            _ => format!("{self:?}"),
        }
    }
}

impl sealed::Sealed for Duration {}

/// When a defence against floods is on.
#[expect(clippy::exhaustive_enums, reason = "the kernel has these four")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Defence {
    /// 0: never.
    #[default]
    Off,
    /// 1: when memory is short (sysctl `amemthresh`); at present it is not. The kernel goes to
    /// [`AutomaticOn`](Self::AutomaticOn) and back by itself, so a value read can differ from
    /// the one that was set.
    Automatic,
    /// 2: as before; at present memory is short.
    AutomaticOn,
    /// 3: always.
    Always,
}

impl Value for Defence {
    const EXPECTED: &'static str = "0, 1, 2 or 3";

    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "0" => Self::Off,
            "1" => Self::Automatic,
            "2" => Self::AutomaticOn,
            "3" => Self::Always,
            _ => return None,
        })
    }

    fn write(&self) -> String {
        let number = match self {
            Self::Off => "0",
            Self::Automatic => "1",
            Self::AutomaticOn => "2",
            Self::Always => "3",
        };
        number.to_owned()
    }
}

impl sealed::Sealed for Defence {}

bitflags! {
    /// For which old entries a new connection from the same client port is scheduled anew. Bits
    /// this crate does not know are kept.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub struct ConnReuse: u32 {
        /// Those in `TIME_WAIT` or `CLOSE`. The kernel takes any other bit for this one, too.
        const CLOSED = 1;
        /// Those in `FIN_WAIT` whose servers answer past the director.
        const FIN_WAIT = 2;
    }
}

impl Value for ConnReuse {
    const EXPECTED: &'static str = "a set of bits as a number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_bits_retain)
    }

    fn write(&self) -> String {
        self.bits().to_string()
    }
}

impl sealed::Sealed for ConnReuse {}

/// After how many packets the sync daemon sends a connection: when the count of its packets,
/// modulo `period`, is `packets`.
#[expect(clippy::exhaustive_structs, reason = "the kernel's two numbers")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SyncThreshold {
    /// Which packet of a period; less than the period unless that is 0.
    pub packets: u32,
    /// Packets in a period; 0 sends a connection once.
    pub period: u32,
}

impl Value for SyncThreshold {
    const EXPECTED: &'static str = "two numbers that are not negative";

    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace();
        let read = Self {
            packets: numbers.next()?.parse().ok()?,
            period: numbers.next()?.parse().ok()?,
        };
        numbers.next().is_none().then_some(read)
    }

    fn write(&self) -> String {
        format!("{} {}", self.packets, self.period)
    }
}

impl sealed::Sealed for SyncThreshold {}

/// A set of CPUs, as ranges: `0-3,5`. Empty for none.
///
/// ```
/// use lvs_ipvs::sysctl::CpuList;
/// let cpus: CpuList = "0-3,5".parse().unwrap();
/// assert_eq!(cpus.ranges(), [0..=3, 5..=5]);
/// assert_eq!(cpus.to_string(), "0-3,5");
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct CpuList {
    ranges: Vec<RangeInclusive<u32>>,
}

impl CpuList {
    /// The ranges, as they were written.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.ranges
    }

    /// Whether there is no CPU in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl FromIterator<u32> for CpuList {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        Self {
            ranges: cpus.into_iter().map(|cpu| cpu..=cpu).collect(),
        }
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.ranges.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", range.start())?;
            if range.start() != range.end() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

/// What is not a list of CPUs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotACpuList {
    text: String,
}

impl fmt::Display for NotACpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: expected {}", self.text, CpuList::EXPECTED)
    }
}

impl core::error::Error for NotACpuList {}

impl FromStr for CpuList {
    type Err = NotACpuList;

    fn from_str(text: &str) -> Result<Self, NotACpuList> {
        Self::read(text).ok_or_else(|| NotACpuList {
            text: text.to_owned(),
        })
    }
}

impl Value for CpuList {
    const EXPECTED: &'static str = "CPUs and ranges of them with commas between, such as 0-3,5";

    fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let ranges = text.split(',').map(|range| {
            let (start, end) = range.split_once('-').unwrap_or((range, range));
            let (start, end): (u32, u32) = (start.parse().ok()?, end.parse().ok()?);
            (start <= end).then_some(start..=end)
        });
        let ranges = ranges.collect::<Option<_>>()?;
        Some(Self { ranges })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl sealed::Sealed for CpuList {}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: Value>(texts: &[&str]) {
        for text in texts {
            assert_eq!(T::read(text).unwrap().write(), *text);
        }
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        same::<bool>(&["0", "1"]);
        same::<i64>(&["-8", "0", "2147483647"]);
        same::<u64>(&["0", "18446744073709551615"]);
        same::<Duration>(&["0", "86400"]);
        same::<Defence>(&["0", "1", "2", "3"]);
        same::<ConnReuse>(&["0", "1", "3", "4"]);
        same::<SyncThreshold>(&["3 50", "0 0"]);
        same::<CpuList>(&["", "0", "0-3,5,7-8"]);
    }

    #[test]
    fn what_has_another_form_is_not_read() {
        assert_eq!(bool::read("7"), Some(true));
        assert_eq!(bool::read("yes"), None);
        assert_eq!(u64::read("-1"), None);
        assert_eq!(Defence::read("4"), None);
        assert_eq!(SyncThreshold::read("3\t50"), SyncThreshold::read("3 50"));
        assert_eq!(SyncThreshold::read("3"), None);
        assert_eq!(SyncThreshold::read("3 50 1"), None);
        for text in ["3-1", "a", "1,", "-", "1--2"] {
            assert_eq!(CpuList::read(text), None, "{text}");
        }
        assert_eq!(
            "x".parse::<CpuList>().unwrap_err().to_string(),
            "\"x\": expected CPUs and ranges of them with commas between, such as 0-3,5"
        );
    }
}
