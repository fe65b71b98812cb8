//! Types and response codes, and the values of records as text.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use simple_dns::Packet;
use simple_dns::rdata::RData;

/// A type of record, as it is asked for.
///
/// ```
/// use lvs_healthcheck::probe::dns::RecordType;
///
/// assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
/// assert_eq!("TYPE300".parse(), Ok(RecordType::new(300)));
/// assert_eq!(RecordType::new(15).to_string(), "MX");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RecordType(u16);

macro_rules! types {
    ($($name:ident = $number:literal, $doc:literal;)+) => {
        impl RecordType {
            $(#[doc = $doc] pub const $name: Self = Self($number);)+

            const NAMED: &'static [(Self, &'static str)] =
                &[$((Self::$name, stringify!($name)),)+];
        }
    };
}

types! {
    A = 1, "An IPv4 address.";
    NS = 2, "A name server.";
    CNAME = 5, "The true name of an alias.";
    SOA = 6, "The beginning of a zone.";
    PTR = 12, "A name, for an address.";
    MX = 15, "A mail server.";
    TXT = 16, "Text.";
    AAAA = 28, "An IPv6 address.";
    SRV = 33, "A server for a service.";
    RRSIG = 46, "A signature.";
    DNSKEY = 48, "A key.";
    SVCB = 64, "How to reach a service.";
    HTTPS = 65, "How to reach a web service.";
    ANY = 255, "Everything.";
    CAA = 257, "Who may certify the name.";
}

impl RecordType {
    /// The type of this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether [`values`] knows how to write its records.
    pub(super) fn has_values(self) -> bool {
        let known = [
            Self::A,
            Self::AAAA,
            Self::CNAME,
            Self::MX,
            Self::NS,
            Self::PTR,
            Self::SOA,
            Self::SRV,
            Self::TXT,
        ];
        known.contains(&self)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(kind, _)| kind == self) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// The text is no type of record.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no type of DNS record (a name such as SOA, or TYPE and a number)")]
#[non_exhaustive]
pub struct UnknownType {
    /// What was read.
    pub text: String,
}

impl FromStr for RecordType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let named = Self::NAMED.iter().find(|(_, name)| *name == upper);
        let number = || upper.strip_prefix("TYPE")?.parse().ok().map(Self);
        let unknown = || UnknownType {
            text: text.to_owned(),
        };
        named
            .map(|(kind, _)| *kind)
            .or_else(number)
            .ok_or_else(unknown)
    }
}

/// A response code, 0 to 15.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Rcode(u8);

impl Rcode {
    /// All is well, which says nothing about whether there are answers.
    pub const NO_ERROR: Self = Self(0);
    /// The query was not understood.
    pub const FORM_ERR: Self = Self(1);
    /// The server cannot answer just now.
    pub const SERV_FAIL: Self = Self(2);
    /// There is no such name.
    pub const NX_DOMAIN: Self = Self(3);
    /// The server cannot do that.
    pub const NOT_IMP: Self = Self(4);
    /// The server does not want to: not its zone, or not its client.
    pub const REFUSED: Self = Self(5);

    /// The code of this number; of a larger one the lower four bits count.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number & 0xf)
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            other => return write!(f, "RCODE{other}"),
        })
    }
}

/// What the records of a type in an answer say, as a zone file would write it.
pub(super) fn values(message: &[u8], kind: RecordType) -> Result<Vec<String>, String> {
    let packet = Packet::parse(message).map_err(|error| format!("malformed answer: {error}"))?;
    let records = packet.answers.iter().map(|record| &record.rdata);
    let of_kind = records.filter(|data| u16::from(data.type_code()) == kind.number());
    Ok(of_kind.filter_map(text).collect())
}

fn text(data: &RData<'_>) -> Option<String> {
    Some(match data {
        RData::A(a) => Ipv4Addr::from(a.address).to_string(),
        RData::AAAA(aaaa) => Ipv6Addr::from(aaaa.address).to_string(),
        RData::CNAME(name) => name.0.to_string(),
        RData::NS(name) => name.0.to_string(),
        RData::PTR(name) => name.0.to_string(),
        RData::MX(mx) => format!("{} {}", mx.preference, mx.exchange),
        RData::SOA(soa) => format!("{} {} {}", soa.mname, soa.rname, soa.serial),
        RData::SRV(srv) => {
            format!(
                "{} {} {} {}",
                srv.priority, srv.weight, srv.port, srv.target
            )
        }
        RData::TXT(txt) => txt.clone().try_into().ok()?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_name_and_number() {
        for (text, number) in [
            ("a", 1),
            ("SOA", 6),
            ("Https", 65),
            ("TYPE1", 1),
            ("type65535", 65535),
        ] {
            assert_eq!(text.parse(), Ok(RecordType::new(number)), "{text}");
        }
        for text in ["", "B", "TYPE", "TYPE65536", "6"] {
            assert_eq!(text.parse::<RecordType>().unwrap_err().text, text);
        }
        assert_eq!(RecordType::new(300).to_string(), "TYPE300");
    }

    #[test]
    fn codes_have_their_names() {
        assert_eq!(Rcode::new(3).to_string(), "NXDOMAIN");
        assert_eq!(Rcode::new(9).to_string(), "RCODE9");
        assert_eq!(Rcode::new(0x13), Rcode::NX_DOMAIN);
    }
}
