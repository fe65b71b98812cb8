//! Checks, each of a real server of its own, and what is to become of them.

use core::fmt::Write as _;

/// What is to become of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Passes,
    Fails,
    /// It passes, and its server has this weight, which is not the configured one.
    Weighs(u32),
}

pub(crate) use Verdict::{Fails, Passes, Weighs};

/// The address of a real server, by its place in the file.
pub(crate) fn server(place: usize) -> String {
    format!("127.1.0.{}:80", place + 1)
}

/// A configuration in which each check has a real server of its own.
pub(crate) fn configuration(definitions: &str, checks: &[(Verdict, &str)]) -> String {
    let mut text = format!(
        "{definitions}\nvirtual_server 192.0.2.1 80 {{\n delay_loop 1\n warmup 0\n \
         connect_timeout 8\n lb_algo rr\n lb_kind NAT\n protocol TCP\n"
    );
    for (place, (verdict, check)) in checks.iter().enumerate() {
        let address = server(place).replace(':', " ");
        let alpha = if *verdict == Passes { "alpha" } else { "" };
        let _ = writeln!(text, " real_server {address} {{\n {alpha}\n {check}\n }}");
    }
    text.push_str("}\n");
    text
}
