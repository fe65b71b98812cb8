//! Attributes of a message, one after another, with their offsets.

use netlink_packet_core::{NLA_HEADER_SIZE, NLA_TYPE_MASK};

use super::attributes::{AttributeId, Nest};
use crate::error::{DecodeError, DecodeProblem};
use crate::name::Name;

/// Iterator over the attributes of one nest.
///
/// Stands in for netlink-packet-core's, which takes several times as long for each attribute
/// (`cargo bench -p benches --bench ipvs_wire` runs both) and tells no offset.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
    nest: Nest,
    // Of the next attribute, counted from the start of the message.
    offset: usize,
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(bytes: &'a [u8], nest: Nest, offset: usize) -> Self {
        Self {
            rest: bytes,
            nest,
            offset,
        }
    }

    /// The next attribute, if its header and its length fit what is there.
    #[inline]
    fn split(&mut self) -> Option<Attribute<'a>> {
        let [a, b, c, d] = *self.rest.first_chunk()?;
        let number = u16::from_ne_bytes([c, d]) & NLA_TYPE_MASK;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let whole = self.rest.get(..length)?;
        let value = whole.get(NLA_HEADER_SIZE..)?;
        let attribute = Attribute {
            number,
            nest: self.nest,
            whole,
            value,
            offset: self.offset,
        };
        // The last attribute may lack its padding.
        let step = length.next_multiple_of(4);
        self.rest = self.rest.get(step..).unwrap_or_default();
        self.offset = self.offset.saturating_add(step);
        Some(attribute)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(attribute) = self.split() {
            return Some(Ok(attribute));
        }
        // Whatever stands behind an attribute that does not end cannot be found.
        let rest = core::mem::take(&mut self.rest);
        let number = rest.get(2..4).and_then(<[u8]>::first_chunk).copied();
        let number = number.map_or(0, u16::from_ne_bytes) & NLA_TYPE_MASK;
        let attribute = AttributeId {
            nest: self.nest,
            number,
        };
        Some(Err(DecodeError::new(
            Some(attribute),
            self.offset,
            DecodeProblem::Truncated,
        )))
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) number: u16,
    nest: Nest,
    // With the header.
    pub(super) whole: &'a [u8],
    pub(super) value: &'a [u8],
    offset: usize,
}

impl<'a> Attribute<'a> {
    pub(super) const fn id(&self) -> AttributeId {
        AttributeId {
            nest: self.nest,
            number: self.number,
        }
    }

    pub(super) const fn error(&self, problem: DecodeProblem) -> DecodeError {
        DecodeError::new(Some(self.id()), self.offset, problem)
    }

    /// The first bytes of the value; longer values are cut, as the kernel does with requests.
    #[inline]
    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], DecodeError> {
        self.value.first_chunk().copied().ok_or_else(|| {
            self.error(DecodeProblem::Short {
                length: self.value.len(),
                expected: N,
            })
        })
    }

    pub(super) fn u8(&self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_ne_bytes)
    }

    pub(super) fn u16(&self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(super) fn u16_network(&self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_ne_bytes)
    }

    /// Text with or without a NUL; empty text is `None`.
    pub(super) fn name<const MAX: usize>(&self) -> Result<Option<Name<MAX>>, DecodeError> {
        let text = self
            .value
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        match Name::from_kernel(text) {
            Some(name) => Ok(Some(name)),
            None => Err(self.error(DecodeProblem::Long {
                length: text.len(),
                limit: MAX,
            })),
        }
    }

    /// The error for an attribute that must be inside this nest.
    pub(super) const fn missing(&self, nest: Nest, number: u16) -> DecodeError {
        missing(nest, number, self.offset)
    }

    pub(super) fn nested(&self, nest: Nest) -> Attributes<'a> {
        Attributes::new(
            self.value,
            nest,
            self.offset.saturating_add(NLA_HEADER_SIZE),
        )
    }
}

/// The error for an attribute that must be there.
pub(super) const fn missing(nest: Nest, number: u16, offset: usize) -> DecodeError {
    DecodeError::new(
        Some(AttributeId { nest, number }),
        offset,
        DecodeProblem::Missing,
    )
}

/// The nest of that number at the top level of a message; of several the last.
pub(super) fn top_nest(
    attributes: &[u8],
    number: u16,
    offset: usize,
) -> Result<Attribute<'_>, DecodeError> {
    let nest = find_top_nest(attributes, number, offset)?;
    nest.ok_or_else(|| missing(Nest::Top, number, offset))
}

/// The nest of that number, if the message has one.
pub(super) fn find_top_nest(
    attributes: &[u8],
    number: u16,
    offset: usize,
) -> Result<Option<Attribute<'_>>, DecodeError> {
    let mut nest = None;
    for attribute in Attributes::new(attributes, Nest::Top, offset) {
        let attribute = attribute?;
        if attribute.number == number {
            nest = Some(attribute);
        }
    }
    Ok(nest)
}
