//! The names of the kernel behaviours in a scenario.
//!
//! `kernel` is one of the presets `"6.1"`, `"6.12"`, `"7.2"`, or an object with some of these
//! switches of [`Semantics`]; those left out are as on 6.1:
//!
//! | Switch | Values | 6.1 | 7.2 |
//! |---|---|---|---|
//! | `threshold_edits` | `clear-on-raise`, `recompute` | `clear-on-raise` | `recompute` |
//! | `template_thresholds` | `evaluate`, `ignore` | `evaluate` | `ignore` |
//! | `overhead` | `active-and-inactive`, `active-and-total` | `active-and-inactive` | `active-and-total` |
//! | `address_hash` | `high-bits`, `low-bits` | `high-bits` | `high-bits` |
//! | `tcp_active` | `from-syn`, `established` | `from-syn` | `from-syn` |
//! | `cache_limit` | `soft`, `hard` | `soft` | `hard` |
//! | `mh_word` | `64-bit`, `32-bit`, and both with `-big-endian` | `64-bit` | `64-bit` |
//! | `sh_table_bits` | 4 to 20 | 8 | 8 |
//! | `mh_table_index` | 8 to 17 | 12 | 12 |
//!
//! ```
//! use lvs_schedulers::{Overhead, Semantics};
//! use lvs_schedulers::scenario::Scenario;
//!
//! let scenario: Scenario = r#"{
//!   "scheduler": "lc", "virtual": "10.1.0.100:80", "servers": [],
//!   "kernel": {"overhead": "active-and-total"}
//! }"#.parse()?;
//! let mut semantics = Semantics::LINUX_6_1;
//! semantics.overhead = Overhead::ActiveAndTotal;
//! assert_eq!(scenario.semantics(), semantics);
//! # Ok::<(), lvs_schedulers::scenario::ScenarioError>(())
//! ```

use core::fmt;
use core::ops::RangeInclusive;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::scenario::field::{given, whole, word};
use crate::semantics::{
    AddressHash, CacheLimit, MhWord, Overhead, Semantics, TcpActive, TemplateThresholds,
    ThresholdEdits,
};

/// The presets by name. The first of equal ones is written.
const PRESETS: [(&str, Semantics); 3] = [
    ("6.1", Semantics::LINUX_6_1),
    ("6.12", Semantics::LINUX_6_12),
    ("7.2", Semantics::LINUX_7_2),
];

/// A switch whose values have names.
trait Named: Copy + PartialEq + 'static {
    /// All values by name.
    const WORDS: &'static [(&'static str, Self)];
}

impl Named for ThresholdEdits {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("clear-on-raise", Self::ClearOnRaise),
        ("recompute", Self::Recompute),
    ];
}

impl Named for TemplateThresholds {
    const WORDS: &'static [(&'static str, Self)] =
        &[("evaluate", Self::Evaluate), ("ignore", Self::Ignore)];
}

impl Named for Overhead {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("active-and-inactive", Self::ActiveAndInactive),
        ("active-and-total", Self::ActiveAndTotal),
    ];
}

impl Named for AddressHash {
    const WORDS: &'static [(&'static str, Self)] =
        &[("high-bits", Self::HighBits), ("low-bits", Self::LowBits)];
}

impl Named for TcpActive {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("from-syn", Self::FromSyn),
        ("established", Self::Established),
    ];
}

impl Named for CacheLimit {
    const WORDS: &'static [(&'static str, Self)] = &[("soft", Self::Soft), ("hard", Self::Hard)];
}

impl Named for MhWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("64-bit", Self::Bits64),
        ("32-bit", Self::Bits32),
        ("64-bit-big-endian", Self::Bits64BigEndian),
        ("32-bit-big-endian", Self::Bits32BigEndian),
    ];
}

/// The range of [`Semantics::sh_table_bits`].
const SH_TABLE_BITS: RangeInclusive<u8> = 4..=20;

/// The range of [`Semantics::mh_table_index`].
const MH_TABLE_INDEX: RangeInclusive<u8> = 8..=17;

/// What a scenario says about the kernel. Displayed as the name of a preset, or as an object with
/// the switches that differ from 6.1.
pub(super) struct Kernel(pub(super) Semantics);

impl Default for Kernel {
    fn default() -> Self {
        Self(Semantics::LINUX_6_1)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = PRESETS.iter().find(|(_, preset)| *preset == self.0) {
            return write!(f, "\"{name}\"");
        }
        let Semantics {
            threshold_edits,
            template_thresholds,
            overhead,
            address_hash,
            tcp_active,
            cache_limit,
            mh_word,
            sh_table_bits,
            mh_table_index,
        } = self.0;
        let standard = Semantics::LINUX_6_1;
        let words = [
            (
                "threshold_edits",
                differing(threshold_edits, standard.threshold_edits),
            ),
            (
                "template_thresholds",
                differing(template_thresholds, standard.template_thresholds),
            ),
            ("overhead", differing(overhead, standard.overhead)),
            (
                "address_hash",
                differing(address_hash, standard.address_hash),
            ),
            ("tcp_active", differing(tcp_active, standard.tcp_active)),
            ("cache_limit", differing(cache_limit, standard.cache_limit)),
            ("mh_word", differing(mh_word, standard.mh_word)),
        ];
        let sh_table_bits = sh_table_bits.clamp(*SH_TABLE_BITS.start(), *SH_TABLE_BITS.end());
        let mh_table_index = mh_table_index.clamp(*MH_TABLE_INDEX.start(), *MH_TABLE_INDEX.end());
        let numbers = [
            ("sh_table_bits", sh_table_bits, standard.sh_table_bits),
            ("mh_table_index", mh_table_index, standard.mh_table_index),
        ];
        let mut separator = "";
        f.write_str("{")?;
        for (name, word) in words {
            if let Some(word) = word {
                write!(f, "{separator}\"{name}\": \"{word}\"")?;
                separator = ", ";
            }
        }
        for (name, number, standard) in numbers {
            if number != standard {
                write!(f, "{separator}\"{name}\": {number}")?;
                separator = ", ";
            }
        }
        f.write_str("}")
    }
}

/// The word for a value, unless it is the one that goes without saying.
fn differing<T: Named>(value: T, standard: T) -> Option<&'static str> {
    let word = T::WORDS.iter().find(|(_, named)| *named == value)?;
    (value != standard).then_some(word.0)
}

impl<'de> Deserialize<'de> for Kernel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KernelVisitor)
    }
}

struct KernelVisitor;

impl<'de> Visitor<'de> for KernelVisitor {
    type Value = Kernel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a preset or an object of switches")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Kernel, E> {
        word(StrDeserializer::new(name), &PRESETS).map(Kernel)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kernel, A::Error> {
        Switches::deserialize(MapAccessDeserializer::new(map)).map(Kernel::from)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    #[serde(default, deserialize_with = "given")]
    threshold_edits: Option<Switch<ThresholdEdits>>,
    #[serde(default, deserialize_with = "given")]
    template_thresholds: Option<Switch<TemplateThresholds>>,
    #[serde(default, deserialize_with = "given")]
    overhead: Option<Switch<Overhead>>,
    #[serde(default, deserialize_with = "given")]
    address_hash: Option<Switch<AddressHash>>,
    #[serde(default, deserialize_with = "given")]
    tcp_active: Option<Switch<TcpActive>>,
    #[serde(default, deserialize_with = "given")]
    cache_limit: Option<Switch<CacheLimit>>,
    #[serde(default, deserialize_with = "given")]
    mh_word: Option<Switch<MhWord>>,
    #[serde(default, deserialize_with = "sh_table_bits")]
    sh_table_bits: Option<u8>,
    #[serde(default, deserialize_with = "mh_table_index")]
    mh_table_index: Option<u8>,
}

struct Switch<T>(T);

impl<'de, T: Named> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer, T::WORDS).map(Self)
    }
}

fn sh_table_bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    whole(deserializer, SH_TABLE_BITS).map(Some)
}

fn mh_table_index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    whole(deserializer, MH_TABLE_INDEX).map(Some)
}

impl From<Switches> for Kernel {
    fn from(switches: Switches) -> Self {
        let Switches {
            threshold_edits,
            template_thresholds,
            overhead,
            address_hash,
            tcp_active,
            cache_limit,
            mh_word,
            sh_table_bits,
            mh_table_index,
        } = switches;
        let standard = Semantics::LINUX_6_1;
        Self(Semantics {
            threshold_edits: threshold_edits.map_or(standard.threshold_edits, |it| it.0),
            template_thresholds: template_thresholds
                .map_or(standard.template_thresholds, |it| it.0),
            overhead: overhead.map_or(standard.overhead, |it| it.0),
            address_hash: address_hash.map_or(standard.address_hash, |it| it.0),
            tcp_active: tcp_active.map_or(standard.tcp_active, |it| it.0),
            cache_limit: cache_limit.map_or(standard.cache_limit, |it| it.0),
            mh_word: mh_word.map_or(standard.mh_word, |it| it.0),
            sh_table_bits: sh_table_bits.unwrap_or(standard.sh_table_bits),
            mh_table_index: mh_table_index.unwrap_or(standard.mh_table_index),
        })
    }
}
