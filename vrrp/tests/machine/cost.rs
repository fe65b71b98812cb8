//! What a virtual router costs: memory, and no allocation in a step.

use core::mem::size_of;

use allocation_counter::measure;
use lvs_vrrp::event::{Action, Event, ShutdownMode, State};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::{Actions, GuardStatus};

use crate::rig::{HIGHER, LOWER, address, advert, config, ms, router};

/// At most 352 bytes beside the configuration, which is shared.
#[test]
fn a_virtual_router_is_small() {
    let size = size_of::<VirtualRouter>();
    assert!(size <= 352, "{size} bytes");
    println!(
        "VirtualRouter {size}, Action {}, Actions {}",
        size_of::<Action>(),
        size_of::<Actions>()
    );
}

/// Steps of every kind, through all states.
#[test]
fn steps_allocate_nothing() {
    let mut router = router(config(100).with_guard(ms(10)));
    let mut states = [false; 3];
    let info = measure(|| {
        let mut now = ms(0);
        for _ in 0..100 {
            let until = now + ms(60_000);
            for event in [
                Event::Startup,
                advert(now, 50, LOWER),
                Event::Tick,
                Event::Guard(GuardStatus::Held { until, epoch: 1 }),
                Event::Contribution(1),
                Event::Tick,
                advert(now, 50, LOWER),
                advert(now, 0, LOWER),
                Event::Source(Some(address("192.0.2.10"))),
                advert(now, 200, HIGHER),
                Event::Yield,
                Event::Contribution(0),
                Event::Shutdown(ShutdownMode::Graceful),
            ] {
                if event == Event::Tick {
                    now = router.next_deadline().unwrap_or(now);
                }
                assert!(router.handle(now, event).into_iter().count() < 16);
                states[match router.state() {
                    State::Initialize => 0,
                    State::Backup => 1,
                    State::Active => 2,
                }] = true;
            }
        }
    });
    assert_eq!(states, [true; 3]);
    assert_eq!(info.count_total, 0);
}
