//! Options gathered one after another, and the change they describe in the end.

use core::net::IpAddr;

use crate::address::Family;
use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationKey};
use crate::flags::{ServiceFlags, TunnelFlags};
use crate::forwarding::{Encapsulation, Forwarding, TunnelType};
use crate::name::{EngineName, InterfaceName, SchedulerName};
use crate::persistence::PersistenceMask;
use crate::request::Change;
use crate::scheduler::Scheduler;
use crate::service::{Protocol, ServiceKey, VirtualService};
use crate::text::parse::command::ChangeCommand;
use crate::text::parse::error::RuleError;
use crate::text::parse::option::{Given, SettingsOption};
use crate::text::parse::values::{Lookup, cut, endpoint, group, mask, number, ranged};
use crate::validate::{MAX_PERSISTENCE_SECS, MAX_SYNC_LENGTH, MAX_WEIGHT};

/// Persistence timeout of `-p` without a value, in seconds.
const DEFAULT_PERSISTENCE_SECS: u32 = 360;
/// Interface of a sync daemon that names none.
const DEFAULT_INTERFACE: &str = "eth0";
/// Longest of the timeouts `--set` takes: 31 days, as in `ipvsadm`.
const MAX_SET_SECS: u32 = MAX_PERSISTENCE_SECS;

/// The options of a command line, read one after another.
///
/// ```
/// use lvs_ipvs::text::parse::{ChangeCommand, NumbersOnly, Settings, SettingsOption};
///
/// let mut settings = Settings::default();
/// settings.take(SettingsOption::TcpService, Some("192.0.2.10:80"), &mut NumbersOnly)?;
/// settings.take(SettingsOption::Scheduler, Some("rr"), &mut NumbersOnly)?;
/// let change = settings.into_change(ChangeCommand::AddService, None)?;
/// assert_eq!(change.to_string(), "ipvsadm -A -t 192.0.2.10:80 -s rr");
/// # Ok::<(), lvs_ipvs::text::parse::RuleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Settings {
    given: Given,
    service: Option<ServiceKey>,
    scheduler: Scheduler,
    persistence_secs: u32,
    mask: Option<PersistenceMask>,
    engine: Option<EngineName>,
    flags: ServiceFlags,
    /// A flag that belongs to one scheduler only.
    bound_flag: Option<&'static NamedFlag>,
    server: Option<DestinationKey>,
    forwarding: Option<Forwarding>,
    weight: Option<u32>,
    upper_threshold: u32,
    lower_threshold: u32,
    tunnel: Encapsulation,
    interface: Option<InterfaceName>,
    sync_id: u32,
    max_length: Option<u16>,
    group: Option<IpAddr>,
    port: Option<u16>,
    ttl: Option<u8>,
    /// Words that are no options.
    rest: Vec<String>,
}

/// A scheduler flag by name.
#[derive(Debug)]
struct NamedFlag {
    name: &'static str,
    flag: ServiceFlags,
    /// The only scheduler the name is for.
    scheduler: Option<Scheduler>,
    mismatch: &'static str,
}

const FLAG_NAMES: [NamedFlag; 7] = [
    named(
        "sh-fallback",
        ServiceFlags::SH_FALLBACK,
        Some(Scheduler::Sh),
    ),
    named("sh-port", ServiceFlags::SH_PORT, Some(Scheduler::Sh)),
    named(
        "mh-fallback",
        ServiceFlags::MH_FALLBACK,
        Some(Scheduler::Mh),
    ),
    named("mh-port", ServiceFlags::MH_PORT, Some(Scheduler::Mh)),
    named("flag-1", ServiceFlags::SCHED_1, None),
    named("flag-2", ServiceFlags::SCHED_2, None),
    named("flag-3", ServiceFlags::SCHED_3, None),
];

const fn named(name: &'static str, flag: ServiceFlags, scheduler: Option<Scheduler>) -> NamedFlag {
    let mismatch = match scheduler {
        Some(Scheduler::Mh) => "is for scheduler mh only (-s mh)",
        _ => "is for scheduler sh only (-s sh)",
    };
    NamedFlag {
        name,
        flag,
        scheduler,
        mismatch,
    }
}

impl Settings {
    /// Takes note of an option.
    ///
    /// Names of schedulers, engines and interfaces are cut to what the kernel can hold, as
    /// `ipvsadm` does, and empty ones mean the default.
    ///
    /// # Errors
    ///
    /// A value out of range or of the wrong form, an option given twice, `-6` before `-f`.
    pub fn take(
        &mut self,
        option: SettingsOption,
        value: Option<&str>,
        lookup: &mut dyn Lookup,
    ) -> Result<(), RuleError> {
        use SettingsOption as O;
        let name = option.name();
        if self.given.intersects(option.given()) {
            return Err(RuleError::Repeated { option: name });
        }
        self.given |= option.given();
        let text = value.unwrap_or_default();
        match option {
            O::TcpService => self.take_service(name, text, Protocol::TCP, lookup)?,
            O::UdpService => self.take_service(name, text, Protocol::UDP, lookup)?,
            O::SctpService => self.take_service(name, text, Protocol::SCTP, lookup)?,
            O::FirewallMark => {
                let mark = ranged(
                    name,
                    text,
                    1..=u32::MAX,
                    "must be a mark from 1 to 4294967295",
                )?;
                self.service = Some(ServiceKey::firewall_mark(Family::Inet, mark));
            }
            O::Ipv6 => match self.service {
                Some(ServiceKey::FirewallMark { mark, .. }) => {
                    self.service = Some(ServiceKey::firewall_mark(Family::Inet6, mark));
                }
                _ => {
                    return Err(RuleError::Order {
                        option: name,
                        after: "the mark it belongs to (-f)",
                    });
                }
            },
            O::Scheduler => {
                let cut = SchedulerName::new(cut(text, 15));
                self.scheduler = cut.map_or(Scheduler::Wlc, Scheduler::from_name);
            }
            O::Persistent => {
                self.persistence_secs = match value {
                    None => DEFAULT_PERSISTENCE_SECS,
                    Some(text) => {
                        let limit = "must be 1 to 2678400 seconds (31 days)";
                        ranged(name, text, 1..=MAX_PERSISTENCE_SECS, limit)?
                    }
                };
            }
            O::Netmask => {
                let family = self.service.map_or(Family::Inet, |key| key.family());
                self.mask = Some(mask(name, text, family, lookup)?);
            }
            O::Engine => self.engine = EngineName::new(cut(text, 16)),
            O::OnePacket => {}
            O::SchedulerFlags => self.take_flags(name, text)?,
            O::RealServer => self.take_server(name, text, lookup)?,
            O::DirectRoute => self.forwarding = Some(Forwarding::DirectRoute),
            O::Tunnel => self.forwarding = Some(Forwarding::Tunnel),
            O::Masquerade => self.forwarding = Some(Forwarding::Masquerade),
            O::Weight => self.weight = Some(up_to_max_weight(name, text)?),
            O::UpperThreshold => self.upper_threshold = up_to_max_weight(name, text)?,
            O::LowerThreshold => self.lower_threshold = up_to_max_weight(name, text)?,
            O::TunnelType => self.tunnel.tunnel_type = tunnel_type(name, text)?,
            O::TunnelPort => self.tunnel.port = port(name, text)?,
            O::TunnelNoChecksum => {}
            O::TunnelChecksum => self.tunnel.flags |= TunnelFlags::CHECKSUM,
            O::TunnelRemoteChecksum => self.tunnel.flags |= TunnelFlags::REMOTE_CHECKSUM,
            O::McastInterface => self.interface = InterfaceName::new(cut(text, 15)),
            O::SyncId => self.sync_id = ranged(name, text, 0..=255, "must be an id from 0 to 255")?,
            O::SyncMaxLength => {
                let limit = "must be 1 to 65507 bytes";
                let length = ranged(name, text, 1..=MAX_SYNC_LENGTH.into(), limit)?;
                self.max_length = u16::try_from(length).ok();
            }
            O::McastGroup => self.group = Some(group(name, text)?),
            O::McastPort => self.port = Some(port(name, text)?),
            O::McastTtl => {
                let ttl = ranged(name, text, 1..=255, "must be 1 to 255")?;
                self.ttl = u8::try_from(ttl).ok();
            }
        }
        Ok(())
    }

    /// Takes note of a word that is no option. Only [`ChangeCommand::SetTimeouts`] has a use for
    /// such; what is too much is refused in the end, as `ipvsadm` does.
    pub fn take_rest(&mut self, word: &str) {
        self.rest.push(word.into());
    }

    /// Which options were given.
    #[must_use]
    pub const fn given(&self) -> Given {
        self.given
    }

    /// The service, if one was given.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceKey> {
        self.service
    }

    /// Refuses words that are no options.
    ///
    /// # Errors
    ///
    /// The first such word behind the allowed number of them.
    pub fn check_rest(&self, allowed: usize) -> Result<(), RuleError> {
        match self.rest.get(allowed) {
            None => Ok(()),
            Some(word) => Err(RuleError::Unexpected { word: word.clone() }),
        }
    }

    /// The change that a command with these options makes; `value` is the command's own.
    ///
    /// # Errors
    ///
    /// Options that the command lacks or does not take, or that exclude each other.
    pub fn into_change(
        self,
        command: ChangeCommand,
        value: Option<&str>,
    ) -> Result<Change, RuleError> {
        let words = match command {
            ChangeCommand::SetTimeouts => 3,
            _ => 0,
        };
        self.check_rest(words)?;
        command.check(self.given)?;
        Ok(match (command, self.service) {
            (ChangeCommand::Flush, _) => Change::Flush,
            (ChangeCommand::Zero, service) => Change::Zero(service),
            (ChangeCommand::SetTimeouts, _) => Change::SetTimeouts(self.timeouts()?),
            (ChangeCommand::StartDaemon, _) => {
                let role = role("--start-daemon", value)?;
                Change::StartDaemon(self.daemon(role)?)
            }
            (ChangeCommand::StopDaemon, _) => Change::StopDaemon(role("--stop-daemon", value)?),
            (ChangeCommand::AddService, Some(key)) => {
                Change::AddService(self.virtual_service(key)?)
            }
            (ChangeCommand::SetService, Some(key)) => {
                Change::SetService(self.virtual_service(key)?)
            }
            (ChangeCommand::RemoveService, Some(key)) => Change::RemoveService(key),
            (ChangeCommand::AddDestination, Some(key)) => {
                Change::AddDestination(key, self.destination(&key)?)
            }
            (ChangeCommand::SetDestination, Some(key)) => {
                Change::SetDestination(key, self.destination(&key)?)
            }
            (ChangeCommand::RemoveDestination, Some(key)) => {
                Change::RemoveDestination(key, self.server()?)
            }
            // The check above asked for a service.
            (_, None) => {
                return Err(RuleError::Required {
                    option: Given::SERVICE.first_name().unwrap_or_default(),
                    command: command.name(),
                });
            }
        })
    }

    fn take_service(
        &mut self,
        name: &'static str,
        text: &str,
        protocol: Protocol,
        lookup: &mut dyn Lookup,
    ) -> Result<(), RuleError> {
        let (address, port) = endpoint(name, text, Some(protocol), lookup)?;
        self.service = Some(ServiceKey::Address {
            protocol,
            address,
            port: port.unwrap_or(0),
        });
        Ok(())
    }

    fn take_server(
        &mut self,
        name: &'static str,
        text: &str,
        lookup: &mut dyn Lookup,
    ) -> Result<(), RuleError> {
        let protocol = match self.service {
            None => None,
            Some(ServiceKey::Address { protocol, .. }) => Some(protocol),
            // The kernel files marks under TCP.
            Some(ServiceKey::FirewallMark { .. }) => Some(Protocol::TCP),
        };
        let (address, port) = endpoint(name, text, protocol, lookup)?;
        // The service's port, if the service was named before.
        let default = || self.service.and_then(|key| key.port()).unwrap_or(0);
        self.server = Some(DestinationKey {
            address,
            port: port.unwrap_or_else(default),
        });
        Ok(())
    }

    fn take_flags(&mut self, name: &'static str, text: &str) -> Result<(), RuleError> {
        for flag in text.split(',').filter(|flag| !flag.is_empty()) {
            let Some(known) = FLAG_NAMES.iter().find(|known| known.name == flag) else {
                let limit = "must be some of sh-fallback, sh-port, mh-fallback, mh-port, flag-1, \
                             flag-2, flag-3, with commas between them";
                return Err(RuleError::value(name, text, limit));
            };
            self.flags |= known.flag;
            match (known.scheduler, self.bound_flag) {
                (Some(scheduler), Some(other)) if other.scheduler != Some(scheduler) => {
                    let limit = "must not mix the flags of sh and mh";
                    return Err(RuleError::value(name, text, limit));
                }
                (Some(_), _) => self.bound_flag = Some(known),
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn virtual_service(&self, key: ServiceKey) -> Result<VirtualService, RuleError> {
        let conflict = |option, limit| Err(RuleError::Conflict { option, limit });
        if key.port() == Some(0) && !self.given.contains(Given::PERSISTENT) {
            return conflict("port 0", "means every port and needs persistence (-p)");
        }
        if self.given.contains(Given::ONE_PACKET)
            && !matches!(
                key,
                ServiceKey::FirewallMark { .. }
                    | ServiceKey::Address {
                        protocol: Protocol::UDP,
                        ..
                    }
            )
        {
            return conflict("-o", "is for UDP (-u) and firewall-mark (-f) services only");
        }
        if let Some(flag) = self.bound_flag {
            if flag.scheduler != Some(self.scheduler) {
                return conflict(flag.name, flag.mismatch);
            }
        }
        let mut service = VirtualService::new(key).with_scheduler(self.scheduler);
        service.flags = self.flags;
        let persistent = self.given.contains(Given::PERSISTENT);
        service.flags.set(ServiceFlags::PERSISTENT, persistent);
        let one_packet = self.given.contains(Given::ONE_PACKET);
        service.flags.set(ServiceFlags::ONE_PACKET, one_packet);
        service.timeout_secs = self.persistence_secs;
        // The kernel keeps mask and engine of services that are not persistent, too. A mask read
        // before the service turned out to be IPv6 does not count.
        if let Some(mask) = self.mask.filter(|mask| mask.family() == key.family()) {
            service.mask = mask;
        }
        service.engine = self.engine;
        Ok(service)
    }

    fn server(&self) -> Result<DestinationKey, RuleError> {
        // Asked for by the command.
        self.server.ok_or(RuleError::Required {
            option: "-r",
            command: "a destination",
        })
    }

    fn destination(&self, service: &ServiceKey) -> Result<Destination, RuleError> {
        let mut key = self.server()?;
        let forwarding = self.forwarding.unwrap_or(Forwarding::DirectRoute);
        if forwarding == Forwarding::Tunnel {
            self.check_tunnel()?;
        } else if let Some(option) = self.given.intersection(Given::TUNNEL).first_name() {
            let limit = "is for tunnels only (-i)";
            return Err(RuleError::Conflict { option, limit });
        }
        if key.family() != service.family() && forwarding != Forwarding::Tunnel {
            return Err(RuleError::Conflict {
                option: "-r",
                limit: "only a tunnel (-i) may lead to the other address family",
            });
        }
        if let (Forwarding::Tunnel | Forwarding::DirectRoute, Some(port)) =
            (forwarding, service.port())
        {
            key.port = port;
        }
        Ok(Destination::new(key, forwarding)
            .with_encapsulation(self.tunnel)
            .with_weight(self.weight.unwrap_or(1))
            .with_thresholds(self.lower_threshold, self.upper_threshold))
    }

    fn check_tunnel(&self) -> Result<(), RuleError> {
        let (allowed, command) = match self.tunnel.tunnel_type {
            TunnelType::GUE => (Given::all(), "--tun-type gue"),
            TunnelType::GRE => (
                Given::TUNNEL_PORT
                    .union(Given::TUNNEL_REMOTE_CHECKSUM)
                    .complement(),
                "--tun-type gre",
            ),
            _ => (
                Given::TUNNEL_PORT
                    .union(Given::TUNNEL_CHECKSUMS)
                    .complement(),
                "--tun-type ipip",
            ),
        };
        self.given.check_allowed(allowed, command)?;
        if self.tunnel.tunnel_type == TunnelType::GUE && !self.given.contains(Given::TUNNEL_PORT) {
            let option = "--tun-port";
            return Err(RuleError::Required { option, command });
        }
        let checksums = self.given.intersection(Given::TUNNEL_CHECKSUMS);
        if checksums.bits().count_ones() > 1 {
            return Err(RuleError::Conflict {
                option: checksums.first_name().unwrap_or_default(),
                limit: "only one of --tun-nocsum, --tun-csum and --tun-remcsum can be given",
            });
        }
        Ok(())
    }

    fn timeouts(&self) -> Result<Timeouts, RuleError> {
        let [tcp, tcp_fin, udp] = self.rest.as_slice() else {
            return Err(RuleError::Required {
                option: "three timeouts in seconds (TCP, TCP after FIN, UDP)",
                command: "--set",
            });
        };
        let read = |text: &String| {
            number(text, 0..=MAX_SET_SECS).map(Some).ok_or_else(|| {
                let limit = "must be 0 to 2678400 seconds, 0 for no change";
                RuleError::value("--set", text, limit)
            })
        };
        Ok(Timeouts {
            tcp_secs: read(tcp)?,
            tcp_fin_secs: read(tcp_fin)?,
            udp_secs: read(udp)?,
        })
    }

    fn daemon(&self, role: DaemonRole) -> Result<SyncDaemon, RuleError> {
        let interface = self
            .interface
            .or_else(|| InterfaceName::new(DEFAULT_INTERFACE));
        let interface = interface.ok_or(RuleError::Required {
            option: "--mcast-interface",
            command: "--start-daemon",
        })?;
        let mut daemon = SyncDaemon::new(role, interface, 0);
        daemon.sync_id = self.sync_id;
        daemon.max_length = self.max_length;
        daemon.group = self.group;
        daemon.port = self.port;
        daemon.ttl = self.ttl;
        Ok(daemon)
    }
}

fn up_to_max_weight(option: &'static str, text: &str) -> Result<u32, RuleError> {
    ranged(
        option,
        text,
        0..=MAX_WEIGHT,
        "must be a number from 0 to 2147483647",
    )
}

fn port(option: &'static str, text: &str) -> Result<u16, RuleError> {
    let limit = "must be a port from 1 to 65535";
    let port = ranged(option, text, 1..=u16::MAX.into(), limit)?;
    // In range by now.
    u16::try_from(port).map_err(|_| RuleError::value(option, text, limit))
}

fn tunnel_type(option: &'static str, text: &str) -> Result<TunnelType, RuleError> {
    match text {
        "ipip" => Ok(TunnelType::IPIP),
        "gue" => Ok(TunnelType::GUE),
        "gre" => Ok(TunnelType::GRE),
        _ => Err(RuleError::value(option, text, "must be ipip, gue or gre")),
    }
}

fn role(command: &'static str, value: Option<&str>) -> Result<DaemonRole, RuleError> {
    match value.unwrap_or_default() {
        "master" => Ok(DaemonRole::Active),
        "backup" => Ok(DaemonRole::Backup),
        other => Err(RuleError::value(command, other, "must be master or backup")),
    }
}
