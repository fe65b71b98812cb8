//! Requests as no client of this crate sends them: attributes gone, cut, grown or renumbered,
//! other commands, other flags.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bytes::BytesMut;
use lvs_ipvs::Request;
use lvs_ipvs::wire::{FamilyId, encode_request};
use proptest::prelude::*;
use proptest::sample::Index;

use super::COMMANDS;

/// What is changed about a request.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    /// An attribute is left out.
    Drop(Index),
    /// An attribute's value is cut or filled up with that byte to a length.
    Resize(Index, usize, u8),
    /// An attribute gets another number.
    Renumber(Index, u16),
    /// Another command.
    Command(u8),
    /// The flags of a dump are added to those of the request, or taken away.
    ToggleDump,
}

pub(crate) fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => any::<Index>().prop_map(Mutation::Drop),
        6 => (any::<Index>(), 0_usize..20, any::<u8>())
            .prop_map(|(index, length, fill)| Mutation::Resize(index, length, fill)),
        2 => (any::<Index>(), 0_u16..20).prop_map(|(index, number)| {
            Mutation::Renumber(index, number)
        }),
        2 => COMMANDS.prop_map(Mutation::Command),
        1 => Just(Mutation::ToggleDump),
    ]
}

/// An attribute: its number with flags, and its value or what is nested in it.
#[derive(Clone)]
struct Attribute {
    number: u16,
    value: Vec<u8>,
    nested: Vec<Self>,
}

const NESTED: u16 = 0x8000;

fn parse(mut bytes: &[u8]) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    while let Some((header, _)) = bytes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let number = u16::from_ne_bytes([header[2], header[3]]);
        let value = bytes[4..length].to_vec();
        let nested = if number & NESTED != 0 {
            parse(&value)
        } else {
            Vec::new()
        };
        attributes.push(Attribute {
            number,
            value,
            nested,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    attributes
}

fn emit(attributes: &[Attribute], bytes: &mut Vec<u8>) {
    for attribute in attributes {
        let mut value = Vec::new();
        match attribute.number & NESTED {
            0 => value.clone_from(&attribute.value),
            _ => emit(&attribute.nested, &mut value),
        }
        bytes.extend_from_slice(&u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
        bytes.extend_from_slice(&attribute.number.to_ne_bytes());
        bytes.extend_from_slice(&value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
}

/// All attributes, those in nests behind their nest.
fn flat(attributes: &[Attribute]) -> usize {
    attributes
        .iter()
        .map(|attribute| 1 + flat(&attribute.nested))
        .sum()
}

/// Applies `change` to the attribute at that place of the flat order; `None` from it drops it.
fn change_at(
    attributes: &mut Vec<Attribute>,
    place: &mut usize,
    change: &mut dyn FnMut(Attribute) -> Option<Attribute>,
) {
    let mut index = 0;
    while index < attributes.len() {
        if *place == 0 {
            *place = usize::MAX;
            let attribute = attributes.remove(index);
            if let Some(attribute) = change(attribute) {
                attributes.insert(index, attribute);
            }
            return;
        }
        *place -= 1;
        change_at(&mut attributes[index].nested, place, change);
        if *place == usize::MAX {
            return;
        }
        index += 1;
    }
}

/// The bytes of a request with the mutation applied. Always a whole netlink message: what the
/// framing does with broken headers is no matter of IPVS.
pub(crate) fn encode(
    family: FamilyId,
    sequence: u32,
    request: &Request,
    mutation: &Mutation,
) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    encode_request(&mut buffer, family, sequence, request);
    let mut header = buffer[..20].to_vec();
    let mut attributes = parse(&buffer[20..]);
    let count = flat(&attributes);
    let mut at = |index: &Index, change: &mut dyn FnMut(Attribute) -> Option<Attribute>| {
        if count > 0 {
            change_at(&mut attributes, &mut index.index(count), change);
        }
    };
    match mutation {
        Mutation::Drop(index) => at(index, &mut |_| None),
        Mutation::Resize(index, length, fill) => at(index, &mut |mut attribute| {
            attribute.value.resize(*length, *fill);
            // A nest cut somewhere is a value now.
            attribute.number &= !NESTED;
            Some(attribute)
        }),
        Mutation::Renumber(index, number) => at(index, &mut |mut attribute| {
            attribute.number = number | (attribute.number & NESTED);
            Some(attribute)
        }),
        Mutation::Command(command) => header[16] = *command,
        Mutation::ToggleDump => {
            // NLM_F_DUMP
            header[7] ^= 0x03;
        }
    }
    let mut bytes = header;
    emit(&attributes, &mut bytes);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}
