//! Benches of the workspace, one file for each subject: `cargo bench -p benches --bench NAME`.
//!
//! Each prints times, and a floor or a peer in the same run; figures belong to the machine they
//! were taken on.

use core::fmt::Write as _;

/// A keepalived.conf of 100 virtual servers with 100 real servers each, every one with a check.
#[must_use]
pub fn ten_thousand_real_servers() -> String {
    let mut text = String::new();
    for service in 1..=100 {
        let _ = writeln!(
            text,
            "virtual_server 192.0.2.{service} 80 {{\n  delay_loop 3\n  lb_algo wrr\n  \
             lb_kind NAT\n  protocol TCP"
        );
        for server in 1..=100 {
            let _ = writeln!(
                text,
                "  real_server 10.0.{service}.{server} 80 {{\n    weight {server}\n    \
                 TCP_CHECK {{ connect_timeout 3 }}\n  }}"
            );
        }
        text.push_str("}\n");
    }
    text
}
