//! Checks that look at answers.

use crate::pair::Pair;

/// UDP, judged by DNS_CHECK: a server that does not answer well leaves.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn udp_with_dns_check() {
    const FULL: &[&str] = &[
        "-A -u 192.0.2.5:53 -s rr",
        "-a -u 192.0.2.5:53 -r 10.1.0.11:53 -m -w 1",
        "-a -u 192.0.2.5:53 -r 10.1.0.12:53 -m -w 1",
    ];
    let pair = Pair::start(
        "
virtual_server 192.0.2.5 53 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol UDP
  real_server 10.1.0.11 53 {
    DNS_CHECK { type A
      name www.example.org
      connect_timeout 1
      retry 1
      delay_before_retry 1 } }
  real_server 10.1.0.12 53 {
    DNS_CHECK { type A
      name www.example.org
      connect_timeout 1
      retry 1
      delay_before_retry 1 } }
}
",
    );
    pair.settles(FULL);
    pair.set_name_server(0, false);
    pair.settles(&[FULL[0], FULL[2]]);
    pair.set_name_server(0, true);
    pair.settles(FULL);
    pair.stop();
}

/// HTTP_GET by digest and by status, each of two servers by another.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn http_get_digest_and_status() {
    const FULL: &[&str] = &[
        "-A -t 192.0.2.6:80 -s rr",
        "-a -t 192.0.2.6:80 -r 10.1.0.11:80 -m -w 1",
        "-a -t 192.0.2.6:80 -r 10.1.0.12:80 -m -w 1",
    ];
    // The digest is that of "well".
    let pair = Pair::start(
        "
virtual_server 192.0.2.6 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.1.0.11 80 {
    HTTP_GET {
      url { path /health
            digest f9323f5b51fc23e30c10623bd38de6ff }
      connect_timeout 1
      retry 1
      delay_before_retry 1 } }
  real_server 10.1.0.12 80 {
    HTTP_GET {
      url { path /health
            status_code 200 }
      connect_timeout 1
      retry 1
      delay_before_retry 1 } }
}
",
    );
    pair.settles(FULL);
    pair.answer(0, 200, "unwell");
    pair.settles(&[FULL[0], FULL[2]]);
    pair.answer(1, 503, "well");
    pair.settles(&FULL[..1]);
    // Another status with the same body is as good for a digest.
    pair.answer(0, 200, "well");
    pair.settles(&FULL[..2]);
    pair.answer(1, 200, "unwell");
    pair.settles(FULL);
    pair.stop();
}

/// MISC_CHECK with `misc_dynamic`: exit codes 2 to 255 are weights 0 to 253, 1 is a failure, 0 leaves
/// the weight that is configured.
///
/// The scripts have plenty of time: once one has run out of it, keepalived 2.2.7 is off by some in all
/// weights that follow (after 5 and a timeout it makes 248 of exit code 255).
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn misc_dynamic_weights() {
    const SERVICE: &str = "-A -t 192.0.2.7:80 -s wrr";
    let table = |first: Option<u32>, second: Option<u32>| {
        let servers = [(11, first), (12, second)];
        let servers = servers.into_iter().filter_map(|(last, weight)| {
            let weight = weight?;
            Some(format!(
                "-a -t 192.0.2.7:80 -r 10.1.0.{last}:80 -m -w {weight}"
            ))
        });
        [vec![SERVICE.to_owned()], servers.collect()].concat()
    };
    let settles = |pair: &Pair, first, second| {
        let table = table(first, second);
        let lines: Vec<&str> = table.iter().map(String::as_str).collect();
        pair.settles(&lines);
    };
    let pair = Pair::prepared(
        "
global_defs { script_user root }
virtual_server 192.0.2.7 80 {
  delay_loop 1
  lb_algo wrr
  lb_kind NAT
  protocol TCP
  real_server 10.1.0.11 80 { weight 10
    MISC_CHECK { misc_path \"@DIR@/check one\"
      misc_timeout 20
      misc_dynamic } }
  real_server 10.1.0.12 80 { weight 10
    MISC_CHECK { misc_path \"@DIR@/check two\"
      misc_timeout 20 } }
}
",
        |pair| {
            pair.set_exit_code("one", 0);
            pair.set_exit_code("two", 0);
        },
    );
    settles(&pair, Some(10), Some(10));
    pair.set_exit_code("one", 7);
    settles(&pair, Some(5), Some(10));
    pair.set_exit_code("one", 2);
    // Not dynamic: anything but 0 is a failure.
    pair.set_exit_code("two", 2);
    settles(&pair, Some(0), None);
    pair.set_exit_code("one", 255);
    settles(&pair, Some(253), None);
    pair.set_exit_code("one", 1);
    settles(&pair, None, None);
    pair.set_exit_code("one", 0);
    pair.set_exit_code("two", 0);
    settles(&pair, Some(10), Some(10));
    pair.stop();
}

/// One service whose servers are each judged by another kind of check, with all that a service can
/// have around them: quorum, sorry server, scripts.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn nat_with_every_kind_of_check() {
    const SERVICE: &str = "-A -t 192.0.2.12:80 -s wrr";
    const SORRY: &str = "-a -t 192.0.2.12:80 -r 10.1.0.99:80 -m -w 1";
    const HTTP: &str = "-a -t 192.0.2.12:80 -r 10.1.0.11:80 -m -w 1";
    const TLS: &str = "-a -t 192.0.2.12:80 -r 10.1.0.11:443 -m -w 2";
    const TCP: &str = "-a -t 192.0.2.12:80 -r 10.1.0.12:80 -m -w 3";
    const MAIL: &str = "-a -t 192.0.2.12:80 -r 10.1.0.12:25 -m -w 4";
    const NAMES: &str = "-a -t 192.0.2.12:80 -r 10.1.0.13:80 -m -w 5";
    // In the order of ipvsadm: by address and port.
    const FULL: &[&str] = &[SERVICE, HTTP, TLS, MAIL, TCP, NAMES];
    let mut pair = Pair::prepared(
        "
global_defs { script_user root }
virtual_server 192.0.2.12 80 {
  delay_loop 1
  lb_algo wrr
  lb_kind NAT
  protocol TCP
  retry 1
  delay_before_retry 1
  quorum 5
  quorum_up \"@DIR@/log quorum up\"
  quorum_down \"@DIR@/log quorum down\"
  sorry_server 10.1.0.99 80
  real_server 10.1.0.11 80 {
    weight 1
    notify_up \"@DIR@/log http up\"
    notify_down \"@DIR@/log http down\"
    HTTP_GET { connect_timeout 1
      url { path /
            status_code 200 } } }
  real_server 10.1.0.11 443 {
    weight 2
    notify_up \"@DIR@/log tls up\"
    notify_down \"@DIR@/log tls down\"
    SSL_GET { connect_timeout 5
      url { path /
            status_code 200 } } }
  real_server 10.1.0.12 80 {
    weight 3
    notify_up \"@DIR@/log tcp up\"
    notify_down \"@DIR@/log tcp down\"
    TCP_CHECK { connect_timeout 1 } }
  real_server 10.1.0.12 25 {
    weight 4
    notify_up \"@DIR@/log mail up\"
    notify_down \"@DIR@/log mail down\"
    SMTP_CHECK { connect_timeout 5
      helo_name director.example } }
  real_server 10.1.0.13 80 {
    weight 5
    notify_up \"@DIR@/log names up\"
    notify_down \"@DIR@/log names down\"
    DNS_CHECK { connect_port 53
      connect_timeout 1
      type A
      name www.example.org } }
}
",
        |pair| {
            pair.set_tls(true);
            pair.set_mail(true);
        },
    );
    pair.settles(FULL);
    pair.answer(0, 500, "well");
    pair.settles(&[SERVICE, TLS, MAIL, TCP, NAMES]);
    pair.set_mail(false);
    pair.settles(&[SERVICE, TLS, TCP, NAMES]);
    pair.set_name_server(2, false);
    pair.settles(&[SERVICE, TLS, TCP]);
    // 3 are less than 5.
    pair.set_tls(false);
    pair.settles(&[SERVICE, SORRY]);
    pair.stop_http(1);
    pair.file_settles("log.tcp", &["down"]);
    pair.set_mail(true);
    pair.file_settles("log.mail", &["down", "up"]);
    pair.stays(&[SERVICE, SORRY]);
    pair.set_name_server(2, true);
    pair.settles(&[SERVICE, MAIL, NAMES]);
    pair.answer(0, 200, "well");
    pair.set_tls(true);
    pair.start_http(1);
    pair.settles(FULL);
    pair.file_settles("log.quorum", &["up", "down", "up"]);
    for server in ["http", "tls", "tcp", "mail", "names"] {
        pair.file_settles(&format!("log.{server}"), &["down", "up"]);
    }
    pair.stop();
}
