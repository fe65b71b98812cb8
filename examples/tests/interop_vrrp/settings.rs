//! What one virtual router is set to, and the same as a keepalived.conf.

use core::fmt::Write;
use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::{Family, Version};

use crate::lab::{INTERFACE, Lab, Side};

/// The virtual router of every test: each has a network of its own.
const VRID: u8 = 51;

/// How advertisements are authenticated; version 2 only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Authentication {
    None,
    Password(&'static str),
    Header(&'static str),
}

/// One router's part of the virtual router.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) vrid: u8,
    pub(crate) version: Version,
    pub(crate) family: Family,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    pub(crate) preempts: bool,
    pub(crate) authentication: Authentication,
    pub(crate) has_virtual_mac: bool,
    /// Its own address and the other's, if it advertises to that instead of the group.
    pub(crate) unicast: Option<[IpAddr; 2]>,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Settings {
    /// With a short interval: version 2 counts seconds, and with less in version 3 the skew time would
    /// be no longer than a busy machine may hold a program up.
    pub(crate) fn new(lab: &Lab, version: Version, priority: u8) -> Self {
        Self {
            vrid: VRID,
            version,
            family: lab.family,
            priority,
            interval: match version {
                Version::V2 => Duration::from_secs(1),
                Version::V3 => Duration::from_millis(200),
            },
            preempts: true,
            authentication: Authentication::None,
            has_virtual_mac: false,
            unicast: None,
            addresses: lab.virtual_addresses(),
        }
    }

    pub(crate) const fn with_preempt(mut self, preempts: bool) -> Self {
        self.preempts = preempts;
        self
    }

    // Ways to speak.

    pub(crate) fn plain(self, _: Side) -> Self {
        self
    }

    pub(crate) fn password(mut self, _: Side) -> Self {
        self.authentication = Authentication::Password("secret12");
        self
    }

    pub(crate) fn header(mut self, _: Side) -> Self {
        self.authentication = Authentication::Header("secret12");
        self
    }

    pub(crate) fn own_password(mut self, side: Side) -> Self {
        self.authentication = Authentication::Password(side.name());
        self
    }

    pub(crate) fn own_header(mut self, side: Side) -> Self {
        self.authentication = Authentication::Header(side.name());
        self
    }

    pub(crate) fn virtual_mac(mut self, _: Side) -> Self {
        self.has_virtual_mac = true;
        self
    }

    pub(crate) fn unicast(mut self, side: Side) -> Self {
        let both = [side, side.other()];
        self.unicast = Some(both.map(|side| side.own_address(self.family)));
        self
    }

    /// The MAC of the virtual router (spec 1.1).
    pub(crate) fn mac(&self) -> String {
        let kind = match self.family {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        };
        format!("00:00:5e:00:{kind:02x}:{:02x}", self.vrid)
    }

    /// (256 − priority) / 256 of the interval (spec 2.3): how long a router waits longer than it
    /// would with the highest priority.
    pub(crate) fn skew(&self) -> Duration {
        self.interval_of_skew() * (256 - u32::from(self.priority)) / 256
    }

    /// Version 2 counts the skew in parts of a second.
    const fn interval_of_skew(&self) -> Duration {
        match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.interval,
        }
    }

    /// How long it waits for the Active's next word before it takes over.
    pub(crate) fn down_interval(&self) -> Duration {
        3 * self.interval + self.skew()
    }

    /// The text of a keepalived.conf. Second rounds of announcements come when a loser has been silent
    /// for more than an interval.
    pub(crate) fn keepalived_conf(&self) -> String {
        let mut text =
            String::from("global_defs {\n    router_id lab\n    vrrp_garp_master_delay 2\n}\n");
        write!(
            text,
            "vrrp_instance lab {{\n    state BACKUP\n    interface {INTERFACE}\n    version {}\n    \
             virtual_router_id {}\n    priority {}\n    advert_int {}\n",
            self.version.number(),
            self.vrid,
            self.priority,
            self.interval.as_secs_f32(),
        )
        .unwrap();
        if !self.preempts {
            text.push_str("    nopreempt\n");
        }
        let authentication = match self.authentication {
            Authentication::None => None,
            Authentication::Password(password) => Some(("PASS", password)),
            Authentication::Header(key) => Some(("AH", key)),
        };
        if let Some((kind, secret)) = authentication {
            write!(
                text,
                "    authentication {{\n        auth_type {kind}\n        auth_pass {secret}\n    }}\n"
            )
            .unwrap();
        }
        if self.has_virtual_mac {
            text.push_str("    use_vmac\n");
        }
        if let Some([own, other]) = self.unicast {
            write!(
                text,
                "    unicast_src_ip {own}\n    unicast_peer {{\n        {other}{}\n    }}\n",
                // The hop limit that keepalived sends with.
                if own.is_ipv6() { " min_ttl 64" } else { "" }
            )
            .unwrap();
        }
        text.push_str("    virtual_ipaddress {\n");
        for address in &self.addresses {
            writeln!(text, "        {address}").unwrap();
        }
        text.push_str("    }\n}\n");
        text
    }
}
