//! `DNS_CHECK` with Unbound, and `UDP_CHECK` with it.

use std::fs;
use std::process::Command;

use crate::judge::judge;
use crate::server::{Server, folder, free_port};
use crate::table::{Fails, Passes};

fn unbound() -> Server {
    let (folder, port) = (folder(), free_port());
    let configuration = format!(
        "server:\n  directory: \"{}\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  \
         use-syslog: no\n  logfile: \"\"\n  interface: 127.0.0.1@{port}\n  do-ip6: no\n  \
         access-control: 127.0.0.0/8 allow\n  module-config: \"iterator\"\n  \
         local-zone: \"test.\" static\n  local-zone: \"refused.test.\" refuse\n  \
         local-data: \"test. SOA ns.test. host.test. 7 1 1 1 1\"\n  \
         local-data: \"www.test. A 192.0.2.80\"\n\
         remote-control:\n  control-enable: no\n",
        folder.path().display()
    );
    fs::write(folder.path().join("conf"), configuration).unwrap();
    let mut command = Command::new("unbound");
    command
        .args(["-d", "-p", "-c"])
        .arg(folder.path().join("conf"));
    Server::start(folder, port, &mut command)
}

pub(crate) fn name_servers_answer_without_an_error_or_fail() {
    let server = unbound();
    let ask = |lines: &str| {
        let port = server.port();
        format!("DNS_CHECK {{\nconnect_ip 127.0.0.1\nconnect_port {port}\nretry 0\n{lines}\n}}")
    };
    let checks = [
        (Passes, ask("name test")),
        (Passes, ask("name www.test\ntype A")),
        // There is the name, but nothing of this type.
        (Passes, ask("name www.test\ntype AAAA")),
        (Fails, ask("name no.test\ntype A")),
        (Fails, ask("name refused.test\ntype A")),
        (
            Fails,
            "DNS_CHECK {\nconnect_ip 127.0.0.1\nconnect_port 1\nretry 0\n}".to_owned(),
        ),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
}

/// A question for the address of `www.test`, and what must come back: its identifier and an answer.
pub(crate) fn replies_to_a_datagram_are_compared_half_byte_by_half_byte() {
    let server = unbound();
    let ask = |lines: &str| {
        let port = server.port();
        format!(
            "UDP_CHECK {{\nconnect_ip 127.0.0.1\nconnect_port {port}\n\
             payload 1234 0100 0001 0000 0000 0000 03777777 0474657374 00 0001 0001\n{lines}\n}}"
        )
    };
    let checks = [
        (Passes, ask("")),
        (Passes, ask("require_reply")),
        // QR is set, the code is 0, one question and one answer.
        (Passes, ask("require_reply 1234 8XX0 0001 0001")),
        (Fails, ask("require_reply 1234 8XX0 0001 0002")),
        (
            Passes,
            ask("require_reply 1234\nmin_reply_length 42\nmax_reply_length 42"),
        ),
        (Fails, ask("require_reply 1234\nmin_reply_length 43")),
        // Nothing is compared, so that the length does not count.
        (Passes, ask("require_reply\nmin_reply_length 43")),
        (Passes, ask("min_reply_length 43")),
        (Fails, ask("require_reply 1234\nmax_reply_length 41")),
        // Nobody is there, which the kernel says.
        (
            Fails,
            "UDP_CHECK {\nconnect_ip 127.0.0.1\nconnect_port 1\n}".to_owned(),
        ),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
}
