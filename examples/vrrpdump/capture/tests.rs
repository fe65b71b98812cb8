//! Whatever the bytes, reading ends, and without panic; how they are handed over does not matter.

use std::io::Read;

use clap::Parser;
use proptest::collection::vec;
use proptest::prelude::*;

use super::Capture;
use crate::arguments::Arguments;
use crate::dump::Dump;

/// Gives a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, place: &mut [u8]) -> std::io::Result<usize> {
        let most = place.len().min(self.1);
        self.0.read(&mut place[..most])
    }
}

/// What the program writes for these bytes, and the error if there is one; at most `step` bytes are
/// read at once.
fn dump(bytes: &[u8], step: usize, options: &[&str]) -> (String, Option<String>) {
    let arguments = ["vrrpdump", "-", "--announcements"].iter().chain(options);
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let mut dump = Dump::new(&arguments);
    let mut capture = Capture::new(Slow(bytes, step));
    let mut out = Vec::new();
    let error = loop {
        match capture.next() {
            Ok(Some(frame)) => dump.frame(&frame, &mut out).unwrap(),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Some(error) = &error {
        assert!(
            error.offset <= u64::try_from(bytes.len()).unwrap(),
            "{error}"
        );
    }
    dump.write_stats(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    (text, error.map(|error| error.to_string()))
}

/// The sample as pcapng: the packets as enhanced, old and simple blocks.
fn as_blocks() -> Vec<u8> {
    let mut file: Vec<u8> = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padding = (4 - body.len() % 4) % 4;
        let length = u32::try_from(body.len() + padding + 12).unwrap();
        file.extend(kind.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(body);
        file.extend(&[0; 3][..padding]);
        file.extend(length.to_le_bytes());
    };
    let section = [
        &0x1a2b_3c4d_u32.to_le_bytes()[..],
        &[1, 0, 0, 0],
        &[0xff; 8],
    ]
    .concat();
    block(0x0a0d_0d0a, &section);
    block(
        1,
        &[
            1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 4, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0,
        ],
    );
    let mut capture = Capture::new(SAMPLE);
    let mut kinds = [6, 2, 3].into_iter().cycle();
    while let Some(frame) = capture.next().unwrap() {
        let length = u32::try_from(frame.bytes.len()).unwrap().to_le_bytes();
        let ticks = [0_u8; 8];
        let kind = kinds.next().unwrap();
        let head = match kind {
            6 => [&[0; 4][..], &ticks, &length, &length].concat(),
            2 => [&[0; 4][..], &ticks, &length, &length].concat(),
            _ => length.to_vec(),
        };
        block(kind, &[&head, frame.bytes].concat());
    }
    // A block nobody knows, and one whose content is nonsense but is not read.
    block(0x0bad_cafe, &[1, 2, 3]);
    block(4, &[0xff; 8]);
    file
}

const SAMPLE: &[u8] = include_bytes!("../sample.pcap");

const ROUTERS: [&str; 6] = [
    "--vr",
    "vrid=51,priority=100,interval=1s,auth=none",
    "--vr",
    "vrid=53,auth=ah,password=ahkey123",
    "--vr",
    "vrid=10,family=6,priority=owner",
];

#[test]
fn both_formats_say_the_same() {
    let (lines, error) = dump(SAMPLE, usize::MAX, &[]);
    assert_eq!(error, None);
    let (blocks, error) = dump(&as_blocks(), usize::MAX, &[]);
    assert_eq!(error, None);
    // But for the time, of which simple blocks have none, and the interface.
    let without_time = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    let blocks: Vec<_> = blocks.lines().collect();
    assert_eq!(lines.lines().count(), blocks.len());
    for (line, other) in lines.lines().zip(blocks).take(23) {
        let other = other.strip_prefix("00:00:00.000000 ").unwrap_or(other);
        let other = other.strip_prefix("eth0 ").unwrap();
        assert_eq!(without_time(line), other);
    }
}

#[test]
fn a_record_that_cannot_end_is_given_up() {
    // A block of 4 GB: the file is not read into memory to its end.
    let mut file = as_blocks();
    file.extend([6, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff]);
    file.extend(vec![0; 17 << 20]);
    let (_, error) = dump(&file, usize::MAX, &[]);
    let error = error.unwrap();
    assert!(
        error.contains("corrupt: a record longer than 16777216 bytes"),
        "{error}"
    );
}

#[test]
fn how_much_is_read_at_once_does_not_matter() {
    for bytes in [SAMPLE, &as_blocks()] {
        let whole = dump(bytes, usize::MAX, &ROUTERS);
        for step in [1, 2, 3, 7, 16, 63, 64, 65, 500] {
            assert_eq!(dump(bytes, step, &ROUTERS), whole, "{step}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..400), step in 1_usize..64) {
        let _ = dump(&bytes, step, &[]);
        for head in [&SAMPLE[..24], &as_blocks()[..60]] {
            let _ = dump(&[head, &bytes].concat(), step, &ROUTERS);
        }
    }

    /// Bytes changed, taken out, doubled and cut off at any place.
    #[test]
    fn any_damage_is_survived(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
        is_next_generation in any::<bool>(),
        is_json in any::<bool>(),
    ) {
        let mut bytes = if is_next_generation { as_blocks() } else { SAMPLE.to_vec() };
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let options: Vec<_> = ROUTERS.into_iter().chain(is_json.then_some("--json")).collect();
        let _ = dump(&bytes, usize::MAX, &options);
    }

    /// Frames of any bytes, in every link type.
    #[test]
    fn any_frame_is_survived(
        link in prop::sample::select(vec![1_u32, 113, 276, 101, 228, 229, 12, 9]),
        mut bytes in vec(any::<u8>(), 0..200),
        protocol in prop::sample::select(vec![112_u8, 51, 58]),
        family in prop::sample::select(vec![0x45_u8, 0x4f, 0x60]),
    ) {
        let skipped = match link { 1 => 14, 113 => 16, 276 => 20, _ => 0 };
        let ether_type = if family == 0x60 { [0x86, 0xdd] } else { [8, 0] };
        let type_at = match link { 1 => Some(12), 113 => Some(14), 276 => Some(0), _ => None };
        let mut put = |at: usize, byte: u8| if let Some(place) = bytes.get_mut(at) { *place = byte };
        if let Some(at) = type_at {
            put(at, ether_type[0]);
            put(at + 1, ether_type[1]);
        }
        put(skipped, family);
        put(skipped + 9, protocol);
        put(skipped + 6, protocol);
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let file = [&SAMPLE[..20], &link.to_le_bytes(), &[0; 8], &length, &length, &bytes].concat();
        let (_, error) = dump(&file, usize::MAX, &ROUTERS);
        prop_assert_eq!(error, None);
    }
}
