//! Rows 14 to 21: the comparison with what the receiver is.

use crate::*;

/// `VRRP-029`, `VRRP-091`
#[test]
fn row_14_follows_the_profile() {
    let addresses = list(&["fe80::1", "2001:db8::1"]);
    let swapped = list(&["2001:db8::1", "fe80::1"]);
    let from = Transmission::multicast(address("fe80::a:1"));
    let mut packet = emit(&from, &advertisement(Version::V3, &addresses));
    // One's complement sums do not see the order.
    packet[48..64].copy_from_slice(&swapped.as_addresses().octets()[..16]);
    packet[64..80].copy_from_slice(&swapped.as_addresses().octets()[16..]);
    let mut local = router(Version::V3, &addresses);
    assert_eq!(observed(&packet, &local), [Observation::FirstNotLinkLocal]);
    local.rules = Profile::Strict5798.receive_rules();
    assert_eq!(observed(&packet, &local), [Observation::FirstNotLinkLocal]);
    local.rules = Profile::Strict9568.receive_rules();
    assert_eq!(dropped(&packet, &local), (Reason::FirstNotLinkLocal, 14));
}

#[test]
fn row_15_wants_the_configured_way() {
    let addresses = list(&["192.0.2.1"]);
    let advertisement = advertisement(Version::V3, &addresses);
    let to = |destination: &str| {
        let from = Transmission::unicast(address(PEER), address(destination));
        emit(&from, &advertisement)
    };
    let mut local = router(Version::V3, &addresses);
    assert_eq!(
        dropped(&to("192.0.2.22"), &local),
        (Reason::CastMismatch, 15)
    );
    assert_eq!(
        dropped(&to("224.0.0.19"), &local),
        (Reason::CastMismatch, 15)
    );
    local.mode = Mode::Multicast {
        group: address("224.0.0.19"),
    };
    assert!(hear(&to("224.0.0.19"), &local).is_ok());
    assert_eq!(
        dropped(&to("224.0.0.18"), &local),
        (Reason::CastMismatch, 15)
    );
    let peers = [Peer::new(address(PEER))];
    local.mode = Mode::Unicast { peers: &peers };
    assert_eq!(
        dropped(&to("224.0.0.18"), &local),
        (Reason::CastMismatch, 15)
    );
    assert!(hear(&to("192.0.2.22"), &local).is_ok());
}

/// `VRRP-209`: our own packet come back, or somebody with our address.
#[test]
fn row_17_drops_what_we_sent_ourselves() {
    let addresses = list(&["192.0.2.1"]);
    let own = [address("192.0.2.10"), address(PEER)];
    let mut local = router(Version::V3, &addresses);
    local.own_addresses = &own;
    let packet = packet(Version::V3);
    for (ours, reported) in [
        (100, vec![]),
        (200, vec![Observation::DuplicatePrimaryAddress]),
    ] {
        local.priority = Priority::new(ours);
        let rejection = hear(&packet, &local).unwrap_err();
        assert_eq!(
            (rejection.reason(), rejection.row()),
            (Reason::SelfSent, 17)
        );
        assert!(rejection.observations().iter().eq(reported.clone()));
        let mut counters = RouterCounters::new();
        counters.record_rejection(rejection);
        assert_eq!(counters.rejected(Reason::SelfSent), 1);
        let observation = Observation::DuplicatePrimaryAddress;
        assert_eq!(
            counters.observed(observation),
            u64::try_from(reported.len()).unwrap()
        );
    }
}

/// `VRRP-088`, `VRRP-089`, `VRRP-128`
#[test]
fn row_18_follows_the_profile() {
    let addresses = list(&["192.0.2.1"]);
    let mut owner = advertisement(Version::V2, &addresses);
    owner.priority = Priority::OWNER;
    let from = Transmission::multicast(address(PEER));
    let owner = emit(&from, &owner);
    for profile in Profile::ALL {
        let mut local = router(Version::V2, &addresses);
        local.priority = Priority::OWNER;
        local.rules = profile.receive_rules();
        if matches!(profile, Profile::Strict3768 | Profile::Strict5798) {
            assert_eq!(dropped(&packet(Version::V2), &local), (Reason::Owner, 18));
        } else {
            assert_eq!(observed(&packet(Version::V2), &local), [Observation::Owner]);
            let both = [Observation::Owner, Observation::OwnerConflict];
            assert_eq!(observed(&owner, &local), both);
        }
    }
}

/// `VRRP-031`, `VRRP-097`, `VRRP-098`, `VRRP-099`.
#[test]
fn row_19_compares_lists_as_sets() {
    let ours = list(&["192.0.2.1", "192.0.2.2"]);
    let same = list(&["192.0.2.2", "192.0.2.1"]);
    let other = list(&["192.0.2.1", "192.0.2.3"]);
    let from = Transmission::multicast(address(PEER));
    for version in [Version::V2, Version::V3] {
        for profile in Profile::ALL {
            if profile == Profile::Strict9568 && version == Version::V3 {
                continue; // wants the other checksum form; its rule is that of Strict5798
            }
            let mut local = router(version, &ours);
            local.rules = profile.receive_rules();
            let packet = emit(&from, &advertisement(version, &same));
            assert_eq!(observed(&packet, &local), []);
            let packet = emit(&from, &advertisement(version, &other));
            if version == Version::V2 && profile == Profile::Strict3768 {
                assert_eq!(dropped(&packet, &local), (Reason::AddressList, 19));
                let mut owner = advertisement(version, &other);
                owner.priority = Priority::OWNER;
                assert_eq!(
                    observed(&emit(&from, &owner), &local),
                    [Observation::AddressList]
                );
            } else {
                assert_eq!(observed(&packet, &local), [Observation::AddressList]);
            }
        }
    }
}

/// `VRRP-096`, `VRRP-101`, `VRRP-133`
#[test]
fn row_20_drops_other_intervals_in_vrrpv2_only() {
    let addresses = list(&["192.0.2.1"]);
    let hears = |version, sent: Interval, local: &LocalRouter<'_>| {
        let mut advertisement = advertisement(version, &addresses);
        advertisement.interval = sent;
        let packet = emit(&Transmission::multicast(address(PEER)), &advertisement);
        hear(&packet, local)
            .map(|accepted| {
                assert_eq!(accepted.advertisement.interval, sent);
                accepted
                    .observations
                    .contains(Observation::IntervalMismatch)
            })
            .map_err(|rejection| (rejection.reason(), rejection.row()))
    };
    let v2 = router(Version::V2, &addresses);
    assert_eq!(hears(Version::V2, seconds(1), &v2), Ok(false));
    let mismatch = Err((Reason::IntervalMismatch, 20));
    assert_eq!(hears(Version::V2, seconds(2), &v2), mismatch);
    let v3 = router(Version::V3, &addresses);
    assert_eq!(hears(Version::V3, seconds(1), &v3), Ok(false));
    assert_eq!(hears(Version::V3, seconds(2), &v3), Ok(true));
    // Dual: a rate of 25 cs is announced as one second in VRRPv2, and neither version is dropped.
    let mut dual = router(Version::V3, &addresses);
    dual.versions = Versions::Dual;
    dual.interval = Interval::from_centiseconds(25).unwrap();
    assert_eq!(hears(Version::V2, seconds(1), &dual), Ok(false));
    assert_eq!(hears(Version::V2, seconds(2), &dual), Ok(true));
    assert_eq!(hears(Version::V3, seconds(1), &dual), Ok(true));
}

/// `VRRP-129`, `VRRP-128`, `VRRP-202`
#[test]
fn row_21_reports_what_is_odd() {
    let addresses = list(&["192.0.2.1"]);
    let plain = packet(Version::V3); // priority 200, with pseudo-header
    let mut local = router(Version::V3, &addresses);
    local.peer_form = Some(ChecksumForm::PseudoHeader);
    local.active = Some(Rank::new(Priority::new(200), address(PEER)));
    assert_eq!(observed(&plain, &local), []);
    local.peer_form = Some(ChecksumForm::MessageOnly);
    assert_eq!(
        observed(&plain, &local),
        [Observation::ChecksumFormConflict]
    );
    local.peer_form = None;
    local.active = Some(Rank::new(Priority::new(200), address("192.0.2.12")));
    assert_eq!(observed(&plain, &local), [Observation::EqualPriority]);
    local.active = None;
    local.priority = Priority::new(200);
    assert_eq!(observed(&plain, &local), [Observation::EqualPriority]);
    // Two others that both say they own the addresses.
    let mut owner = advertisement(Version::V3, &addresses);
    owner.priority = Priority::OWNER;
    let owner = emit(&Transmission::multicast(address(PEER)), &owner);
    local.active = Some(Rank::new(Priority::OWNER, address("192.0.2.12")));
    assert_eq!(observed(&owner, &local), [Observation::OwnerConflict]);
    // Resignations are equal to nothing.
    let mut resignation = advertisement(Version::V3, &addresses);
    resignation.priority = Priority::RESIGN;
    let resignation = emit(&Transmission::multicast(address(PEER)), &resignation);
    local.active = Some(Rank::new(Priority::RESIGN, address("192.0.2.12")));
    assert_eq!(observed(&resignation, &local), []);
}
