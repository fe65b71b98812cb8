//! Each kind of check in the program, with a real server at the other end.
//!
//! A real server whose check is to pass waits for it with `alpha`; one whose check is to fail is in
//! the table from the start, so that it has to leave. keepalived judges the same checks in
//! `kernel_check_kinds`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

mod changes;
mod differences;
#[path = "director.rs"]
mod judge;
mod mail;
mod names;
mod nearby;
mod pages;
#[path = "../program/mod.rs"]
mod program;
mod server;
mod table;
mod weights;

#[test]
#[ignore = "needs nginx"]
fn pages_are_judged_by_digest_status_pattern_and_host() {
    pages::pages_are_judged_by_digest_status_pattern_and_host();
}

#[test]
#[ignore = "needs nginx"]
fn secure_pages_need_no_known_certificate_but_perhaps_a_name() {
    pages::secure_pages_need_no_known_certificate_but_perhaps_a_name();
}

#[test]
#[ignore = "needs opensmtpd"]
fn mail_servers_are_greeted_by_name() {
    mail::mail_servers_are_greeted_by_name();
}

#[test]
#[ignore = "needs unbound"]
fn name_servers_answer_without_an_error_or_fail() {
    names::name_servers_answer_without_an_error_or_fail();
}

#[test]
#[ignore = "needs unbound"]
fn replies_to_a_datagram_are_compared_half_byte_by_half_byte() {
    names::replies_to_a_datagram_are_compared_half_byte_by_half_byte();
}

#[test]
fn connections_are_accepted_or_not() {
    nearby::connections_are_accepted_or_not();
}

#[test]
fn silence_passes_unless_an_answer_is_required() {
    nearby::silence_passes_unless_an_answer_is_required();
}

#[test]
fn a_script_that_takes_too_long_has_failed() {
    nearby::a_script_that_takes_too_long_has_failed();
}

#[test]
fn exit_codes_are_weights() {
    weights::exit_codes_are_weights();
}

#[test]
fn numbers_in_files_are_weights() {
    weights::numbers_in_files_are_weights();
}
