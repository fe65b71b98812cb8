//! Any bytes at all: nothing panics, nothing grows without bound.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Attributes with small numbers and plausible lengths, two levels deep.
fn attribute() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (any::<u16>(), vec(any::<u8>(), 0..20));
    let leaf = leaf.prop_map(|(number, payload)| attr(number % 20, &payload));
    prop_oneof![
        leaf.clone(),
        (1..4_u16, vec(leaf, 0..12)).prop_map(|(number, inner)| nest(number, &inner)),
    ]
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![8 => Just(FAMILY), 1 => Just(control::FAMILY), 1 => any::<u16>()];
    let flags = prop_oneof![Just(REQUEST | ACK), Just(REQUEST | DUMP), any::<u16>()];
    let body = prop_oneof![
        4 => vec(attribute(), 0..5).prop_map(|attributes| attributes.concat()),
        1 => vec(any::<u8>(), 0..64),
    ];
    let one = (kind, flags, 0..20_u8, body)
        .prop_map(|(kind, flags, command, body)| message(kind, flags, command, &body));
    vec(one, 1..4).prop_map(|messages| messages.concat())
}

proptest! {
    #[test]
    fn raw_bytes_do_no_harm(datagrams in vec(vec(any::<u8>(), 0..200), 1..8)) {
        let mut machine = Machine::linux_6_1();
        for datagram in datagrams {
            // Empty datagrams are refused.
            let _refused = machine.socket.send(&datagram);
            let _answers = machine.drain();
        }
    }

    #[test]
    fn plausible_messages_do_no_harm(
        datagrams in vec(messages(), 1..12),
        flips in vec((0..12_usize, 0..4000_usize), 0..4),
        read in any::<bool>(),
    ) {
        let mut machine = Machine::new(Generation::LINUX_7_2);
        for (index, mut datagram) in datagrams.into_iter().enumerate() {
            for (_, bit) in flips.iter().filter(|(at, _)| *at == index) {
                super::super::faults::flip(&mut datagram, *bit);
            }
            machine.socket.send(&datagram).unwrap();
            if read {
                for answer in machine.drain() {
                    // Whatever was asked, the answer is whole.
                    prop_assert!(answer.body.len() >= 4);
                }
            }
        }
    }
}

#[test]
fn unread_replies_are_bounded() {
    let mut machine = Machine::linux_6_1();
    let largest = message(FAMILY, REQUEST, command::DEL_SERVICE, &vec![0; 200_000]);
    for _ in 0..100 {
        machine.socket.send(&largest).unwrap();
    }
    machine.receive().unwrap_err();
    let bytes: usize = core::iter::from_fn(|| machine.receive().ok())
        .map(|datagram| datagram.len())
        .sum();
    assert!(bytes < 3 * 212_992, "{bytes}");
}

#[test]
fn removed_destinations_are_bounded() {
    let mut machine = Machine::linux_6_1();
    let key = by_mark(2, 1);
    machine.add_service(&key, false);
    let id = nest(top::SERVICE, &key);
    for number in 0..20_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        let address = format!("10.{high}.{middle}.{low}");
        machine.add_destination(&key, &address);
        let nests = [id.clone(), nest(top::DEST, &server(&address))];
        assert_eq!(machine.errno(command::DEL_DEST, &nests), 0);
    }
    assert_eq!(machine.kernel.lock().trash.len(), 16384);
}

/// Late replies cost nothing by themselves, so they must not pile up either.
#[test]
fn gaps_are_bounded() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::DelayReplies(u32::MAX));
    for _ in 0..100_000 {
        let request = message(FAMILY, REQUEST, command::GET_INFO, &[]);
        machine.socket.send(&request).unwrap();
    }
    let mut received = 0;
    let mut gaps = 0;
    while gaps < 1000 && received < 1000 {
        match machine.receive() {
            Ok(_) => received += 1,
            Err(_) => gaps += 1,
        }
    }
    assert_eq!(received, 277);
}

#[test]
fn handles_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<MemoryKernel>();
    shared::<MemorySocket>();
    shared::<Generation>();
    shared::<Interface>();
    shared::<Fault>();
}
