//! Arbitrary inputs: nothing panics, epochs grow, deadlines lie ahead, and what a lease says of
//! itself agrees.

use core::time::Duration;

use proptest::prelude::*;

use lvs_vrrp::lease::{
    Claim, HolderId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent, LeaseJob,
    LeaseRequest as Request, WhenUnreachable,
};
use lvs_vrrp::{GuardStatus, Timestamp};

use crate::rig::{ms, rank};

#[derive(Clone, Debug)]
enum Input {
    Request(u8),
    Withdraw,
    AddressesGone,
    Tick,
    ToDeadline,
    Stalled,
    StoreChanged,
    Alone(bool),
    Rank(u8),
    /// The job is one of those that were sent, old ones too.
    Answer(usize, LeaseAnswer),
    /// The newest job is answered as a store would.
    Agree,
    /// Jobs are left where they are for once.
    LeaveJobs,
}

fn holder() -> impl Strategy<Value = Option<HolderId>> {
    proptest::option::of((1..4_u128).prop_map(HolderId::new))
}

fn epoch() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0..20_u64, 1 => any::<u64>()]
}

fn answer() -> impl Strategy<Value = LeaseAnswer> {
    let claim = (1..4_u128, any::<u8>()).prop_map(|(id, priority)| Claim {
        holder: HolderId::new(id),
        rank: rank(priority),
    });
    prop_oneof![
        (epoch(), any::<bool>())
            .prop_map(|(epoch, vacated)| LeaseAnswer::Granted { epoch, vacated }),
        (holder(), epoch()).prop_map(|(holder, epoch)| LeaseAnswer::Refused { holder, epoch }),
        Just(LeaseAnswer::Renewed),
        (holder(), epoch()).prop_map(|(holder, epoch)| LeaseAnswer::Lost { holder, epoch }),
        Just(LeaseAnswer::Released),
        Just(LeaseAnswer::ClaimWritten),
        proptest::option::of(claim).prop_map(LeaseAnswer::Claims),
        Just(LeaseAnswer::Failed),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => any::<u8>().prop_map(Input::Request),
        1 => Just(Input::Withdraw),
        2 => Just(Input::AddressesGone),
        2 => Just(Input::Tick),
        6 => Just(Input::ToDeadline),
        1 => Just(Input::Stalled),
        1 => Just(Input::StoreChanged),
        1 => any::<bool>().prop_map(Input::Alone),
        1 => any::<u8>().prop_map(Input::Rank),
        8 => (any::<usize>(), answer()).prop_map(|(job, answer)| Input::Answer(job, answer)),
        16 => Just(Input::Agree),
        1 => Just(Input::LeaveJobs),
    ]
}

/// Steps of time, from none to the end of time, and back.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 0..2000_i64, 2 => -500..0_i64, 1 => 2000..40_000_i64]
}

fn config() -> impl Strategy<Value = LeaseConfig> {
    let policy = prop_oneof![
        Just(WhenUnreachable::FailClosed),
        Just(WhenUnreachable::FailOpen),
        Just(WhenUnreachable::FailOpenIfAlone),
    ];
    (1..=5_u8, policy, any::<bool>(), any::<bool>()).prop_map(|(stores, policy, claims, grace)| {
        let mut config = LeaseConfig::new(ms(3000), ms(200), ms(400))
            .and_then(|config| config.with_stores(stores))
            .unwrap()
            .with_when_unreachable(policy);
        if claims {
            config = config.with_preemption(ms(900)).unwrap();
        }
        if grace {
            config = config.with_grace(ms(700)).unwrap();
        }
        config
    })
}

/// What a store that grants everything says.
fn agreed(lease: &Lease, job: &LeaseJob) -> LeaseAnswer {
    match job.request {
        Request::Acquire { epoch, .. } => LeaseAnswer::Granted {
            epoch: epoch.max(lease.epoch()),
            vacated: true,
        },
        Request::Renew { .. } => LeaseAnswer::Renewed,
        Request::Release { .. } => LeaseAnswer::Released,
        Request::WriteClaim { .. } => LeaseAnswer::ClaimWritten,
        _ => LeaseAnswer::Claims(None),
    }
}

/// What is checked after each input, and what has to be kept in mind for that.
#[derive(Default)]
struct Witness {
    now: Timestamp,
    /// The epoch of the tenure that was published last, and whether it lasts.
    last_epoch: u64,
    is_held: bool,
    was_open: bool,
}

impl Witness {
    fn look(&mut self, lease: &mut Lease) {
        let status = lease.status();
        if let GuardStatus::Held { until, epoch } = status {
            assert!(until > self.now, "held until {until:?} at {:?}", self.now);
            if !lease.is_open() {
                assert_eq!(lease.stop_at(), Some(until));
                let longest = self.now + lease.config().time_to_stop();
                assert!(until <= longest);
                let exclusive = lease.exclusive_until().unwrap();
                assert!(exclusive >= until + ms(600));
                if !self.is_held || self.was_open {
                    assert!(epoch > self.last_epoch, "{epoch} after {}", self.last_epoch);
                } else {
                    assert_eq!(epoch, self.last_epoch);
                }
                self.last_epoch = epoch;
            }
            self.is_held = true;
        } else {
            self.is_held = false;
        }
        self.was_open = lease.is_open();
        let mut told = 0;
        while let Some(event) = lease.poll_event() {
            assert!(told > 0 || !matches!(event, LeaseEvent::Status(other) if other != status));
            told += 1;
            assert!(told < 40);
        }
        if let Some(deadline) = lease.next_deadline() {
            assert!(
                deadline > self.now,
                "{deadline:?} is not after {:?}",
                self.now
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Rule 6, and that nothing panics.
    #[test]
    fn anything_may_happen(
        config in config(),
        inputs in proptest::collection::vec((step(), input()), 0..120),
        start in prop_oneof![9 => Just(60_000_u64), 1 => any::<u64>()],
    ) {
        let mut lease = Lease::new(config, HolderId::new(1));
        let mut time = Duration::from_millis(start);
        let mut sent: Vec<LeaseJob> = Vec::new();
        let mut witness = Witness::default();
        for (step, input) in inputs {
            let magnitude = ms(step.unsigned_abs());
            time = if step < 0 {
                time.saturating_sub(magnitude)
            } else {
                time.saturating_add(magnitude)
            };
            let (mut takes_jobs, mut is_told) = (true, true);
            match input {
                Input::Request(priority) => lease.request(time, rank(priority)),
                Input::Withdraw => lease.withdraw(time),
                Input::AddressesGone => lease.addresses_gone(time),
                Input::Tick => lease.tick(time),
                Input::ToDeadline => {
                    time = lease.next_deadline().unwrap_or(time);
                    lease.tick(time);
                }
                Input::Stalled => lease.stalled(time),
                Input::StoreChanged => lease.store_changed(time),
                Input::Alone(is_alone) => lease.set_alone(time, is_alone),
                Input::Rank(priority) => {
                    lease.set_rank(rank(priority));
                    is_told = false;
                }
                Input::Answer(index, answer) => {
                    let last = sent.len().saturating_sub(1);
                    match sent.get(last.saturating_sub(index % 8)) {
                        Some(job) => lease.answer(time, job.id, answer),
                        None => is_told = false,
                    }
                }
                Input::Agree => {
                    is_told = !sent.is_empty();
                    let first = sent.len().saturating_sub(usize::from(config.stores()));
                    for job in &sent[first..] {
                        let answer = agreed(&lease, job);
                        lease.answer(time, job.id, answer);
                    }
                }
                Input::LeaveJobs => (takes_jobs, is_told) = (false, false),
            }
            // A change of rank tells no time.
            if is_told {
                witness.now = witness.now.max(time);
            }
            witness.look(&mut lease);
            if takes_jobs {
                sent.extend(core::iter::from_fn(|| lease.poll_job()));
            }
        }
    }
}

/// At the end of time nothing is due, and nothing overflows.
#[test]
fn the_end_of_time() {
    let config = LeaseConfig::new(ms(3000), ms(200), ms(400)).unwrap();
    let mut lease = Lease::new(config, HolderId::new(1));
    lease.request(Timestamp::MAX, rank(100));
    let job = lease.poll_job();
    if let Some(job) = job {
        lease.answer(Timestamp::MAX, job.id, crate::rig::granted(u64::MAX));
    }
    lease.tick(Timestamp::MAX);
    lease.withdraw(Timestamp::MAX);
    lease.addresses_gone(Timestamp::MAX);
    assert_eq!(lease.next_deadline(), None);
}
