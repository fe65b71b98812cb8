//! Writing a `vrrp_instance`, so that reading gives the same one.

use core::fmt;

use super::super::super::groups::Family;
use super::super::transport::{self, Destination};
use super::super::write::{OnOff, Seconds, Word};
use super::super::{address::VrrpAddress, track};
use super::{InitialState, VrrpInstance};

/// As it is written in a file, with all values spelt out: also the secret of `authentication`.
impl fmt::Display for VrrpInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vrrp_instance {} {{", Word(&self.name))?;
        self.write_identity(f)?;
        self.write_transport(f)?;
        self.write_behaviour(f)?;
        write_addresses(f, "virtual_ipaddress", &self.addresses)?;
        write_addresses(f, "virtual_ipaddress_excluded", &self.excluded_addresses)?;
        track::write(f, &self.tracks)?;
        self.notify.write(f)?;
        writeln!(f, "}}")
    }
}

fn write_addresses(
    f: &mut fmt::Formatter<'_>,
    keyword: &str,
    addresses: &[VrrpAddress],
) -> fmt::Result {
    if addresses.is_empty() {
        return Ok(());
    }
    writeln!(f, "  {keyword} {{")?;
    for address in addresses {
        writeln!(f, "    {address}")?;
    }
    writeln!(f, "  }}")
}

impl VrrpInstance {
    fn write_identity(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            InitialState::Master => "MASTER",
            InitialState::Backup => "BACKUP",
        };
        writeln!(f, "  state {state}")?;
        if self.family == Family::V6 {
            // Without addresses nothing else says so.
            writeln!(f, "  native_ipv6")?;
        }
        if let Some(interface) = &self.interface {
            writeln!(f, "  interface {}", Word(interface))?;
        }
        writeln!(f, "  virtual_router_id {}", self.virtual_router_id)?;
        writeln!(
            f,
            "  priority {}\n  version {}",
            self.priority, self.version
        )?;
        writeln!(f, "  advert_int {}", Seconds(self.advert_interval))?;
        match &self.authentication {
            Some(authentication) => transport::write_authentication(f, authentication),
            None => Ok(()),
        }
    }

    fn write_transport(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_unicast = matches!(self.destination, Destination::Peers(_));
        if let Some(source) = self.source {
            let keyword = if is_unicast {
                "unicast_src_ip"
            } else {
                "mcast_src_ip"
            };
            writeln!(f, "  {keyword} {source}")?;
        }
        match &self.destination {
            Destination::Group(group) => writeln!(f, "  mcast_dst_ip {group}")?,
            Destination::Peers(peers) if peers.is_empty() => {
                writeln!(f, "  unicast_fault_no_peer")?;
            }
            Destination::Peers(peers) => {
                writeln!(f, "  unicast_peer {{")?;
                for peer in peers {
                    writeln!(f, "    {peer}")?;
                }
                writeln!(f, "  }}")?;
            }
        }
        if let Some(ttl) = self.unicast_ttl {
            writeln!(f, "  unicast_ttl {ttl}")?;
        }
        if is_unicast && self.check_unicast_source {
            writeln!(f, "  check_unicast_src")?;
        }
        if self.track_source {
            writeln!(f, "  track_src_ip")?;
        }
        if self.checksum_as_v2 {
            writeln!(f, "  v3_checksum_as_v2")?;
        }
        let Some(vmac) = &self.virtual_mac else {
            return Ok(());
        };
        write!(f, "  use_vmac")?;
        for word in vmac.device.iter().chain(&vmac.mac) {
            write!(f, " {}", Word(word))?;
        }
        writeln!(f)?;
        if vmac.transmit_from_base {
            writeln!(f, "  vmac_xmit_base")?;
        }
        Ok(())
    }

    fn write_behaviour(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (keyword, is_on) in [
            ("nopreempt", !self.preempt),
            ("accept", self.accept && !(self.strict && self.version == 2)),
            ("no_accept", !self.accept),
            ("dont_track_primary", !self.track_primary),
            ("promote_secondaries", self.promote_secondaries),
        ] {
            if is_on {
                writeln!(f, "  {keyword}")?;
            }
        }
        if !self.preempt_delay.is_zero() {
            writeln!(f, "  preempt_delay {}", Seconds(self.preempt_delay))?;
        }
        for (keyword, is_on) in [
            ("strict_mode", self.strict),
            ("skip_check_adv_addr", self.skip_check_advert_addresses),
            ("lower_prio_no_advert", self.lower_priority_no_advert),
            ("higher_prio_send_advert", self.higher_priority_send_advert),
        ] {
            writeln!(f, "  {keyword} {}", OnOff(is_on))?;
        }
        writeln!(f, "  down_timer_adverts {}", self.down_timer_adverts)?;
        let announce = &self.announce;
        for (keyword, number) in [
            ("garp_master_delay", announce.master_delay.as_secs()),
            ("garp_master_repeat", announce.master_repeat.into()),
            (
                "garp_lower_prio_delay",
                announce.lower_priority_delay.as_secs(),
            ),
            (
                "garp_lower_prio_repeat",
                announce.lower_priority_repeat.into(),
            ),
            ("garp_master_refresh", announce.master_refresh.as_secs()),
            (
                "garp_master_refresh_repeat",
                announce.master_refresh_repeat.into(),
            ),
        ] {
            writeln!(f, "  {keyword} {number}")?;
        }
        let all = if announce.extra_interface_all {
            "all "
        } else {
            ""
        };
        writeln!(
            f,
            "  garp_extra_if {all}{}",
            announce.extra_interface.as_secs()
        )
    }
}
