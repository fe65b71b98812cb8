//! Captures that end too early or say nonsense: what can be read is, then an error says where.

use std::fs;

use pcap_file::Endianness;

use crate::captures::{Interface, pcap, pcapng};
use crate::{program, vectors};

fn frame() -> Vec<u8> {
    vectors::named("V07").frame
}

/// A capture of three frames: file, where the third begins, and its length.
fn three(is_next_generation: bool) -> (Vec<u8>, usize, usize) {
    let frame = frame();
    let capture = |count: usize| {
        let frames: Vec<&[u8]> = vec![&frame; count];
        if is_next_generation {
            let interfaces = [Interface {
                link: 1,
                name: Some("eth0"),
                resolution: None,
                offset: None,
            }];
            let frames: Vec<_> = frames.into_iter().map(|frame| (0, 0, frame)).collect();
            pcapng(Endianness::Little, &interfaces, &frames)
        } else {
            pcap(1, frames)
        }
    };
    let (all, start) = (capture(3), capture(2).len());
    let length = all.len() - start;
    (all, start, length)
}

#[test]
fn a_capture_cut_off_shows_what_is_there_and_says_where_it_ends() {
    for is_next_generation in [false, true] {
        let (capture, start, length) = three(is_next_generation);
        for given in [1, 7, 12, 15, 16, 17, length - 1] {
            let outcome = program::run("--stats -", &capture[..start + given]);
            assert_eq!(outcome.status, Some(2), "{given}");
            let lines: Vec<_> = outcome.stdout.lines().collect();
            assert_eq!(lines.len(), 4, "{given}: {lines:?}");
            assert!(lines[1].contains("VRRPv3 vrid 12"), "{lines:?}");
            assert_eq!(lines[2], "2 frames: 2 accepted, 0 refused");
            let said = format!(
                "vrrpdump: standard input: byte {start}: the file ends within the record here, \
                 after {given} bytes of it\n"
            );
            assert_eq!(outcome.stderr, said);
        }
    }
}

#[test]
fn the_file_is_named() {
    let (capture, start, _) = three(false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.pcap");
    fs::write(&path, &capture[..start + 20]).unwrap();
    let path = path.to_str().unwrap();
    let outcome = program::run(path, b"");
    assert_eq!(outcome.status, Some(2));
    assert_eq!(outcome.stdout.lines().count(), 2);
    let said = format!("vrrpdump: {path}: byte {start}: the file ends");
    assert!(outcome.stderr.starts_with(&said), "{}", outcome.stderr);

    let missing = folder.path().join("missing.pcap");
    let outcome = program::run(missing.to_str().unwrap(), b"");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""));
    assert!(
        outcome.stderr.contains("missing.pcap: No such file"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_corrupt_record_ends_it_with_its_place() {
    // Where in the third record, what is written there, what is said.
    let pcap = [
        (
            4,
            vec![0x40, 0x42, 0x0f, 0],
            "fraction of a second is 1000000 where 999999 is the most",
        ),
        (12, vec![1, 0, 0, 0], "50 bytes captured of a frame of 1"),
    ];
    let pcapng = [
        (4, vec![13, 0, 0, 0], "corrupt: "),
        (4, vec![8, 0, 0, 0], "corrupt: "),
        (
            8,
            vec![9, 0, 0, 0],
            "frame of interface 9, which is not described before",
        ),
        (20, vec![0xff, 0xff, 0, 0], "corrupt: "),
    ];
    let damages = pcap.map(|damage| (false, damage));
    let damages = damages
        .into_iter()
        .chain(pcapng.map(|damage| (true, damage)));
    for (is_next_generation, (place, bytes, said)) in damages {
        let (mut capture, start, _) = three(is_next_generation);
        capture[start + place..start + place + bytes.len()].copy_from_slice(&bytes);
        let outcome = program::run("-", &capture);
        assert_eq!(outcome.status, Some(2), "{said}");
        assert_eq!(outcome.stdout.lines().count(), 2, "{said}");
        let head = format!("vrrpdump: standard input: byte {start}: corrupt: ");
        assert!(outcome.stderr.starts_with(&head), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_no_capture_is_refused() {
    for (bytes, said) in [
        (&b""[..], "empty: neither pcap nor pcapng"),
        (b"abc", "neither pcap nor pcapng"),
        (b"abcdefghijklmnopqrstuvwxyz", "neither pcap nor pcapng"),
        (&[0xd4, 0xc3, 0xb2, 0xa1, 2], "byte 0: the file ends within"),
        (
            &[0x0a, 0x0d, 0x0d, 0x0a, 28],
            "byte 0: the file ends within",
        ),
        (
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4],
            "byte 0: corrupt: ",
        ),
    ] {
        let outcome = program::run("-", bytes);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}
