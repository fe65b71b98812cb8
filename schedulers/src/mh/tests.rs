use core::net::SocketAddr;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::modulus::Modulus;
use super::*;
use crate::explanation::Explanation;
use crate::hash::fold_destination;
use crate::hash::slots::tests::Server;

const NONE: SchedulerFlags = SchedulerFlags::NONE;

fn bound(list: &[Server], word: MhWord, table_index: u8) -> Mh {
    let mut mh = Mh::new(word, table_index);
    mh.bind(list, Timestamp::ZERO);
    mh
}

/// The service of the spec's examples: servers 10.0.0.1:80 and on, by weight.
fn servers(weights: &[u32]) -> Vec<Server> {
    let server = |(last, &weight)| Server::at(([10, 0, 0, last], 80), weight);
    (1..).zip(weights).map(server).collect()
}

fn ipv6_servers(count: u16) -> Vec<Server> {
    let server = |last| Server::at(([0xfd00, 0, 0, 0, 0, 0, 0, last], 80), 1);
    (1..=count).map(server).collect()
}

fn letter(owner: Option<usize>) -> char {
    owner.map_or('-', |index| ['A', 'B', 'C'][index])
}

fn letters(mh: &Mh) -> String {
    mh.owners().map(letter).collect()
}

fn counts(mh: &Mh, servers: usize) -> Vec<usize> {
    let mut counts = std::vec![0; servers];
    for owner in mh.owners().flatten() {
        counts[owner] += 1;
    }
    counts
}

/// CRC-32 as of zlib and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc: u32, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
        crc
    })
}

fn flow(client: SocketAddr) -> Flow {
    Flow::tcp(client, ([192, 0, 2, 1], 80).into())
}

fn explained(mh: &mut Mh, list: &[Server], client: &str) -> (Option<usize>, Explanation) {
    let mut why = Explanation::new();
    let mut context = Context::new(Timestamp::ZERO).with_trace(&mut why);
    let picked = mh.pick(list, &flow(client.parse().unwrap()), &mut context);
    (picked, why)
}

fn pick(mh: &mut Mh, list: &[Server], client: &str) -> Option<usize> {
    let (picked, why) = explained(mh, list, client);
    assert_eq!(why.outcome(), picked);
    picked
}

/// Offset and skip of each server, in the order A, B, C.
fn ways(list: &[Server], word: MhWord, table_index: u8, ipv6: bool) -> Vec<(u32, u32)> {
    let slots = Modulus::prime(table_index).divisor();
    let way = |server: &Server| {
        let folded = fold_destination(server.address.ip(), ipv6);
        let input = folded + u32::from(server.address.port());
        let skip = hash::skip_hash(word, input) % (slots - 1) + 1;
        (slot_hash(word, input) % slots, skip)
    };
    list.iter().map(way).collect()
}

#[test]
fn crc32_is_the_usual_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

/// Spec §12: offsets and skips of all four sets.
#[test]
fn section_12_offsets_and_skips() {
    let list = servers(&[1, 1, 1]);
    assert_eq!(
        ways(&list, MhWord::Bits64, 12, false),
        [(3167, 700), (1231, 3544), (1631, 3453)]
    );
    assert_eq!(
        ways(&list, MhWord::Bits64, 8, false),
        [(226, 202), (26, 242), (80, 167)]
    );
    assert_eq!(
        ways(&ipv6_servers(3), MhWord::Bits64, 12, true),
        [(1796, 658), (2142, 1771), (3867, 1376)]
    );
    assert_eq!(
        ways(&list, MhWord::Bits32, 12, false),
        [(1310, 1645), (3029, 1175), (2339, 3480)]
    );
}

/// Spec §12: the tables of three sets of weights: slots, first owners, checksum.
#[test]
fn section_12_tables() {
    for (weights, slots, first, checksum) in [
        (
            [1, 1, 1],
            [1364, 1364, 1365],
            "ABBCCABCCAABBAACBBAACBCC",
            0xc38f_29bc,
        ),
        (
            [1, 3, 2],
            [682, 2046, 1365],
            "ABBBCCBCCAABBBACBBCACBCC",
            0xcbb6_fe5d,
        ),
        (
            [1000, 333, 70],
            [2941, 960, 192],
            "AABAAABBCAABAAAABAAAABAA",
            0xbf2f_c886,
        ),
    ] {
        let mh = bound(&servers(&weights), MhWord::Bits64, 12);
        let owners = letters(&mh);
        assert_eq!(counts(&mh, 3), slots, "{weights:?}");
        assert_eq!(owners[..24], *first, "{weights:?}");
        assert_eq!(crc32(owners.as_bytes()), checksum, "{weights:?}");
    }
}

/// Spec §12: hash, slot and server of each client.
#[test]
fn section_12_picks() {
    for (client, port, value, slot, picks) in [
        ("192.168.0.1", 0, 2_201_249_422, 1278, ['B', 'B', 'A']),
        ("192.168.0.2", 0, 435_934_957, 1806, ['C', 'B', 'A']),
        ("192.168.0.1", 40000, 1_874_601_652, 3559, ['A', 'A', 'A']),
        ("10.20.30.40", 0, 71_601_110, 2261, ['B', 'B', 'A']),
    ] {
        for (weights, server) in [[1, 1, 1], [1, 3, 2], [1000, 333, 70]]
            .into_iter()
            .zip(picks)
        {
            let list = servers(&weights);
            let mut mh = bound(&list, MhWord::Bits64, 12);
            if port != 0 {
                Scheduler::<Server>::set_flags(&mut mh, NONE.with_port());
            }
            let (picked, why) = explained(&mut mh, &list, &std::format!("{client}:40000"));
            assert_eq!(letter(picked), server, "{client} {weights:?}");
            let Step::Hashed(hashed) = why.steps()[0] else {
                panic!("{why}");
            };
            assert_eq!(
                (hashed.port, hashed.value, hashed.slot),
                (port, value, slot)
            );
        }
    }
}

/// Spec §12: N = 251.
#[test]
fn section_12_smallest_table() {
    let mh = bound(&servers(&[1, 1, 1]), MhWord::Bits64, 8);
    let owners = letters(&mh);
    assert_eq!(counts(&mh, 3), [83, 84, 84]);
    assert_eq!(owners[..24], *"BBAAAABBBAAABBBBBBCCAAAA");
    assert_eq!(crc32(owners.as_bytes()), 0x0454_3340);
}

/// Spec §12: IPv6 servers and client.
#[test]
fn section_12_ipv6() {
    let list = ipv6_servers(3);
    let mut mh = bound(&list, MhWord::Bits64, 12);
    let (picked, why) = explained(&mut mh, &list, "[2001:db8::1]:40000");
    assert_eq!(letter(picked), 'A');
    assert_eq!(
        why.to_string(),
        "mh picks #0\n\
         \x20 2001:db8::1 fold to 0x20010db9, hash 3452170633, slot 3457 of 4093\n\
         \x20 slot 3457: #0, taken\n"
    );
    let owners = letters(&mh);
    assert_eq!(owners[..24], *"ACBCBBBBCBCABBBBBAACACAC");
    assert_eq!(crc32(owners.as_bytes()), 0x20fa_fd10);
}

/// Spec §12: a 32-bit kernel.
#[test]
fn section_12_32_bits() {
    let mh = bound(&servers(&[1, 1, 1]), MhWord::Bits32, 12);
    let owners = letters(&mh);
    assert_eq!(owners[..24], *"BCABCBBCBACBCBBCABACCCAB");
    assert_eq!(crc32(owners.as_bytes()), 0xd64a_6af7);
}

/// Spec §12: weight 0 does not change the table, for it is built from the last weight; a
/// destination that never had a weight gets no slots until it does.
#[test]
fn the_last_weight_counts() {
    let mut list = servers(&[1, 3, 2]);
    let mut mh = bound(&list, MhWord::Bits64, 12);
    let before = letters(&mh);
    list[1].weight = 0;
    mh.edited(&list, 1);
    assert_eq!(letters(&mh), before);

    list.push(Server::at(([10, 0, 0, 4], 80), 0));
    mh.added(&list, 3);
    assert_eq!(letters(&mh), before);
    (list[3].weight, list[3].last_weight) = (1, 1);
    mh.edited(&list, 3);
    assert_eq!(counts(&mh, 4)[3], 4093 / 7 + 1);
}

/// Spec §12: without any last weight the table is empty, with or without fallback.
#[test]
fn nobody_is_picked_from_an_empty_table() {
    let mut list = servers(&[0, 0]);
    let mut mh = bound(&list, MhWord::Bits64, 12);
    for flags in [NONE, NONE.with_fallback()] {
        Scheduler::<Server>::set_flags(&mut mh, flags);
        let (picked, why) = explained(&mut mh, &list, "192.168.0.1:0");
        assert_eq!(picked, None);
        let words = "mh picks nobody\n  192.168.0.1 fold to 0xc0a80001, but the table is empty\n";
        assert!(why.to_string().starts_with(words), "{why}");
    }
    (list[0].weight, list[0].last_weight) = (1, 1);
    mh.edited(&list, 0);
    assert_eq!(pick(&mut mh, &list, "192.168.0.1:0"), Some(0));
    mh.removed(&[] as &[Server], 0);
    assert_eq!(mh.owners().len(), 0);
}

/// Spec §12: every change rebuilds the table.
#[test]
fn every_change_rebuilds() {
    let list = servers(&[1, 3, 2]);
    let fresh = |list: &[Server]| letters(&bound(list, MhWord::Bits64, 12));
    let mut mh = bound(&list[..1], MhWord::Bits64, 12);
    mh.added(&list[..2], 1);
    assert_eq!(letters(&mh), fresh(&list[..2]));
    mh.added(&list, 2);
    assert_eq!(letters(&mh), fresh(&list));
    let mut edited = list.clone();
    (edited[0].weight, edited[0].last_weight) = (9, 9);
    mh.edited(&edited, 0);
    assert_eq!(letters(&mh), fresh(&edited));
    mh.removed(&list[..2], 2);
    assert_eq!(letters(&mh), fresh(&list[..2]));
}

/// Spec §12: more destinations than slots: the rebuild fails and the old table stays.
#[test]
fn more_destinations_than_slots_leave_the_old_table() {
    let server = |number: u16| Server::at(([10, 0, 0, 1], 1000 + number), 1);
    let mut list: Vec<_> = (0..251).map(server).collect();
    let mut mh = bound(&list, MhWord::Bits64, 8);
    let full: Vec<_> = mh.owners().collect();
    assert_eq!(counts(&mh, 251), [1; 251]);

    for number in [251, 252] {
        list.push(server(number));
        mh.added(&list, list.len() - 1);
        assert!(mh.owners().eq(full.iter().copied()));
    }
    mh.edited(&list, 0);
    assert!(mh.owners().eq(full.iter().copied()));

    // Still one too many: the slot of the removed one has no owner, the others keep theirs.
    list.remove(7);
    mh.removed(&list, 7);
    let expected = full.iter().map(|&owner| match owner {
        Some(7) => None,
        Some(index) if index > 7 => Some(index - 1),
        owner => owner,
    });
    assert!(mh.owners().eq(expected));

    list.remove(0);
    mh.removed(&list, 0);
    assert!(mh.owners().eq(bound(&list, MhWord::Bits64, 8).owners()));
    // Bound to too many at once, where the kernel refuses: nobody.
    list.push(server(0));
    assert_eq!(bound(&list, MhWord::Bits64, 8).owners().len(), 0);
}

/// Spec §1.8: the family is that of the service. It is known from the first flow.
#[test]
fn destinations_of_the_other_family_are_folded_as_the_services() {
    let mut list = servers(&[1, 1]);
    list.extend(ipv6_servers(2));
    let mut mh = bound(&list, MhWord::Bits64, 12);
    let ipv6: Vec<_> = mh.owners().collect();
    pick(&mut mh, &list, "[2001:db8::1]:0");
    assert!(mh.owners().eq(ipv6.iter().copied()));

    let mut mh = bound(&list, MhWord::Bits64, 12);
    pick(&mut mh, &list, "192.168.0.1:0");
    let ipv4: Vec<_> = mh.owners().collect();
    assert!(ipv4 != ipv6);
    // A service has one family: no later flow changes it.
    pick(&mut mh, &list, "[2001:db8::1]:0");
    assert!(mh.owners().eq(ipv4.iter().copied()));
    assert_eq!(ipv4, literal_table(&list, MhWord::Bits64, 12, false));
    assert_eq!(ipv6, literal_table(&list, MhWord::Bits64, 12, true));
    // Kept for the rebuilds to come.
    mh.edited(&list, 0);
    assert!(mh.owners().eq(ipv4.iter().copied()));
}

#[test]
fn forgotten_hooks_neither_panic_nor_loop() {
    let list = servers(&[1, 1, 1]);
    let mut mh = bound(&list, MhWord::Bits64, 17);
    Scheduler::<Server>::set_flags(&mut mh, NONE.with_fallback());
    for last in 0..3 {
        pick(&mut mh, &list[..last], "192.168.0.1:0");
    }
}

/// Usable nowhere: the search ends after as many probes as there are destinations.
#[test]
fn a_hopeless_fallback_ends_early() {
    let mut list = servers(&[1, 1, 1]);
    let mut mh = bound(&list, MhWord::Bits64, 17);
    list.iter_mut().for_each(|server| server.overloaded = true);
    Scheduler::<Server>::set_flags(&mut mh, NONE.with_fallback());
    let (picked, why) = explained(&mut mh, &list, "192.168.0.1:0");
    assert_eq!(picked, None);
    assert_eq!(why.steps().last(), Some(&Step::NobodyLeft { probes: 3 }));
    assert_eq!(why.steps().len(), 2 + 3 + 1);
}

/// The highest weights overflow nothing.
#[test]
fn highest_weights_are_scaled_down() {
    let most = i32::MAX.unsigned_abs();
    let mh = bound(&servers(&[most, most - 1, 1]), MhWord::Bits64, 12);
    // 31 bits brought down to 6: turns 63, 63, 1.
    assert_eq!(counts(&mh, 3).iter().sum::<usize>(), 4093);
    assert_eq!(counts(&mh, 3)[2], 4093 / 127 + 1);
    let mh = bound(
        &servers(&[u32::MAX, u32::MAX, u32::MAX]),
        MhWord::Bits64,
        12,
    );
    assert_eq!(
        letters(&mh),
        letters(&bound(&servers(&[1, 1, 1]), MhWord::Bits64, 12))
    );
}

/// The spec's rule word by word: §12.
fn literal_table(list: &[Server], word: MhWord, index: u8, ipv6: bool) -> Vec<Option<usize>> {
    let slots = Modulus::prime(index).divisor();
    let positive = || {
        list.iter()
            .map(|server| server.last_weight)
            .filter(|&w| w > 0)
    };
    let Some(highest) = positive().max() else {
        return Vec::new();
    };
    let g = (1..=highest)
        .rev()
        .find(|g| positive().all(|w| w % g == 0))
        .unwrap();
    let bits = 32 - (highest / g).leading_zeros();
    let s = bits.saturating_sub(u32::from(index) / 2);
    let mut ways = ways(list, word, index, ipv6);
    let mut table = std::vec![None; slots as usize];
    let mut left = slots;
    loop {
        for destination in (0..list.len()).rev() {
            let weight = list[destination].last_weight;
            let turns = if weight == 0 {
                0
            } else {
                ((weight / g) >> s).max(1)
            };
            for _ in 0..turns {
                let (position, skip) = &mut ways[destination];
                while table[*position as usize].is_some() {
                    *position = (*position + *skip) % slots;
                }
                table[*position as usize] = Some(destination);
                left -= 1;
                if left == 0 {
                    return table;
                }
            }
        }
    }
}

/// The spec's pick rule word by word, on a given table: §12.
fn literal_pick(
    list: &[Server],
    table: &[Option<usize>],
    word: MhWord,
    flags: SchedulerFlags,
    flow: &Flow,
) -> Option<usize> {
    let slots = u32::try_from(table.len()).unwrap();
    if slots == 0 {
        return None;
    }
    let port = if flags.port() {
        flow.client().port()
    } else {
        0
    };
    let input = fold(flow.client().ip()).wrapping_add(port.into());
    let usable = |slot: u32| {
        let owner = table[slot as usize].unwrap();
        (list[owner].weight > 0 && !list[owner].overloaded).then_some(owner)
    };
    let i = slot_hash(word, input) % slots;
    usable(i).or_else(|| {
        let mut probes = (0..slots).map(|k| {
            let offset = (i + k) % slots;
            slot_hash(word, input.wrapping_add(offset)) % slots
        });
        flags.fallback().then(|| probes.find_map(usable)).flatten()
    })
}

const WORDS: [MhWord; 4] = [
    MhWord::Bits32,
    MhWord::Bits32BigEndian,
    MhWord::Bits64,
    MhWord::Bits64BigEndian,
];

/// Destinations at different addresses, of which some have equal hash inputs.
fn lists() -> impl Strategy<Value = Vec<Server>> {
    let weight = prop_oneof![
        1 => Just(0_u32),
        6 => 1_u32..8,
        2 => prop::sample::select(std::vec![100_u32, 200, 300]),
        1 => 1_u32..100_000,
    ];
    let address = prop_oneof![
        (0_u8..8, 0_u16..8).prop_map(|(last, port)| ([10, 0, 0, last], 80 + port).into()),
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        (0_u16..9, 0_u16..9).prop_map(|(a, b)| ([0xfd00, a, 0, 0, 0, 0, 0, b], 80).into()),
    ];
    let server = (
        address,
        weight,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    );
    let server = server.prop_map(
        |(address, weight, quiesced, overloaded): (SocketAddr, _, _, _)| {
            let weight_now = if quiesced { 0 } else { weight };
            Server {
                weight: weight_now,
                overloaded,
                ..Server::at(address, weight)
            }
        },
    );
    prop::collection::vec(server, 0..40).prop_map(|mut list: Vec<Server>| {
        list.sort_by_key(|server| server.address);
        list.dedup_by_key(|server| server.address);
        list
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Table and picks are the spec's, in every word size and family, with every flag; hence also
    /// never unusable.
    #[test]
    fn tables_and_picks_equal_the_literal_rule(
        list in lists(),
        word in prop::sample::select(WORDS.to_vec()),
        table_index in 8_u8..=11,
        (fallback, port) in any::<(bool, bool)>(),
        ipv6 in any::<bool>(),
        clients in prop::collection::vec((any::<u32>(), any::<u16>()), 1..20),
    ) {
        let mut flags = if fallback { NONE.with_fallback() } else { NONE };
        if port {
            flags = flags.with_port();
        }
        let mut mh = bound(&list, word, table_index);
        Scheduler::<Server>::set_flags(&mut mh, flags);
        let table = literal_table(&list, word, table_index, ipv6);
        for (bits, port) in clients {
            let client = if ipv6 {
                let bits = u128::from(bits).wrapping_mul(0x1_0003_0000_0007_0000);
                SocketAddr::new(core::net::Ipv6Addr::from_bits(bits).into(), port)
            } else {
                SocketAddr::new(core::net::Ipv4Addr::from_bits(bits).into(), port)
            };
            let flow = flow(client);
            let picked = mh.pick(&list, &flow, &mut Context::new(Timestamp::ZERO));
            prop_assert_eq!(picked, literal_pick(&list, &table, word, flags, &flow));
            prop_assert!(picked.is_none_or(|i| list[i].weight > 0 && !list[i].overloaded));
        }
        prop_assert!(mh.owners().eq(table));
    }
}

/// Numbers that look random and are the same in every run.
fn numbers() -> impl Iterator<Item = u32> {
    core::iter::successors(Some(0x9e37_79b9_7f4a_7c15_u64), |&state| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    })
    .map(|state| (state >> 32) as u32)
}

/// The share of all slots that change hands between destinations that stay, when one of `count`
/// leaves: mean and maximum over `sets` random sets of weights up to `highest_weight`.
fn moved(count: usize, highest_weight: u32, table_index: u8, sets: usize) -> (f64, f64) {
    let mut numbers = numbers();
    let mut mh = Mh::new(MhWord::Bits64, table_index);
    let (mut sum, mut highest) = (0.0, 0.0_f64);
    for _ in 0..sets {
        let mut server = || {
            let address = core::net::Ipv4Addr::from_bits(numbers.next().unwrap());
            Server::at((address, 80), numbers.next().unwrap() % highest_weight + 1)
        };
        let mut list: Vec<_> = (0..count).map(|_| server()).collect();
        mh.bind(&list, Timestamp::ZERO);
        let before: Vec<_> = mh.owners().flatten().collect();
        let leaver = numbers.next().unwrap() as usize % count;
        list.remove(leaver);
        mh.removed(&list, leaver);
        let after = mh
            .owners()
            .flatten()
            .map(|i| if i >= leaver { i + 1 } else { i });
        let changed = before
            .iter()
            .zip(after)
            .filter(|&(&old, new)| old != leaver && old != new);
        let share = changed.count() as f64 / before.len() as f64;
        sum += share;
        highest = highest.max(share);
    }
    (sum / sets as f64, highest)
}

/// The bounds that the documentation states, and that the smaller table is the worse one.
#[test]
fn few_clients_of_others_move_when_a_destination_leaves() {
    for count in [2, 3, 5, 10, 30, 100, 300] {
        let (mean, highest) = moved(count, 1, 12, 30);
        assert!(mean < 0.032, "{count}: {mean}");
        assert!(highest < 1.0 / count as f64 + 0.04, "{count}: {highest}");
        let (mean, _) = moved(count, 10, 12, 30);
        assert!(mean < 0.055, "{count}: {mean}");
    }
    assert_eq!(
        moved(2, 10, 12, 30),
        (0.0, 0.0),
        "one is left and keeps its slots"
    );
    let (mean, highest) = moved(100, 1, 17, 2);
    assert!(mean < 0.006 && highest < 0.007, "{mean} {highest}");
}

proptest! {
    /// The bounds that the documentation states.
    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(1_u32..64, 1..30)) {
        let mh = bound(&servers(&weights), MhWord::Bits64, 12);
        let divisor = weights.iter().copied().fold(0, crate::gcd::gcd);
        let rounds = 4093 / (weights.iter().sum::<u32>() / divisor);
        for (owned, weight) in counts(&mh, weights.len()).into_iter().zip(weights) {
            let turns = weight / divisor;
            let bounds = rounds * turns..=(rounds + 1) * turns;
            prop_assert!(bounds.contains(&u32::try_from(owned).unwrap()), "{} {:?}", owned, bounds);
        }
    }
}

/// More destinations than two bytes can number, of which many go the same way.
#[test]
fn a_list_of_70_000_destinations_shares_the_biggest_table() {
    let server = |number: u32| {
        let address = core::net::Ipv4Addr::from_bits(0x0a00_0000 + number / 100);
        Server::at((address, 1000 + (number % 100) as u16), 1)
    };
    let list: Vec<_> = (0..70_000).map(server).collect();
    let mh = bound(&list, MhWord::Bits64, 17);
    let counts = counts(&mh, list.len());
    assert_eq!(counts.iter().sum::<usize>(), 131_071);
    // The second round ends before those added first.
    let twice = 131_071 - 70_000;
    assert!(counts.iter().rev().take(twice).all(|&owned| owned == 2));
    assert!(counts.iter().rev().skip(twice).all(|&owned| owned == 1));
}
