//! From a configuration to what is run: pools, checks, timeouts; and what is not run yet.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use lvs_healthcheck::aggregate::{Aggregate, Combine, Member, Removal, UnknownAs};
use lvs_healthcheck::policy::{Keepalived, KeepalivedChecker, Policy};
use lvs_healthcheck::probe::command::Environment;
use lvs_healthcheck::{
    Command, CommandProbe, Probe, Target, TcpProbe, check_script_security, lookup_user,
};
use lvs_ipvs::{
    Destination, DestinationKey, Encapsulation, EngineName, Family, Forwarding, Persistence,
    PersistenceMask, Protocol, ServiceFlags, ServiceKey, Timeouts, TunnelFlags, ValidationError,
    VirtualService,
};
use nix::unistd::{Group, geteuid};

use crate::keepalived::{
    self, CheckKind, Config, Connection, Granularity, GroupEntry, MiscCheck, Position, RealServer,
    Tunnel, TunnelChecksum, VirtualAddress, VirtualServer,
};
use crate::pool::{CheckNumber, Pool, Server, fitted};

/// The account keepalived runs scripts under when there is one of that name.
const SCRIPT_USER: &str = "keepalived_script";

/// Keywords of the configuration that are run; every other
/// [feature](Config::features) is named to the user.
const RUN: [&str; 8] = [
    "TCP_CHECK",
    "MISC_CHECK",
    // Named as a feature when it is a group.
    "virtual_server",
    "script_user",
    "enable_script_security",
    "checker_log_all_failures",
    "lvs_timeouts",
    // A name for mails, which are a feature of their own.
    "router_id",
];

/// What a configuration comes to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Services with their servers.
    pub pools: Vec<Pool>,
    /// Checks, by number.
    pub checks: Vec<PlannedCheck>,
    /// IPVS timeouts to be set; all `None` for none.
    pub timeouts: Timeouts,
    /// What the configuration asks for and does not get, each with file and line: what is not run
    /// yet, and what IPVS cannot hold (a service twice, a server of another family without tunnel).
    pub not_run: Vec<String>,
    /// What cannot be run as configured, each with file and line.
    pub problems: Vec<String>,
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
            not_run: Vec::new(),
            problems: Vec::new(),
        };
        for feature in config.features() {
            if !RUN.contains(&feature.keyword.as_str()) {
                setup.not_run.push(format!("{feature}: not run yet"));
            }
        }
        let mut places = HashMap::new();
        for virtual_server in config.virtual_servers() {
            let services = setup.services(config, virtual_server, &mut places);
            if !services.is_empty() {
                setup.add_pool(config, virtual_server, services);
            }
        }
        if setup.pools.is_empty() {
            let message = "nothing to run: there is no usable virtual_server";
            setup.not_run.push(message.to_owned());
        }
        setup
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
            self.not_run
                .push(format!("{position}: {subject}: {message}"));
        }
        services
    }

    fn add_pool(
        &mut self,
        config: &Config,
        virtual_server: &VirtualServer,
        services: Vec<VirtualService>,
    ) {
        let pool = self.pools.len();
        let mut servers = Vec::new();
        for real_server in &virtual_server.real_servers {
            let destination = destination(real_server);
            if let Err(error) = self.examine(real_server, &destination, &services) {
                self.problem(&real_server.position, &error);
                continue;
            }
            let removal = match real_server.inhibit_on_failure {
                true => Removal::Inhibit,
                false => Removal::Remove,
            };
            let mut health = Aggregate::new(real_server.weight)
                .with_combine(Combine::Additive)
                .with_removal(removal);
            let mut checks = 0;
            for check in &real_server.checks {
                let place = (pool, servers.len());
                if let Some(number) = self.add_check(config, check, place) {
                    let unknown = if check.alpha {
                        UnknownAs::Down
                    } else {
                        UnknownAs::Up
                    };
                    health.insert(number, Member::required(unknown));
                    checks += 1;
                }
            }
            if checks == 0 && !real_server.checks.is_empty() {
                let message = "none of its checks is run, so it counts as up";
                let position = &real_server.position;
                self.not_run.push(format!(
                    "{position}: real_server {}: {message}",
                    real_server.ip
                ));
            }
            servers.push(Server {
                destination,
                health,
            });
        }
        self.pools.push(Pool { services, servers });
    }

    /// Looks at a server in every service, and names those that it cannot be in.
    fn examine(
        &mut self,
        real_server: &RealServer,
        destination: &Destination,
        services: &[VirtualService],
    ) -> Result<(), ValidationError> {
        let mut left_out = services
            .iter()
            .map(VirtualService::key)
            .filter(|key| fitted(destination, key).is_none());
        if let Some(first) = left_out.next() {
            let (position, ip) = (&real_server.position, real_server.ip);
            let subject = and_more(&first, left_out.count());
            let message = "another family needs lvs_method TUN; left out there";
            self.not_run.push(format!(
                "{position}: real_server {ip} for {subject}: {message}"
            ));
        }
        services.iter().try_for_each(|service| {
            let key = service.key();
            fitted(destination, &key).map_or(Ok(()), |destination| destination.validate(&key))
        })
    }

    fn add_check(
        &mut self,
        config: &Config,
        check: &keepalived::Check,
        (pool, server): (usize, usize),
    ) -> Option<CheckNumber> {
        let planned = match &check.kind {
            CheckKind::Tcp(connection) => tcp_check(check, connection),
            CheckKind::Misc(misc) => misc_check(config, check, misc),
            // Named among the features that are not run.
            _ => return None,
        };
        let (check, name) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                let keyword = check.kind.keyword();
                self.problem(
                    &check.position,
                    &format_args!("{keyword} cannot be run: {error}"),
                );
                return None;
            }
        };
        let number = CheckNumber(self.checks.len());
        self.checks.push(PlannedCheck {
            check,
            name,
            pool,
            server,
        });
        Some(number)
    }

    fn problem(&mut self, position: &Position, error: &dyn core::fmt::Display) {
        let problem = format!("{position}: {error}");
        // The same about each address of a large group.
        if self.problems.last() != Some(&problem) {
            self.problems.push(problem);
        }
    }
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
    let key = DestinationKey {
        address: real_server.ip,
        port: real_server.port,
    };
    let (method, encapsulation) = match real_server.forwarding {
        keepalived::Forwarding::DirectRoute => (Forwarding::DirectRoute, Encapsulation::ipip()),
        keepalived::Forwarding::Tunnel(tunnel) => (Forwarding::Tunnel, encapsulation(tunnel)),
        _ => (Forwarding::Masquerade, Encapsulation::ipip()),
    };
    Destination::new(key, method)
        .with_encapsulation(encapsulation)
        .with_weight(real_server.weight)
        .with_thresholds(real_server.lower_threshold, real_server.upper_threshold)
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

fn knobs(check: &keepalived::Check, misc_timeout: Option<Duration>) -> Keepalived {
    let timing = check.timing;
    let mut knobs = Keepalived::new();
    knobs.delay_loop = Some(timing.delay_loop);
    knobs.retry = Some(u16::try_from(timing.retry).unwrap_or(u16::MAX));
    knobs.delay_before_retry = Some(timing.delay_before_retry);
    knobs.warmup = Some(timing.warmup);
    knobs.connect_timeout = Some(timing.connect_timeout);
    knobs.misc_timeout = misc_timeout;
    knobs.alpha = check.alpha;
    knobs.log_all_failures = check.log_all_failures;
    knobs
}

fn target(connection: &Connection) -> Target {
    let mut target = Target::new(SocketAddr::new(connection.ip, connection.port));
    if let Some(source) = connection.bind_ip {
        target = target.with_source(source);
    }
    if let Some(port) = connection.bind_port {
        target = target.with_source_port(port);
    }
    if let Some(interface) = &connection.bind_interface {
        target = target.with_device(interface);
    }
    if connection.fwmark != 0 {
        target = target.with_mark(connection.fwmark);
    }
    target
}

/// Why a check cannot be run.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Refused(#[from] lvs_healthcheck::Error),
    #[error("there is no group {0}")]
    NoGroup(String),
    #[error("looking up its group: {0}")]
    Lookup(#[from] nix::errno::Errno),
    #[error("running it as {0} needs root")]
    NotRoot(String),
}

/// A check that a driver takes, and what it says for people.
type Planned = (lvs_healthcheck::Check, String);

fn tcp_check(check: &keepalived::Check, connection: &Connection) -> Result<Planned, CheckError> {
    let policy = Policy::keepalived(KeepalivedChecker::Tcp, &knobs(check, None));
    let address = SocketAddr::new(connection.ip, connection.port);
    let probe = TcpProbe::new(target(connection));
    Ok((plan(probe, policy)?, format!("TCP_CHECK {address}")))
}

fn misc_check(
    config: &Config,
    check: &keepalived::Check,
    misc: &MiscCheck,
) -> Result<Planned, CheckError> {
    let command = command(config, &misc.command)?;
    let name = format!("MISC_CHECK {command}");
    let knobs = knobs(check, Some(misc.timeout));
    let policy = Policy::keepalived(KeepalivedChecker::Misc, &knobs);
    let mut probe = CommandProbe::new(command);
    if misc.dynamic {
        probe = probe.with_dynamic(CommandProbe::DYNAMIC_MAX_KEEPALIVED);
    }
    Ok((plan(probe, policy)?, name))
}

/// Refuses here what a driver would refuse, so that file and line are known.
fn plan(probe: impl Probe + 'static, policy: Policy) -> Result<lvs_healthcheck::Check, CheckError> {
    probe.validate().map_err(lvs_healthcheck::Error::from)?;
    policy.validate().map_err(lvs_healthcheck::Error::from)?;
    Ok(lvs_healthcheck::Check::new(probe, policy))
}

/// A command with the environment and the user that keepalived would give it.
fn command(config: &Config, written: &keepalived::Command) -> Result<Command, CheckError> {
    let mut words = written.words.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    for word in words {
        command = command.with_argument(word);
    }
    command = command.with_environment(Environment::Inherit);
    let globals = config.globals();
    let account = match (&written.user, &globals.script_user) {
        (Some(user), _) => Some((user.as_str(), written.group.as_deref())),
        (None, Some(account)) => Some((account.user.as_str(), account.group.as_deref())),
        (None, None) => None,
    };
    if let Some((user, group)) = account {
        let mut credentials = lookup_user(user)?;
        if let Some(group) = group {
            credentials.gid = match Group::from_name(group)? {
                Some(group) => group.gid.as_raw(),
                None => return Err(CheckError::NoGroup(group.to_owned())),
            };
        }
        // Only root can change its accounts, and needs to.
        if geteuid().is_root() {
            command = command.with_credentials(credentials);
        } else if credentials.uid != geteuid().as_raw() {
            return Err(CheckError::NotRoot(user.to_owned()));
        }
    } else if geteuid().is_root()
        && let Ok(credentials) = lookup_user(SCRIPT_USER)
    {
        command = command.with_credentials(credentials);
    }
    if globals.enable_script_security {
        check_script_security(&command)?;
    }
    Ok(command)
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
