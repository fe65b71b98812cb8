//! From a configuration to what is run: pools, checks, timeouts; and what is not run yet.

mod checks;
mod notify;
mod pool;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use lvs_healthcheck::aggregate::Removal;
use lvs_healthcheck::pool::{Drain, Leaving, Settings};
use lvs_ipvs::{
    Destination, DestinationKey, Encapsulation, EngineName, Family, Forwarding, Persistence,
    PersistenceMask, Protocol, ServiceFlags, ServiceKey, Timeouts, TunnelFlags, ValidationError,
    VirtualService,
};

pub(crate) use self::pool::name_of;
pub use self::pool::{PlannedPool, PlannedServer, PlannedSorry};
use crate::director::fan_out::fitted;
use crate::keepalived::vrrp::TrackFile;
use crate::keepalived::{
    self, Config, Diagnostic, Granularity, GroupEntry, Messages, Position, RealServer, SorryServer,
    Tunnel, TunnelChecksum, VirtualAddress, VirtualServer,
};
use crate::notify::fifo::{Half, PlannedFifo, planned};
use crate::vrrp::is_about_routers;
use crate::vrrp::scripts::initialize;
use checks::Planner;

/// Keywords of the configuration that are run; every other
/// [feature](Config::features) is named to the user.
const RUN: [&str; 13] = [
    // Named as a feature when it is a group.
    "virtual_server",
    "ha_suspend",
    "hysteresis",
    "omega",
    "quorum",
    "sorry_server",
    "script_user",
    "enable_script_security",
    "checker_log_all_failures",
    "lvs_timeouts",
    "child_wait_time",
    "net_namespace_ipvs",
    // A name for mails, which are a feature of their own.
    "router_id",
];

/// What a configuration comes to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Services with their servers.
    pub pools: Vec<PlannedPool>,
    /// Checks, by number.
    pub checks: Vec<PlannedCheck>,
    /// IPVS timeouts to be set; all `None` for none.
    pub timeouts: Timeouts,
    /// Files that checks read, each once.
    pub files: Vec<TrackFile>,
    /// FIFOs that are told of changes.
    fifos: Vec<PlannedFifo>,
    /// How long commands may go on at the end.
    child_wait: Duration,
    /// How long what leaves may finish its connections.
    drain: Option<Duration>,
    messages: Messages,
}

/// A check to be given to a driver.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedCheck {
    /// The check.
    pub check: lvs_healthcheck::Check,
    /// What it says, for people: `TCP_CHECK 10.0.0.11:80`.
    pub name: String,
    /// Index of its pool.
    pub pool: usize,
    /// Index of its server within the pool.
    pub server: usize,
    /// Whether it counts as down before its first verdict.
    pub is_alpha: bool,
}

impl Setup {
    /// Works out what a configuration comes to. Looks up users, and looks at the permissions of
    /// scripts; else it opens nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut setup = Self {
            pools: Vec::new(),
            checks: Vec::new(),
            timeouts: timeouts(config),
            files: checks::files(config),
            fifos: Vec::new(),
            child_wait: config.globals().child_wait_time,
            drain: None,
            messages: Messages::default(),
        };
        for feature in config.features() {
            let keyword = feature.keyword.as_str();
            let runs = [&RUN[..], &checks::RUN, &notify::RUN];
            // Sync daemons are started and stopped with virtual routers.
            let is_alone = keyword == "lvs_sync_daemon" && config.vrrp().instances.is_empty();
            if (is_alone || !is_about_routers(keyword))
                && !runs.iter().any(|keywords| keywords.contains(&keyword))
            {
                let name = match feature.name.as_str() {
                    "" => String::new(),
                    name => format!(" {name}"),
                };
                let message = format!("{keyword}{name}: not run yet");
                setup.messages.warning(&feature.position, message);
            }
        }
        let planner = Planner::new(config);
        setup.fifos = planned(
            config,
            Half::Servers,
            planner.accounts(),
            &mut setup.messages,
        );
        let mut places = HashMap::new();
        for virtual_server in config.virtual_servers() {
            let services = setup.services(config, virtual_server, &mut places);
            if !services.is_empty() {
                setup.add_pool(config, &planner, virtual_server, services);
            }
        }
        if setup.pools.is_empty() && config.vrrp().instances.is_empty() {
            let message = "nothing to run: there is no usable virtual_server";
            setup
                .messages
                .warning(&config.beginning(), message.to_owned());
        }
        setup
    }

    /// What is to be said: warnings about what the configuration asks for and does not get (what is
    /// not run yet, and what IPVS cannot hold: a service twice, a server of another family without
    /// tunnel), errors about what cannot be run as configured.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.messages.list
    }

    /// The services of a `virtual_server` block; `places` says where each service was first seen.
    fn services(
        &mut self,
        config: &Config,
        virtual_server: &VirtualServer,
        places: &mut HashMap<ServiceKey, Position>,
    ) -> Vec<VirtualService> {
        let position = &virtual_server.position;
        let mut services = Vec::new();
        let mut repeated = Vec::new();
        for key in keys(config, virtual_server) {
            let service = service(key, virtual_server);
            if let Err(error) = service.validate() {
                self.problem(position, &error);
                continue;
            }
            match places.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(position.clone());
                    services.push(service);
                }
                Entry::Occupied(first) => repeated.push((key, first.get().clone())),
            }
        }
        if let [(first, place), more @ ..] = repeated.as_slice() {
            let subject = and_more(first, more.len());
            let message = format!("already served by the virtual_server at {place}; left out here");
            self.messages
                .warning(position, format!("{subject}: {message}"));
        }
        services
    }

    fn add_pool(
        &mut self,
        config: &Config,
        planner: &Planner<'_>,
        virtual_server: &VirtualServer,
        services: Vec<VirtualService>,
    ) {
        let pool = self.pools.len();
        let mut servers = Vec::new();
        for real_server in &virtual_server.real_servers {
            let destination = destination(real_server);
            let (position, ip) = (&real_server.position, real_server.ip);
            if let Err(error) = self.examine(position, &destination, &services) {
                self.problem(position, &error);
                continue;
            }
            let mut checks = 0;
            for check in &real_server.checks {
                let place = (pool, servers.len());
                checks += usize::from(self.add_check(planner, check, place));
            }
            if checks == 0 && !real_server.checks.is_empty() {
                let message = "none of its checks is run, so it counts as up";
                self.messages
                    .warning(position, format!("real_server {ip}: {message}"));
            }
            let mut command = |keyword, written: &Option<keepalived::Command>| {
                self.notify_command(planner.accounts(), (position, keyword), written.as_ref())
            };
            servers.push(PlannedServer {
                destination,
                removal: removal(real_server.inhibit_on_failure),
                notify_up: command("notify_up", &real_server.notify_up),
                notify_down: command("notify_down", &real_server.notify_down),
            });
        }
        let sorry = virtual_server.sorry_server.as_ref();
        let sorry = sorry.and_then(|sorry| self.sorry_server(sorry, &services));
        let mut settings = Settings::new()
            .with_quorum(virtual_server.quorum.into())
            .with_hysteresis(virtual_server.hysteresis.into())
            .with_omega(virtual_server.omega)
            .with_initial_events(config.globals().rs_init_notifies)
            .with_leaving(Leaving::Delete);
        // The reader has done this; but servers may have been left out since.
        let weights = servers.iter().map(|server| server.destination.weight());
        for correction in settings.correct(weights.map(u64::from).sum()) {
            let position = &virtual_server.position;
            self.messages.warning(position, correction.to_string());
        }
        let position = &virtual_server.position;
        let mut command = |keyword, written: &Option<keepalived::Command>| {
            self.notify_command(planner.accounts(), (position, keyword), written.as_ref())
        };
        let quorum_up = command("quorum_up", &virtual_server.quorum_up);
        let quorum_down = command("quorum_down", &virtual_server.quorum_down);
        self.pools.push(PlannedPool {
            address: virtual_server.address.clone(),
            services,
            servers,
            sorry,
            settings,
            ha_suspend: virtual_server.ha_suspend,
            quorum_up,
            quorum_down,
        });
    }

    fn sorry_server(
        &mut self,
        sorry: &SorryServer,
        services: &[VirtualService],
    ) -> Option<PlannedSorry> {
        let destination = new_destination(sorry.ip, sorry.port, sorry.forwarding).with_weight(1);
        if let Err(error) = self.examine(&sorry.position, &destination, services) {
            self.problem(&sorry.position, &error);
            return None;
        }
        Some(PlannedSorry {
            destination,
            removal: removal(sorry.inhibit),
        })
    }

    /// Writes the numbers that [files](Self::files) begin with, where the configuration has such;
    /// to be called before the checks run. Files that checks read `before` stay as they are. Says
    /// what could not be written.
    #[must_use]
    pub fn initialize_files(&self, before: Option<&Config>) -> Vec<Diagnostic> {
        initialize_files(&self.files, before)
    }

    /// Lets what leaves the configuration, and everything at the [end](crate::director::Shutdown),
    /// finish its connections for at most that long; what fails leaves at once as before. Without
    /// this, what leaves the configuration is removed at once, as keepalived does.
    #[must_use]
    pub fn with_drain(mut self, limit: Duration) -> Self {
        for pool in &mut self.pools {
            pool.set_drain(limit);
        }
        self.drain = Some(limit);
        self
    }

    /// How what leaves drains; `None`: it leaves at once.
    pub(crate) fn drain(&self) -> Option<Drain> {
        let limit = self.drain?;
        Some(Drain::new().with_limit(Some(limit)))
    }

    /// Looks at a server in every service, and names those that it cannot be in.
    fn examine(
        &mut self,
        position: &Position,
        destination: &Destination,
        services: &[VirtualService],
    ) -> Result<(), ValidationError> {
        let mut left_out = services
            .iter()
            .map(VirtualService::key)
            .filter(|key| fitted(destination, key).is_none());
        if let Some(first) = left_out.next() {
            let ip = destination.key().address;
            let subject = and_more(&first, left_out.count());
            let message = "another family needs lvs_method TUN; left out there";
            let message = format!("real_server {ip} for {subject}: {message}");
            self.messages.warning(position, message);
        }
        services.iter().try_for_each(|service| {
            let key = service.key();
            fitted(destination, &key).map_or(Ok(()), |destination| destination.validate(&key))
        })
    }

    fn add_check(
        &mut self,
        planner: &Planner<'_>,
        check: &keepalived::Check,
        (pool, server): (usize, usize),
    ) -> bool {
        let is_alpha = check.alpha;
        let (check, name) = match planner.planned(check) {
            None => return false,
            Some(Ok(planned)) => planned,
            Some(Err(error)) => {
                let keyword = check.kind.keyword();
                self.problem(
                    &check.position,
                    &format_args!("{keyword} cannot be run: {error}"),
                );
                return false;
            }
        };
        self.checks.push(PlannedCheck {
            check,
            name,
            pool,
            server,
            is_alpha,
        });
        true
    }

    fn problem(&mut self, position: &Position, error: &dyn core::fmt::Display) {
        let message = error.to_string();
        // The same about each address of a large group.
        let last = self.messages.list.last();
        if last.is_none_or(|last| (&last.position, &last.message) != (position, &message)) {
            self.messages.error(position, message);
        }
    }
}

/// [`Setup::initialize_files`], where the setup is with somebody else already.
#[must_use]
pub fn initialize_files(files: &[TrackFile], before: Option<&Config>) -> Vec<Diagnostic> {
    let before = before.map(checks::files).unwrap_or_default();
    let is_known = |file: &&TrackFile| before.iter().any(|known| known.path == file.path);
    let mut messages = Messages::default();
    for file in files.iter().filter(|file| !is_known(file)) {
        if let Err(error) = initialize(file) {
            let message = format!("init_file: {}: {error}", file.path);
            messages.warning(&file.position, message);
        }
    }
    messages.list
}

/// One line whatever the size of a group.
fn and_more(first: &ServiceKey, more: usize) -> String {
    match more {
        0 => first.to_string(),
        more => format!("{first} and {more} more"),
    }
}

/// The services a `virtual_server` block stands for.
fn keys(config: &Config, virtual_server: &VirtualServer) -> Vec<ServiceKey> {
    let family = family(virtual_server.family);
    // The reader gives every service with an address a protocol.
    let protocol = match virtual_server.protocol {
        Some(keepalived::Protocol::Tcp) => Protocol::TCP,
        Some(keepalived::Protocol::Sctp) => Protocol::SCTP,
        _ => Protocol::UDP,
    };
    let address = |address, port| ServiceKey::Address {
        protocol,
        address,
        port,
    };
    match &virtual_server.address {
        VirtualAddress::Socket(socket) => vec![address(socket.ip(), socket.port())],
        VirtualAddress::Fwmark(mark) => vec![ServiceKey::firewall_mark(family, mark.get())],
        VirtualAddress::Group(name) => {
            let entries = config.group(name).map_or(&[][..], |group| &group.entries);
            let mut keys = Vec::new();
            for entry in entries {
                match entry {
                    GroupEntry::Addresses(range) => {
                        keys.extend(range.addresses().map(|ip| address(ip, range.port)));
                    }
                    GroupEntry::Fwmark { mark, family: own } => {
                        let family = own.map_or(family, self::family);
                        keys.push(ServiceKey::firewall_mark(family, mark.get()));
                    }
                }
            }
            keys
        }
    }
}

const fn family(family: keepalived::Family) -> Family {
    match family {
        keepalived::Family::V6 => Family::Inet6,
        _ => Family::Inet,
    }
}

fn service(key: ServiceKey, virtual_server: &VirtualServer) -> VirtualService {
    let mut flags = ServiceFlags::empty();
    let written = virtual_server.flags;
    for (is_set, flag) in [
        (written.one_packet, ServiceFlags::ONE_PACKET),
        (written.flag_1, ServiceFlags::SCHED_1),
        (written.flag_2, ServiceFlags::SCHED_2),
        (written.flag_3, ServiceFlags::SCHED_3),
    ] {
        flags.set(flag, is_set);
    }
    // The reader takes kernel names only, so that none is refused here.
    let scheduler = virtual_server.scheduler.parse().unwrap_or_default();
    let service = VirtualService::new(key)
        .with_scheduler(scheduler)
        .with_flags(flags);
    match &virtual_server.persistence {
        None => service,
        Some(written) => {
            let mut persistence = Persistence::new(written.timeout_secs);
            persistence.mask = match (written.granularity, key.family()) {
                (Granularity::Mask(mask), Family::Inet) => Some(PersistenceMask::Inet(mask)),
                (Granularity::Prefix(length), Family::Inet6) => {
                    Some(PersistenceMask::Inet6(length.into()))
                }
                // A group with a mark of the other family: each address on its own.
                _ => None,
            };
            persistence.engine = written.engine.as_deref().and_then(EngineName::new);
            service.with_persistence(persistence)
        }
    }
}

fn destination(real_server: &RealServer) -> Destination {
    new_destination(real_server.ip, real_server.port, real_server.forwarding)
        .with_weight(real_server.weight)
        .with_thresholds(real_server.lower_threshold, real_server.upper_threshold)
}

fn new_destination(address: IpAddr, port: u16, forwarding: keepalived::Forwarding) -> Destination {
    let (method, encapsulation) = match forwarding {
        keepalived::Forwarding::DirectRoute => (Forwarding::DirectRoute, Encapsulation::ipip()),
        keepalived::Forwarding::Tunnel(tunnel) => (Forwarding::Tunnel, encapsulation(tunnel)),
        _ => (Forwarding::Masquerade, Encapsulation::ipip()),
    };
    Destination::new(DestinationKey { address, port }, method).with_encapsulation(encapsulation)
}

const fn removal(inhibits: bool) -> Removal {
    match inhibits {
        true => Removal::Inhibit,
        false => Removal::Remove,
    }
}

fn encapsulation(tunnel: Tunnel) -> Encapsulation {
    let flags = |checksum| match checksum {
        TunnelChecksum::Checksum => TunnelFlags::CHECKSUM,
        TunnelChecksum::Remote => TunnelFlags::REMOTE_CHECKSUM,
        _ => TunnelFlags::empty(),
    };
    match tunnel {
        Tunnel::Gue { port, checksum } => Encapsulation::gue(port).with_flags(flags(checksum)),
        Tunnel::Gre { checksum } => Encapsulation::gre().with_flags(flags(checksum)),
        _ => Encapsulation::ipip(),
    }
}

fn timeouts(config: &Config) -> Timeouts {
    let seconds =
        |time: Option<Duration>| time.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    let written = config.globals().lvs_timeouts;
    Timeouts {
        tcp_secs: seconds(written.tcp),
        tcp_fin_secs: seconds(written.tcp_fin),
        udp_secs: seconds(written.udp),
    }
}

#[cfg(test)]
mod tests;
