//! Captures to be read, made from frames.

use core::time::Duration;
use std::borrow::Cow;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, TsResolution};

/// When the first frame of a capture came; the others follow, a second each.
pub(crate) const START: u64 = 1_700_000_000;

/// A pcap file of frames of this link type.
pub(crate) fn pcap<'a>(link: u32, frames: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    pcap_as(
        link,
        Endianness::native(),
        TsResolution::MicroSecond,
        frames,
    )
}

/// The same in this order of bytes and with this resolution of time.
pub(crate) fn pcap_as<'a>(
    link: u32,
    endianness: Endianness,
    ts_resolution: TsResolution,
    frames: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let header = PcapHeader {
        datalink: DataLink::from(link),
        endianness,
        ts_resolution,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for (second, frame) in (START..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        let time = Duration::new(second, 250_000_000);
        writer
            .write_packet(&PcapPacket::new(time, length, frame))
            .unwrap();
    }
    writer.into_writer()
}

/// An interface of a pcapng file: link type, name, exponent of the time's resolution,
/// seconds to add.
#[derive(Clone, Copy)]
pub(crate) struct Interface {
    pub(crate) link: u32,
    pub(crate) name: Option<&'static str>,
    pub(crate) resolution: Option<u8>,
    pub(crate) offset: Option<i64>,
}

/// A pcapng file of frames with their interface and time, in ticks.
pub(crate) fn pcapng(
    endianness: Endianness,
    interfaces: &[Interface],
    frames: &[(u32, u64, &[u8])],
) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), endianness).unwrap();
    for interface in interfaces {
        let name = interface
            .name
            .map(|name| InterfaceDescriptionOption::IfName(name.into()));
        let resolution = interface
            .resolution
            .map(InterfaceDescriptionOption::IfTsResol);
        let offset = interface.offset.map(i64::cast_unsigned);
        let offset = offset.map(InterfaceDescriptionOption::IfTsOffset);
        writer
            .write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::from(interface.link),
                snaplen: 0,
                options: name.into_iter().chain(resolution).chain(offset).collect(),
            })
            .unwrap();
    }
    for (interface_id, ticks, frame) in frames {
        writer
            .write_pcapng_block(EnhancedPacketBlock {
                interface_id: *interface_id,
                // The writer takes ticks for nanoseconds.
                timestamp: Duration::from_nanos(*ticks),
                original_len: u32::try_from(frame.len()).unwrap(),
                data: Cow::Borrowed(frame),
                options: Vec::new(),
            })
            .unwrap();
    }
    writer.into_inner()
}
