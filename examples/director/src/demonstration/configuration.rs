//! The configuration that the directors run: the same but for the priority.

use core::fmt::Write as _;
use core::net::SocketAddr;

use lvs_schedulers::Algorithm;

use super::farm::{Config as FarmConfig, Farm};
use super::lan::INTERFACE;
use super::script::DIRECTORS;

/// Weights of the servers at first, so that `wrr` has something to show.
pub(super) const WEIGHTS: [u32; 3] = [3, 2, 1];

/// Priorities of the directors: the first one is Active whenever it can be.
pub(super) const PRIORITIES: [u8; DIRECTORS.len()] = [150, 100];

/// What is configured, and can be changed while it runs.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    address: SocketAddr,
    pub(super) algorithm: Algorithm,
    /// Servers with their weights.
    pub(super) servers: Vec<(SocketAddr, u32)>,
}

impl Configuration {
    pub(super) fn new(farm: &Farm, config: &FarmConfig) -> Self {
        let servers = farm.servers();
        let servers = servers.iter().map(|server| server.address);
        Self {
            address: farm.address(),
            algorithm: config.algorithm,
            servers: servers.zip(WEIGHTS.into_iter().cycle()).collect(),
        }
    }

    /// The keepalived.conf of a director.
    pub(super) fn text(&self, director: usize) -> String {
        let name = DIRECTORS.get(director).unwrap_or(&"nobody");
        let priority = PRIORITIES.get(director).unwrap_or(&1);
        let (ip, port) = (self.address.ip(), self.address.port());
        let mut text = format!(
            "global_defs {{\n    router_id {name}\n    vrrp_version 3\n}}\n\
             vrrp_instance LB {{\n    interface {INTERFACE}\n    virtual_router_id 51\n    \
             priority {priority}\n    advert_int 0.25\n    virtual_ipaddress {{ {ip} }}\n}}\n\
             virtual_server {ip} {port} {{\n    delay_loop 1\n    warmup 0\n    lb_algo {}\n    \
             lb_kind NAT\n    protocol TCP\n",
            self.algorithm.name(),
        );
        for (server, weight) in &self.servers {
            let _ = write!(
                text,
                "    real_server {} {} {{\n        weight {weight}\n        \
                 HTTP_GET {{\n            url {{\n                path /health\n                \
                 status_code 200\n            }}\n            \
                 connect_timeout 1\n            retry 1\n            delay_before_retry 1\n        \
                 }}\n    }}\n",
                server.ip(),
                server.port(),
            );
        }
        text.push_str("}\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::Config;
    use crate::setup::Setup;

    #[test]
    fn the_configurations_are_complete_and_differ_in_name_and_priority() {
        let server = |last| (SocketAddr::from(([127, 0, 0, last], 8000)), last.into());
        let configuration = Configuration {
            address: "127.0.0.10:80".parse().unwrap(),
            algorithm: Algorithm::Wlc,
            servers: vec![server(11), server(12)],
        };
        for (director, priority) in [(0, 150), (1, 100)] {
            let config = Config::parse("t.conf", &configuration.text(director));
            assert_eq!(config.diagnostics(), []);
            let instance = &config.vrrp().instances[0];
            assert_eq!(instance.priority, priority);
            let setup = Setup::new(&config);
            assert_eq!(setup.diagnostics(), []);
            let [service] = config.virtual_servers() else {
                panic!("{}", configuration.text(director));
            };
            assert_eq!(service.scheduler, "wlc");
            let servers = service.real_servers.iter();
            let written =
                servers.map(|server| (SocketAddr::new(server.ip, server.port), server.weight));
            assert_eq!(written.collect::<Vec<_>>(), configuration.servers);
            assert_eq!(service.real_servers[0].checks.len(), 1);
        }
        let [a, b] = [0, 1].map(|director| configuration.text(director));
        let lines = a.lines().zip(b.lines()).filter(|(a, b)| a != b);
        let words = lines.map(|(a, _)| a.split_whitespace().next().unwrap());
        assert_eq!(words.collect::<Vec<_>>(), ["router_id", "priority"]);
    }
}
