//! One line of the text format: a service or a destination as the options that add it.

use core::fmt;
use core::net::IpAddr;

use crate::address::{Endpoint, Family};
use crate::destination::{Destination, DestinationKey};
use crate::flags::{ServiceFlags, TunnelFlags};
use crate::forwarding::{Encapsulation, Forwarding, TunnelType};
use crate::scheduler::Scheduler;
use crate::service::{Protocol, ServiceKey, VirtualService};

/// Writes addresses and ports in another way than as numbers, for instance with names.
///
/// ```
/// use std::net::IpAddr;
/// use lvs_ipvs::text::{Names, Style};
/// use lvs_ipvs::{Protocol, VirtualService};
///
/// #[derive(Debug)]
/// struct Ours;
///
/// impl Names for Ours {
///     fn endpoint(&self, _: Option<Protocol>, address: IpAddr, port: u16) -> String {
///         match port {
///             80 => format!("{address}:http"),
///             port => format!("{address}:{port}"),
///         }
///     }
/// }
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let rule = Style::new().with_names(&Ours).service(&web).to_string();
/// assert_eq!(rule, "-A -t 192.0.2.10:http -s wlc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Names: fmt::Debug {
    /// What to write for an address and port. Destinations have the protocol of their service,
    /// which firewall-mark services do not have. An IPv6 address needs brackets.
    fn endpoint(&self, protocol: Option<Protocol>, address: IpAddr, port: u16) -> String;
}

/// How rules are written. The default is `ipvsadm -S -n`, byte for byte.
///
/// ```
/// use lvs_ipvs::text::Style;
/// use lvs_ipvs::{Destination, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let server = Destination::masquerade("10.0.0.11:80".parse()?).with_thresholds(75, 100);
/// let style = Style::new();
/// assert_eq!(style.service(&web).to_string(), "-A -t 192.0.2.10:80 -s wlc");
/// assert_eq!(
///     style.destination(&web.key(), &server).to_string(),
///     "-a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1"
/// );
/// assert_eq!(
///     style.with_thresholds().destination(&web.key(), &server).to_string(),
///     "-a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1 -x 100 -y 75"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, Default)]
pub struct Style<'n> {
    thresholds: bool,
    loadable: bool,
    implied_ipip: bool,
    names: Option<&'n dyn Names>,
}

impl<'n> Style<'n> {
    /// The style of `ipvsadm -S -n`.
    pub const fn new() -> Self {
        Self {
            thresholds: false,
            loadable: false,
            implied_ipip: false,
            names: None,
        }
    }

    /// Writes connection thresholds that are set (`-x` upper, `-y` lower), which `ipvsadm -S`
    /// loses.
    pub const fn with_thresholds(mut self) -> Self {
        self.thresholds = true;
        self
    }

    /// Corrects what `ipvsadm -S` writes in a way that `ipvsadm -R` then refuses: marks from 2³¹
    /// on come out as negative numbers, the third scheduler flag of `sh` and `mh` not at all, and
    /// forwarding methods without meaning as `(null)`.
    pub const fn loadable(mut self) -> Self {
        self.loadable = true;
        self
    }

    /// Leaves out `--tun-type ipip`, which is the default and which `ipvsadm` before 1.30 does not
    /// know.
    pub(super) const fn implying_ipip(mut self) -> Self {
        self.implied_ipip = true;
        self
    }

    /// Writes addresses and ports in that way instead of as numbers.
    pub const fn with_names<'a>(self, names: &'a dyn Names) -> Style<'a>
    where
        'n: 'a,
    {
        Style {
            names: Some(names),
            ..self
        }
    }

    /// The line that adds this service, without a line end.
    pub const fn service<'a>(&self, service: &'a VirtualService) -> ServiceRule<'a>
    where
        'n: 'a,
    {
        ServiceRule {
            style: *self,
            option: "-A",
            service,
        }
    }

    /// The line that adds this destination to that service, without a line end.
    ///
    /// `ipvsadm` has no option for [`Forwarding::Local`] and writes `-g`, which for a local address
    /// comes to the same. For methods without meaning ([`Forwarding::Bypass`] and above) it writes
    /// `(null)`; [`loadable`](Self::loadable) makes that `-g`, too.
    pub const fn destination<'a>(
        &self,
        service: &'a ServiceKey,
        destination: &'a Destination,
    ) -> DestinationRule<'a>
    where
        'n: 'a,
    {
        DestinationRule {
            style: *self,
            option: "-a",
            service,
            destination,
        }
    }

    /// Writes the options that name a service: `-t 192.0.2.10:80`, `-f 7 -6`.
    pub(super) fn write_service_option(
        self,
        f: &mut fmt::Formatter<'_>,
        key: &ServiceKey,
    ) -> fmt::Result {
        match *key {
            ServiceKey::Address {
                protocol,
                address,
                port,
            } => {
                f.write_str(match protocol {
                    Protocol::TCP => "-t ",
                    Protocol::UDP => "-u ",
                    Protocol::SCTP => "--sctp-service ",
                    // There is no such option; ipvsadm writes this, too.
                    _ => "--xxx-service ",
                })?;
                self.write_endpoint(f, Some(protocol), address, port)
            }
            ServiceKey::FirewallMark { family, mark } => {
                if self.loadable {
                    write!(f, "-f {mark}")?;
                } else {
                    write!(f, "-f {}", i32::from_ne_bytes(mark.to_ne_bytes()))?;
                }
                match family {
                    Family::Inet => Ok(()),
                    Family::Inet6 => f.write_str(" -6"),
                }
            }
        }
    }

    pub(super) fn write_destination_option(
        self,
        f: &mut fmt::Formatter<'_>,
        service: &ServiceKey,
        key: &DestinationKey,
    ) -> fmt::Result {
        f.write_str("-r ")?;
        let protocol = match service {
            ServiceKey::Address { protocol, .. } => Some(*protocol),
            ServiceKey::FirewallMark { .. } => None,
        };
        self.write_endpoint(f, protocol, key.address, key.port)
    }

    fn write_endpoint(
        self,
        f: &mut fmt::Formatter<'_>,
        protocol: Option<Protocol>,
        address: IpAddr,
        port: u16,
    ) -> fmt::Result {
        match self.names {
            None => fmt::Display::fmt(&Endpoint(address, port), f),
            Some(names) => f.write_str(&names.endpoint(protocol, address, port)),
        }
    }
}

/// A line that adds a service; made by [`Style::service`].
#[derive(Clone, Copy, Debug)]
pub struct ServiceRule<'a> {
    style: Style<'a>,
    option: &'static str,
    service: &'a VirtualService,
}

impl<'a> ServiceRule<'a> {
    /// The line that replaces the settings of the service.
    pub(super) const fn editing(self) -> Self {
        Self {
            option: "-E",
            ..self
        }
    }
}

impl fmt::Display for ServiceRule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service;
        write!(f, "{} ", self.option)?;
        self.style.write_service_option(f, &service.key)?;
        write!(f, " -s {}", service.scheduler)?;
        if let Some(persistence) = service.persistence() {
            write!(f, " -p {}", persistence.timeout_secs)?;
            if let Some(mask) = persistence.mask {
                write!(f, " -M {mask}")?;
            }
        }
        // The kernel keeps an engine without persistence, though it has no use for it.
        if let Some(engine) = service.engine {
            write!(f, " --pe {engine}")?;
        }
        if service.flags.contains(ServiceFlags::ONE_PACKET) {
            f.write_str(" -o")?;
        }
        match SchedulerFlags::of(service) {
            Some(flags) if self.style.loadable => write!(f, " -b {}", flags.complete()),
            Some(flags) => write!(f, " -b {flags}"),
            None => Ok(()),
        }
    }
}

/// A line that adds a destination; made by [`Style::destination`].
#[derive(Clone, Copy, Debug)]
pub struct DestinationRule<'a> {
    style: Style<'a>,
    option: &'static str,
    service: &'a ServiceKey,
    destination: &'a Destination,
}

impl<'a> DestinationRule<'a> {
    /// The line that replaces the settings of the destination.
    pub(super) const fn editing(self) -> Self {
        Self {
            option: "-e",
            ..self
        }
    }
}

impl fmt::Display for DestinationRule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = self.destination;
        write!(f, "{} ", self.option)?;
        self.style.write_service_option(f, self.service)?;
        f.write_str(" ")?;
        self.style
            .write_destination_option(f, self.service, &destination.key)?;
        f.write_str(match destination.forwarding {
            Forwarding::Masquerade => " -m",
            Forwarding::Tunnel => " -i",
            Forwarding::Local | Forwarding::DirectRoute => " -g",
            _ if self.style.loadable => " -g",
            // As printf(3) writes what ipvsadm has no word for.
            _ => " (null)",
        })?;
        write!(f, " -w {}", destination.weight)?;
        if self.style.thresholds && destination.upper_threshold != 0 {
            write!(f, " -x {}", destination.upper_threshold)?;
        }
        if self.style.thresholds && destination.lower_threshold != 0 {
            write!(f, " -y {}", destination.lower_threshold)?;
        }
        let tunnel = destination.encapsulation;
        if destination.forwarding != Forwarding::Tunnel
            || (self.style.implied_ipip && tunnel.tunnel_type == TunnelType::IPIP)
        {
            return Ok(());
        }
        write_tunnel(f, tunnel)
    }
}

fn write_tunnel(f: &mut fmt::Formatter<'_>, tunnel: Encapsulation) -> fmt::Result {
    match tunnel.tunnel_type {
        TunnelType::IPIP | TunnelType::GUE | TunnelType::GRE => {
            write!(f, " --tun-type {}", tunnel.tunnel_type)?;
        }
        other => write!(f, " --tun-type {}", other.number())?,
    }
    if tunnel.tunnel_type == TunnelType::GUE {
        write!(f, " --tun-port {}", tunnel.port)?;
    }
    if tunnel.tunnel_type == TunnelType::IPIP {
        return Ok(());
    }
    f.write_str(if tunnel.flags.contains(TunnelFlags::CHECKSUM) {
        " --tun-csum"
    } else if tunnel.flags.contains(TunnelFlags::REMOTE_CHECKSUM) {
        " --tun-remcsum"
    } else {
        " --tun-nocsum"
    })
}

/// The scheduler flags of a service as `ipvsadm` names them, separated by commas.
///
/// Those of `sh` and `mh` have names, and their third flag, which has none, is not written, so the
/// text may be empty. All others are `flag-1` to `flag-3`.
///
/// ```
/// use lvs_ipvs::text::SchedulerFlags;
/// use lvs_ipvs::{Scheduler, ServiceFlags, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?)
///     .with_flags(ServiceFlags::SCHED_2 | ServiceFlags::SCHED_3);
/// assert_eq!(SchedulerFlags::of(&web).unwrap().to_string(), "flag-2,flag-3");
/// let hashed = web.with_scheduler(Scheduler::Sh);
/// assert_eq!(SchedulerFlags::of(&hashed).unwrap().to_string(), "sh-port");
/// let plain = hashed.with_flags(ServiceFlags::empty());
/// assert!(SchedulerFlags::of(&plain).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SchedulerFlags {
    flags: ServiceFlags,
    /// What the three flags are called; a flag without a name is not written.
    names: [Option<&'static str>; 3],
}

impl SchedulerFlags {
    /// The scheduler flags of that service, `None` when there are none.
    #[must_use]
    pub fn of(service: &VirtualService) -> Option<Self> {
        let flags = service.flags & ServiceFlags::SCHEDULER;
        let names = match service.scheduler {
            Scheduler::Sh => [Some("sh-fallback"), Some("sh-port"), None],
            Scheduler::Mh => [Some("mh-fallback"), Some("mh-port"), None],
            _ => [Some("flag-1"), Some("flag-2"), Some("flag-3")],
        };
        (!flags.is_empty()).then_some(Self { flags, names })
    }

    /// With a name for each flag.
    const fn complete(self) -> Self {
        let [first, second, _] = self.names;
        Self {
            names: [first, second, Some("flag-3")],
            ..self
        }
    }
}

impl fmt::Display for SchedulerFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            ServiceFlags::SCHED_1,
            ServiceFlags::SCHED_2,
            ServiceFlags::SCHED_3,
        ];
        let mut separator = "";
        for (flag, name) in flags.into_iter().zip(self.names) {
            if let Some(name) = name.filter(|_| self.flags.contains(flag)) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}
