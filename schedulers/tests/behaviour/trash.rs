//! Removed destinations: how long they are kept, and what comes back with them.

use core::time::Duration;

use lvs_schedulers::{
    Algorithm, Context, Destination, DestinationId, Persistence, Semantics, VirtualService,
};

use crate::support::{self, Run, address, flow};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_kept(run: &Run, id: DestinationId) -> bool {
    run.service.destination(id).is_some()
}

/// Seen with 6.1.176: looks every 60 s from the first removal on; kept for 120 s after the first look
/// that found it idle.
#[test]
fn idle_destination_is_kept_for_two_minutes_after_the_first_look() {
    let mut run = Run::new(Algorithm::Rr, &[1, 1, 1]);
    let [a, b, c] = ['A', 'B', 'C'].map(|name| run.entry(name).id());
    run.remove('A');
    run.service.advance(secs(30));
    run.remove('B');
    run.service.advance(secs(61));
    run.remove('C');
    assert_eq!(run.service.next_due(), Some(secs(120)));
    for (at, kept) in [
        (179, [true, true, true]),
        (180, [false, false, true]),
        (239, [false, false, true]),
        (240, [false, false, false]),
    ] {
        run.service.advance(secs(at));
        assert_eq!([a, b, c].map(|id| is_kept(&run, id)), kept, "{at} s");
    }
    assert_eq!(run.service.next_due(), None);

    // A trash that was empty begins with a minute of its own.
    run.add('A', 1);
    let a = run.entry('A').id();
    run.service.advance(secs(1000));
    run.remove('A');
    run.service.advance(secs(1179));
    assert!(is_kept(&run, a));
    run.service.advance(secs(1180));
    assert!(!is_kept(&run, a));
}

/// One leap of time does what all the looks in it would do.
#[test]
fn time_may_leap() {
    for step in [1, 7, 60, 90, 100_000] {
        let mut run = Run::new(Algorithm::Rr, &[1, 1]);
        let [a, b] = ['A', 'B'].map(|name| run.entry(name).id());
        run.connect();
        run.remove('A');
        run.remove('B');
        let mut now = 0;
        while now < 100_000 {
            now += step;
            run.service.advance(secs(now));
        }
        assert!(!is_kept(&run, a), "{step}");
        assert!(is_kept(&run, b), "{step}: has a connection");
        run.expire_oldest();
        let look = (now / 60 + 1) * 60;
        run.service.advance(secs(look + 119));
        assert!(is_kept(&run, b), "{step}");
        run.service.advance(secs(look + 120));
        assert!(!is_kept(&run, b), "{step}");
    }
    let mut run = Run::new(Algorithm::Rr, &[1]);
    run.connect();
    run.remove('A');
    run.service.advance(Duration::MAX);
    assert_eq!(run.service.now(), Duration::MAX);
}

/// A destination keeps its name as long as it is kept, and gets a new one after that.
#[test]
fn name_comes_back_with_the_destination() {
    let mut run = Run::new(Algorithm::Rr, &[1]);
    let id = run.entry('A').id();
    run.remove('A');
    run.service.advance(secs(179));
    run.add('A', 1);
    assert_eq!(run.entry('A').id(), id);
    run.service.advance(secs(10_000));
    assert_eq!(run.entry('A').id(), id, "listed, so not looked at");
    run.remove('A');
    run.service.advance(secs(20_000));
    run.add('A', 1);
    assert_ne!(run.entry('A').id(), id);
    assert!(run.service.destination(id).is_none());
}

/// A template, honoured or not, keeps its destination; so does a cache.
#[test]
fn templates_and_caches_keep_a_removed_destination() {
    let mut run = Run::new(Algorithm::Rr, &[1]);
    run.service
        .set_persistence(Some(Persistence::new(secs(1000))));
    run.connect();
    run.expire_oldest();
    let a = run.entry('A').id();
    assert_eq!(run.entry('A').templates(), 1);
    run.remove('A');
    run.service.advance(secs(999));
    assert_eq!(run.service.destination(a).map(|it| it.templates()), Some(1));
    // The template goes at 1000; the look at 1020 finds nothing any more.
    run.service.advance(secs(1139));
    assert_eq!(run.service.destination(a).map(|it| it.templates()), Some(0));
    run.service.advance(secs(1140));
    assert!(!is_kept(&run, a));

    // One day is the expiration of the cache, which is looked through every half hour.
    for algorithm in [Algorithm::Lblc, Algorithm::Lblcr] {
        let mut run = Run::new(algorithm, &[1]);
        run.pick();
        let a = run.entry('A').id();
        run.remove('A');
        run.service.advance(secs(86_400));
        assert!(is_kept(&run, a), "{algorithm}");
        run.service.advance(secs(86_400 + 3600));
        assert!(!is_kept(&run, a), "{algorithm}");
    }
}

/// Counts and the overload mark come back; the weight and the last weight are those of the addition.
#[test]
fn counts_and_marks_come_back() {
    for semantics in [Semantics::LINUX_6_1, Semantics::LINUX_7_2] {
        let mut service = VirtualService::new(Algorithm::Rr, semantics);
        let a = Destination::new(address('A'))
            .with_weight(5)
            .with_thresholds(2, 0);
        service.add(a).unwrap();
        let mut context = Context::new(Duration::ZERO);
        let connections = [0; 2].map(|_| service.connect(&flow(), &mut context).unwrap());
        service.close(connections[0]);
        service.remove(a.address()).unwrap();
        let id = service.add(a.with_weight(0)).unwrap();
        let entry = service.destination(id).unwrap();
        assert_eq!((entry.active(), entry.inactive()), (1, 1));
        assert!(entry.is_overloaded());
        assert_eq!((entry.weight(), entry.last_weight()), (0, 0));
        // What was connected is still.
        assert_eq!(
            service.destination_of(connections[1]).map(support::name),
            Some('A')
        );
    }
}

/// Seen with 6.1.176: mh gives no slots to a destination that comes back with weight 0, whatever it
/// weighed before (section 1.2: the last weight is set to the initial one on addition, even if 0).
#[test]
fn destination_that_comes_back_forgets_what_it_weighed() {
    let mut run = Run::new(Algorithm::Mh, &[3]);
    let before = run.service.connect(&flow(), &mut Context::new(secs(0)));
    assert!(before.is_some());
    run.edit('A', 0);
    assert_eq!(run.entry('A').last_weight(), 3, "an edit keeps it");
    run.remove('A');
    run.add('A', 0);
    assert_eq!(run.entry('A').active(), 1, "it is the same destination");
    assert_eq!(run.entry('A').last_weight(), 0);
}
