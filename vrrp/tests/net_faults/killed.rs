//! An Active that is killed and started again at once, while its address is still there.

use core::time::Duration;

use lvs_vrrp::State;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::clock;

use crate::network::eventually;
use crate::pair::{ADDRESS, network, router};
use crate::running::Running;

/// OP-4: both hold it from the take-over until the restart cleans up, and not again after.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_restart_cleans_up_and_recovers() {
    let (switch, one, other) = network();
    let mut high = router(200).start(&one);
    high.until("Active");
    let low = Running::start(&other, router(100).driver());
    low.until_state(1, State::Backup);
    let killed = clock::now();
    high.kill();
    let taken_over = low.until_state(1, State::Active).at;
    assert!(one.holds(ADDRESS) && other.holds(ADDRESS));
    let mut high = router(200).start(&one);
    high.until(&format!("leftover {ADDRESS}"));
    let cleaned_up = clock::now();
    high.until("Active");
    low.until_state(1, State::Backup);
    let recovered = clock::now();
    eventually(|| other.holds(ADDRESS), |holds| !holds);
    assert!(one.holds(ADDRESS));
    high.stop();
    low.stop(ShutdownMode::Abrupt);
    let both = switch.holding.overlap_since(Duration::ZERO);
    println!(
        "killed: taken over after {:?}, cleaned up by a restart after {:?}, Active again after {:?}; held \
         by both for {both:?}",
        taken_over - killed,
        cleaned_up - killed,
        recovered - killed
    );
    assert!(
        both < cleaned_up - taken_over + Duration::from_millis(50),
        "{both:?}"
    );
}
