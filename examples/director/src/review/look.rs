//! Looking at this host: reads, changes nothing. Without privileges it sees less.

mod program;
mod rules;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lvs_ipvs::sysctl::ALL;
use lvs_ipvs::{Client, SyncDaemon};
use lvs_vrrp::net::links::{Link, LinkMonitor};

use super::host::{Capabilities, Host, Interface, InterfaceAddress, Ipvs, Marks, Route};
use super::subject::Subject;
use crate::keepalived::Forwarding;
use program::Programs;

/// Where the sysctls of network namespaces are; always those of the calling thread's.
const SYSCTLS: &str = "/proc/sys/net";

/// Where routes are; those of the calling thread's network namespace.
const TABLES: &str = "/proc/thread-self/net";

/// Settings of interfaces that are looked at.
const OF_INTERFACES: [&str; 3] = ["arp_ignore", "rp_filter", "send_redirects"];

impl Host {
    /// Looks at the host, as seen from the network namespace of this thread. What cannot be read is
    /// not known. Waits for the kernel only.
    #[must_use]
    pub fn look() -> Self {
        let interfaces = interfaces();
        let names = interfaces.iter().flatten();
        let sysctls = sysctls(names.map(|interface| interface.name.as_str()));
        let (ipvs, daemons) = ipvs();
        let (routes, local) = routes();
        Self {
            interfaces,
            sysctls: Some(sysctls),
            ipvs,
            daemons,
            capabilities: capabilities(),
            routes,
            local,
            marks: None,
            routers: Vec::new(),
            unanswered: Vec::new(),
            program: std::env::current_exe().ok(),
        }
    }

    /// Looks at the host, and besides at what matters for this configuration only: its interfaces as
    /// virtual routers need them, rules that set marks (by `nft`, `iptables-save` and `tc`, for root), and
    /// settings of network cards (by `ethtool`). Waits for these programs, for two seconds at most each.
    #[must_use]
    pub fn look_for(subject: &Subject<'_>) -> Self {
        let mut host = Self::look();
        if subject.is_with_vrrp() && !subject.routers().is_empty() {
            host.routers = subject.driver_config().review().unwrap_or_default();
        }
        let mut programs = Programs::default();
        let mut services = subject.services().iter();
        if subject.is_with_checkers() {
            if services.any(|service| !subject.marks(service).is_empty()) {
                host.marks = marks(&mut programs, host.interfaces.iter().flatten());
            }
            let is_tunnel = |forwarding| matches!(forwarding, Forwarding::Tunnel(_));
            if subject
                .servers()
                .any(|(_, server)| is_tunnel(server.forwarding))
            {
                look_at_cards(&mut programs, host.interfaces.iter_mut().flatten());
            }
        }
        host.unanswered = programs.unanswered;
        host
    }
}

fn interfaces() -> Option<Vec<Interface>> {
    let monitor = LinkMonitor::open().ok()?;
    Some(monitor.links().iter().map(interface).collect())
}

fn interface(link: &Link) -> Interface {
    let addresses = link.addresses.iter();
    let addresses = addresses.map(|own| InterfaceAddress::new(own.address, own.prefix_len));
    Interface {
        name: link.name.clone(),
        kind: link.kind.clone(),
        is_up: link.is_up,
        is_loopback: link.is_loopback,
        has_no_arp: link.has_no_arp,
        mtu: link.mtu,
        addresses: addresses.collect(),
        merges_packets: None,
    }
}

fn sysctls<'a>(interfaces: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let known = ALL.iter().map(|definition| definition.path.to_owned());
    let of_interfaces = ["all"].into_iter().chain(interfaces).flat_map(|name| {
        OF_INTERFACES
            .iter()
            .map(move |setting| format!("ipv4/conf/{name}/{setting}"))
    });
    let read = known.chain(of_interfaces).filter_map(|path| {
        let text = fs::read_to_string(Path::new(SYSCTLS).join(&path)).ok()?;
        Some((path, text.trim().to_owned()))
    });
    read.collect()
}

/// Whether it is there, and the daemons that run.
fn ipvs() -> (Option<Ipvs>, Option<Vec<SyncDaemon>>) {
    match Client::connect() {
        Ok(mut client) => (Some(Ipvs::Ready), client.daemons().ok()),
        Err(error) if error.is_unavailable() => (Some(Ipvs::Missing), None),
        Err(_) => (None, None),
    }
}

fn capabilities() -> Option<Capabilities> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"))?;
    let bits = u64::from_str_radix(effective.trim(), 16).ok()?;
    Some(Capabilities::from_bits(bits))
}

/// Routes, and networks that are delivered locally. A kernel without IPv6 has no file about it.
fn routes() -> (Option<Vec<Route>>, Option<Vec<InterfaceAddress>>) {
    let read = |name: &str| fs::read_to_string(Path::new(TABLES).join(name)).ok();
    let (more_routes, more_local) = tables::ipv6(&read("ipv6_route").unwrap_or_default());
    let routes = read("route").map(|text| {
        let mut routes = tables::ipv4_routes(&text);
        routes.extend(more_routes);
        routes
    });
    let local = read("fib_trie").map(|text| {
        let mut local = tables::ipv4_local(&text);
        local.extend(more_local);
        local
    });
    (routes, local)
}

/// Marks that rules set; `None` if no program shows the rules, or one gives no answer.
fn marks<'a>(
    programs: &mut Programs,
    interfaces: impl Iterator<Item = &'a Interface>,
) -> Option<Marks> {
    let mut marks = None;
    let mut take = |text: Option<String>, read: fn(&str, &mut Marks)| {
        if let Some(text) = text {
            read(&text, marks.get_or_insert_with(Marks::default));
        }
    };
    take(programs.ask("nft", &["list", "ruleset"]), rules::nftables);
    for program in [
        "iptables-save",
        "ip6tables-save",
        "iptables-legacy-save",
        "ip6tables-legacy-save",
    ] {
        take(programs.ask(program, &[]), rules::iptables);
    }
    for interface in interfaces {
        // What does not answer for one interface is not asked about a hundred.
        if !programs.unanswered.is_empty() {
            return None;
        }
        let arguments = ["filter", "show", "dev", &interface.name, "ingress"];
        take(programs.ask("tc", &arguments), rules::traffic_control);
    }
    marks.filter(|_| programs.unanswered.is_empty())
}

/// Whether network cards merge what they receive into larger packets.
fn look_at_cards<'a>(programs: &mut Programs, interfaces: impl Iterator<Item = &'a mut Interface>) {
    for interface in interfaces.filter(|it| !it.is_loopback && !it.has_no_arp) {
        let Some(text) = programs.ask("ethtool", &["-k", &interface.name]) else {
            return;
        };
        let mut lines = text.lines();
        let setting = lines.find_map(|line| line.strip_prefix("large-receive-offload: "));
        interface.merges_packets = setting.map(|setting| setting.starts_with("on"));
    }
}
