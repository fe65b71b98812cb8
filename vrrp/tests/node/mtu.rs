//! Advertisements that do not fit the link (spec 1.4): a router that nobody hears would be Active.

use core::net::IpAddr;

use lvs_vrrp::codec::{AhFlavour, AhKey, Authentication};
use lvs_vrrp::error::EncodeError;
use lvs_vrrp::node::{NodeError, NodeRouter};
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{AddressList, NodeConfig, RouterConfig, Version};

use crate::rig::*;

fn over_ipv4(count: u8) -> RouterConfig {
    let addresses = (1..=count).map(|number| IpAddr::from([198, 51, 100, number]));
    RouterConfig::new(vrid(1), AddressList::new(addresses).unwrap())
}

fn over_ipv6(count: u8) -> RouterConfig {
    let address = |number: u8| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number)]);
    RouterConfig::new(vrid(1), AddressList::new((1..=count).map(address)).unwrap())
}

fn signed(count: u8) -> RouterConfig {
    let key = AhKey::new(AhFlavour::Keepalived, b"secret").unwrap();
    over_ipv4(count)
        .with_versions(Versions::Only(Version::V2))
        .with_authentication(Authentication::Header(key))
}

fn node(router: RouterConfig, mtu: u16) -> NodeConfig {
    config(0)
        .with_interface(LAN, interface().with_mtu(mtu))
        .with_router(id(1), NodeRouter::new(LAN, router))
}

/// A configuration of so many addresses.
type Make = fn(u8) -> RouterConfig;

#[test]
fn addresses_that_do_not_fit_are_refused() {
    let dual: Make = |count| over_ipv4(count).with_versions(Versions::Dual);
    // Beside the addresses: IP header, authentication header, message.
    let cases: [(Make, u16, u16); 4] = [
        (over_ipv6, 40 + 8, 16),
        (over_ipv4, 20 + 8, 4),
        (signed, 20 + 24 + 16, 4),
        (dual, 20 + 16, 4),
    ];
    for (make, others, each) in cases {
        for count in [1, 20, 90, 255] {
            let exact = others + each * u16::from(count);
            assert_eq!(node(make(count), exact).validate(), Ok(()));
            let refused = node(make(count), exact - 1).validate();
            let source = EncodeError::Mtu {
                count: count.into(),
                fits: usize::from(count) - 1,
                mtu: exact - 1,
            };
            let router = id(1);
            assert_eq!(refused, Err(NodeError::Unsendable { router, source }));
        }
    }
}

/// A new configuration that makes the link narrower leaves everything as it was.
#[test]
fn a_narrower_link_is_refused_while_the_addresses_do_not_fit() {
    let mut rig = Rig::active(node(over_ipv4(100), 1500));
    let refused = rig.node.reconfigure(rig.now, node(over_ipv4(100), 400));
    let refused = refused.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "advertisements of router 1 cannot be sent"
    );
    let source = core::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(
        source,
        "100 addresses do not fit an MTU of 400 bytes: 93 do"
    );
    rig.run(ms(1000));
    assert_eq!(rig.take_log(), "1 send 100");
    let fewer = node(over_ipv4(93), 400);
    rig.node.reconfigure(rig.now, fewer).unwrap();
}
