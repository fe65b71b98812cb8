//! What configurations are refused, by field, value and limit; defaults.

use core::time::Duration;

use lvs_vrrp::codec::{Authentication, Password};
use lvs_vrrp::config::SourcePolicy;
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::profile::PromotionLimit;
use lvs_vrrp::receive::{Peer, Versions};
use lvs_vrrp::{AddressList, Interval, Priority, Profile, RouterConfig, Version, Vrid};

use crate::rig::{address, config, config_v6};

const V2: Versions = Versions::Only(Version::V2);
const V3: Versions = Versions::Only(Version::V3);

fn list(addresses: &[&str]) -> AddressList {
    AddressList::new(addresses.iter().map(|text| address(text))).unwrap()
}

/// `VRRP-013`, `VRRP-016`, `VRRP-021`, `VRRP-038`, `VRRP-044`, `VRRP-046`
#[test]
fn defaults_are_those_of_the_rfcs() {
    for versions in [V2, V3] {
        let config = config(100).with_versions(versions);
        let config = RouterConfig::new(config.vrid(), config.addresses().clone());
        assert_eq!(config.priority().get(), 100);
        assert_eq!(config.interval().as_duration(), Duration::from_secs(1));
        assert_eq!(config.down_factor(), 3);
        assert!(config.preempts() && !config.accepts() && !config.is_owner());
        assert!(config.preempt_hold().is_zero());
        assert_eq!(config.versions(), V3);
        assert_eq!(config.guard_retry(), None);
        assert_eq!(config.validate(), Ok(()));
    }
}

/// `VRRP-015`, `VRRP-029`, `VRRP-043`, `VRRP-007`, `VRRP-001`: each refusal names what is wrong.
#[test]
fn wrong_values_are_refused_by_name() {
    let secs = |count| Interval::from_seconds(count).unwrap();
    let half = Interval::from_centiseconds(50).unwrap();
    let peer = |text| Peer::new(address(text));
    let password = Authentication::Simple(Password::new(b"secret"));
    let mut limited = Profile::Linux.switches();
    limited.promotion_limit = Some(PromotionLimit {
        promotions: 0,
        window: Duration::from_secs(60),
    });
    let v6 = |addresses| RouterConfig::new(Vrid::new(10).unwrap(), list(addresses));
    let unicast = || config(100).with_unicast_peers([peer("192.0.2.1")]);
    let fixed = |text| SourcePolicy::Fixed(address(text));
    for (config, message) in [
        (
            config(0),
            "priority 0 is not in 1..=254: the owner is set as such",
        ),
        (
            config(255),
            "priority 255 is not in 1..=254: the owner is set as such",
        ),
        (config(1), ""),
        (config(254), ""),
        (config(255).as_owner(), ""),
        (
            config_v6(100).with_versions(V2),
            "VRRPv2 does not exist over IPv6",
        ),
        (
            config_v6(100).with_versions(Versions::Dual),
            "VRRPv2 does not exist over IPv6",
        ),
        (
            config(100).with_versions(V2).with_interval(half),
            "interval of 50 cs cannot be sent in VRRPv2: 1..=255 whole seconds",
        ),
        (config(100).with_versions(V2).with_interval(secs(255)), ""),
        (
            config(100).with_interval(secs(41)),
            "interval of 4100 cs cannot be sent in VRRPv3: 1..=4095 cs",
        ),
        (
            config(100)
                .with_versions(Versions::Dual)
                .with_interval(secs(41)),
            "interval of 4100 cs cannot be sent in VRRPv3: 1..=4095 cs",
        ),
        (config(100).with_interval(Interval::MAX_V3), ""),
        (
            config(100)
                .with_versions(Versions::Dual)
                .with_interval(half),
            "",
        ),
        (
            v6(&["2001:db8::1", "fe80::1"]).with_switches(Profile::Strict9568.switches()),
            "the first IPv6 address, 2001:db8::1, is not link-local (fe80::/10)",
        ),
        (v6(&["2001:db8::1", "fe80::1"]), ""),
        (v6(&["fe80::1", "2001:db8::1"]), ""),
        (
            config(100).with_excluded_addresses([address("192.0.2.100")]),
            "address 192.0.2.100 is given twice",
        ),
        (
            config(100).with_excluded_addresses([address("fe80::1"), address("fe80::1")]),
            "address fe80::1 is given twice",
        ),
        (
            config(100).with_excluded_addresses([address("fe80::1")]),
            "",
        ),
        (
            config(100).with_down_factor(0),
            "down factor 0 is not in 1..=100",
        ),
        (
            config(100).with_down_factor(101),
            "down factor 101 is not in 1..=100",
        ),
        (config(100).with_down_factor(100), ""),
        (
            config(100).with_preempt_hold(Duration::from_millis(65_535_001)),
            "preempt hold of 65535.001s is more than 65535 s",
        ),
        (
            config(100).with_preempt_hold(Duration::from_secs(65_535)),
            "",
        ),
        (
            config(100).with_switches(limited),
            "a promotion limit of 0 promotions is not in 1..=255",
        ),
        (
            config(100).with_group(address("192.0.2.1")),
            "192.0.2.1 is no group of the family of the virtual addresses",
        ),
        (
            config(100).with_group(address("ff02::12")),
            "ff02::12 is no group of the family of the virtual addresses",
        ),
        (config(100).with_group(address("224.0.0.19")), ""),
        (
            config(100).with_unicast_peers([]),
            "unicast needs at least one peer",
        ),
        (
            config(100).with_unicast_peers([peer("fe80::1")]),
            "peer fe80::1 is no unicast address of the family of the virtual addresses",
        ),
        (
            config(100).with_unicast_peers([peer("224.0.0.18")]),
            "peer 224.0.0.18 is no unicast address of the family of the virtual addresses",
        ),
        (
            config(100).with_unicast_peers([peer("192.0.2.1"), peer("192.0.2.1")]),
            "address 192.0.2.1 is given twice",
        ),
        (config(100).with_unicast_peers([peer("192.0.2.1")]), ""),
        (unicast().with_unicast_ttl(1), ""),
        (unicast().with_unicast_ttl(255), ""),
        (
            unicast().with_unicast_ttl(0),
            "unicast TTL of 0 is not in 1..=255",
        ),
        (
            config(100).with_unicast_ttl(64),
            "unicast TTL of 64 without unicast peers: to a group it is 255",
        ),
        (
            config(100).with_source(fixed("fe80::1")),
            "source fe80::1 is not a real address that advertisements can come from",
        ),
        (
            config(100).with_source(fixed("192.0.2.100")),
            "source 192.0.2.100 is not a real address that advertisements can come from",
        ),
        (config(100).as_owner().with_source(fixed("192.0.2.100")), ""),
        (config(100).with_source(fixed("192.0.2.9")), ""),
        (
            config_v6(100).with_source(fixed("2001:db8::1")),
            "source 2001:db8::1 is not a real address that advertisements can come from",
        ),
        (
            config_v6(100)
                .with_source(fixed("2001:db8::1"))
                .with_unicast_peers([peer("2001:db8::2")]),
            "",
        ),
        (
            config(100).with_authentication(password.clone()),
            "authentication exists in VRRPv2 only",
        ),
        (
            config(100)
                .with_versions(V2)
                .with_authentication(password.clone()),
            "",
        ),
    ] {
        let refused = config
            .validate()
            .map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(refused, message, "{config:?}");
        assert_eq!(VirtualRouter::new(config).is_ok(), message.is_empty());
    }
}

/// What each profile refuses.
#[test]
fn profiles_refuse_what_their_standard_lacks() {
    let password = Authentication::Simple(Password::new(b"secret"));
    let peer = Peer::new(address("192.0.2.1"));
    let global_first = list(&["2001:db8::1", "fe80::1"]);
    let all = [
        Profile::Strict3768,
        Profile::Strict5798,
        Profile::Strict9568,
        Profile::Linux,
    ];
    let [rfc3768, rfc5798, rfc9568, linux] = all;
    let refused_by = |change: &dyn Fn(RouterConfig) -> RouterConfig| -> Vec<Profile> {
        let by_profile = all.into_iter().filter(|profile| {
            let versions = if *profile == rfc3768 { V2 } else { V3 };
            let config = config(100)
                .with_versions(versions)
                .with_switches(profile.switches());
            assert_eq!(config.validate(), Ok(()));
            change(config).validate().is_err()
        });
        by_profile.collect()
    };
    let strict = vec![rfc3768, rfc5798, rfc9568];
    assert_eq!(refused_by(&|c| c.with_versions(V2)), [rfc5798, rfc9568]);
    assert_eq!(refused_by(&|c| c.with_versions(V3)), [rfc3768]);
    assert_eq!(refused_by(&|c| c.with_versions(Versions::Dual)), strict);
    assert_eq!(
        refused_by(&|c| c.with_unicast_peers([peer.clone()])),
        strict
    );
    assert_eq!(refused_by(&|c| c.with_group(address("224.0.0.19"))), strict);
    assert_eq!(refused_by(&|c| c.with_down_factor(4)), strict);
    let global = |c: RouterConfig| {
        let config = config_v6(100).with_addresses(global_first.clone());
        config.with_switches(*c.switches())
    };
    assert_eq!(refused_by(&global), strict);
    let hold = Duration::from_secs(1);
    assert_eq!(
        refused_by(&|c| c.with_preempt_hold(hold)),
        [rfc3768, rfc5798]
    );
    assert_eq!(refused_by(&|c| c.with_accept_mode(true)), [rfc3768]);
    assert_eq!(refused_by(&|c| c.as_owner().with_accept_mode(true)), []);
    let authenticated = |c: RouterConfig| c.with_versions(V2).with_authentication(password.clone());
    assert_eq!(refused_by(&authenticated), strict);
    let mut relaxed = rfc9568.switches();
    relaxed.permits.down_factor = true;
    let config = config(100).with_switches(relaxed).with_down_factor(4);
    assert_eq!(config.validate(), Ok(()), "every switch can be changed");
    assert_eq!(linux, Profile::default());
}

/// `VRRP-014`: in the strict profiles, 255 for the owner and for nobody else.
#[test]
fn ownership_is_checked_in_strict_profiles() {
    let real = [address("192.0.2.9"), address("192.0.2.100")];
    for (profile, strict) in [(Profile::Strict9568, true), (Profile::Linux, false)] {
        let config = config(100).with_switches(profile.switches());
        let owner = config.clone().as_owner();
        assert_eq!(config.check_ownership(&real[..1]), Ok(()));
        assert_eq!(owner.check_ownership(&real), Ok(()));
        let refused = |result: Result<(), lvs_vrrp::ConfigError>| {
            result.map_or_else(|error| error.to_string(), |()| String::new())
        };
        let (not_owned, owned) = if strict {
            (
                "the owner does not have 192.0.2.100 as a real address",
                "priority 100 for a router that owns the addresses: the owner has 255",
            )
        } else {
            ("", "")
        };
        assert_eq!(refused(owner.check_ownership(&real[..1])), not_owned);
        assert_eq!(refused(config.check_ownership(&real)), owned);
    }
}

/// `VRRP-045`: the owner preempts and accepts whatever is set.
#[test]
fn the_owner_preempts_and_accepts() {
    let owner = config(100)
        .with_preempt(false)
        .with_accept_mode(false)
        .as_owner();
    assert!(owner.preempts() && owner.accepts());
    assert_eq!(owner.priority(), Priority::OWNER);
    let back = owner.with_priority(Priority::new(7));
    assert!(!back.preempts() && !back.accepts() && !back.is_owner());
}
