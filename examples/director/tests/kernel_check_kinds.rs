//! keepalived's opinion of the checks in `check_kinds`: it must be the director's.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_check_kinds-… --include-ignored`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

#[path = "check_kinds/keepalived.rs"]
mod judge;
#[path = "check_kinds/mail.rs"]
mod mail;
#[path = "check_kinds/names.rs"]
mod names;
#[path = "check_kinds/nearby.rs"]
mod nearby;
#[path = "check_kinds/pages.rs"]
mod pages;
#[path = "check_kinds/server.rs"]
mod server;
#[path = "check_kinds/table.rs"]
mod table;
#[path = "check_kinds/weights.rs"]
mod weights;

use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// In a network, and with a table, of its own.
fn alone() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let status = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn pages_are_judged_by_digest_status_pattern_and_host() {
    alone();
    pages::pages_are_judged_by_digest_status_pattern_and_host();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn secure_pages_need_no_known_certificate_but_perhaps_a_name() {
    alone();
    pages::secure_pages_need_no_known_certificate_but_perhaps_a_name();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn mail_servers_are_greeted_by_name() {
    alone();
    mail::mail_servers_are_greeted_by_name();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn name_servers_answer_without_an_error_or_fail() {
    alone();
    names::name_servers_answer_without_an_error_or_fail();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn replies_to_a_datagram_are_compared_half_byte_by_half_byte() {
    alone();
    names::replies_to_a_datagram_are_compared_half_byte_by_half_byte();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn connections_are_accepted_or_not() {
    alone();
    nearby::connections_are_accepted_or_not();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn silence_passes_unless_an_answer_is_required() {
    alone();
    nearby::silence_passes_unless_an_answer_is_required();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn a_script_that_takes_too_long_has_failed() {
    alone();
    nearby::a_script_that_takes_too_long_has_failed();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn exit_codes_are_weights() {
    alone();
    weights::exit_codes_are_weights();
}

#[test]
#[ignore = "needs a kernel with IPVS, and keepalived"]
fn numbers_in_files_are_weights() {
    alone();
    weights::numbers_in_files_are_weights();
}
