//! The two statistics nests: same numbers, other widths.

use super::attributes::{Nest, stats};
use super::reader::Attribute;
use crate::error::DecodeError;
use crate::stats::{CounterWidth, Stats};

/// The statistics nests met so far; the wide one wins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StatsNests<'a> {
    narrow: Option<Attribute<'a>>,
    wide: Option<Attribute<'a>>,
}

impl<'a> StatsNests<'a> {
    pub(super) const fn narrow(&mut self, attribute: Attribute<'a>) {
        self.narrow = Some(attribute);
    }

    pub(super) const fn wide(&mut self, attribute: Attribute<'a>) {
        self.wide = Some(attribute);
    }

    pub(super) fn read(&self) -> Result<Stats, DecodeError> {
        let (nest, attribute, width) = match (self.wide, self.narrow) {
            (Some(wide), _) => (Nest::Stats64, wide, CounterWidth::Bits64),
            (None, Some(narrow)) => (Nest::Stats, narrow, CounterWidth::Bits32),
            (None, None) => return Ok(Stats::default()),
        };
        let mut result = Stats {
            width,
            ..Stats::default()
        };
        for attribute in attribute.nested(nest) {
            let attribute = attribute?;
            let rates = &mut result.rates;
            let (field, always_wide) = match attribute.number {
                stats::CONNS => (&mut result.connections, false),
                stats::INPKTS => (&mut result.packets_in, false),
                stats::OUTPKTS => (&mut result.packets_out, false),
                stats::INBYTES => (&mut result.bytes_in, true),
                stats::OUTBYTES => (&mut result.bytes_out, true),
                stats::CPS => (&mut rates.connections, false),
                stats::INPPS => (&mut rates.packets_in, false),
                stats::OUTPPS => (&mut rates.packets_out, false),
                stats::INBPS => (&mut rates.bytes_in, false),
                stats::OUTBPS => (&mut rates.bytes_out, false),
                // The empty PAD attribute, and whatever comes later.
                _ => continue,
            };
            *field = if always_wide || width == CounterWidth::Bits64 {
                attribute.u64()?
            } else {
                attribute.u32()?.into()
            };
        }
        Ok(result)
    }
}
