//! The mark on our devices: whose they are, and what was before.

use core::fmt;
use core::str::FromStr;

use super::OF_BASE;

/// What the alias of a device of ours says:
/// `lvs-vrrp/112 arp_ignore=0 arp_filter=0 arp_announce=0`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    /// Which program.
    pub(super) tag: u8,
    /// The settings of the interface below before us.
    pub(super) before: [i32; OF_BASE.len()],
}

const PREFIX: &str = "lvs-vrrp/";

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.tag)?;
        let settings = OF_BASE.iter().zip(self.before);
        settings
            .into_iter()
            .try_for_each(|((setting, _), before)| write!(f, " {setting}={before}"))
    }
}

/// Not a mark of ours.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct NotOurs;

impl FromStr for Mark {
    type Err = NotOurs;

    fn from_str(alias: &str) -> Result<Self, NotOurs> {
        let mut words = alias.strip_prefix(PREFIX).ok_or(NotOurs)?.split(' ');
        let tag = words.next().and_then(|word| word.parse().ok());
        let mut mark = Self {
            tag: tag.ok_or(NotOurs)?,
            before: [0; OF_BASE.len()],
        };
        for ((setting, _), before) in OF_BASE.iter().zip(&mut mark.before) {
            let value = words.next().and_then(|word| word.strip_prefix(setting));
            let value = value.and_then(|value| value.strip_prefix('=')?.parse().ok());
            *before = value.ok_or(NotOurs)?;
        }
        words.next().is_none().then_some(mark).ok_or(NotOurs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn marks_read_what_they_print_and_nothing_else() {
        let mark = Mark {
            tag: 112,
            before: [0, -1, 2],
        };
        let text = "lvs-vrrp/112 arp_ignore=0 arp_filter=-1 arp_announce=2";
        assert_eq!(mark.to_string(), text);
        assert_eq!(text.parse(), Ok(mark));
        for end in 0..text.len() {
            assert_eq!(text[..end].parse::<Mark>(), Err(NotOurs), "{end}");
        }
        let longer = text.to_string() + " x";
        assert_eq!(longer.parse::<Mark>(), Err(NotOurs));
        let other = text.replace("112", "300");
        assert_eq!(other.parse::<Mark>(), Err(NotOurs));
        assert_eq!("uplink".parse::<Mark>(), Err(NotOurs));
    }
}
