//! The times that follow from a configuration, and what is refused.

use core::time::Duration;

use lvs_vrrp::lease::{LeaseConfig, LeaseConfigError};

use crate::rig::{config, ms};

/// §4.2, rules 1 and 4: H − t_s, P and the timeout, worked out by hand.
#[test]
fn times_follow() {
    // D, ρ in ppm, S, J; H − t_s, P, timeout; all times in microseconds.
    let table: [([u64; 4], [u64; 3]); 5] = [
        (
            [10_000_000, 1000, 300_000, 700_000],
            [8_990_000, 2_900_000, 1_400_000],
        ),
        (
            [10_000_000, 0, 300_000, 700_000],
            [9_000_000, 3_000_000, 1_500_000],
        ),
        (
            [3_000_000, 20_000, 200_000, 400_000],
            [2_340_000, 780_000, 390_000],
        ),
        (
            [1_000_000, 1000, 100_000, 300_000],
            [599_000, 190_000, 95_000],
        ),
        (
            [60_000_000, 10_000, 2_000_000, 1_000_000],
            [56_400_000, 18_000_000, 9_000_000],
        ),
    ];
    for ([duration, ppm, removal, delay], [stop, period, timeout]) in table {
        let micros = Duration::from_micros;
        let config = LeaseConfig::new(micros(duration), micros(removal), micros(delay))
            .and_then(|config| config.with_clock_error_ppm(u32::try_from(ppm).unwrap()))
            .unwrap();
        assert_eq!(config.time_to_stop(), micros(stop));
        assert_eq!(config.renew_period(), micros(period));
        assert_eq!(config.request_timeout(), micros(timeout));
        assert!(config.renew_period() * 3 <= config.time_to_stop());
        assert!(config.request_timeout() * 2 <= config.renew_period());
        let stopping = config.removal_time() + config.scheduling_delay();
        assert_eq!(config.time_to_stop() + stopping, config.exclusive_time());
    }
}

#[test]
fn majorities_and_what_they_tolerate() {
    let table = [
        (1, 1, 0),
        (2, 2, 0),
        (3, 2, 1),
        (4, 3, 1),
        (5, 3, 2),
        (32, 17, 15),
    ];
    for (stores, majority, losses) in table {
        let config = config().with_stores(stores).unwrap();
        assert_eq!(
            (config.majority(), config.tolerated_losses()),
            (majority, losses)
        );
    }
}

/// Errors name field, value and limit.
#[test]
fn what_no_lease_can_have_is_refused() {
    let table: [(Result<LeaseConfig, LeaseConfigError>, &str); 11] = [
        (
            LeaseConfig::new(ms(9), ms(0), ms(0)),
            "lease duration of 9ms is not in 10ms..=86400s",
        ),
        (
            LeaseConfig::new(ms(86_400_001), ms(0), ms(0)),
            "lease duration of 86400.001s is not in 10ms..=86400s",
        ),
        (
            LeaseConfig::new(ms(1000), ms(500), ms(470)),
            "removal time and scheduling delay of 970ms together exceed 969ms: \
             a lease of this duration has no time left to be renewed",
        ),
        (
            LeaseConfig::new(ms(1000), Duration::MAX, Duration::MAX),
            "removal time of 18446744073709551615.999999999s is not in 0ns..=86400s",
        ),
        (
            config().with_clock_error_ppm(100_001),
            "clock error of 100001 ppm is not in 0..=100000",
        ),
        (config().with_stores(0), "0 stores are not in 1..=32"),
        (config().with_stores(33), "33 stores are not in 1..=32"),
        (
            config().with_renew_period(ms(2997)),
            "renew period of 2.997s is more than 2.996666666s, a third of the time to the deadline",
        ),
        (
            config().with_request_timeout(ms(1451)),
            "request timeout of 1.451s is more than 1.45s, half of the renew period",
        ),
        (
            config().with_grace(ms(86_400_001)),
            "grace of 86400.001s is not in 0ns..=86400s",
        ),
        (
            config()
                .with_preemption(ms(3609))
                .and_then(|config| config.with_claim_duration(ms(6999))),
            "claim duration of 6.999s is less than 7s, five request timeouts",
        ),
    ];
    for (result, text) in table {
        assert_eq!(result.unwrap_err().to_string(), text);
    }
}

/// The limits themselves are allowed, and what follows changes with what is set.
#[test]
fn limits_are_allowed() {
    let config = config().with_renew_period(ms(2996)).unwrap();
    assert_eq!(config.request_timeout(), ms(1400));
    let config = config.with_request_timeout(ms(1498)).unwrap();
    assert_eq!(
        (config.renew_period(), config.request_timeout()),
        (ms(2996), ms(1498))
    );
    assert!(LeaseConfig::new(ms(1000), ms(500), ms(469)).is_ok());
    let config = config.with_preemption(ms(3609)).unwrap();
    let preemption = config.preemption().unwrap();
    assert_eq!(preemption.claim_duration, config.duration());
    assert_eq!(preemption.give_back, ms(7218));
}

#[test]
fn everything_can_go_to_another_thread() {
    const fn goes<T: Send + Sync>() {}
    goes::<LeaseConfig>();
    goes::<lvs_vrrp::Lease>();
    goes::<lvs_vrrp::lease::LeaseJob>();
    goes::<lvs_vrrp::lease::LeaseEvent>();
    goes::<lvs_vrrp::lease::MemoryStore>();
}

/// §4.2 rule 7, OP-4: whole seconds, less three for the kernel; D·(1 − ρ) − timeout − J − 3 s.
#[test]
fn lifetimes_of_addresses_end_before_the_lease() {
    // 9.99 − 1.4 − 0.7 − 3 = 4.89 s.
    let longest = Duration::from_secs(4);
    assert_eq!(config().address_lifetime(), Some(longest));
    assert_eq!(config().check_address_lifetime(longest), Ok(()));
    let value = longest + Duration::from_secs(1);
    let error = config().check_address_lifetime(value).unwrap_err();
    assert_eq!(
        error.to_string(),
        "address lifetime of 5s is not in 1s..=4s"
    );
    // No lifetime is one without end.
    assert!(config().check_address_lifetime(Duration::ZERO).is_err());
    let short = LeaseConfig::new(ms(3000), ms(200), ms(400)).unwrap();
    assert_eq!(short.address_lifetime(), None);
    let limit = Duration::ZERO;
    assert_eq!(
        short.check_address_lifetime(longest),
        Err(LeaseConfigError::AddressLifetime {
            value: longest,
            limit
        })
    );
}

/// While it is held, what is left of it counts; when it is not, nothing may be installed.
#[test]
fn the_lifetime_follows_the_clock() {
    let mut lease = crate::rig::holding(config(), ms(1000));
    // Exclusive until 10.99 s.
    assert_eq!(
        lease.address_lifetime(ms(1000)),
        Some(Duration::from_secs(6))
    );
    assert_eq!(
        lease.address_lifetime(ms(1990)),
        Some(Duration::from_secs(6))
    );
    assert_eq!(
        lease.address_lifetime(ms(1991)),
        Some(Duration::from_secs(5))
    );
    assert_eq!(
        lease.address_lifetime(ms(6990)),
        Some(Duration::from_secs(1))
    );
    assert_eq!(lease.address_lifetime(ms(6991)), None);
    lease.tick(ms(10_000));
    assert_eq!(lease.address_lifetime(ms(10_000)), None);
    let mut lease = crate::rig::holding(config(), ms(1000));
    lease.withdraw(ms(1100));
    assert_eq!(lease.address_lifetime(ms(1100)), None);
}
