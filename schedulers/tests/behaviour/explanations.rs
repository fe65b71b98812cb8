//! The accounts of picks, word for word: what was looked at in which order, and what came of it.

use core::time::Duration;

use lvs_schedulers::{Algorithm, Context, Destination, Explanation, Semantics, VirtualService};

use crate::support::{flow, udp};

/// A with weight 1, B with 3, C with 2, D with 9 but overloaded, E quiesced; connections as counted.
fn service(algorithm: Algorithm, connections: &[(u8, u32)]) -> VirtualService {
    let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
    let server =
        |host: u8, weight| Destination::new(([10, 2, 1, host], 80).into()).with_weight(weight);
    for (host, weight) in [(1, 1), (2, 3), (3, 2), (4, 0), (5, 0)] {
        service.add(server(host, weight)).unwrap();
    }
    let mut context = Context::new(Duration::ZERO);
    for &(host, count) in [(4, 1)].iter().chain(connections) {
        // Only this one can be picked.
        for (other, weight) in [(1, 1), (2, 3), (3, 2), (4, 9)] {
            let weight = if other == host { weight } else { 0 };
            service.edit(server(other, weight)).unwrap();
        }
        for _ in 0..count {
            service.connect(&flow(), &mut context).unwrap();
        }
    }
    for (host, weight) in [(1, 1), (2, 3), (3, 2)] {
        service.edit(server(host, weight)).unwrap();
    }
    let limited = server(4, 9).with_thresholds(1, 0);
    service.edit(limited).unwrap();
    // The mark is set by the connection that reaches the limit.
    service.set_scheduler(Algorithm::Fo.scheduler(Semantics::LINUX_6_1));
    service.connect(&udp(), &mut context).unwrap();
    service.set_scheduler(algorithm.scheduler(Semantics::LINUX_6_1));
    service
}

fn explain(service: &mut VirtualService) -> String {
    let (mut why, mut draws) = (Explanation::new(), [2, 6].into_iter());
    let mut draw = |_| draws.next().unwrap();
    let context = Context::new(Duration::ZERO).with_draw(&mut draw);
    service.schedule(&flow(), &mut context.with_trace(&mut why));
    why.to_string()
}

fn account(algorithm: Algorithm, connections: &[(u8, u32)]) -> String {
    explain(&mut service(algorithm, connections))
}

const BUSY: [(u8, u32); 3] = [(1, 2), (2, 5), (3, 1)];

#[test]
fn rotation_names_whom_it_passes_over() {
    assert_eq!(
        account(Algorithm::Rr, &[]),
        "\
rr picks 10.2.1.3:80
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, 0 active, 0 inactive, taken
"
    );
}

#[test]
fn wrr_tells_its_passes() {
    let mut service = service(Algorithm::Wrr, &[]);
    assert_eq!(
        explain(&mut service),
        "\
wrr picks 10.2.1.2:80
  pass: weight 9 or more (from 9 down by 1)
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, below the current weight
  10.2.1.2:80: weight 3, below the current weight
  10.2.1.1:80: weight 1, below the current weight
  pass: weight 3 or more (from 9 down by 1)
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, below the current weight
  10.2.1.2:80: weight 3, 0 active, 0 inactive, taken
"
    );
    assert_eq!(
        explain(&mut service),
        "\
wrr picks 10.2.1.3:80
  pass: weight 3 or more (from 9 down by 1)
  10.2.1.1:80: weight 1, below the current weight
  pass: weight 2 or more (from 9 down by 1)
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, 0 active, 0 inactive, taken
"
    );
}

#[test]
fn comparison_gives_the_cost_of_each() {
    assert_eq!(
        account(Algorithm::Wlc, &BUSY),
        "\
wlc picks 10.2.1.3:80
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, 1 active, 0 inactive, cost 256, best so far
  10.2.1.2:80: weight 3, 5 active, 0 inactive, cost 1280, not better
  10.2.1.1:80: weight 1, 2 active, 0 inactive, cost 512, not better
"
    );
}

#[test]
fn nq_looks_no_further_than_the_first_idle_one() {
    assert_eq!(
        account(Algorithm::Nq, &[(3, 1)]),
        "\
nq picks 10.2.1.2:80
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, 1 active, 0 inactive, cost 2, best so far
  10.2.1.2:80: weight 3, 0 active, 0 inactive, cost 0, taken
"
    );
}

#[test]
fn ovf_says_who_is_full() {
    assert_eq!(
        account(Algorithm::Ovf, &BUSY),
        "\
ovf picks 10.2.1.3:80
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  10.2.1.3:80: weight 2, 1 active, 0 inactive, best so far
  10.2.1.2:80: full, weight 3 and 5 active
  10.2.1.1:80: full, weight 1 and 2 active
"
    );
}

#[test]
fn twos_tells_its_draws() {
    assert_eq!(
        account(Algorithm::Twos, &BUSY),
        "\
twos picks 10.2.1.3:80
  10.2.1.5:80: left out, weight 0
  10.2.1.4:80: left out, overloaded
  draws 2 and 6 of 0 to 6
  10.2.1.3:80: weight 2, 1 active, 0 inactive, cost 256, drawn first
  10.2.1.2:80: weight 3, 5 active, 0 inactive, cost 1280, not drawn
  10.2.1.1:80: weight 1, 2 active, 0 inactive, cost 512, drawn second
  10.2.1.3:80 stays, no more loaded for its weight than 10.2.1.1:80
"
    );
}
