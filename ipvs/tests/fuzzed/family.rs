//! Any bytes as the attributes of a reply of `nlctrl`.

use lvs_ipvs::wire::attributes::{Nest, control};
use lvs_ipvs::wire::read_family;

/// Where attributes start within a message.
const OFFSET: usize = 20;

/// Reads the bytes; what is read is the same after it was written again.
pub(crate) fn check(attributes: &[u8]) {
    let family = match read_family(attributes, OFFSET) {
        Ok(family) => family,
        Err(error) => {
            assert!(error.offset() >= OFFSET, "{error}");
            assert!(error.offset() <= OFFSET + attributes.len(), "{error}");
            let attribute = error.attribute().expect("there are only attributes");
            assert_eq!(attribute.nest(), Nest::Control);
            assert!(error.to_string().contains(&attribute.to_string()));
            return;
        }
    };
    let mut again = Vec::new();
    // An attribute nobody knows stands before all others and changes nothing.
    attribute(&mut again, 0x3fff, b"what");
    attribute(
        &mut again,
        control::MAXATTR,
        &family.max_attribute.to_ne_bytes(),
    );
    attribute(
        &mut again,
        control::HDRSIZE,
        &family.header_size.to_ne_bytes(),
    );
    attribute(&mut again, control::VERSION, &family.version.to_ne_bytes());
    attribute(&mut again, control::FAMILY_NAME, b"IPVS\0");
    attribute(
        &mut again,
        control::FAMILY_ID,
        &family.id.number().to_ne_bytes(),
    );
    assert_eq!(read_family(&again, OFFSET), Ok(family));
    // The number is all that is needed.
    let only_the_number = read_family(&again[again.len() - 8..], OFFSET);
    assert_eq!(only_the_number.map(|again| again.id), Ok(family.id));
}

fn attribute(bytes: &mut Vec<u8>, number: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).expect("short");
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&number.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
