//! What becomes of a service when servers fail: sorry server, quorum, inhibition, alpha and omega,
//! reload.

use crate::pair::Pair;

/// The sorry server is there while no real server is.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn sorry_server() {
    const SERVICE: &str = "-A -t 192.0.2.8:80 -s rr";
    const ONE: &str = "-a -t 192.0.2.8:80 -r 10.1.0.11:80 -m -w 1";
    const TWO: &str = "-a -t 192.0.2.8:80 -r 10.1.0.12:80 -m -w 1";
    const SORRY: &str = "-a -t 192.0.2.8:80 -r 10.1.0.13:80 -m -w 1";
    let mut pair = Pair::start(
        "
virtual_server 192.0.2.8 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  sorry_server 10.1.0.13 80
  real_server 10.1.0.11 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(&[SERVICE, ONE, TWO]);
    pair.stop_http(0);
    pair.settles(&[SERVICE, TWO]);
    pair.stop_http(1);
    pair.settles(&[SERVICE, SORRY]);
    pair.start_http(0);
    pair.settles(&[SERVICE, ONE]);
    pair.start_http(1);
    pair.settles(&[SERVICE, ONE, TWO]);
    pair.stop();
}

/// Lost below quorum less hysteresis, gained at quorum and hysteresis; the scripts are told once each.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn quorum_with_hysteresis() {
    const SERVICE: &str = "-A -t 192.0.2.9:80 -s rr";
    const SORRY: &str = "-a -t 192.0.2.9:80 -r 10.1.0.99:80 -m -w 1";
    const SERVERS: [&str; 3] = [
        "-a -t 192.0.2.9:80 -r 10.1.0.11:80 -m -w 1",
        "-a -t 192.0.2.9:80 -r 10.1.0.12:80 -m -w 1",
        "-a -t 192.0.2.9:80 -r 10.1.0.13:80 -m -w 1",
    ];
    const TOLD: [&str; 9] = [
        "VS [192.0.2.9]:tcp:80 UP",
        "RS [10.1.0.11]:tcp:80 [192.0.2.9]:tcp:80 DOWN",
        "RS [10.1.0.12]:tcp:80 [192.0.2.9]:tcp:80 DOWN",
        "RS [10.1.0.13]:tcp:80 [192.0.2.9]:tcp:80 DOWN",
        "VS [192.0.2.9]:tcp:80 DOWN",
        "RS [10.1.0.11]:tcp:80 [192.0.2.9]:tcp:80 UP",
        "RS [10.1.0.12]:tcp:80 [192.0.2.9]:tcp:80 UP",
        "RS [10.1.0.13]:tcp:80 [192.0.2.9]:tcp:80 UP",
        "VS [192.0.2.9]:tcp:80 UP",
    ];
    let [one, two, three] = SERVERS;
    let mut pair = Pair::start(
        "
global_defs {
  script_user root
  lvs_notify_fifo @DIR@/services
}
virtual_server 192.0.2.9 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  quorum 2
  hysteresis 1
  quorum_up \"@DIR@/log quorum up\"
  quorum_down \"@DIR@/log quorum down\"
  sorry_server 10.1.0.99 80
  real_server 10.1.0.11 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.13 80 { TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(&[SERVICE, one, two, three]);
    pair.stop_http(0);
    pair.settles(&[SERVICE, two, three]);
    // One is 2 − 1: not below.
    pair.stop_http(1);
    pair.stays(&[SERVICE, three]);
    pair.stop_http(2);
    pair.settles(&[SERVICE, SORRY]);
    pair.file_settles("log.quorum", &["up", "down"]);
    pair.told(&[SERVICE, SORRY], &TOLD[..5]);
    // Two are not 2 + 1.
    pair.start_http(0);
    pair.told(&[SERVICE, SORRY], &TOLD[..6]);
    pair.start_http(1);
    pair.told(&[SERVICE, SORRY], &TOLD[..7]);
    pair.stays(&[SERVICE, SORRY]);
    pair.start_http(2);
    pair.settles(&[SERVICE, one, two, three]);
    pair.file_settles("log.quorum", &["up", "down", "up"]);
    pair.told(&[SERVICE, one, two, three], &TOLD);
    pair.stop();
}

/// A failed server stays with weight 0.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn inhibit_on_failure() {
    const FULL: &[&str] = &[
        "-A -t 192.0.2.10:80 -s wrr",
        "-a -t 192.0.2.10:80 -r 10.1.0.11:80 -m -w 4",
        "-a -t 192.0.2.10:80 -r 10.1.0.12:80 -m -w 6",
    ];
    let mut pair = Pair::start(
        "
virtual_server 192.0.2.10 80 {
  delay_loop 1
  lb_algo wrr
  lb_kind NAT
  protocol TCP
  real_server 10.1.0.11 80 { weight 4
    inhibit_on_failure
    TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { weight 6
    TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(FULL);
    pair.stop_http(0);
    let inhibited = "-a -t 192.0.2.10:80 -r 10.1.0.11:80 -m -w 0";
    pair.settles(&[FULL[0], inhibited, FULL[2]]);
    pair.stop_http(1);
    pair.settles(&[FULL[0], inhibited]);
    pair.start_http(0);
    pair.settles(&FULL[..2]);
    pair.start_http(1);
    pair.settles(FULL);
    pair.stop();
}

/// `alpha`: a server is not there before its first success; `omega`: at the end, scripts are told.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn alpha_and_omega() {
    const SERVICE: &str = "-A -t 192.0.2.11:80 -s rr";
    const FULL: &[&str] = &[SERVICE, "-a -t 192.0.2.11:80 -r 10.1.0.11:80 -m -w 1"];
    const DOWN: &str = "RS [10.1.0.11]:tcp:80 [192.0.2.11]:tcp:80 DOWN";
    const UP: &str = "RS [10.1.0.11]:tcp:80 [192.0.2.11]:tcp:80 UP";
    const QUORUM_UP: &str = "VS [192.0.2.11]:tcp:80 UP";
    const QUORUM_DOWN: &str = "VS [192.0.2.11]:tcp:80 DOWN";
    let mut pair = Pair::prepared(
        "
global_defs {
  script_user root
  lvs_notify_fifo @DIR@/services
}
virtual_server 192.0.2.11 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  alpha
  omega
  quorum_up \"@DIR@/log quorum up\"
  quorum_down \"@DIR@/log quorum down\"
  real_server 10.1.0.11 80 {
    notify_up \"@DIR@/log server up\"
    notify_down \"@DIR@/log server down\"
    TCP_CHECK { connect_timeout 1 } }
}
",
        |pair| pair.stop_http(0),
    );
    pair.stays(&[SERVICE]);
    pair.file_settles("log.server", &["down"]);
    pair.start_http(0);
    pair.settles(FULL);
    pair.file_settles("log.server", &["down", "up"]);
    pair.file_settles("log.quorum", &["up"]);
    pair.told(FULL, &[DOWN, UP, QUORUM_UP]);
    let left = pair.stop();
    left.file_settles("log.server", &["down", "up", "down"]);
    left.file_settles("log.quorum", &["up", "down"]);
    left.told(&[], &[DOWN, UP, QUORUM_UP, DOWN, QUORUM_DOWN]);
}

/// Services and servers that are added, changed and removed while it runs.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn reload() {
    fn service(number: u8, algorithm: &str, servers: &[(u8, u32)]) -> String {
        let servers: String = servers
            .iter()
            .map(|(last, weight)| {
                format!(
                    "real_server 10.1.0.{last} 80 {{ weight {weight}\n \
                     TCP_CHECK {{ connect_timeout 1 }} }}\n"
                )
            })
            .collect();
        format!(
            "virtual_server 192.0.2.{number} 80 {{\n delay_loop 1\n lb_algo {algorithm}\n \
             lb_kind NAT\n protocol TCP\n{servers}}}\n"
        )
    }
    let first = service(20, "rr", &[(11, 1), (12, 1)]) + &service(21, "rr", &[(13, 1)]);
    let mut pair = Pair::start(&first);
    pair.settles(&[
        "-A -t 192.0.2.20:80 -s rr",
        "-a -t 192.0.2.20:80 -r 10.1.0.11:80 -m -w 1",
        "-a -t 192.0.2.20:80 -r 10.1.0.12:80 -m -w 1",
        "-A -t 192.0.2.21:80 -s rr",
        "-a -t 192.0.2.21:80 -r 10.1.0.13:80 -m -w 1",
    ]);
    // One server is down across all that follows.
    pair.stop_http(1);
    pair.settles(&[
        "-A -t 192.0.2.20:80 -s rr",
        "-a -t 192.0.2.20:80 -r 10.1.0.11:80 -m -w 1",
        "-A -t 192.0.2.21:80 -s rr",
        "-a -t 192.0.2.21:80 -r 10.1.0.13:80 -m -w 1",
    ]);
    // A server more with another weight, a weight changed, a service more.
    let second = service(20, "rr", &[(11, 5), (12, 1), (13, 7)])
        + &service(21, "rr", &[(13, 1)])
        + &service(22, "wlc", &[(11, 1)]);
    pair.reload(&second);
    pair.settles(&[
        "-A -t 192.0.2.20:80 -s rr",
        "-a -t 192.0.2.20:80 -r 10.1.0.11:80 -m -w 5",
        "-a -t 192.0.2.20:80 -r 10.1.0.13:80 -m -w 7",
        "-A -t 192.0.2.21:80 -s rr",
        "-a -t 192.0.2.21:80 -r 10.1.0.13:80 -m -w 1",
        "-A -t 192.0.2.22:80 -s wlc",
        "-a -t 192.0.2.22:80 -r 10.1.0.11:80 -m -w 1",
    ]);
    // A server less, a service less.
    let third = service(20, "rr", &[(12, 1), (13, 7)]) + &service(22, "wlc", &[(11, 1)]);
    pair.reload(&third);
    pair.settles(&[
        "-A -t 192.0.2.20:80 -s rr",
        "-a -t 192.0.2.20:80 -r 10.1.0.13:80 -m -w 7",
        "-A -t 192.0.2.22:80 -s wlc",
        "-a -t 192.0.2.22:80 -r 10.1.0.11:80 -m -w 1",
    ]);
    pair.start_http(1);
    pair.settles(&[
        "-A -t 192.0.2.20:80 -s rr",
        "-a -t 192.0.2.20:80 -r 10.1.0.12:80 -m -w 1",
        "-a -t 192.0.2.20:80 -r 10.1.0.13:80 -m -w 7",
        "-A -t 192.0.2.22:80 -s wlc",
        "-a -t 192.0.2.22:80 -r 10.1.0.11:80 -m -w 1",
    ]);
    pair.stop();
}
