//! The plan for the driver of `lvs-vrrp`, which finds interfaces by name.

use lvs_vrrp::net::{AddressSetup, DriverConfig, RouterSetup, VirtualMacSetup};

use super::plan::Plan;
use super::router::{PlannedAddress, PlannedRouter};
use super::tracker::TrackerSource;
use crate::keepalived::Diagnostic;
use crate::keepalived::Messages;

impl Plan {
    /// The virtual routers on the interfaces of this host, and what the driver does not do yet.
    ///
    /// Interfaces are followed by the driver itself; the other [trackers](Self::trackers) are fed by
    /// whoever runs it.
    pub fn driver_config(&self) -> (DriverConfig, Vec<Diagnostic>) {
        let mut messages = Messages::default();
        let mut driver = DriverConfig::new().with_settings(self.settings().clone());
        for (interface, spacing) in self.spacings() {
            driver = driver.with_spacing(interface, spacing);
        }
        for router in self.routers() {
            driver = driver.with_router(router.id, setup(router, &mut messages));
        }
        for group in self.groups() {
            driver = driver.with_group(group.id, group.config.clone());
        }
        for tracker in self.trackers() {
            driver = match &tracker.source {
                TrackerSource::Interface(name) => driver.with_link_tracker(tracker.id, name),
                _ => driver.with_tracker(tracker.id, tracker.status),
            };
        }
        for delay in self.interface_delays() {
            driver = driver.with_link_delays(&delay.interface, delay.up, delay.down);
        }
        (driver, messages.list)
    }
}

fn setup(router: &PlannedRouter, messages: &mut Messages) -> RouterSetup {
    let mut setup = RouterSetup::new(&router.interface, router.config.clone());
    setup = setup.with_rounds(router.rounds);
    if let Some(device) = &router.virtual_mac {
        let virtual_mac = VirtualMacSetup::new().with_name(&device.name);
        setup = setup.with_virtual_mac(match device.transmit_from_base {
            true => virtual_mac.sending_from_interface(),
            false => virtual_mac,
        });
    }
    if !router.config.accepts() {
        let message = format!(
            "vrrp_instance {}: packets to its addresses are accepted all the same; accept mode off \
             takes a packet filter of your own",
            router.name
        );
        messages.warning(&router.position, message);
    }
    if router.ignores_link {
        setup = setup.ignoring_link();
    }
    for track in &router.tracks {
        setup = setup.with_track(*track);
    }
    for address in &router.addresses {
        setup = setup.with_address(address.ip, address_setup(address));
    }
    setup
}

fn address_setup(address: &PlannedAddress) -> AddressSetup {
    let most = if address.ip.is_ipv4() { 32 } else { 128 };
    let length = address.prefix_length;
    let mut setup = AddressSetup::new()
        .with_prefix_len(length)
        .with_prefix_route(address.has_prefix_route && length < most)
        .with_preferred(address.is_preferred);
    if let Some(device) = &address.device {
        setup = setup.on_device(device);
    }
    if let Some(scope) = address.scope {
        setup = setup.with_scope(scope);
    }
    if let Some(broadcast) = address.broadcast {
        setup = setup.with_broadcast(broadcast);
    }
    if let Some(label) = &address.label {
        setup = setup.with_label(label);
    }
    setup
}
