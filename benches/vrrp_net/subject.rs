//! Our side: a process with the driver, which is this program again.

use core::net::IpAddr;
use core::time::Duration;
use std::ffi::OsString;

use lvs_vrrp::announce::AnnounceSettings;
use lvs_vrrp::net::{Driver, DriverConfig, RouterSetup};
use lvs_vrrp::node::{RouterId, Settings};
use lvs_vrrp::{AddressList, Interval, Priority, RouterConfig, Vrid};

use crate::Result;
use crate::layout::Layout;

/// Runs the virtual routers of the arguments until it is killed.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let numbers: Option<Vec<u16>> = arguments
        .iter()
        .map(|argument| argument.to_str()?.parse().ok())
        .collect();
    let numbers = numbers.ok_or("a subject wants numbers")?;
    let [interfaces, routers, interval_cs, priority] = numbers[..] else {
        return Err("a subject wants four numbers".into());
    };
    let layout = Layout {
        interfaces: interfaces.try_into()?,
        routers: routers.try_into()?,
        interval_cs,
    };
    let mut config = DriverConfig::new().with_settings(settings());
    for (id, (interface, vrid, address)) in (1..).zip(layout.each()) {
        let addresses = AddressList::new([address.parse::<IpAddr>()?])?;
        let router = RouterConfig::new(Vrid::try_from(vrid)?, addresses)
            .with_priority(Priority::new(priority.try_into()?))
            .with_interval(Interval::from_centiseconds(interval_cs)?);
        let setup = RouterSetup::new(format!("eth{interface}"), router);
        config = config.with_router(RouterId::new(id), setup);
    }
    Ok(Driver::new(config)?.run()?)
}

/// As a program has them that sets nothing, but for the second round of announcements: after 1 s,
/// so that a measurement need not wait for it.
fn settings() -> Settings {
    let mut announce = AnnounceSettings::default();
    announce.rounds.second_round = Some(Duration::from_secs(1));
    let mut settings = Settings::default();
    settings.announce = announce;
    settings
}
