//! The types of fields, each with the words to say what it expects.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::net::{Ipv4Addr, SocketAddr};
use core::ops::RangeInclusive;
use core::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Unexpected, Visitor};

use crate::destination::Destination;
use crate::persistence::PersistenceMask;
use crate::scenario::error::{Place, Problem, ScenarioError};
use crate::scenario::event::{Event, to_microseconds};

/// Reads a string with `parse`, which says what is wrong with it.
struct Text<F> {
    expected: &'static str,
    parse: F,
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

pub(super) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { expected, parse })
}

/// Reads one of some words.
pub(super) fn word<'de, D: Deserializer<'de>, T: Copy>(
    deserializer: D,
    words: &[(&'static str, T)],
) -> Result<T, D::Error> {
    text(deserializer, "a word", |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!(
                "unknown word {text:?}, expected one of {}",
                words.join(", ")
            )
        })
    })
}

/// Reads an object. By themselves the derived readers would take a list of the fields' values too.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(Object {
        expected,
        value: PhantomData,
    })
}

struct Object<T> {
    expected: &'static str,
    value: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a field that may be left out but not be null.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An address with port.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) SocketAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "ADDR:PORT or [ADDR6]:PORT";
        text(deserializer, EXPECTED, |text| {
            let address = text.parse().ok().filter(|address| match address {
                SocketAddr::V6(address) => address.scope_id() == 0,
                SocketAddr::V4(_) => true,
            });
            address
                .map(Self)
                .ok_or_else(|| format!("bad address {text:?}, expected {EXPECTED}"))
        })
    }
}

/// A whole number within a range.
struct Whole<T>(RangeInclusive<T>);

impl<T: Copy + Display + PartialOrd + TryFrom<u64>> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.0.start(), self.0.end());
        write!(f, "a whole number from {least} to {most}")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let within = T::try_from(number)
            .ok()
            .filter(|number| self.0.contains(number));
        within.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// Only negative numbers come this way.
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }
}

pub(super) fn whole<'de, D, T>(deserializer: D, range: RangeInclusive<T>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Copy + Display + PartialOrd + TryFrom<u64>,
{
    deserializer.deserialize_u64(Whole(range))
}

/// An id or a threshold.
#[derive(Clone, Copy, Default)]
pub(super) struct Number(pub(super) u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, 0..=u32::MAX).map(Self)
    }
}

pub(super) struct Weight(pub(super) u32);

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, 0..=Destination::MAX_WEIGHT).map(Self)
    }
}

pub(super) struct FlowIndex(pub(super) usize);

impl<'de> Deserialize<'de> for FlowIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, 0..=usize::MAX).map(Self)
    }
}

pub(super) struct Seconds(pub(super) Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(SecondsVisitor).map(Self)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from 0 to {}", Event::MAX_ADVANCE.as_secs())
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
        let by = Duration::from_secs(seconds);
        if by > Event::MAX_ADVANCE {
            return Err(E::invalid_value(Unexpected::Unsigned(seconds), &self));
        }
        Ok(by)
    }

    /// Only negative numbers come this way.
    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
        Err(E::invalid_value(Unexpected::Signed(seconds), &self))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
        // Microseconds up to 2⁵² are told apart by this type, nanoseconds are not.
        let by = Duration::try_from_secs_f64(seconds)
            .ok()
            .map(to_microseconds)
            .filter(|by| *by <= Event::MAX_ADVANCE);
        by.ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &self))
    }
}

/// A netmask or a prefix length.
#[derive(Clone, Copy)]
pub(super) enum Mask {
    Netmask(Ipv4Addr),
    Length(u8),
}

impl Mask {
    /// What it means for addresses of that family.
    pub(super) fn of_family(self, ipv6: bool) -> Result<PersistenceMask, ScenarioError> {
        match self {
            Self::Netmask(mask) => Ok(PersistenceMask::Inet(mask)),
            Self::Length(length) if ipv6 => Ok(PersistenceMask::Inet6(length)),
            Self::Length(length @ 0..=32) => {
                let beyond = u32::MAX.checked_shr(length.into()).unwrap_or_default();
                Ok(PersistenceMask::Inet(Ipv4Addr::from_bits(!beyond)))
            }
            Self::Length(length) => {
                let (least, most) = (0, 32);
                let problem = Problem::MaskLength {
                    length,
                    least,
                    most,
                };
                Err(problem.at(Place::Document))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaskVisitor)
    }
}

struct MaskVisitor;

impl Visitor<'_> for MaskVisitor {
    type Value = Mask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IPv4 netmask or a prefix length from 0 to 128")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Mask, E> {
        let mask = text.parse().map(Mask::Netmask);
        mask.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Mask, E> {
        let length = u8::try_from(number).ok().filter(|length| *length <= 128);
        length
            .map(Mask::Length)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// Only negative numbers come this way.
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Mask, E> {
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }
}
