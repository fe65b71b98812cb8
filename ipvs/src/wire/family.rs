//! Replies of `nlctrl`: the number behind the name `IPVS`.

use super::attributes::{Nest, control};
use super::encode::FamilyId;
use super::reader::{Attributes, missing};
use crate::error::DecodeError;

/// A generic netlink family.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FamilyInfo {
    /// Message type of the family in this kernel.
    pub id: FamilyId,
    /// Version of the family, 1.
    pub version: u32,
    /// Size of the family's own header, 0.
    pub header_size: u32,
    /// Highest attribute number at the top level, 6.
    pub max_attribute: u32,
}

/// Reads the attributes of a message with command `NEWFAMILY`.
///
/// `offset` is where `attributes` start within the message, for errors.
///
/// # Errors
///
/// The first attribute that is cut off or too short, or that there is no number.
pub fn read_family(attributes: &[u8], offset: usize) -> Result<FamilyInfo, DecodeError> {
    let (mut id, mut version, mut header_size, mut max_attribute) = (None, 0, 0, 0);
    for attribute in Attributes::new(attributes, Nest::Control, offset) {
        let attribute = attribute?;
        match attribute.number {
            control::FAMILY_ID => id = Some(FamilyId::new(attribute.u16()?)),
            control::VERSION => version = attribute.u32()?,
            control::HDRSIZE => header_size = attribute.u32()?,
            control::MAXATTR => max_attribute = attribute.u32()?,
            // Name, operations and groups are of no use here.
            _ => {}
        }
    }
    let id = id.ok_or_else(|| missing(Nest::Control, control::FAMILY_ID, offset))?;
    Ok(FamilyInfo {
        id,
        version,
        header_size,
        max_attribute,
    })
}
