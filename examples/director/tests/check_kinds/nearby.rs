//! `TCP_CHECK`, `UDP_CHECK` and `MISC_CHECK` with nobody's help.

use core::time::Duration;
use std::net::{TcpListener, UdpSocket};

use crate::judge::judge;
use crate::table::{Fails, Passes};

pub(crate) fn connections_are_accepted_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let there = format!("connect_ip 127.0.0.1\nconnect_port {port}");
    let checks = [
        (Passes, format!("TCP_CHECK {{\n{there}\n}}")),
        (
            Passes,
            format!("TCP_CHECK {{\n{there}\nbindto 127.0.0.9\n}}"),
        ),
        (
            Fails,
            "TCP_CHECK {\nconnect_ip 127.0.0.1\nconnect_port 1\n}".to_owned(),
        ),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
    // Where from, it can see.
    let from: Vec<_> = core::iter::repeat_with(|| listener.accept().unwrap().1.ip().to_string())
        .take(2)
        .collect();
    assert!(from.contains(&"127.0.0.9".to_owned()), "{from:?}");
}

/// A datagram that is not answered passes unless an answer is required.
pub(crate) fn silence_passes_unless_an_answer_is_required() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let there = format!("connect_ip 127.0.0.1\nconnect_port {port}\nconnect_timeout 0.5");
    let checks = [
        (Passes, format!("UDP_CHECK {{\n{there}\npayload 616263\n}}")),
        (Fails, format!("UDP_CHECK {{\n{there}\nrequire_reply\n}}")),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
    let mut said = [0; 64];
    silent
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut heard = core::iter::from_fn(|| {
        let length = silent.recv(&mut said).ok()?;
        Some(said.get(..length)? == b"abc")
    });
    assert!(heard.any(|is_ours| is_ours));
}

pub(crate) fn a_script_that_takes_too_long_has_failed() {
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap()
        .name;
    let slow =
        format!("MISC_CHECK {{\nmisc_path \"/bin/sleep 1000\"\nmisc_timeout 1\nuser {own}\n}}");
    judge("", &[(Fails, &slow)]);
}
