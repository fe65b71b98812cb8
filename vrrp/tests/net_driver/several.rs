//! Several drivers in one network namespace.

use std::collections::BTreeSet;

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::links::LinkMonitor;
use lvs_vrrp::net::{AddressSetup, Driver, DriverConfig, DriverError, RouterSetup};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{AddressList, Interval, RouterConfig, State, Version, Vrid};

use crate::network::{Host, Switch};
use crate::running::Running;

fn driver(vrid: u8, address: &str) -> DriverConfig {
    let address = address.parse().unwrap();
    let config = RouterConfig::new(
        Vrid::new(vrid).unwrap(),
        AddressList::new([address]).unwrap(),
    )
    .with_versions(Versions::Only(Version::V3))
    .with_interval(Interval::from_centiseconds(10).unwrap());
    let setup = RouterSetup::new("eth0", config)
        .with_address(address, AddressSetup::new().with_prefix_len(24));
    DriverConfig::new().with_router(RouterId::new(1), setup)
}

/// One would take the addresses of the other for leftovers. With another tag it does not.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_second_driver_needs_a_tag_of_its_own() {
    let switch = Switch::new();
    let host = Host::new("one");
    switch.connect(&host, "eth0", &["192.0.2.1/24"]);
    let one = Running::start(&host, driver(1, "192.0.2.100"));
    one.until_state(1, State::Active);

    let refused = host.enter(|| Driver::new(driver(2, "192.0.2.200")).map(drop));
    let Err(DriverError::TagInUse { value: 112 }) = refused else {
        panic!("{refused:?}");
    };
    assert!(host.holds("192.0.2.100"));

    let tagged = driver(2, "192.0.2.200").with_tag(113);
    let other = Running::start(&host, tagged.clone());
    other.until_state(1, State::Active);
    assert!(host.holds("192.0.2.100") && host.holds("192.0.2.200"));
    let tags = host.enter(|| {
        let monitor = LinkMonitor::open().unwrap();
        let addresses = monitor.links().iter().flat_map(|link| &link.addresses);
        let ours = addresses.filter(|there| there.protocol > Some(3));
        ours.map(|there| there.protocol.unwrap())
            .collect::<BTreeSet<_>>()
    });
    assert_eq!(tags, BTreeSet::from([112, 113]));
    let changed = other.handle.reload(tagged.with_tag(112));
    let Err(DriverError::TagChanged { value, running }) = changed else {
        panic!("{changed:?}");
    };
    assert_eq!((value, running), (112, 113));

    one.stop(ShutdownMode::Graceful);
    assert!(!host.holds("192.0.2.100") && host.holds("192.0.2.200"));
    // The one that has ended needs its tag no more.
    let again = Running::start(&host, driver(1, "192.0.2.100"));
    again.until_state(1, State::Active);
    again.stop(ShutdownMode::Graceful);
    other.stop(ShutdownMode::Graceful);
    assert!(!host.holds("192.0.2.100") && !host.holds("192.0.2.200"));
}

#[test]
fn tags_of_the_kernel_are_refused() {
    for tag in 0..4 {
        let wrong = driver(1, "192.0.2.100").with_tag(tag).validate();
        let said = wrong.unwrap_err().to_string();
        assert_eq!(
            said,
            format!("tag {tag}: 0 to 3 are the kernel's, 4 to 255 a driver's")
        );
    }
    driver(1, "192.0.2.100").with_tag(4).validate().unwrap();
}
