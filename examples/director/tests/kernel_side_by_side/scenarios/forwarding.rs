//! Every way of forwarding, with a server that leaves and returns.

use crate::pair::Pair;

/// NAT and `rr`: the plainest service there is.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn nat_rr() {
    const FULL: &[&str] = &[
        "-A -t 192.0.2.1:80 -s rr",
        "-a -t 192.0.2.1:80 -r 10.1.0.11:80 -m -w 1",
        "-a -t 192.0.2.1:80 -r 10.1.0.12:80 -m -w 1",
        "-a -t 192.0.2.1:80 -r 10.1.0.13:80 -m -w 1",
    ];
    let mut pair = Pair::start(
        "
virtual_server 192.0.2.1 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.1.0.11 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.13 80 { TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(FULL);
    pair.stop_http(1);
    pair.settles(&[FULL[0], FULL[1], FULL[3]]);
    pair.stop_http(0);
    pair.settles(&[FULL[0], FULL[3]]);
    pair.start_http(1);
    pair.settles(&[FULL[0], FULL[2], FULL[3]]);
    pair.start_http(0);
    pair.settles(FULL);
    pair.stop();
}

/// Direct routing and `wrr`, with a weight of 0 and retries.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn dr_wrr() {
    const FULL: &[&str] = &[
        "-A -t 192.0.2.2:80 -s wrr",
        "-a -t 192.0.2.2:80 -r 10.1.0.11:80 -g -w 5",
        "-a -t 192.0.2.2:80 -r 10.1.0.12:80 -g -w 0",
        "-a -t 192.0.2.2:80 -r 10.1.0.13:80 -g -w 70",
    ];
    let mut pair = Pair::start(
        "
virtual_server 192.0.2.2 80 {
  delay_loop 1
  lb_algo wrr
  lb_kind DR
  protocol TCP
  retry 2
  delay_before_retry 1
  real_server 10.1.0.11 80 { weight 5
    TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { weight 0
    TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.13 80 { weight 70
    TCP_CHECK { connect_timeout 1
      retry 0 } }
}
",
    );
    pair.settles(FULL);
    pair.stop_http(2);
    pair.settles(&FULL[..3]);
    pair.stop_http(0);
    pair.settles(&[FULL[0], FULL[2]]);
    pair.start_http(2);
    pair.start_http(0);
    pair.settles(FULL);
    pair.stop();
}

/// Tunnels and `wlc`, with persistence and its netmask.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn tun_wlc_with_persistence() {
    const FULL: &[&str] = &[
        "-A -t 192.0.2.3:80 -s wlc -p 50 -M 255.255.255.0",
        "-a -t 192.0.2.3:80 -r 10.1.0.11:80 -i -w 2 --tun-type ipip",
        "-a -t 192.0.2.3:80 -r 10.1.0.12:80 -i -w 3 --tun-type ipip",
    ];
    let mut pair = Pair::start(
        "
virtual_server 192.0.2.3 80 {
  delay_loop 1
  lb_algo wlc
  lb_kind TUN
  persistence_timeout 50
  persistence_granularity 255.255.255.0
  protocol TCP
  real_server 10.1.0.11 80 { weight 2
    TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { weight 3
    TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(FULL);
    pair.stop_http(0);
    pair.settles(&[FULL[0], FULL[2]]);
    pair.start_http(0);
    pair.settles(FULL);
    pair.stop();
}

/// A service chosen by firewall mark, and one of a group that has both.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn fwmark() {
    const FULL: &[&str] = &[
        "-A -t 192.0.2.4:80 -s rr",
        "-a -t 192.0.2.4:80 -r 10.1.0.13:80 -g -w 1",
        "-A -f 3 -s rr",
        "-a -f 3 -r 10.1.0.11:0 -g -w 1",
        "-a -f 3 -r 10.1.0.12:0 -g -w 1",
        "-A -f 4 -s rr",
        "-a -f 4 -r 10.1.0.13:0 -g -w 1",
    ];
    let mut pair = Pair::start(
        "
virtual_server_group BOTH {
  fwmark 4
  192.0.2.4 80
}
virtual_server fwmark 3 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
  real_server 10.1.0.11 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 80 { TCP_CHECK { connect_timeout 1 } }
}
virtual_server group BOTH {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
  real_server 10.1.0.13 80 { TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(FULL);
    pair.stop_http(0);
    pair.settles(&[&FULL[..3], &FULL[4..]].concat());
    pair.stop_http(2);
    pair.settles(&[FULL[0], FULL[2], FULL[4], FULL[5]]);
    pair.start_http(0);
    pair.start_http(2);
    pair.settles(FULL);
    pair.stop();
}

/// IPv6, and IPv4 servers behind an IPv6 address by tunnels.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn ipv6() {
    const FULL: &[&str] = &[
        "-A -t [2001:db8::1]:80 -s wrr",
        "-a -t [2001:db8::1]:80 -r [2001:db8:1::11]:80 -g -w 1",
        "-a -t [2001:db8::1]:80 -r [2001:db8:1::12]:80 -g -w 2",
        "-A -t [2001:db8::2]:80 -s rr",
        "-a -t [2001:db8::2]:80 -r 10.1.0.13:80 -i -w 1 --tun-type ipip",
    ];
    let mut pair = Pair::start(
        "
virtual_server 2001:db8::1 80 {
  delay_loop 1
  lb_algo wrr
  lb_kind DR
  protocol TCP
  real_server 2001:db8:1::11 80 { TCP_CHECK { connect_timeout 1 } }
  real_server 2001:db8:1::12 80 { weight 2
    TCP_CHECK { connect_timeout 1 } }
}
virtual_server 2001:db8::2 80 {
  delay_loop 1
  lb_algo rr
  lb_kind TUN
  protocol TCP
  real_server 10.1.0.13 80 { TCP_CHECK { connect_timeout 1 } }
}
",
    );
    pair.settles(FULL);
    pair.stop_http(1);
    pair.settles(&[FULL[0], FULL[1], FULL[3], FULL[4]]);
    pair.stop_http(2);
    pair.settles(&[FULL[0], FULL[1], FULL[3]]);
    pair.start_http(1);
    pair.start_http(2);
    pair.settles(FULL);
    pair.stop();
}
