//! The files of `/proc/net`, recorded in the guest kernels: what is read from them, and what
//! stays readable of damaged ones.
//!
//! Recorded on a director with services of every kind in `tests/data/procfs-RELEASE/`, all by
//! `ipvsadm` and with a connection or a datagram each: TCP 192.0.2.10:80 (two connections, one of
//! them closed by the client), :81 (`-p 60 -M 255.255.255.0`), :83 (`-p 300`), TCP [fd00::10]:80
//! and :81 (`-p 60 -M 64`), UDP 192.0.2.10:53 (`-p 60`) and :5060 (`-p 60 --pe sip -o`), `-f 5`
//! (`-p 60`), `-f 6 -6` (`-p 60 -o`) and `-f 7`, which has no destination.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "procfs/connections.rs"]
mod connections;
#[path = "procfs/services.rs"]
mod services;
#[path = "procfs/totals.rs"]
mod totals;

/// The kernels that were recorded.
const RELEASES: [&str; 2] = ["6.1.176", "7.2.7"];

fn recorded(release: &str, file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    std::fs::read_to_string(format!("{folder}/procfs-{release}/{file}")).unwrap()
}
