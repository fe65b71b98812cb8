//! Virtual router ids.

use core::fmt;
use core::num::NonZeroU8;
use core::str::FromStr;

use crate::address::{Family, MacAddress};
use crate::error::ValueError;

/// Virtual router id, 1 to 255; it has no default (`VRRP-013`).
///
/// A virtual router is the tuple (interface, address family, id): the same id in IPv4 and IPv6 means
/// two independent virtual routers. RFC 9568 §5.2.3.
///
/// ```
/// use lvs_vrrp::{Family, Vrid};
///
/// let vrid: Vrid = "51".parse()?;
/// assert_eq!(vrid.virtual_mac(Family::Ipv4).to_string(), "00:00:5e:00:01:33");
/// assert_eq!(Vrid::new(0), None);
/// # Ok::<(), lvs_vrrp::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// The id with that number, or `None` for 0.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, 1 to 255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// The MAC address of the virtual router: `00:00:5e:00:01:{id}` for IPv4, `00:00:5e:00:02:{id}`
    /// for IPv6. RFC 9568 §7.3 (`VRRP-107`).
    #[must_use]
    pub const fn virtual_mac(self, family: Family) -> MacAddress {
        let kind = match family {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        };
        MacAddress::new([0, 0, 0x5e, 0, kind, self.get()])
    }
}

impl TryFrom<u8> for Vrid {
    type Error = ValueError;

    fn try_from(number: u8) -> Result<Self, ValueError> {
        Self::new(number).ok_or(ValueError::Vrid { value: 0 })
    }
}

impl From<Vrid> for u8 {
    fn from(vrid: Vrid) -> Self {
        vrid.get()
    }
}

impl FromStr for Vrid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let value: u64 = text.parse().map_err(|_| ValueError::NotANumber {
            field: "virtual router id",
        })?;
        let number = u8::try_from(value).map_err(|_| ValueError::Vrid { value })?;
        Self::try_from(number)
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// `VRRP-107`: all values.
    /// `VRRP-048`, `VRRP-107`.
    #[test]
    fn virtual_macs_end_in_the_id() {
        for number in 1..=255 {
            let vrid = Vrid::new(number).unwrap();
            assert_eq!(
                vrid.virtual_mac(Family::Ipv4).octets(),
                [0x00, 0x00, 0x5e, 0x00, 0x01, number]
            );
            assert_eq!(
                vrid.virtual_mac(Family::Ipv6).octets(),
                [0x00, 0x00, 0x5e, 0x00, 0x02, number]
            );
        }
    }

    /// `VRRP-013`: 1 to 255, nothing else.
    #[test]
    fn zero_and_256_are_refused_by_name() {
        assert_eq!("255".parse::<Vrid>().unwrap().get(), 255);
        assert_eq!("1".parse::<Vrid>().unwrap().to_string(), "1");
        for (text, message) in [
            ("0", "virtual router id 0 is not in 1..=255"),
            ("256", "virtual router id 256 is not in 1..=255"),
            ("", "virtual router id is not a number"),
            ("-1", "virtual router id is not a number"),
        ] {
            assert_eq!(text.parse::<Vrid>().unwrap_err().to_string(), message);
        }
        assert!(Vrid::try_from(0).is_err());
    }
}
