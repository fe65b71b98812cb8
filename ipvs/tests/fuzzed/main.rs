//! What the fuzz targets check, run quickly on recorded messages with a few random changes and on
//! random steps; `fuzz/` runs the same functions on whatever a fuzzer makes of them.
//!
//! Each crash that fuzzing finds becomes a test with a name of its own here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod acknowledgement;
mod connections;
mod dump;
mod family;
#[cfg(feature = "memory")]
mod memory_kernel;
mod request;
mod session;
mod table_text;

use ::bytes::BytesMut;
use lvs_ipvs::Change;
use lvs_ipvs::session::Session;
use lvs_ipvs::wire::{Body, FamilyId, Messages};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const RECORDINGS: [&str; 2] = [
    include_str!("../data/linux-6.1.176.txt"),
    include_str!("../data/linux-7.2.7.txt"),
];

/// Recorded datagrams whose name is to the liking of `wanted`.
fn recorded(wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let lines = RECORDINGS.iter().flat_map(|text| text.lines());
    let named = lines.filter_map(|line| line.split_once(' '));
    let chosen = named.filter(|(name, _)| !name.starts_with('#') && wanted(name));
    let datagrams: Vec<Vec<u8>> = chosen.map(|(_, hex)| bytes(hex)).collect();
    assert!(!datagrams.is_empty());
    datagrams
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let text = pairs.map(|pair| core::str::from_utf8(pair).unwrap());
    text.map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// One of them with a few changes: bytes replaced, cut out, repeated.
fn changed(datagrams: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), any::<Index>(), any::<u8>(), 0..6_u8);
    (select(datagrams), vec(change, 0..6)).prop_map(|(mut bytes, changes)| {
        for (place, other, value, what) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            let end = place + other.index((bytes.len() - place).min(64));
            match what {
                0 => drop(bytes.drain(place..end)),
                1 => bytes.extend_from_within(place..end),
                2 => bytes.truncate(place),
                3 => bytes[place] = bytes[place].wrapping_add(value % 8),
                _ => bytes[place] = value,
            }
        }
        bytes
    })
}

/// The attributes of each of their messages.
fn attributes(datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let messages = datagrams.iter().flat_map(|bytes| Messages::new(bytes));
    let bodies = messages.map(|message| message.unwrap().body().unwrap());
    let attributes = bodies.filter_map(|body| match body {
        Body::Generic { attributes, .. } => Some(attributes.to_vec()),
        _ => None,
    });
    attributes.collect()
}

/// Steps of a session: a byte for what happens, two for its arguments. What fits together is there
/// more often than by chance.
fn steps() -> impl Strategy<Value = Vec<u8>> {
    let any = || any::<u8>();
    let step = prop_oneof![
        6 => (0..24_u8, any(), any()),
        // Requests, one or many; a datagram of them.
        2 => (Just(0), any(), prop_oneof![0..4_u8, Just(255)]),
        2 => Just((3, 0, 0)),
        // Answers that fit queries, abandoned or not.
        1 => (Just(12), 0..3_u8, select(vec![1_u8, 5, 9, 12, 14])),
    ];
    vec(step, 0..200).prop_map(|steps| steps.into_iter().flat_map(|(a, b, c)| [a, b, c]).collect())
}

/// The command of each of their messages with the attributes behind it.
fn commands(datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let messages = datagrams.iter().flat_map(|bytes| Messages::new(bytes));
    let bodies = messages.map(|message| message.unwrap().body().unwrap());
    let commands = bodies.filter_map(|body| match body {
        Body::Generic {
            command,
            attributes,
        } => Some([&[command], attributes].concat()),
        _ => None,
    });
    commands.collect()
}

fn is_reply(name: &str) -> bool {
    !name.starts_with("request-")
}

proptest! {
    /// Replies too: a service in one is a service that could be asked for.
    #[test]
    fn requests_are_the_same_after_they_were_written_again(
        bytes in changed(commands(recorded(|_| true))),
    ) {
        request::check(&bytes);
    }

    #[test]
    fn replies_are_the_same_after_they_were_sent_back(
        bytes in changed(attributes(recorded(is_reply))),
    ) {
        dump::check(&bytes);
    }

    #[test]
    fn messages_lie_within_their_datagram(bytes in changed(recorded(|_| true))) {
        acknowledgement::check(&bytes);
    }

    #[test]
    fn families_are_the_same_after_they_were_written_again(
        bytes in changed(attributes(recorded(|name| name == "family"))),
    ) {
        family::check(&bytes);
    }

    #[test]
    fn each_request_completes_once_whatever_happens(steps in steps()) {
        session::check(&steps);
    }
}

/// Recorded files of `/proc/net`, all in one list.
fn recorded_files() -> Vec<Vec<u8>> {
    let folders = ["procfs-6.1.176", "procfs-7.2.7"];
    let files = folders.map(|folder| {
        let folder = format!("{}/tests/data/{folder}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap())
    });
    let files: Vec<_> = files.into_iter().flatten().collect();
    assert!(files.len() > 12);
    files
}

#[test]
fn recorded_files_pass_as_they_are() {
    for file in recorded_files() {
        connections::check(&file);
    }
}

proptest! {
    #[test]
    fn files_are_read_whatever_is_in_them(bytes in changed(recorded_files())) {
        connections::check(&bytes);
    }
}

/// Rules and commands with a few words replaced, repeated or cut.
fn rules() -> impl Strategy<Value = String> {
    let lines = || include_str!("../data/rules.txt").lines();
    let words = || -> Vec<&str> { lines().flat_map(|line| line.split(' ')).collect() };
    let line = select(lines().collect::<Vec<_>>());
    let odd = select(vec![
        "",
        "-",
        "--",
        "=",
        "#",
        "\t",
        "\0",
        "é",
        "-1",
        "99999999999",
    ]);
    let word = prop_oneof![4 => select(words()), 1 => odd];
    let change = (any::<Index>(), word, 0..5_u8);
    let line = (line, vec(change, 0..3)).prop_map(|(line, changes)| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for (place, word, what) in changes {
            let place = place.index(words.len());
            match what {
                0 => words.insert(place, word.to_owned()),
                1 => words[place].push_str(word),
                2 => words.truncate(place + 1),
                _ => words[place] = word.to_owned(),
            }
        }
        words.join(" ")
    });
    vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn rules_are_the_same_after_they_were_written_again(text in rules()) {
        table_text::check(&text);
    }
}

#[test]
fn the_rules_that_are_changed_are_good_themselves() {
    let good = include_str!("../data/rules.txt").lines();
    for line in good.filter(|line| !line.starts_with('#')) {
        assert!(line.parse::<Change>().is_ok(), "{line}");
        table_text::check(line);
    }
    table_text::check(include_str!("../data/rules.txt"));
}

#[cfg(feature = "memory")]
proptest! {
    #[test]
    fn the_kernel_in_memory_takes_anything(
        datagrams in vec(changed(recorded(|name| !is_reply(name))), 1..6),
    ) {
        memory_kernel::check(&datagrams.concat());
    }
}

/// `errno` promises a positive number, and gave -1 for a code that no kernel sends.
#[test]
fn an_error_number_is_positive_whatever_the_code() {
    for (code, errno) in [
        (0, None),
        (-3, Some(3)),
        (1, Some(1)),
        (i32::MIN, Some(i32::MAX)),
    ] {
        let code = code.to_ne_bytes();
        let datagram = [&bytes("14000000030002000100000001000000"), &code[..]].concat();
        let message = Messages::new(&datagram).next().unwrap().unwrap();
        let Ok(Body::Done(acknowledgement)) = message.body() else {
            panic!("{message:?}")
        };
        assert_eq!(acknowledgement.errno(), errno);
        acknowledgement::check(&datagram);
    }
}

/// Behind a request whose answer never came, the session kept a place for each later one.
#[test]
fn one_answer_that_stays_out_does_not_make_the_session_grow() {
    let mut session = Session::new(FamilyId::new(28));
    let mut sent = BytesMut::new();
    for _ in 0..1000 {
        session.submit(Change::Flush);
        sent.clear();
        assert!(session.poll_transmit(&mut sent));
        let sequence = Messages::new(&sent)
            .next()
            .unwrap()
            .unwrap()
            .header()
            .sequence;
        if sequence == 1 {
            // Its operation is dropped, its answer lost.
            session.abandon();
            continue;
        }
        let mut answer = bytes("2400000002000000");
        answer.extend_from_slice(&sequence.to_ne_bytes());
        answer.resize(36, 0);
        let mut messages = Messages::new(&answer);
        assert!(session.handle(&mut messages).is_some());
        assert_eq!(session.in_flight(), 0, "request {sequence}");
    }
}

/// The copy of the request in an error said it was shorter than a header, and what stood in its
/// header was read as the text of the error.
#[test]
fn an_acknowledged_request_is_no_shorter_than_its_header() {
    acknowledgement::check(&bytes(
        "2400000002001a02000b000000ac97afea0000000b0000003d0300c000020a0004000100003d",
    ));
}

/// The unknown attributes of a nest that fills its length field were sent back in one that did
/// not: its length was wrong, and what followed was cut off.
#[test]
fn a_nest_too_long_to_be_sent_back_is_refused() {
    let known = bytes("060001000200000008000500070000000700060072720000");
    let known_destination =
        bytes("080001000a00000106000200005000000800030000000000080004000100ffff");
    for (nest, known) in [(1_u16, known), (2, known_destination)] {
        for length in [64_000_u16, 64_996, 65_000, 65_004, 65_528] {
            let unknown = length - u16::try_from(known.len()).unwrap();
            let mut attributes = (length + 4).to_ne_bytes().to_vec();
            attributes.extend_from_slice(&nest.to_ne_bytes());
            attributes.extend_from_slice(&known);
            attributes.extend_from_slice(&unknown.to_ne_bytes());
            attributes.extend_from_slice(&99_u16.to_ne_bytes());
            attributes.resize(4 + usize::from(length), 0);
            dump::check(&attributes);
        }
    }
}
