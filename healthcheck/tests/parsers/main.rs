//! What servers say, however it is worded and cut up: every engine keeps its contract.
//!
//! The fuzz targets `check_dns`, `check_smtp`, `check_agent`, `check_expect`, `check_presets` and
//! `check_exchanges` run the same functions on inputs they invent; here these are variations of a
//! few, and chance.

#![cfg(all(feature = "dns", feature = "radius", feature = "regex"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests"
)]

mod agent;
mod dns;
mod exchanges;
mod expect;
mod presets;
mod smtp;
mod talk;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.draw().to_be_bytes()[0]
    }
}

/// Runs a check on these inputs after settings by chance, as they are and with some bytes changed.
fn vary(check: impl Fn(&[u8]), settings: usize, servers: &[&[u8]]) {
    let mut chance = Chance(7);
    for round in 0..1500 {
        let server = servers[chance.below(servers.len())];
        let mut input: Vec<u8> = (0..settings).map(|_| chance.byte()).collect();
        input.extend_from_slice(server);
        for _ in 0..round % 4 {
            let at = chance.below(input.len());
            match chance.below(3) {
                0 => input[at] = chance.byte(),
                1 => drop(input.remove(at)),
                _ => input.insert(at, chance.byte()),
            }
            if input.is_empty() {
                break;
            }
        }
        check(&input);
    }
}

#[test]
fn smtp_with_any_server() {
    let servers: [&[u8]; 5] = [
        b"220 hi\r\n250 us\r\n221 bye\r\n",
        b"220-hi\r\n220 there\r\n250-us\r\n250 8BITMIME\r\n221 bye\r\n",
        b"220 hi\r\n500 what\r\n250 us\r\n",
        b"421 later\r\n",
        b"220 hi\r\n421 no\r\n",
    ];
    vary(smtp::check, 6, &servers);
}

#[test]
fn agents_that_say_anything() {
    let servers: [&[u8]; 4] = [
        b"up 75% maxconn:30 #all well\r\n",
        b"drain,weight:20\tready what\n",
        b"down #disk full\n",
        b"maint",
    ];
    vary(agent::check, 6, &servers);
}

#[test]
fn scripts_of_all_kinds_with_any_server() {
    // Steps: a line wanted; then said, a text wanted; two of three in order.
    let servers: [&[u8]; 3] = [
        b"\x00\x01\x00\x00\x03220\x08\0\x03\x02\x05\x01220 hi\r\n220 hi\r\n",
        b"\x02\x03\x00\x01\x02ok\x00\x01\x03now\x00\x00\x02no\x00\x03\x02\x02\x05\x01we ok no",
        b"\x02\x02\x00\x00\x01a\x08\x00\x00\x01b\x08\x00\x81\x02\x05\x01a\nb\nc\nd\n",
    ];
    vary(expect::check, 0, &servers);
}

#[test]
fn databases_with_any_server() {
    let servers: [&[u8]; 5] = [
        b"\x05\0\0\0\x0a8.0\0\x07\0\0\x02\0\0\0\x02\0\0\0",
        b"\x05\0\0\0\x0a8.0\0\x17\0\0\x02\xfecaching_sha2_password\0\x07\0\0\x04\0\0\0\x02\0\0\0",
        b"R\0\0\0\x08\0\0\0\0",
        b"E\0\0\0\x18SFATAL\0Mstarting up\0\0",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0",
    ];
    vary(presets::check, 6, &servers);
}

#[test]
fn name_servers_that_answer_anything() {
    let servers: [&[u8]; 3] = [
        b"\x80\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01",
        b"\x03\x03\0",
        b"\x12\x34\x80\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
    ];
    vary(dns::check, 2, &servers);
}

#[test]
fn servers_over_udp_that_answer_anything() {
    let servers: [&[u8]; 8] = [
        b"\x02\x02",
        b"\x00\x43\x00\x00\xf7",
        b"\x00\x64Fine\r\nVia: x\r\n\r\n",
        b"\x01\x93Full\n",
        b"\x04\x00\x00\x00RATE",
        b"\x40\x00\x00\x00\x01\x6b\x33\x43\xcf",
        b"\x30\x2b\x02\x01\x01\x04\x06public\xa2\x1e\x02\x04\x52\x34\x56\x78\x02\x01\0\x02\x01\0\x30\
            \x10\x30\x0e\x06\x08\x2b\x06\x01\x02\x01\x01\x03\0\x43\x02\0\xf7",
        b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP x;branch=z9hG4bK123456789abcdef0\r\n\r\n",
    ];
    vary(exchanges::check, 1, &servers);
}
