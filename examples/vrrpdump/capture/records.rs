//! Records of pcap.

use core::time::Duration;

use pcap_file::TsResolution;
use pcap_file::pcap::PcapParser;

use super::{Step, Stop};
use crate::link::Link;

/// Reads a record; copies its bytes and gives how many are left.
///
/// The record is taken raw: pcap-file refuses frames longer than the limit of the capture, which
/// are those that were cut off to it.
pub(super) fn next(
    parser: &PcapParser,
    bytes: &[u8],
    frame: &mut Vec<u8>,
) -> Result<(usize, Step), Stop> {
    let (left, record) = parser.next_raw_packet(bytes)?;
    let header = parser.header();
    let (ticks, most) = match header.ts_resolution {
        TsResolution::MicroSecond => (record.ts_frac.checked_mul(1000), 999_999),
        TsResolution::NanoSecond => (Some(record.ts_frac), 999_999_999),
    };
    let Some(nanoseconds) = ticks.filter(|nanoseconds| *nanoseconds < 1_000_000_000) else {
        let given = record.ts_frac;
        let reason = format!("fraction of a second is {given} where {most} is the most");
        return Err(Stop::Corrupt(reason.into()));
    };
    if record.incl_len > record.orig_len {
        let (captured, original) = (record.incl_len, record.orig_len);
        let reason = format!("{captured} bytes captured of a frame of {original}");
        return Err(Stop::Corrupt(reason.into()));
    }
    frame.clear();
    frame.extend_from_slice(&record.data);
    // Above the link type there is the length of a check sequence.
    let link = Link::from(u32::from(header.datalink) & 0xffff);
    Ok((
        left.len(),
        Step::Frame {
            time: Some(Duration::new(record.ts_sec.into(), nanoseconds)),
            interface: String::new(),
            link,
            original_len: usize::try_from(record.orig_len).unwrap_or(usize::MAX),
        },
    ))
}
