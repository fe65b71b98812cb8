//! What `-L -c` prints.
//!
//! ipvsadm takes the words of each line of `/proc/net/ip_vs_conn` as they come and reads lines in
//! pieces of 255 bytes. A longer line, which takes long engine data, becomes two rows, the second
//! with what the first one left. Hence this reads the file on its own; [`lvs_ipvs::procfs`] reads
//! rows that make sense.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};

use lvs_ipvs::Protocol;

use crate::failure::Failure;
use crate::names::Endpoints;

const PATH: &str = "/proc/net/ip_vs_conn";
/// Longest piece of a line, its end included.
const PIECE: u64 = 255;
const LONGEST_PROTOCOL: usize = 8;

/// Lists connections and persistence templates; with what the persistence engine keeps of them
/// when `persistent`.
pub(crate) fn connections(
    out: &mut dyn Write,
    numeric: bool,
    persistent: bool,
) -> Result<(), Failure> {
    let file = File::open(PATH)
        .map_err(|error| Failure::Listing(format!("cannot open {PATH}: {error}")))?;
    write_table(out, BufReader::new(file), numeric, persistent)
}

fn write_table(
    out: &mut dyn Write,
    mut file: impl BufRead,
    numeric: bool,
    persistent: bool,
) -> Result<(), Failure> {
    let mut piece = Vec::new();
    if !read_piece(&mut file, &mut piece)? {
        return Err(Failure::Listing(format!("{PATH} is empty")));
    }
    writeln!(out, "IPVS connection entries")?;
    write!(
        out,
        "pro expire state       source             virtual            destination"
    )?;
    if persistent {
        write!(out, "        pe name          pe_data")?;
    }
    writeln!(out)?;

    let endpoints = Endpoints::new(numeric);
    let mut row = Row::default();
    while read_piece(&mut file, &mut piece)? {
        if !row.read(&piece) {
            return Err(Failure::Listing(format!("{PATH} has an empty line")));
        }
        row.write(out, &endpoints, persistent)?;
    }
    Ok(())
}

/// Reads the next line or the next piece of it; `false` at the end of the file.
fn read_piece(file: &mut impl BufRead, piece: &mut Vec<u8>) -> Result<bool, Failure> {
    piece.clear();
    let length = file
        .take(PIECE)
        .read_until(b'\n', piece)
        .map_err(|error| Failure::Listing(format!("cannot read {PATH}: {error}")))?;
    Ok(length > 0)
}

/// What a row shows. What a piece lacks stays from the one before, apart from the first two ports.
#[derive(Debug)]
struct Row {
    protocol: Vec<u8>,
    /// Client, virtual, destination.
    endpoints: [(IpAddr, u16); 3],
    state: Vec<u8>,
    expires_secs: u32,
    engine: Vec<u8>,
    data: Vec<u8>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            protocol: Vec::new(),
            endpoints: [(Ipv4Addr::UNSPECIFIED.into(), 0); 3],
            state: Vec::new(),
            expires_secs: 0,
            engine: Vec::new(),
            data: Vec::new(),
        }
    }
}

impl Row {
    /// `false` when the piece has no words.
    fn read(&mut self, piece: &[u8]) -> bool {
        let piece = piece.trim_ascii_start();
        // What is longer is taken for the next word.
        let end = piece
            .iter()
            .take(LONGEST_PROTOCOL)
            .take_while(|byte| !byte.is_ascii_whitespace())
            .count();
        let (protocol, rest) = piece.split_at_checked(end).unwrap_or_default();
        replace(&mut self.protocol, protocol);
        let [(_, client_port), (_, service_port), _] = &mut self.endpoints;
        *client_port = 0;
        *service_port = 0;
        self.data.clear();
        let words = rest.split(u8::is_ascii_whitespace);
        self.read_rest(words.filter(|word| !word.is_empty()));
        !self.protocol.is_empty()
    }

    /// Reads as far as the words go and make sense; `None` when that is not to the end.
    fn read_rest<'a>(&mut self, mut words: impl Iterator<Item = &'a [u8]>) -> Option<()> {
        for (address, port) in &mut self.endpoints {
            *address = read_address(words.next()?).unwrap_or(*address);
            *port = u16::from_str_radix(text(words.next()?), 16).ok()?;
        }
        replace(&mut self.state, words.next()?);
        self.expires_secs = text(words.next()?).parse().ok()?;
        replace(&mut self.engine, words.next()?);
        replace(&mut self.data, words.next()?);
        Some(())
    }

    fn write(
        &self,
        out: &mut dyn Write,
        endpoints: &Endpoints,
        persistent: bool,
    ) -> io::Result<()> {
        let protocol = match self.protocol.as_slice() {
            b"TCP" => Some(Protocol::TCP),
            b"UDP" => Some(Protocol::UDP),
            b"SCTP" => Some(Protocol::SCTP),
            _ => None,
        };
        let [client, service, destination] = self
            .endpoints
            .map(|(address, port)| endpoints.text(protocol, address, port));
        let expires = format!(
            "{:02}:{:02}",
            self.expires_secs / 60,
            self.expires_secs % 60
        );
        write!(
            out,
            "{:<3} {expires:<6} {:<11} {client:<18} {service:<18} ",
            text(&self.protocol),
            text(&self.state)
        )?;
        if persistent && !self.data.is_empty() {
            write!(out, "{destination:<16} {:<18} ", text(&self.engine))?;
            out.write_all(&self.data)?;
            writeln!(out)
        } else {
            writeln!(out, "{destination}")
        }
    }
}

fn replace(old: &mut Vec<u8>, new: &[u8]) {
    old.clear();
    old.extend_from_slice(new);
}

/// The kernel writes nothing but ASCII where this is used.
fn text(word: &[u8]) -> &str {
    str::from_utf8(word).unwrap_or_default()
}

/// Hexadecimal digits or an IPv6 address.
fn read_address(word: &[u8]) -> Option<IpAddr> {
    let word = text(word);
    if let Ok(address) = word.parse::<Ipv6Addr>() {
        return Some(address.into());
    }
    let address = u32::from_str_radix(word, 16).ok()?;
    Some(Ipv4Addr::from_bits(address).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: &str =
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";

    fn list(rows: &str, persistent: bool) -> String {
        let mut out = Vec::new();
        let file = format!("{CAPTION}{rows}");
        write_table(&mut out, file.as_bytes(), true, persistent).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Files and what `ipvsadm -L -c -n` (1.31) printed for them.
    #[test]
    fn rows_are_those_of_ipvsadm() {
        let rows = "\
TCP 0A010002 E7EC C000020A 0050 0A020002 1F90 ESTABLISHED     897
TCP 0A010002 0000 C000020A 0053 0A020003 1F90 ASSURED         297
UDP 0A010002 0035 C000020A 0035 0A020003 0035 UDP           99999
UDP 0A010002 0035 C000020A 0035 0A020003 0035 UDP         2678400
SCTP 0A010002 0035 C000020A 0035 0A020003 0035 C-REPLIED      100
IP  0A010002 0000 00000005 0000 0A020003 0035 NONE            100
IP_50 0A010002 0000 00000005 0000 0A020003 0035 NONE            100
UDP 0A010002 0000 C000020A 13C4 0A020003 13C4 NONE             59 sip abc-123@host
TCP fd00:0000:0000:0000:0000:0000:0000:0001 E7EC fd00:0000:0000:0000:0000:0000:0000:0002 0050 0A020003 1F90 ESTABLISHED     897
TCP fd00:1111:2222:3333:4444:5555:6666:7777 E7EC fd00:1111:2222:3333:4444:5555:6666:7777 0050 fd00:1111:2222:3333:4444:5555:6666:7777 1F90 ESTABLISHED     897
TCP 0000:0006:0000:0000:0000:0000:0000:0000 0000 0000:0006:0000:0000:0000:0000:0000:0000 0000 fd00:0000:0000:0000:0000:0000:0000:0003 1F90 NONE 100
TCP FFFFFFFF FFFF FFFFFFFF FFFF FFFFFFFF FFFF ESTABLISHED     897
TCP 0A010002 E7EC C000020A 0050 0A020002 1F90 ERR! 5
";
        let expected = "\
IPVS connection entries
pro expire state       source             virtual            destination
TCP 14:57  ESTABLISHED 10.1.0.2:59372     192.0.2.10:80      10.2.0.2:8080
TCP 04:57  ASSURED     10.1.0.2:0         192.0.2.10:83      10.2.0.3:8080
UDP 1666:39 UDP         10.1.0.2:53        192.0.2.10:53      10.2.0.3:53
UDP 44640:00 UDP         10.1.0.2:53        192.0.2.10:53      10.2.0.3:53
SCTP 01:40  C-REPLIED   10.1.0.2:53        192.0.2.10:53      10.2.0.3:53
IP  01:40  NONE        10.1.0.2:0         0.0.0.5:0          10.2.0.3:53
IP_50 01:40  NONE        10.1.0.2:0         0.0.0.5:0          10.2.0.3:53
UDP 00:59  NONE        10.1.0.2:0         192.0.2.10:5060    10.2.0.3:5060
TCP 14:57  ESTABLISHED [fd00::1]:59372    [fd00::2]:80       10.2.0.3:8080
TCP 14:57  ESTABLISHED [fd00:1111:2222:3333:4444:5555:6666:7777]:59372 [fd00:1111:2222:3333:4444:5555:6666:7777]:80 [fd00:1111:2222:3333:4444:5555:6666:7777]:8080
TCP 01:40  NONE        [0:6::]:0          [0:6::]:0          [fd00::3]:8080
TCP 14:57  ESTABLISHED 255.255.255.255:65535 255.255.255.255:65535 255.255.255.255:65535
TCP 00:05  ERR!        10.1.0.2:59372     192.0.2.10:80      10.2.0.2:8080
";
        assert_eq!(list(rows, false), expected);
    }

    #[test]
    fn engine_data_is_one_word_after_the_engine() {
        let rows = "\
UDP 0A010002 0000 C000020A 13C4 0A020003 13C4 NONE             59 sip abc-123@host
UDP 0A010002 0000 C000020A 13C4 0A020003 13C4 NONE             59 sip abc 123 @host x
UDP 0A010002 0000 C000020A 13C4 0A020003 13C4 NONE             59 sip 
UDP fd00:1111:2222:3333:4444:5555:6666:7777 E7EC fd00:1111:2222:3333:4444:5555:6666:7777 0050 fd00:1111:2222:3333:4444:5555:6666:7777 1F90 NONE     897 sip abcdef
";
        let expected = "\
IPVS connection entries
pro expire state       source             virtual            destination        pe name          pe_data
UDP 00:59  NONE        10.1.0.2:0         192.0.2.10:5060    10.2.0.3:5060    sip                abc-123@host
UDP 00:59  NONE        10.1.0.2:0         192.0.2.10:5060    10.2.0.3:5060    sip                abc
UDP 00:59  NONE        10.1.0.2:0         192.0.2.10:5060    10.2.0.3:5060
UDP 14:57  NONE        [fd00:1111:2222:3333:4444:5555:6666:7777]:59372 [fd00:1111:2222:3333:4444:5555:6666:7777]:80 [fd00:1111:2222:3333:4444:5555:6666:7777]:8080 sip                abcdef
";
        assert_eq!(list(rows, true), expected);
    }

    /// Files with such lines, and what `ipvsadm -L -c -n` (1.31) printed; if the rest is a word of
    /// some 60 bytes and more, that crashes.
    #[test]
    fn a_line_longer_than_255_bytes_becomes_two_rows() {
        let start = "UDP 0A010002 0000 C000020A 13C4 0A020003 13C4 NONE             59 sip ";
        let first = "UDP 00:59  NONE        10.1.0.2:0         192.0.2.10:5060    10.2.0.3:5060";
        for (rest, second) in [
            (
                "abc",
                "abc 00:59  NONE        10.1.0.2:0         192.0.2.10:0       10.2.0.3:5060",
            ),
            (
                "abcdefghijklmnopqrst",
                "abcdefgh 00:59  NONE        10.1.0.2:0         192.0.2.10:0       10.2.0.3:5060",
            ),
            (
                "aa bb cc dd ee ff gg hh ii 11 jj kk",
                "aa  00:59  NONE        0.0.0.187:204      0.0.0.221:238      0.0.0.255:5060",
            ),
            (
                "aa 0A000001 0050 0A000002 0051 0A000003 0052 ST 100 eng dat",
                "aa  01:40  ST          10.0.0.1:80        10.0.0.2:81        10.0.0.3:82",
            ),
        ] {
            let rows = format!("{start}{}{rest}\n", "D".repeat(255 - start.len()));
            let listed = list(&rows, false);
            assert_eq!(listed.lines().skip(2).collect::<Vec<_>>(), [first, second]);
        }
    }

    #[test]
    fn what_is_no_table_fails_as_a_listing() {
        let fails = |file: &str| {
            let mut out = Vec::new();
            let failure = write_table(&mut out, file.as_bytes(), true, false).unwrap_err();
            assert_eq!(failure.status(), 1);
            failure.to_string()
        };
        assert_eq!(fails(""), "/proc/net/ip_vs_conn is empty");
        let blank = fails(&format!("{CAPTION}\n"));
        assert_eq!(blank, "/proc/net/ip_vs_conn has an empty line");
    }
}
