use lvs_ipvs::DaemonRole::{Active, Backup};
use proptest::prelude::*;

use super::Step::{Start, Stop, TableReady, TableStandby};
use super::*;

const ONE: RouterId = RouterId::new(1);
const TWO: RouterId = RouterId::new(2);

fn following(router: RouterId) -> Choreography {
    let mut choreography = Choreography::default();
    let _ = choreography.reload(SyncRoles::Follow(router));
    choreography
}

/// As the driver calls it when all goes well.
fn take_over(choreography: &mut Choreography, router: RouterId) -> [Vec<Step>; 2] {
    let prepare = choreography.prepare(router);
    choreography.prepared(router);
    [prepare, choreography.establish(router)]
}

/// `OP-1`: the table, then *backup* stopped, then (after the addresses) *active* started; and back.
#[test]
fn the_daemons_follow_the_one_virtual_router() {
    let mut it = Choreography::default();
    let begin = it.reload(SyncRoles::Follow(ONE));
    assert_eq!(begin, [Stop(Active), Start(Backup)]);
    for _ in 0..2 {
        let [prepare, establish] = take_over(&mut it, ONE);
        assert_eq!(prepare, [TableReady, Stop(Backup)]);
        assert_eq!(establish, [Start(Active)]);
        let settle = [Stop(Active), Start(Backup), TableStandby];
        assert_eq!(it.settle(ONE), settle);
    }
    assert_eq!(it.end(), [Stop(Active), Stop(Backup)]);
}

#[test]
fn the_table_is_ready_from_the_first_take_over_to_the_last_settling() {
    let mut it = following(ONE);
    assert_eq!(take_over(&mut it, TWO), [vec![TableReady], vec![]]);
    let [prepare, establish] = take_over(&mut it, ONE);
    assert_eq!(
        (prepare, establish),
        (vec![Stop(Backup)], vec![Start(Active)])
    );
    assert_eq!(it.settle(ONE), [Stop(Active), Start(Backup)]);
    assert_eq!(it.settle(TWO), [TableStandby]);
}

/// The second finds a table that is not ready, as the first one failed.
#[test]
fn a_preparation_that_failed_is_no_reason_to_skip_another() {
    let mut it = following(ONE);
    assert_eq!(it.prepare(ONE), [TableReady, Stop(Backup)]);
    assert_eq!(it.prepare(TWO), [TableReady]);
    it.prepared(TWO);
    assert_eq!(it.settle(ONE), [Stop(Active), Start(Backup)]);
    assert_eq!(it.prepare(ONE), [Stop(Backup)]);
}

/// The driver settles also what never was established.
#[test]
fn what_was_interrupted_is_undone() {
    let mut it = following(ONE);
    assert_eq!(it.prepare(ONE), [TableReady, Stop(Backup)]);
    it.prepared(ONE);
    let settle = vec![Stop(Active), Start(Backup), TableStandby];
    assert_eq!(it.settle(ONE), settle);
    // Nothing was ever done.
    assert_eq!(it.settle(ONE), settle);
}

#[test]
fn at_the_end_nobody_becomes_a_standby() {
    let mut it = following(ONE);
    let _ = take_over(&mut it, ONE);
    let _ = take_over(&mut it, TWO);
    it.leave();
    assert_eq!(it.settle(ONE), [Stop(Active), Stop(Backup)]);
    assert_eq!(it.settle(TWO), []);
    assert_eq!(it.end(), [Stop(Active), Stop(Backup)]);
}

#[test]
fn without_a_virtual_router_to_follow_both_daemons_run_all_the_time() {
    let mut it = Choreography::default();
    assert_eq!(it.reload(SyncRoles::Both), [Start(Active), Start(Backup)]);
    assert_eq!(take_over(&mut it, ONE), [vec![TableReady], vec![]]);
    assert_eq!(it.settle(ONE), [TableStandby]);
    assert_eq!(it.end(), [Stop(Active), Stop(Backup)]);
}

#[test]
fn daemons_that_are_not_configured_are_left_alone() {
    let mut it = Choreography::default();
    assert_eq!(it.reload(SyncRoles::Off), []);
    assert_eq!(take_over(&mut it, ONE), [vec![TableReady], vec![]]);
    assert_eq!(it.settle(ONE), [TableStandby]);
    assert_eq!(it.end(), []);
}

#[test]
fn a_reload_goes_on_in_the_role_of_now() {
    let mut it = Choreography::default();
    let _ = take_over(&mut it, ONE);
    let as_active = [Stop(Backup), Start(Active)];
    assert_eq!(it.reload(SyncRoles::Follow(ONE)), as_active);
    // Perhaps on another interface.
    assert_eq!(it.reload(SyncRoles::Follow(ONE)), as_active);
    assert_eq!(
        it.reload(SyncRoles::Follow(TWO)),
        [Stop(Active), Start(Backup)]
    );
    assert_eq!(it.reload(SyncRoles::Both), [Start(Active), Start(Backup)]);
    assert_eq!(it.reload(SyncRoles::Off), [Stop(Active), Stop(Backup)]);
    assert_eq!(it.reload(SyncRoles::Off), []);
}

/// What a kernel would have, whatever steps come.
#[derive(Debug, Default)]
struct Kernel {
    ready: bool,
    active: bool,
    backup: bool,
}

impl Kernel {
    fn perform(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                TableReady => self.ready = true,
                TableStandby => self.ready = false,
                Stop(Active) => self.active = false,
                Stop(Backup) => self.backup = false,
                Start(Active) => self.active = true,
                Start(Backup) => self.backup = true,
            }
        }
    }
}

proptest! {
    /// In any order of calls in which the driver may make them, with three virtual routers: no address
    /// without a table, none of the followed router beside *backup*, and *active* only with addresses.
    #[test]
    fn in_every_order_the_kernel_is_as_the_rules_say(
        moves in proptest::collection::vec((0_u32..3, any::<bool>()), 0..60),
    ) {
        let (mut it, mut kernel) = (Choreography::default(), Kernel::default());
        kernel.perform(&it.reload(SyncRoles::Follow(RouterId::new(0))));
        let mut stages = [0_u8; 3];
        for (number, goes_on) in moves {
            let router = RouterId::new(number);
            let stage = &mut stages[number as usize];
            match (*stage, goes_on) {
                (0, true) => {
                    kernel.perform(&it.prepare(router));
                    it.prepared(router);
                    *stage = 1;
                }
                (1, true) => {
                    kernel.perform(&it.establish(router));
                    *stage = 2;
                }
                (_, false) => {
                    kernel.perform(&it.settle(router));
                    *stage = 0;
                }
                _ => {}
            }
            prop_assert_eq!(kernel.ready, stages.iter().any(|stage| *stage > 0));
            prop_assert_eq!(kernel.backup, stages[0] == 0);
            prop_assert_eq!(kernel.active, stages[0] == 2);
        }
    }
}
