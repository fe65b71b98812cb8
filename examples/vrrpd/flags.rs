//! The virtual router that flags describe.

use core::net::IpAddr;
use core::str::FromStr;
use core::time::Duration;

use lvs_vrrp::codec::{AhFlavour, AhKey, Authentication, Password};
use lvs_vrrp::config::SourcePolicy;
use lvs_vrrp::net::{AddressSetup, DriverConfig, Lifetime, RouterSetup, VirtualMacSetup};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::receive::{Peer, Versions};
use lvs_vrrp::track::{Track, TrackerId};
use lvs_vrrp::{AddressList, Interval, Priority, RouterConfig, Version};

use crate::arguments::RouterFlags;

/// A virtual address and its network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    ip: IpAddr,
    prefix_len: Option<u8>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ip, text) = match text.split_once('/') {
            Some((ip, text)) => (ip, Some(text)),
            None => (text, None),
        };
        let ip: IpAddr = ip
            .parse()
            .map_err(|_| format!("{ip:?} is not an IP address"))?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = |text: &str| match text.parse() {
            Ok(length) if (1..=most).contains(&length) => Ok(length),
            _ => Err(format!("/{text} is not in /1 to /{most}")),
        };
        Ok(Self {
            ip,
            prefix_len: text.map(length).transpose()?,
        })
    }
}

/// An interface that is followed, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tracked {
    name: String,
    weight: i32,
}

impl FromStr for Tracked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, weight) = text.split_once(':').unwrap_or((text, "0"));
        match weight.parse() {
            Ok(weight @ -253..=253) => Ok(Self {
                name: name.to_owned(),
                weight,
            }),
            _ => Err(format!("weight {weight} is not in -253..=253")),
        }
    }
}

/// What the driver is to run, and the name of the router.
pub(crate) fn driver_config(flags: &RouterFlags) -> Result<(DriverConfig, String), String> {
    let (Some(interface), Some(vrid)) = (&flags.interface, flags.vrid) else {
        return Err("an interface and a virtual router id are needed".to_owned());
    };
    let said = |error: &dyn core::fmt::Display| error.to_string();
    let addresses = flags.addresses.iter().map(|address| address.ip);
    let addresses = AddressList::new(addresses).map_err(|error| said(&error))?;
    let mut config = RouterConfig::new(vrid, addresses)
        .with_switches(flags.profile.switches())
        .with_versions(Versions::Only(flags.version))
        .with_interval(flags.interval)
        .with_preempt(!flags.nopreempt);
    config = match flags.priority {
        255 => config.as_owner(),
        priority => config.with_priority(Priority::new(priority)),
    };
    if let Some(hold) = flags.preempt_delay {
        config = config.with_preempt_hold(hold);
    }
    if let Some(source) = flags.source {
        config = config.with_source(SourcePolicy::Fixed(source));
    }
    if !flags.peers.is_empty() {
        config = config.with_unicast_peers(flags.peers.iter().cloned());
    }
    if let Some(password) = &flags.password {
        let secret = password.as_bytes();
        config = config.with_authentication(if flags.ah {
            let key = AhKey::new(AhFlavour::Keepalived, secret);
            Authentication::Header(key.map_err(|error| said(&error))?)
        } else {
            Authentication::Simple(Password::new(secret))
        });
    }
    config.validate().map_err(|error| said(&error))?;
    let mut setup = RouterSetup::new(interface, config);
    if let Some(name) = &flags.virtual_mac {
        let virtual_mac = VirtualMacSetup::new();
        setup = setup.with_virtual_mac(match name.as_str() {
            "" => virtual_mac,
            name => virtual_mac.with_name(name),
        });
    }
    if flags.dont_track_primary {
        setup = setup.ignoring_link();
    }
    for address in &flags.addresses {
        setup = setup.with_address(address.ip, address_setup(*address));
    }
    let mut driver = DriverConfig::new();
    for (tracked, number) in flags.tracked.iter().zip(1..) {
        let id = TrackerId::new(number);
        setup = setup.with_track(Track::new(id, tracked.weight));
        driver = driver.with_link_tracker(id, &tracked.name);
    }
    let driver = driver.with_router(RouterId::new(1), setup);
    Ok((driver, format!("{interface}/{}", vrid.get())))
}

fn address_setup(address: Address) -> AddressSetup {
    let most = if address.ip.is_ipv4() { 32 } else { 128 };
    let setup = AddressSetup::new();
    match address.prefix_len {
        Some(length) => setup
            .with_prefix_len(length)
            .with_prefix_route(length < most),
        None => setup,
    }
}

/// `5s`, `1.5s`, `250ms`
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 5s, 1.5s or 250ms");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1_000),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1_000_000),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(wrong());
    }
    let thousandths: u64 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    // Thousandths of milliseconds are microseconds, those of seconds milliseconds.
    let micros = whole
        .checked_mul(unit)
        .and_then(|micros| micros.checked_add(thousandths.checked_mul(unit / 1_000)?));
    micros.map(Duration::from_micros).ok_or_else(wrong)
}

pub(crate) fn interval(text: &str) -> Result<Interval, String> {
    let time = time(text)?;
    let centiseconds = time.as_micros() / 10_000;
    if time.as_micros() % 10_000 != 0 {
        return Err(format!("{text} is no multiple of 10ms"));
    }
    // Whole seconds may be more than VRRPv3 can say.
    if time.subsec_nanos() == 0
        && let Ok(seconds) = u8::try_from(time.as_secs())
    {
        return Interval::from_seconds(seconds).map_err(|error| error.to_string());
    }
    let centiseconds = u16::try_from(centiseconds).unwrap_or(u16::MAX);
    Interval::from_centiseconds(centiseconds).map_err(|error| error.to_string())
}

pub(crate) fn priority(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(priority @ 1..=255) => Ok(priority),
        _ if text == "owner" => Ok(255),
        _ => Err(format!("{text:?} is neither in 1..=255 nor owner")),
    }
}

pub(crate) fn version(text: &str) -> Result<Version, String> {
    match text {
        "2" => Ok(Version::V2),
        "3" => Ok(Version::V3),
        _ => Err(format!("{text:?} is neither 2 nor 3")),
    }
}

pub(crate) fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "unlimited" {
        return Ok(Lifetime::Unlimited);
    }
    match time(text)? {
        Duration::ZERO => Err("0 is no lifetime; for ever is unlimited".to_owned()),
        time => Ok(Lifetime::Limited(time)),
    }
}

/// `192.0.2.2`, `192.0.2.2@64`, `192.0.2.2@0-255`
pub(crate) fn peer(text: &str) -> Result<Peer, String> {
    let (address, range) = match text.split_once('@') {
        Some((address, range)) => (address, Some(range)),
        None => (text, None),
    };
    let ip = address
        .parse()
        .map_err(|_| format!("{address:?} is not an IP address"))?;
    let Some(range) = range else {
        return Ok(Peer::new(ip));
    };
    let (min, max) = range.split_once('-').unwrap_or((range, range));
    match (min.parse(), max.parse()) {
        (Ok(min), Ok(max)) if min <= max => Ok(Peer::new(ip).with_ttl(min..=max)),
        _ => Err(format!("{range:?} is no range of times to live in 0-255")),
    }
}
