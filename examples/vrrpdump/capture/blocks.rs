//! Blocks of pcapng: sections, interfaces, frames; others are skipped.

use core::time::Duration;

use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption as Described,
};
use pcap_file::pcapng::{Block, PcapNgParser};

use super::{Step, Stop};
use crate::link::Link;

/// The blocks that carry frames: the old packet block, the simple and the enhanced one.
const WITH_FRAME: [u32; 3] = [2, 3, 6];

/// Reads a block; copies the bytes of its frame and gives how many are left.
pub(super) fn next(
    parser: &mut PcapNgParser,
    bytes: &[u8],
    frame: &mut Vec<u8>,
) -> Result<(usize, Step), Stop> {
    // Only these are decoded, so that the others may have whatever content.
    let is_frame = kind(parser, bytes).is_some_and(|kind| WITH_FRAME.contains(&kind));
    if !is_frame {
        let (left, _) = parser.next_raw_block(bytes)?;
        return Ok((left.len(), Step::Other));
    }
    let (left, block) = parser.next_block(bytes)?;
    let interfaces = parser.interfaces();
    let find = |id: u32| {
        let place = usize::try_from(id).ok();
        place
            .and_then(|place| interfaces.get(place))
            .ok_or_else(|| {
                let reason = format!("frame of interface {id}, which is not described before");
                Stop::Corrupt(reason.into())
            })
    };
    let (id, interface, ticks, original_len, data) = match &block {
        Block::EnhancedPacket(packet) => (
            packet.interface_id,
            find(packet.interface_id)?,
            // pcap-file takes the ticks for nanoseconds, whatever they are.
            u64::try_from(packet.timestamp.as_nanos()).ok(),
            packet.original_len,
            &packet.data,
        ),
        Block::Packet(packet) => {
            let id = packet.interface_id.into();
            let ticks = Some(packet.timestamp);
            (id, find(id)?, ticks, packet.original_len, &packet.data)
        }
        Block::SimplePacket(packet) => (0, find(0)?, None, packet.original_len, &packet.data),
        _ => return Ok((left.len(), Step::Other)),
    };
    let original_len = usize::try_from(original_len).unwrap_or(usize::MAX);
    frame.clear();
    // A simple block does not say how much was captured, and ends in padding.
    let most = match (&block, interface.snaplen) {
        (Block::SimplePacket(_), 0) => original_len,
        (Block::SimplePacket(_), limit) => {
            original_len.min(usize::try_from(limit).unwrap_or(usize::MAX))
        }
        _ => data.len(),
    };
    frame.extend_from_slice(data.get(..most).unwrap_or(data));
    Ok((
        left.len(),
        Step::Frame {
            time: ticks.map(|ticks| time(interface, ticks)),
            interface: name(interface, id),
            link: Link::from(u32::from(interface.linktype)),
            original_len,
        },
    ))
}

/// The type of the block that the bytes begin with.
fn kind(parser: &PcapNgParser, bytes: &[u8]) -> Option<u32> {
    let kind = *bytes.first_chunk()?;
    Some(if parser.section().endianness.is_big() {
        u32::from_be_bytes(kind)
    } else {
        u32::from_le_bytes(kind)
    })
}

/// The name of an interface, or its number. It comes from the file, and must not steer a terminal.
fn name(interface: &InterfaceDescriptionBlock<'_>, id: u32) -> String {
    let names = interface.options.iter().find_map(|option| match option {
        Described::IfName(name) => Some(name.replace(char::is_control, "\u{fffd}")),
        _ => None,
    });
    names.unwrap_or_else(|| format!("#{id}"))
}

/// When a frame came, since 1970: the interface says how long a tick is, a microsecond unless it
/// does, and from when they count.
fn time(interface: &InterfaceDescriptionBlock<'_>, ticks: u64) -> Duration {
    let mut per_second: u128 = 1_000_000;
    let mut offset = 0;
    for option in &interface.options {
        match option {
            Described::IfTsResol(exponent) => {
                let power = u32::from(exponent & 0x7f);
                let base: u128 = if exponent & 0x80 == 0 { 10 } else { 2 };
                // Finer than can be told apart in 64 bits of ticks: all of them are at 0.
                per_second = base.checked_pow(power).unwrap_or(u128::MAX);
            }
            Described::IfTsOffset(seconds) => offset = *seconds,
            _ => {}
        }
    }
    let ticks = u128::from(ticks);
    let seconds = u64::try_from(ticks / per_second).unwrap_or(u64::MAX);
    let rest = (ticks % per_second).saturating_mul(1_000_000_000) / per_second;
    let nanoseconds = u32::try_from(rest).unwrap_or(0).min(999_999_999);
    // The offset is signed.
    let seconds = seconds.saturating_add_signed(offset.cast_signed());
    Duration::new(seconds, nanoseconds)
}
