//! A virtual router as `--vr` describes it: what is compared with, and no more.

use core::net::IpAddr;
use core::str::FromStr;

use lvs_vrrp::codec::{AhFlavour, AhKey, Authentication, Password, TrailerKey};
use lvs_vrrp::receive::{Peer, Versions};
use lvs_vrrp::{AddressList, Family, Interval, Priority, Version, Vrid};

/// A virtual router; what is `None` or empty was not given and is not compared.
#[derive(Clone, Debug)]
pub(crate) struct ConfiguredRouter {
    pub(crate) vrid: Vrid,
    pub(crate) interface: Option<String>,
    /// `None`: both.
    pub(crate) family: Option<Family>,
    pub(crate) versions: Option<Versions>,
    pub(crate) priority: Option<Priority>,
    pub(crate) interval: Option<Interval>,
    pub(crate) addresses: Option<AddressList>,
    pub(crate) own_addresses: Vec<IpAddr>,
    pub(crate) group: Option<IpAddr>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) authentication: Option<Authentication>,
    pub(crate) sequence: Option<u32>,
    pub(crate) trailer_keys: Vec<TrailerKey>,
}

impl ConfiguredRouter {
    /// Whether it is on this interface and in this family.
    pub(crate) fn is_at(&self, interface: &str, family: Family) -> bool {
        self.is_on(interface) && self.family.is_none_or(|own| own == family)
    }

    /// Whether it is on this interface.
    pub(crate) fn is_on(&self, interface: &str) -> bool {
        self.interface.as_deref().is_none_or(|own| own == interface)
    }
}

/// Kinds of authentication, before their password is known.
#[derive(Clone, Copy)]
enum Kind {
    None,
    Simple,
    Header(AhFlavour),
}

impl FromStr for ConfiguredRouter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (keys, password) = match text.split_once(",password=") {
            Some((keys, password)) => (keys, Some(password)),
            None => (text, None),
        };
        let mut vrid = None;
        let mut kind = None;
        let mut router = Self {
            vrid: Vrid::try_from(1).map_err(|error| error.to_string())?,
            interface: None,
            family: None,
            versions: None,
            priority: None,
            interval: None,
            addresses: None,
            own_addresses: Vec::new(),
            group: None,
            peers: Vec::new(),
            authentication: None,
            sequence: None,
            trailer_keys: Vec::new(),
        };
        let mut seen = Vec::new();
        for pair in keys.split(',') {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(format!("{pair:?} is not KEY=VALUE"));
            };
            if key != "hmac" && seen.contains(&key) {
                return Err(format!("{key} is given twice"));
            }
            seen.push(key);
            let wrong = |limit: &str| format!("{key}={value}: expected {limit}");
            match key {
                "vrid" => vrid = Some(value.parse().map_err(|_| wrong("1 to 255"))?),
                "interface" if value.is_empty() => return Err(wrong("a name")),
                "interface" => router.interface = Some(value.to_owned()),
                "family" => {
                    router.family = Some(match value {
                        "4" => Family::Ipv4,
                        "6" => Family::Ipv6,
                        _ => return Err(wrong("4 or 6")),
                    });
                }
                "version" => {
                    router.versions = Some(match value {
                        "2" => Versions::Only(Version::V2),
                        "3" => Versions::Only(Version::V3),
                        "2+3" => Versions::Dual,
                        _ => return Err(wrong("2, 3 or 2+3")),
                    });
                }
                "priority" => {
                    router.priority = Some(match value {
                        "owner" => Priority::OWNER,
                        _ => match value.parse() {
                            Ok(number @ 1..) => Priority::new(number),
                            _ => return Err(wrong("1 to 255 or owner")),
                        },
                    });
                }
                "interval" => {
                    router.interval =
                        Some(interval(value).ok_or_else(|| wrong("1s to 255s or 1cs to 4095cs"))?);
                }
                "addresses" => {
                    let list = AddressList::new(addresses(key, value)?);
                    let list = list.map_err(|error| format!("{key}={value}: {error}"))?;
                    router.addresses = Some(list);
                }
                "own" => router.own_addresses = addresses(key, value)?,
                "group" => {
                    let group = value.parse().ok().filter(IpAddr::is_multicast);
                    router.group = Some(group.ok_or_else(|| wrong("a multicast address"))?);
                }
                "peers" => {
                    let peers = value.split('+').map(|text| {
                        let limit = "addresses, with @MIN-MAX (0 to 255) or not, and + between";
                        peer(text).ok_or_else(|| wrong(limit))
                    });
                    router.peers = peers.collect::<Result<_, _>>()?;
                }
                "auth" => {
                    kind = Some(match value {
                        "none" => Kind::None,
                        "simple" => Kind::Simple,
                        "ah" => Kind::Header(AhFlavour::Keepalived),
                        "ah-rfc2402" => Kind::Header(AhFlavour::Rfc2402),
                        _ => return Err(wrong("none, simple, ah or ah-rfc2402")),
                    });
                }
                "sequence" => {
                    let number = value.parse().map_err(|_| wrong("0 to 4294967295"))?;
                    router.sequence = Some(number);
                }
                "hmac" => {
                    let limit = "ID:HEX, an id of 0 to 255 and a key of 32 to 64 bytes";
                    router
                        .trailer_keys
                        .push(trailer_key(value).ok_or_else(|| wrong(limit))?);
                }
                _ => return Err(format!("unknown key {key}")),
            }
        }
        router.vrid = vrid.ok_or("vrid=N is missing")?;
        router.authentication = authentication(kind, password)?;
        router.check_family()?;
        Ok(router)
    }
}

impl ConfiguredRouter {
    /// All addresses are of one family, which they give if none is given.
    fn check_family(&mut self) -> Result<(), String> {
        if self.group.is_some() && !self.peers.is_empty() {
            return Err("group and peers exclude each other".to_owned());
        }
        let addresses = self.addresses.iter().map(AddressList::family);
        let others = self.own_addresses.iter().chain(&self.group).copied();
        let others = others.chain(self.peers.iter().map(Peer::address));
        let families: Vec<_> = addresses.chain(others.map(Family::of)).collect();
        for family in families {
            if *self.family.get_or_insert(family) != family {
                return Err("addresses are of both families, or not of the one given".to_owned());
            }
        }
        Ok(())
    }
}

/// `1s`, `75cs`
fn interval(text: &str) -> Option<Interval> {
    if let Some(number) = text.strip_suffix("cs") {
        return Interval::from_centiseconds(number.parse().ok()?).ok();
    }
    Interval::from_seconds(text.strip_suffix('s')?.parse().ok()?).ok()
}

fn addresses(key: &str, value: &str) -> Result<Vec<IpAddr>, String> {
    let parsed = value.split('+').map(|text| {
        let address = text.parse();
        address.map_err(|_| format!("{key}: {text:?} is not an IP address"))
    });
    parsed.collect()
}

/// `192.0.2.1`, `192.0.2.1@64`, `192.0.2.1@0-255`
fn peer(text: &str) -> Option<Peer> {
    let Some((address, range)) = text.split_once('@') else {
        return Some(Peer::new(text.parse().ok()?));
    };
    let (min, max) = range.split_once('-').unwrap_or((range, range));
    let (min, max): (u8, u8) = (min.parse().ok()?, max.parse().ok()?);
    (min <= max).then_some(Peer::new(address.parse().ok()?).with_ttl(min..=max))
}

/// `9:4f4f…`
fn trailer_key(text: &str) -> Option<TrailerKey> {
    let (id, hex) = text.split_once(':')?;
    let digits = hex.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| {
            let pair = core::str::from_utf8(pair).ok()?;
            let is_hex = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(pair, 16).ok())?
        })
        .collect();
    TrailerKey::new(id.parse().ok()?, &bytes?).ok()
}

fn authentication(
    kind: Option<Kind>,
    password: Option<&str>,
) -> Result<Option<Authentication>, String> {
    match (kind, password) {
        (None, None) => Ok(None),
        (Some(Kind::None), None) => Ok(Some(Authentication::None)),
        (Some(Kind::Simple), Some(password)) => {
            let password = Password::new(password.as_bytes());
            Ok(Some(Authentication::Simple(password)))
        }
        (Some(Kind::Header(flavour)), Some(password)) => {
            let key = AhKey::new(flavour, password.as_bytes());
            let key = key.map_err(|error| format!("password: {error}"))?;
            Ok(Some(Authentication::Header(key)))
        }
        (None | Some(Kind::None), Some(_)) => {
            Err("password is of no use without auth=simple, ah or ah-rfc2402".to_owned())
        }
        (Some(_), None) => Err("auth: the password is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "vrid=7,interface=eth0,family=4,version=2+3,priority=owner,interval=75cs,\
                    addresses=192.0.2.1+192.0.2.2,own=192.0.2.3,peers=192.0.2.4@1-64+192.0.2.5,\
                    auth=simple,sequence=9,password=a,b=c";
        let router: ConfiguredRouter = text.parse().unwrap();
        assert_eq!(router.vrid.get(), 7);
        assert_eq!(router.interface.as_deref(), Some("eth0"));
        assert_eq!(router.family, Some(Family::Ipv4));
        assert_eq!(router.versions, Some(Versions::Dual));
        assert_eq!(router.priority, Some(Priority::OWNER));
        assert_eq!(router.interval, Interval::from_centiseconds(75).ok());
        assert_eq!(router.addresses.unwrap().as_addresses().len(), 2);
        assert_eq!(router.own_addresses.len(), 1);
        let ranges: Vec<_> = router.peers.iter().map(|peer| peer.ttl().clone()).collect();
        assert_eq!(ranges, [1..=64, 255..=255]);
        assert_eq!(router.sequence, Some(9));
        let Some(Authentication::Simple(password)) = router.authentication else {
            unreachable!("simple authentication");
        };
        assert!(password.matches(b"a,b=c\0\0\0"));
    }

    #[test]
    fn refusals_name_key_value_and_limit() {
        let key = "00".repeat(31);
        for (text, part) in [
            ("interval=1s", "vrid=N is missing"),
            ("vrid=0", "vrid=0: expected 1 to 255"),
            ("vrid=1,vrid=2", "vrid is given twice"),
            ("vrid=1,colour=red", "unknown key colour"),
            ("vrid=1,interface=", "interface=: expected a name"),
            ("vrid=1,family=5", "family=5: expected 4 or 6"),
            ("vrid=1,version=4", "expected 2, 3 or 2+3"),
            (
                "vrid=1,priority=0",
                "priority=0: expected 1 to 255 or owner",
            ),
            (
                "vrid=1,interval=4096cs",
                "expected 1s to 255s or 1cs to 4095cs",
            ),
            ("vrid=1,interval=1", "interval=1: expected 1s"),
            ("vrid=1,addresses=x", "\"x\" is not an IP address"),
            ("vrid=1,addresses=192.0.2.1+192.0.2.1", "given twice"),
            ("vrid=1,group=192.0.2.1", "expected a multicast address"),
            ("vrid=1,peers=192.0.2.1@9-8", "with @MIN-MAX"),
            (
                "vrid=1,group=224.0.0.18,peers=192.0.2.1",
                "exclude each other",
            ),
            ("vrid=1,family=6,own=192.0.2.1", "not of the one given"),
            ("vrid=1,auth=md5", "none, simple, ah or ah-rfc2402"),
            ("vrid=1,auth=ah", "the password is missing"),
            ("vrid=1,auth=none,password=x", "of no use"),
            ("vrid=1,sequence=-1", "expected 0 to 4294967295"),
            (&format!("vrid=1,hmac=9:{key}"), "32 to 64 bytes"),
            ("vrid", "\"vrid\" is not KEY=VALUE"),
        ] {
            let error = text.parse::<ConfiguredRouter>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
