//! Options and settings that decide where the table is and what is left of it, against a real kernel.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_options-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;

use std::fs;
use std::path::PathBuf;

use electing::director;
use lvs_ipvs::{Client, Destination, Table, VirtualService};
use network::{Host, eventually};
use nix::sys::signal::Signal;
use program::Program;
use tempfile::TempDir;

/// A configuration with that in `global_defs`.
fn configuration(folder: &TempDir, globals: &str) -> PathBuf {
    let text = format!(
        "global_defs {{\n {globals}\n}}\nvirtual_server 192.0.2.1 80 {{\n lb_algo rr\n \
         lb_kind NAT\n protocol TCP\n real_server 10.0.0.1 80 {{\n weight 3\n }}\n}}\n"
    );
    let file = folder.path().join("test.conf");
    fs::write(&file, text).unwrap();
    file
}

/// What it makes of that.
fn expected() -> Table {
    let service = VirtualService::tcp("192.0.2.1:80".parse().unwrap())
        .with_scheduler(lvs_ipvs::Scheduler::Rr);
    let server = Destination::masquerade("10.0.0.1:80".parse().unwrap()).with_weight(3);
    let mut table = Table::new();
    table.insert(service, [server]);
    table
}

fn table(ipvs: &mut Client) -> Table {
    ipvs.snapshot().unwrap().table()
}

fn ends(program: Program) -> String {
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    end.out
}

/// `-I`: the next one finds it in order.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_table_may_be_left() {
    let (folder, host) = (tempfile::tempdir().unwrap(), Host::new("director"));
    let mut ipvs = host.ipvs();
    let file = configuration(&folder, "");
    let program = director(&host, &file, &["-I"]);
    eventually(|| table(&mut ipvs), |table| *table == expected());
    ends(program);
    assert_eq!(table(&mut ipvs), expected());

    let program = director(&host, &file, &[]);
    program.wait_for(|line| line.contains("adopted TCP 192.0.2.1:80").then_some(()));
    let out = ends(program);
    // The one change is the removal.
    assert!(
        out.contains(", 1 changes of the table, 0 of them failed"),
        "{out}"
    );
    assert!(table(&mut ipvs).is_empty());
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_table_is_that_of_the_namespace_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = ["director", "elsewhere"].map(Host::new);
    let [mut here, mut there] = hosts.each_ref().map(Host::ipvs);
    let [host, elsewhere] = &hosts;
    let name = elsewhere.path();
    let name = name.file_name().unwrap().to_str().unwrap();
    for keyword in ["net_namespace", "net_namespace_ipvs"] {
        let file = configuration(&folder, &format!("{keyword} {name}"));
        let program = director(host, &file, &[]);
        eventually(|| table(&mut there), |table| *table == expected());
        assert!(table(&mut here).is_empty(), "{keyword}");
        ends(program);
        assert!(table(&mut there).is_empty(), "{keyword}");
    }
    let file = configuration(&folder, "net_namespace_ipvs nowhere");
    let end = director(host, &file, &[]).end();
    assert_eq!(end.code, Some(1), "{}", end.out);
    assert!(end.err.contains("nowhere"), "{}", end.err);
}
