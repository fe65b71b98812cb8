//! Two directors that masquerade for one server, with sync daemons that follow their election.

use core::net::IpAddr;
use std::fs;
use std::path::PathBuf;

use lvs_ipvs::{Client, DaemonRole, ServiceKey};
use tempfile::TempDir;

use crate::network::{Host, cable, eventually};

pub(crate) const VIRTUAL: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 100));
pub(crate) const CLIENT: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 2));
pub(crate) const SERVER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 9, 0, 2));

/// The gateway of the server; it moves with the virtual address (`OP-15`).
pub(crate) const GATEWAY: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 9, 0, 1));

/// ```text
/// client 192.0.2.2 ─┐         ┌─ 192.0.2.11 director 10.9.0.11 ─┐        ┌─ 10.9.0.2 server
///                   ├ outside ┤                                 ├ inside ┤
///                   ┘         └─ 192.0.2.12 director 10.9.0.12 ─┘        └
/// ```
pub(crate) struct Network {
    pub(crate) client: Host,
    pub(crate) server: Host,
    pub(crate) directors: [Host; 2],
    pub(crate) bridges: Host,
    folder: TempDir,
}

impl Network {
    pub(crate) fn new() -> Self {
        let bridges = Host::new("bridges");
        let join = |host: &Host, interface: &str, bridge: &str, port: &str, address: &str| {
            cable(host, interface, &bridges, port);
            bridges.ip(&format!("link set {port} master {bridge}"));
            host.ip(&format!("address add {address}/24 dev {interface}"));
        };
        for bridge in ["outside", "inside"] {
            bridges.ip(&format!(
                "link add {bridge} type bridge\nlink set {bridge} up"
            ));
        }
        let (client, server) = (Host::new("client"), Host::new("server"));
        join(&client, "eth0", "outside", "client", &CLIENT.to_string());
        join(&server, "eth0", "inside", "server", &SERVER.to_string());
        server.ip(&format!("route add default via {GATEWAY}"));
        let directors = ["first", "second"].map(Host::new);
        for (number, host) in (1..).zip(&directors) {
            let outside = format!("192.0.2.1{number}");
            let inside = format!("10.9.0.1{number}");
            join(
                host,
                "eth0",
                "outside",
                &format!("outside{number}"),
                &outside,
            );
            join(host, "eth1", "inside", &format!("inside{number}"), &inside);
            host.sysctl("ipv4/ip_forward", "1");
            host.sysctl("ipv4/conf/all/send_redirects", "0");
            host.sysctl("ipv4/conf/eth0/send_redirects", "0");
            host.sysctl("ipv4/conf/eth1/send_redirects", "0");
            // IPVS comes to the namespace with its first user.
            let _ = host.ipvs().snapshot().unwrap();
            host.sysctl("ipv4/vs/backup_only", "1");
            host.sysctl("ipv4/vs/sync_threshold", "3 10");
        }
        Self {
            client,
            server,
            directors,
            bridges,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What a director with that priority runs.
    pub(crate) fn configuration(&self, priority: u8) -> PathBuf {
        let file = self.folder.path().join(format!("{priority}.conf"));
        let text = format!(
            "global_defs {{\n lvs_sync_daemon eth1 inst VI_1\n}}\n\
             vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             advert_int 1\n preempt_delay 2\n virtual_ipaddress {{\n {VIRTUAL}/24\n \
             {GATEWAY}/24 dev eth1\n }}\n}}\n\
             virtual_server {VIRTUAL} 80 {{\n delay_loop 5\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server {SERVER} 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n"
        );
        fs::write(&file, text).unwrap();
        file
    }
}

/// The service of both.
pub(crate) fn key() -> ServiceKey {
    ServiceKey::tcp((VIRTUAL, 80).into())
}

/// Established connections that a director knows.
pub(crate) fn connections(ipvs: &mut Client) -> u32 {
    let entries = ipvs.destinations(key()).unwrap_or_default();
    entries.iter().map(|entry| entry.active_connections).sum()
}

/// Sync daemons that run, with their ids.
pub(crate) fn roles(ipvs: &mut Client) -> Vec<(DaemonRole, u32)> {
    let daemons = ipvs.daemons().unwrap().into_iter();
    daemons
        .map(|daemon| (daemon.role, daemon.sync_id))
        .collect()
}

/// Waits until the sync daemon of that role runs, and no other.
pub(crate) fn is(ipvs: &mut Client, role: DaemonRole) {
    // The id is the virtual router's, as none is given.
    eventually(|| roles(ipvs), |roles| *roles == [(role, 51)]);
}
