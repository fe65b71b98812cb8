//! Names the kernel keeps in small fixed arrays: schedulers, interfaces, persistence engines.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use crate::invalid::ValidationError;

/// A kernel name of at most `MAX` bytes, stored in place so that it copies without allocating.
///
/// Never empty, never contains a NUL byte. The kernel treats names as bytes; this type keeps
/// them as UTF-8, and a name that is not UTF-8 is read with the replacement character.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Name<const MAX: usize> {
    // The length is redundant with the padding but saves a scan on each use.
    length: u8,
    bytes: [u8; MAX],
}

/// Name of a scheduler, at most 15 bytes (`IP_VS_SCHEDNAME_MAXLEN` less the NUL).
pub type SchedulerName = Name<15>;
/// Name of a network interface, at most 15 bytes (`IFNAMSIZ` less the NUL).
pub type InterfaceName = Name<15>;
/// Name of a persistence engine, at most 16 bytes (`IP_VS_PENAME_MAXLEN`).
pub type EngineName = Name<16>;

impl<const MAX: usize> Name<MAX> {
    /// Takes a name of 1 to `MAX` bytes without NUL bytes; anything else is `None`.
    ///
    /// ```
    /// # use lvs_ipvs::InterfaceName;
    /// assert_eq!(InterfaceName::new("eth0").unwrap().as_str(), "eth0");
    /// assert!(InterfaceName::new("").is_none());
    /// assert!(InterfaceName::new("a-name-of-sixteen").is_none());
    /// ```
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let source = name.as_bytes();
        if source.is_empty() || source.contains(&0) {
            return None;
        }
        let mut bytes = [0; MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        let length = u8::try_from(source.len()).ok()?;
        Some(Self { length, bytes })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The name as bytes, without a terminating NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// Reads what the kernel sent: text up to the first NUL. `None` when empty or too long.
    pub(crate) fn from_kernel(payload: &[u8]) -> Option<Self> {
        let text = payload.split(|byte| *byte == 0).next()?;
        match core::str::from_utf8(text) {
            Ok(text) => Self::new(text),
            // Foreign bytes must not make a whole dump unreadable.
            Err(_) => Self::new("\u{fffd}"),
        }
    }
}

/// In the order of their bytes, as text sorts.
impl<const MAX: usize> Ord for Name<MAX> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<const MAX: usize> PartialOrd for Name<MAX> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const MAX: usize> fmt::Display for Name<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const MAX: usize> fmt::Debug for Name<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const MAX: usize> FromStr for Name<MAX> {
    type Err = ValidationError;

    fn from_str(name: &str) -> Result<Self, ValidationError> {
        Self::new(name).ok_or_else(|| {
            let limit = match MAX {
                15 => "must be 1 to 15 bytes without NUL",
                _ => "must be 1 to 16 bytes without NUL",
            };
            ValidationError::number(
                "name length",
                name.len().try_into().unwrap_or(u64::MAX),
                limit,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_end_at_the_first_nul() {
        assert_eq!(
            SchedulerName::from_kernel(b"wlc\0").unwrap().as_str(),
            "wlc"
        );
        assert_eq!(SchedulerName::from_kernel(b"wlc").unwrap().as_str(), "wlc");
        assert_eq!(
            SchedulerName::from_kernel(b"wlc\0junk").unwrap().as_str(),
            "wlc"
        );
        assert_eq!(SchedulerName::from_kernel(b"\0"), None);
        assert_eq!(SchedulerName::from_kernel(b""), None);
        assert_eq!(
            SchedulerName::from_kernel(b"\xff\xfe\0").unwrap().as_str(),
            "\u{fffd}"
        );
    }

    #[test]
    fn names_sort_as_text() {
        let name = |text| SchedulerName::new(text).unwrap();
        let mut names = ["wlc", "aaaa", "rr", "wl"].map(name);
        names.sort();
        assert_eq!(names, ["aaaa", "rr", "wl", "wlc"].map(name));
    }

    #[test]
    fn length_limits_are_the_kernels() {
        assert!(SchedulerName::new("fifteen-letters").is_some());
        assert!(SchedulerName::new("sixteen-letters!").is_none());
        assert!(EngineName::new("sixteen-letters!").is_some());
        assert!(SchedulerName::new("a\0b").is_none());
    }

    #[test]
    fn equality_ignores_nothing_but_padding() {
        assert_eq!(
            SchedulerName::new("rr"),
            SchedulerName::from_kernel(b"rr\0xx")
        );
        assert!(
            "".parse::<SchedulerName>()
                .unwrap_err()
                .to_string()
                .contains("1 to 15")
        );
    }
}
