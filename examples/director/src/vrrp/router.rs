//! Virtual routers.

use core::net::{IpAddr, Ipv4Addr};

use lvs_vrrp::announce::Rounds;
use lvs_vrrp::checksum::{ChecksumForm, TxChecksum};
use lvs_vrrp::codec::{AhFlavour, AhKey, Authentication as WireAuthentication, Password};
use lvs_vrrp::config::SourcePolicy;
use lvs_vrrp::node::RouterId;
use lvs_vrrp::profile::AnswerLosing;
use lvs_vrrp::receive::{Peer, Versions};
use lvs_vrrp::track::Track;
use lvs_vrrp::{AddressList, Interval, Priority, Profile, RouterConfig, Switches, Version, Vrid};

use super::announce;
use super::numbers::Ids;
use super::tracker::Trackers;
use crate::keepalived::vrrp::{
    Authentication, AuthenticationKind, Broadcast, Destination, InitialState, Notify, Preferred,
    UnicastPeer, VirtualMac, VrrpAddress, VrrpInstance,
};
use crate::keepalived::{Family, Messages, Position};

/// A virtual router of the node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlannedRouter {
    /// Where it is configured.
    pub position: Position,
    /// Its number in the node.
    pub id: RouterId,
    /// Its name.
    pub name: String,
    /// The interface it is on.
    pub interface: String,
    /// What it is. Valid.
    pub config: RouterConfig,
    /// When it announces its addresses, and how often.
    pub rounds: Rounds,
    /// What it follows.
    pub tracks: Vec<Track>,
    /// The device of its virtual MAC; none for the interface's own MAC.
    pub virtual_mac: Option<VirtualMacDevice>,
    /// Its addresses: where and how they are installed.
    pub addresses: Vec<PlannedAddress>,
    /// Whether it runs while its interface is down.
    pub ignores_link: bool,
    /// What is run when its state changes.
    pub notify: Notify,
}

/// A device with the virtual MAC.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VirtualMacDevice {
    /// Its name, 1 to 15 bytes.
    pub name: String,
    /// Advertisements leave from the interface itself.
    pub transmit_from_base: bool,
}

/// An address that moves with the virtual router.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlannedAddress {
    /// Where it is configured.
    pub position: Position,
    /// The address.
    pub ip: IpAddr,
    /// Bits of its network.
    pub prefix_length: u8,
    /// The device it is put on; none for that of the virtual router.
    pub device: Option<String>,
    /// Its scope, as in rtnetlink(7); none for the kernel's choice.
    pub scope: Option<u8>,
    /// Its label.
    pub label: Option<String>,
    /// Its broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// Whether the kernel adds a route for its network.
    pub has_prefix_route: bool,
    /// Whether packets to others may come from it. Default: not from IPv6 addresses of /128.
    pub is_preferred: bool,
    /// Whether it is advertised.
    pub is_advertised: bool,
}

/// Keywords without which a virtual router would be another one.
const ESSENTIAL: [&str; 3] = ["auth_hmac", "use_ipvlan", "vrf"];

/// The virtual router of a block, if it can be run.
pub(super) fn plan(
    instance: &VrrpInstance,
    ids: &mut Ids,
    trackers: &mut Trackers<'_>,
    devices: &mut Vec<String>,
    messages: &mut Messages,
) -> Option<PlannedRouter> {
    let owner = format!("vrrp_instance {}", instance.name);
    let config = match config(instance) {
        Ok(config) => config,
        Err((position, reason)) => {
            messages.error(&position, format!("{owner}: {reason}; not run"));
            return None;
        }
    };
    for unsupported in &instance.unsupported {
        let keyword = unsupported.keyword;
        if ESSENTIAL.contains(&keyword) {
            let message = format!("{owner}: {keyword} is not supported; not run");
            messages.error(&unsupported.position, message);
            return None;
        }
        let message = format!("{owner}: {keyword} is not supported; ignored");
        messages.warning(&unsupported.position, message);
    }
    report_differences(instance, &owner, messages);
    let tracks = trackers.tracks(&owner, &instance.tracks, ids, messages);
    let vmac = instance.virtual_mac.as_ref();
    let virtual_mac = vmac.map(|vmac| device(instance, vmac, &owner, devices, messages));
    let advertised = instance.addresses.iter().map(|address| (address, true));
    let excluded = instance.excluded_addresses.iter();
    let all = advertised.chain(excluded.map(|address| (address, false)));
    let addresses = all
        .map(|(address, is_advertised)| planned_address(address, is_advertised, &owner, messages))
        .collect();
    Some(PlannedRouter {
        position: instance.position.clone(),
        id: RouterId::new(ids.routers.of(&instance.name)),
        name: instance.name.clone(),
        interface: instance.interface.clone().unwrap_or_default(),
        config,
        rounds: announce::rounds(instance, messages),
        tracks,
        virtual_mac,
        addresses,
        ignores_link: !instance.track_primary,
        notify: instance.notify.clone(),
    })
}

/// A reason with its place.
type Problem = (Position, String);

fn config(instance: &VrrpInstance) -> Result<RouterConfig, Problem> {
    let at = |reason: String| (instance.position.clone(), reason);
    let said = |error: &dyn core::fmt::Display| at(error.to_string());
    let vrid = Vrid::try_from(instance.virtual_router_id).map_err(|error| said(&error))?;
    if instance.addresses.is_empty() {
        return Err(at(
            "there is no virtual address, and one is needed".to_owned()
        ));
    }
    let addresses = instance.addresses.iter().map(|address| address.ip);
    let addresses = AddressList::new(addresses).map_err(|error| said(&error))?;
    let excluded = instance.excluded_addresses.iter().map(|address| address.ip);
    let is_v2 = instance.version == 2;
    let version = if is_v2 { Version::V2 } else { Version::V3 };
    let mut config = RouterConfig::new(vrid, addresses)
        .with_switches(switches(instance))
        .with_versions(Versions::Only(version))
        .with_interval(interval(instance).map_err(|error| said(&error))?)
        .with_excluded_addresses(excluded)
        .with_preempt(instance.preempt)
        .with_preempt_hold(instance.preempt_delay)
        .with_down_factor(instance.down_timer_adverts);
    config = match instance.priority {
        255 => config.as_owner(),
        priority => config.with_priority(Priority::new(priority)),
    };
    // Strict VRRPv2 knows no accept mode; there only the owner accepts.
    if !(instance.strict && is_v2) {
        config = config.with_accept_mode(instance.accept);
    }
    config = match &instance.destination {
        Destination::Group(group) => config.with_group(*group),
        Destination::Peers(peers) => {
            let config = config.with_unicast_peers(peers.iter().map(peer));
            match instance.unicast_ttl {
                Some(ttl) => config.with_unicast_ttl(ttl.max(1)),
                None => config,
            }
        }
    };
    if let Some(source) = instance.source {
        config = config.with_source(SourcePolicy::Fixed(source));
    }
    if let Some(authentication) = &instance.authentication {
        config = config.with_authentication(authenticated(authentication)?);
    }
    config.validate().map_err(|error| said(&error))?;
    Ok(config)
}

fn switches(instance: &VrrpInstance) -> Switches {
    let profile = match (instance.strict, instance.version) {
        (true, 2) => Profile::Strict3768,
        (true, _) => Profile::Strict9568,
        (false, _) => Profile::Linux,
    };
    let mut switches = profile.switches();
    if !instance.strict {
        switches.answer_losing_adverts = if instance.lower_priority_no_advert {
            AnswerLosing::Never
        } else {
            AnswerLosing::Always
        };
        switches.reannounce = instance.announce.lower_priority_repeat != 0;
        switches.yield_with_advert = instance.higher_priority_send_advert;
        if instance.checksum_as_v2 {
            switches.tx_checksum = TxChecksum::Fixed(ChecksumForm::MessageOnly);
        }
    }
    switches
}

fn interval(instance: &VrrpInstance) -> Result<Interval, lvs_vrrp::ValueError> {
    let time = instance.advert_interval;
    if instance.version == 2 {
        return Interval::from_seconds(u8::try_from(time.as_secs()).unwrap_or(u8::MAX));
    }
    let centiseconds = time.as_millis().wrapping_div(10);
    Interval::from_centiseconds(u16::try_from(centiseconds).unwrap_or(u16::MAX))
}

fn peer(peer: &UnicastPeer) -> Peer {
    match peer.ttl() {
        Some(ttl) => Peer::new(peer.ip).with_ttl(ttl),
        None => Peer::new(peer.ip),
    }
}

fn authenticated(authentication: &Authentication) -> Result<WireAuthentication, Problem> {
    let secret = authentication.secret.as_bytes();
    Ok(match authentication.kind {
        AuthenticationKind::Header => WireAuthentication::Header(
            AhKey::new(AhFlavour::Keepalived, secret)
                .map_err(|error| (authentication.position.clone(), error.to_string()))?,
        ),
        _ => WireAuthentication::Simple(Password::new(secret)),
    })
}

/// What is run differently from what the file says.
fn report_differences(instance: &VrrpInstance, owner: &str, messages: &mut Messages) {
    if instance.priority == 255 && instance.state == InitialState::Backup {
        let message = format!("{owner}: priority 255 is active at once, whatever state says");
        messages.note(instance.place("priority"), message);
    }
    if let Destination::Peers(peers) = &instance.destination
        && let Some(peer) = peers.iter().find(|peer| peer.ttl().is_none())
    {
        let message = format!(
            "{owner}: packets from {} must have a time to live of 255; min_ttl allows less",
            peer.ip
        );
        messages.note(&peer.position, message);
    }
    if let Some(ttl) = instance.unicast_ttl {
        let message = match (ttl, &instance.destination) {
            (_, Destination::Group(_)) => Some(format!(
                "{owner}: unicast_ttl {ttl} without unicast_peer: 255 is sent to the group; ignored"
            )),
            (0, _) => Some(format!("{owner}: unicast_ttl 0 goes nowhere, 1 is sent")),
            _ => None,
        };
        if let Some(message) = message {
            messages.warning(instance.place("unicast_ttl"), message);
        }
    }
    if !instance.strict
        && instance.family == Family::V6
        && let Some(first) = instance.addresses.first()
        && !is_link_local(first.ip)
    {
        let message = format!(
            "{owner}: the first address, {}, is not link-local (fe80::/10): routers that are strict \
             about that drop its advertisements (RFC 9568 5.2.9)",
            first.ip
        );
        messages.note(&first.position, message);
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The device of a virtual MAC. Without a name it is called as keepalived calls it, with a number
/// after it if that name is taken.
fn device(
    instance: &VrrpInstance,
    vmac: &VirtualMac,
    owner: &str,
    devices: &mut Vec<String>,
    messages: &mut Messages,
) -> VirtualMacDevice {
    let ours = usual_mac(instance);
    let other = vmac.mac.as_ref().filter(|mac| !ours.starts_with(*mac));
    if let Some(mac) = other {
        let message = format!(
            "{owner}: use_vmac with another MAC ({mac}) is not supported; that of the virtual \
             router id is used"
        );
        messages.warning(instance.place("use_vmac"), message);
    }
    let prefix = match instance.family {
        Family::V6 => "vrrp6",
        _ => "vrrp",
    };
    let base = format!("{prefix}.{}", instance.virtual_router_id);
    let mut name = vmac.device.clone().unwrap_or_else(|| base.clone());
    let mut number = 2_u32;
    while devices.contains(&name) {
        name = format!("{base}.{number}");
        number = number.saturating_add(1);
    }
    devices.push(name.clone());
    VirtualMacDevice {
        name,
        transmit_from_base: vmac.transmit_from_base,
    }
}

/// The MAC of the virtual router id. RFC 9568 §7.3
fn usual_mac(instance: &VrrpInstance) -> String {
    let family = match instance.family {
        Family::V6 => 2,
        _ => 1,
    };
    let id = instance.virtual_router_id;
    format!("00:00:5e:00:{family:02x}:{id:02x}")
}

fn planned_address(
    address: &VrrpAddress,
    is_advertised: bool,
    owner: &str,
    messages: &mut Messages,
) -> PlannedAddress {
    let limited = matches!(address.preferred, Some(Preferred::Seconds(1..)));
    for (option, is_on) in [
        ("peer", address.peer.is_some()),
        ("use_vmac", address.use_vmac),
        ("home", address.home),
        ("mngtmpaddr", address.manage_temporary),
        ("autojoin", address.auto_join),
        ("no_track", address.no_track),
        ("preferred_lft other than 0 and forever", limited),
    ] {
        if is_on {
            let message = format!(
                "{owner}: {}: {option} is not supported; ignored",
                address.ip
            );
            messages.warning(&address.position, message);
        }
    }
    let most = if address.ip.is_ipv4() { 32 } else { 128 };
    let mut prefix_length = address.prefix_length;
    if prefix_length == 0 {
        let message = format!(
            "{owner}: {}: prefix length 0 is not supported, {most} is used",
            address.ip
        );
        messages.warning(&address.position, message);
        prefix_length = most;
    }
    PlannedAddress {
        position: address.position.clone(),
        ip: address.ip,
        prefix_length,
        device: address.device.clone(),
        scope: address.scope,
        label: address.label.clone(),
        broadcast: broadcast(address.ip, prefix_length, address.broadcast),
        has_prefix_route: !address.no_prefix_route,
        is_preferred: match address.preferred {
            Some(preferred) => preferred != Preferred::Seconds(0),
            None => address.ip.is_ipv4() || prefix_length < 128,
        },
        is_advertised,
    }
}

/// The broadcast address of an IPv4 address; `+` and `-` are those of its network.
fn broadcast(ip: IpAddr, length: u8, wanted: Option<Broadcast>) -> Option<Ipv4Addr> {
    let IpAddr::V4(ip) = ip else {
        return None;
    };
    let hosts = u32::MAX.checked_shr(length.into()).unwrap_or_default();
    match wanted? {
        Broadcast::Address(address) => Some(address),
        Broadcast::HostBitsSet => Some((ip.to_bits() | hosts).into()),
        Broadcast::HostBitsClear => Some((ip.to_bits() & !hosts).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_and_minus_are_the_ends_of_the_network() {
        let ip = IpAddr::from([192, 0, 2, 77]);
        for (length, wanted, expected) in [
            (24, Some(Broadcast::HostBitsSet), Some([192, 0, 2, 255])),
            (26, Some(Broadcast::HostBitsSet), Some([192, 0, 2, 127])),
            (26, Some(Broadcast::HostBitsClear), Some([192, 0, 2, 64])),
            (32, Some(Broadcast::HostBitsSet), Some([192, 0, 2, 77])),
            (
                24,
                Some(Broadcast::Address([10, 0, 0, 1].into())),
                Some([10, 0, 0, 1]),
            ),
            (24, None, None),
        ] {
            let found = broadcast(ip, length, wanted);
            assert_eq!(found, expected.map(Ipv4Addr::from), "/{length} {wanted:?}");
        }
        let v6 = "2001:db8::1".parse().unwrap();
        assert_eq!(broadcast(v6, 64, Some(Broadcast::HostBitsSet)), None);
    }
}
