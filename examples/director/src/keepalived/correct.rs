//! The corrections that keepalived makes (keepalived.conf(5)), each with a diagnostic.
//!
//! | Rule | Correction |
//! |---|---|
//! | no scheduler, no forwarding method | wlc, NAT |
//! | no protocol for addresses | UDP, said loudly |
//! | protocol for a fwmark | ignored |
//! | port 0 without persistence | persistence of 360 s |
//! | `ops` without UDP, `ha_suspend` of a fwmark | dropped |
//! | flag of another scheduler | dropped |
//! | family of a real server differs, without tunnel | real server dropped |
//! | forwarding is not NAT and ports differ | the real server gets the virtual server's port |
//! | fwmark, forwarding is not NAT, real server with a port | its port is 0; checks keep using it |
//! | real server twice | the later one dropped |
//! | lower threshold over the upper one | lower one dropped |
//! | no real server | virtual server ignored |
//! | quorum over the sum of weights | the sum |
//! | hysteresis not under the quorum | quorum − 1 |

use super::diagnostic::Report;
use super::forwarding::Forwarding;
use super::groups::{Family, GroupEntry, VirtualServerGroup};
use super::persistence::{Granularity, GranularityDraft, PERSISTENCE_DEFAULT};
use super::real_server::{self, RealServer};
use super::virtual_server::{
    Defaults, Draft, Protocol, SorryDraft, SorryServer, VirtualAddress, VirtualServer,
};

/// What a virtual server is after its own corrections.
pub(super) struct Corrected {
    name: String,
    pub(super) family: Family,
    /// Port of the virtual server; 0 if it has none, or several.
    pub(super) port: u16,
    pub(super) protocol: Option<Protocol>,
    pub(super) scheduler: &'static str,
    pub(super) forwarding: Forwarding,
    pub(super) granularity: Granularity,
    kind: Kind,
}

/// What decides about the ports of real servers.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Address,
    Fwmark,
    /// Entries with different ports, or addresses along with marks.
    Mixed,
}

/// Corrects what concerns the virtual server itself; none if its group cannot be served (reported).
pub(super) fn service(
    draft: &mut Draft<'_>,
    groups: &[VirtualServerGroup],
    report: &mut Report,
) -> Option<Corrected> {
    let name = format!("virtual_server {}", draft.address);
    let Shape {
        kind,
        family,
        port,
        zero_port,
    } = shape(draft, groups, &name, report)?;
    let place = draft.position.clone();
    let protocol = match (&draft.protocol, kind) {
        (Some((_, position)), Kind::Fwmark) => {
            let message = format!("{name}: the mark decides, 'protocol' is ignored");
            report.warning(position, message);
            None
        }
        (None, Kind::Fwmark) => None,
        (Some((protocol, _)), _) => Some(*protocol),
        (None, _) => {
            let message = format!(
                "{name}: NO PROTOCOL, so this is a UDP service; write 'protocol TCP' if it is to \
                 serve TCP"
            );
            report.warning(&place, message);
            Some(Protocol::Udp)
        }
    };
    let scheduler = draft.scheduler.unwrap_or_else(|| {
        report.warning(&place, format!("{name}: no lb_algo, wlc used"));
        "wlc"
    });
    let forwarding = draft.forwarding.unwrap_or_else(|| {
        report.warning(&place, format!("{name}: no lb_kind, NAT used"));
        Forwarding::Masquerade
    });
    // A granularity implies persistence.
    if draft.granularity.is_some() && draft.persistence_secs.is_none() {
        draft.persistence_secs = Some(PERSISTENCE_DEFAULT);
    }
    if zero_port && draft.persistence_secs.is_none() {
        let message = format!(
            "{name}: port 0 needs persistence, persistence_timeout {PERSISTENCE_DEFAULT} set"
        );
        report.warning(&place, message);
        draft.persistence_secs = Some(PERSISTENCE_DEFAULT);
    }
    if draft.engine.is_some() && draft.persistence_secs.is_none() {
        let message =
            format!("{name}: persistence_engine has no effect without persistence_timeout");
        report.note(&place, message);
    }
    if draft.flags.one_packet && protocol.is_some_and(|protocol| protocol != Protocol::Udp) {
        report.warning(&place, format!("{name}: 'ops' needs protocol UDP, dropped"));
        draft.flags.one_packet = false;
    }
    if draft.ha_suspend && kind == Kind::Fwmark {
        let message = format!("{name}: a mark has no address, 'ha_suspend' dropped");
        report.warning(&place, message);
        draft.ha_suspend = false;
    }
    draft.scheduler_flags.retain(|flag| {
        let fits = flag.scheduler == scheduler;
        if !fits {
            let message = format!(
                "{}: only scheduler {} knows it, not {scheduler}; dropped",
                flag.keyword, flag.scheduler
            );
            report.warning(&flag.position, message);
        }
        fits
    });
    if !draft
        .scheduler_flags
        .iter()
        .any(|flag| flag.keyword == "hashed")
    {
        draft.flags.hashed = false;
    }
    let granularity = granularity(draft, family, &name, report);
    Some(Corrected {
        name,
        family,
        port,
        protocol,
        scheduler,
        forwarding,
        granularity,
        kind,
    })
}

struct Shape {
    kind: Kind,
    family: Family,
    port: u16,
    /// Whether an address has port 0.
    zero_port: bool,
}

fn shape(
    draft: &Draft<'_>,
    groups: &[VirtualServerGroup],
    name: &str,
    report: &mut Report,
) -> Option<Shape> {
    let asked = draft.ip_family.as_ref().map(|(family, _)| *family);
    match &draft.address {
        VirtualAddress::Socket(address) => {
            let family = Family::of(address.ip());
            if let Some((_, position)) = draft
                .ip_family
                .as_ref()
                .filter(|(asked, _)| *asked != family)
            {
                report.error(
                    position,
                    format!("{name}: ip_family differs from {family}; line ignored"),
                );
            }
            let (kind, port) = (Kind::Address, address.port());
            Some(Shape {
                kind,
                family,
                port,
                zero_port: port == 0,
            })
        }
        VirtualAddress::Fwmark(_) => {
            let family = asked.unwrap_or_else(|| family_of_servers(draft));
            Some(Shape {
                kind: Kind::Fwmark,
                family,
                port: 0,
                zero_port: false,
            })
        }
        VirtualAddress::Group(group) => {
            let Some(group) = groups.iter().find(|known| known.name == *group) else {
                report.error(
                    &draft.position,
                    format!("{name}: there is no such group; skipped"),
                );
                return None;
            };
            if group.entries.is_empty() {
                report.error(
                    &draft.position,
                    format!("{name}: the group is empty; skipped"),
                );
                return None;
            }
            Some(group_shape(draft, group, asked))
        }
    }
}

fn group_shape(draft: &Draft<'_>, group: &VirtualServerGroup, asked: Option<Family>) -> Shape {
    let mut marks = 0_usize;
    let mut ports = Vec::new();
    let mut family = None;
    for entry in &group.entries {
        let of_entry = match entry {
            GroupEntry::Addresses(range) => {
                ports.push(range.port);
                Some(Family::of(range.first))
            }
            GroupEntry::Fwmark { family, .. } => {
                marks = marks.saturating_add(1);
                *family
            }
        };
        family = family.or(of_entry);
    }
    let zero_port = ports.contains(&0);
    ports.sort_unstable();
    ports.dedup();
    let (kind, port) = match (marks, ports.as_slice()) {
        (0, [port]) => (Kind::Address, *port),
        (_, []) => (Kind::Fwmark, 0),
        // Checks may still use a port that all addresses share.
        (_, [port]) => (Kind::Mixed, *port),
        _ => (Kind::Mixed, 0),
    };
    let family = asked.or(family).unwrap_or_else(|| family_of_servers(draft));
    Shape {
        kind,
        family,
        port,
        zero_port,
    }
}

/// The family of the first real server; IPv4 without any.
fn family_of_servers(draft: &Draft<'_>) -> Family {
    draft
        .real_servers
        .first()
        .map_or(Family::V4, |server| Family::of(server.ip))
}

fn granularity(draft: &Draft<'_>, family: Family, name: &str, report: &mut Report) -> Granularity {
    let whole = Granularity::whole(family);
    let Some((written, position)) = &draft.granularity else {
        return whole;
    };
    match (*written, family) {
        (GranularityDraft::Mask(mask), Family::V4) => Granularity::Mask(mask),
        (GranularityDraft::Length(length), Family::V6) => Granularity::Prefix(length),
        (GranularityDraft::Length(length), Family::V4) if length <= 32 => {
            let shift = 32_u32.saturating_sub(u32::from(length));
            let mask = core::net::Ipv4Addr::from_bits(u32::MAX.checked_shl(shift).unwrap_or(0));
            let message = format!("persistence_granularity: {length} taken as {mask}");
            report.note(position, message);
            Granularity::Mask(mask)
        }
        _ => {
            let message = format!(
                "{name}: persistence_granularity does not fit {family} (a mask, or 1..=32 for \
                 IPv4; 1..=128 for IPv6); every client counts on its own"
            );
            report.error(position, message);
            whole
        }
    }
}

/// Corrects and finishes a real server; none if it cannot serve this virtual server (reported).
pub(super) fn real_server(
    draft: real_server::Draft<'_>,
    service: &Corrected,
    defaults: &Defaults<'_>,
    report: &mut Report,
) -> Option<RealServer> {
    let forwarding = draft.forwarding(defaults.forwarding);
    let subject = format!("real_server {}", draft.ip);
    if !family_fits(draft.ip, forwarding, service) {
        let message = format!(
            "{subject}: another family than {} needs lvs_method TUN; real server skipped",
            service.name
        );
        report.error(&draft.position, message);
        return None;
    }
    let wanted = draft.port;
    let place = draft.position.clone();
    let port = corrected_port(wanted, forwarding, service);
    if port != wanted && wanted != 0 {
        let message = match service.kind {
            Kind::Fwmark => format!(
                "{subject}: port {wanted} means nothing to {} without NAT, 0 used; checks without \
                 connect_port go to {wanted}",
                service.name
            ),
            _ => format!(
                "{subject}: without NAT the port stays that of {}, {port} used for {wanted}",
                service.name
            ),
        };
        report.warning(&place, message);
    }
    let mut server = draft.finish(port, defaults, report);
    let (upper, lower) = (server.upper_threshold, server.lower_threshold);
    if upper != 0 && lower > upper {
        let message =
            format!("{subject}: lthreshold {lower} is over uthreshold {upper}, lthreshold dropped");
        report.warning(&place, message);
        server.lower_threshold = 0;
    }
    Some(server)
}

/// Corrects and finishes the sorry server.
pub(super) fn sorry_server(
    draft: Option<SorryDraft>,
    service: &Corrected,
    report: &mut Report,
) -> Option<SorryServer> {
    let draft = draft?;
    let forwarding = draft.forwarding(service.forwarding);
    if !family_fits(draft.ip, forwarding, service) {
        let message = format!(
            "sorry_server {}: another family than {} needs sorry_server_lvs_method TUN; skipped",
            draft.ip, service.name
        );
        report.error(&draft.position, message);
        return None;
    }
    let port = corrected_port(draft.port, forwarding, service);
    if port != draft.port && draft.port != 0 {
        let message = format!(
            "sorry_server {}: without NAT the port stays that of {}, {port} used for {}",
            draft.ip, service.name, draft.port
        );
        report.warning(&draft.position, message);
    }
    Some(draft.finish(port, service.forwarding))
}

fn family_fits(ip: core::net::IpAddr, forwarding: Forwarding, service: &Corrected) -> bool {
    matches!(forwarding, Forwarding::Tunnel(_)) || Family::of(ip) == service.family
}

fn corrected_port(wanted: u16, forwarding: Forwarding, service: &Corrected) -> u16 {
    match service.kind {
        _ if forwarding.is_masquerade() => wanted,
        Kind::Address => service.port,
        // Each address keeps its own port.
        Kind::Fwmark | Kind::Mixed => 0,
    }
}

/// Corrects what concerns all real servers together; false if there are none (reported).
pub(super) fn pool(service: &mut VirtualServer, report: &mut Report) -> bool {
    let name = format!("virtual_server {}", service.address);
    let mut seen = std::collections::HashMap::new();
    service
        .real_servers
        .retain(|server| match seen.entry((server.ip, server.port)) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(server.position.clone());
                true
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let first = first.get();
                let message = format!(
                    "real_server {server}: already in {name} at {first}; this one is dropped"
                );
                report.warning(&server.position, message);
                false
            }
        });
    if service.real_servers.is_empty() {
        report.warning(
            &service.position,
            format!("{name}: no real_server, ignored"),
        );
        return false;
    }
    let total: u64 = service
        .real_servers
        .iter()
        .map(|server| u64::from(server.weight))
        .sum();
    if u64::from(service.quorum) > total {
        let message = format!(
            "{name}: quorum {} is over the sum of weights, {total} used",
            service.quorum
        );
        report.warning(&service.position, message);
        service.quorum = u32::try_from(total).unwrap_or(u32::MAX);
    }
    let most = service.quorum.saturating_sub(1);
    if service.hysteresis > most {
        let message = format!(
            "{name}: hysteresis {} is not under quorum {}, {most} used",
            service.hysteresis, service.quorum
        );
        report.warning(&service.position, message);
        service.hysteresis = most;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::{CheckKind, Config};
    use super::*;

    fn read(text: &str) -> (Vec<VirtualServer>, Vec<String>) {
        let config = Config::parse("t.conf", text);
        let messages = config
            .diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect();
        (config.virtual_servers().to_vec(), messages)
    }

    /// Port of the first real server and of its check.
    fn ports(header: &str, lines: &str, server: &str) -> (u16, u16, Vec<String>) {
        let (services, messages) = read(&format!(
            "virtual_server_group SAME {{\n10.0.0.1-2 80\n}}\n\
             virtual_server_group SEVERAL {{\n10.0.0.1 80\n10.0.0.1 81\n}}\n\
             virtual_server_group MARKS {{\nfwmark 7\n}}\n\
             virtual_server {header} {{\nlb_algo rr\n{lines}\n\
             real_server {server} {{ TCP_CHECK {{ }} }}\n}}\n"
        ));
        let server = &services[0].real_servers[0];
        let CheckKind::Tcp(connection) = &server.checks[0].kind else {
            panic!("tcp")
        };
        (server.port, connection.port, messages)
    }

    #[test]
    fn ports_follow_the_forwarding_method() {
        let tcp = "protocol TCP\nlb_kind";
        let cases = [
            (
                "10.0.0.1 80",
                format!("{tcp} NAT"),
                "10.0.0.2 8080",
                (8080, 8080),
            ),
            ("10.0.0.1 80", format!("{tcp} NAT"), "10.0.0.2", (0, 80)),
            (
                "10.0.0.1 80",
                format!("{tcp} DR"),
                "10.0.0.2 8080",
                (80, 80),
            ),
            ("10.0.0.1 80", format!("{tcp} DR"), "10.0.0.2", (80, 80)),
            (
                "fwmark 7",
                "lb_kind NAT".into(),
                "10.0.0.2 8080",
                (8080, 8080),
            ),
            ("fwmark 7", "lb_kind DR".into(), "10.0.0.2 8080", (0, 8080)),
            ("fwmark 7", "lb_kind DR".into(), "10.0.0.2", (0, 0)),
            (
                "group SAME",
                format!("{tcp} TUN"),
                "10.0.0.2 8080",
                (80, 80),
            ),
            (
                "group SEVERAL",
                format!("{tcp} TUN"),
                "10.0.0.2 8080",
                (0, 8080),
            ),
            (
                "group SEVERAL",
                format!("{tcp} NAT"),
                "10.0.0.2 8080",
                (8080, 8080),
            ),
            ("group MARKS", "lb_kind TUN".into(), "10.0.0.2", (0, 0)),
        ];
        for (header, lines, server, expected) in cases {
            let (port, check, messages) = ports(header, &lines, server);
            assert_eq!(
                (port, check),
                expected,
                "{header} {lines} {server}: {messages:?}"
            );
            // A port that was given and is not kept is spoken of; so is a check without any.
            let changed = server.ends_with("8080") && port != 8080;
            assert_eq!(
                messages.len(),
                usize::from(changed || check == 0),
                "{messages:?}"
            );
        }
    }

    #[test]
    fn families_differ_only_through_tunnels() {
        let text = |kind: &str| {
            format!(
                "virtual_server fwmark 7 {{\nlb_algo rr\nlb_kind {kind}\n\
                 real_server 10.0.0.2 {{ }}\nreal_server 2001:db8::2 {{ }}\n}}\n"
            )
        };
        let (services, messages) = read(&text("NAT"));
        assert_eq!(
            (services[0].family, services[0].real_servers.len()),
            (Family::V4, 1)
        );
        assert!(
            messages[0].contains("real_server 2001:db8::2: another family"),
            "{messages:?}"
        );
        let (services, messages) = read(&text("TUN"));
        assert_eq!(services[0].real_servers.len(), 2);
        assert!(messages.is_empty(), "{messages:?}");
    }

    #[test]
    fn quorum_and_hysteresis_fit_the_weights() {
        let fitted = |lines: &str, weight: u32| {
            let (services, messages) = read(&format!(
                "virtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{lines}\n\
                 real_server 10.0.0.2 80 {{ weight {weight} }}\n}}\n"
            ));
            (services[0].quorum, services[0].hysteresis, messages.len())
        };
        assert_eq!(fitted("quorum 4\nhysteresis 1", 4), (4, 1, 0));
        assert_eq!(fitted("quorum 5\nhysteresis 1", 4), (4, 1, 1));
        assert_eq!(fitted("quorum 2\nhysteresis 2", 4), (2, 1, 1));
        assert_eq!(fitted("", 0), (0, 0, 1));
        assert_eq!(
            fitted("quorum 4294967295", 2_147_483_647),
            (2_147_483_647, 0, 1)
        );
    }

    #[test]
    fn granularity_fits_the_family() {
        let of = |address: &str, value: &str| {
            let (services, messages) = read(&format!(
                "virtual_server {address} 80 {{\nlb_algo rr\nlb_kind TUN\nprotocol TCP\n\
                 persistence_granularity {value}\nreal_server {address} {{ }}\n}}\n"
            ));
            let persistence = services[0].persistence.as_ref().expect("persistence");
            (persistence.granularity, messages)
        };
        assert_eq!(
            of("10.0.0.1", "24").0,
            Granularity::Mask([255, 255, 255, 0].into())
        );
        assert_eq!(
            of("10.0.0.1", "255.0.255.0").0,
            Granularity::Mask([255, 0, 255, 0].into())
        );
        assert_eq!(of("2001:db8::1", "64").0, Granularity::Prefix(64));
        for (address, value) in [("10.0.0.1", "33"), ("2001:db8::1", "255.255.0.0")] {
            let (granularity, messages) = of(address, value);
            assert_eq!(
                granularity,
                Granularity::whole(Family::of(address.parse().unwrap()))
            );
            assert!(messages[0].contains("does not fit"), "{messages:?}");
        }
    }
}
