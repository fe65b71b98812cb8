//! Virtual routers beside services.

use crate::pair::Pair;

/// Two routers of a group follow a script: both leave, both return; the service is nobody's business.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn sync_group_with_track_script() {
    const TABLE: &[&str] = &[
        "-A -t 192.0.2.30:80 -s rr",
        "-a -t 192.0.2.30:80 -r 10.1.0.11:80 -m -w 1",
    ];
    let pair = Pair::prepared(
        "
global_defs {
  script_user root
  vrrp_notify_fifo @DIR@/routers
}
vrrp_script WELL {
  script \"@DIR@/check router\"
  interval 1
  rise 1
  fall 1
}
vrrp_sync_group GROUP {
  group {
    ONE
    TWO
  }
}
vrrp_instance ONE {
  state BACKUP
  interface eth0
  virtual_router_id 31
  priority 100
  advert_int 0.3
  version 3
  track_script { WELL }
  virtual_ipaddress { 192.0.2.30/32 }
}
vrrp_instance TWO {
  state BACKUP
  interface eth0
  virtual_router_id 32
  priority 100
  advert_int 0.3
  version 3
  virtual_ipaddress { 192.0.2.31/32 }
}
virtual_server 192.0.2.30 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.1.0.11 80 { TCP_CHECK { connect_timeout 1 } }
}
",
        |pair| pair.set_exit_code("router", 0),
    );
    let both = |state: &str| {
        let names = ["GROUP \"GROUP\"", "INSTANCE \"ONE\"", "INSTANCE \"TWO\""];
        names.map(|name| format!("{name} {state}"))
    };
    let settles = |state| {
        let states = both(state);
        pair.settles_with(TABLE, &states.each_ref().map(String::as_str));
    };
    settles("MASTER");
    pair.set_exit_code("router", 1);
    settles("FAULT");
    pair.set_exit_code("router", 0);
    settles("MASTER");
    pair.stop();
}
