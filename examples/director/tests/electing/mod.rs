//! What tests of several directors ask of hosts, and how they start directors.

use core::net::IpAddr;
use std::path::Path;
use std::process::Command;

use crate::network::Host;
use crate::program::Program;

/// Starts a director on a host.
pub(crate) fn director(host: &Host, file: &Path, options: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    host.enter(|| Program::start(command.arg("-f").arg(file).args(options)))
}

/// Waits until a virtual router of a director comes into that state.
pub(crate) fn wait_state(program: &Program, from: &str, to: &str) {
    let wanted = format!(": {from} to {to} ");
    program.wait_for(|line| (line.contains("vrrp ") && line.contains(&wanted)).then_some(()));
}

/// What `ip` says on a host.
pub(crate) fn ask(host: &Host, arguments: &str) -> String {
    let path = host.path();
    let mut command = Command::new("ip");
    command.arg("-n").arg(path.file_name().unwrap());
    let output = command.args(arguments.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether an interface of a host has an address.
pub(crate) fn has_address(host: &Host, interface: &str, address: IpAddr) -> bool {
    let text = ask(host, &format!("-o address show dev {interface}"));
    let wanted = format!(" {address}/");
    text.contains(&wanted)
}

/// The hardware address of an interface.
pub(crate) fn mac_of(host: &Host, interface: &str) -> String {
    after(
        &ask(host, &format!("-o link show dev {interface}")),
        "link/ether",
    )
    .unwrap()
}

/// What a host has in its cache as the hardware address of a neighbour.
pub(crate) fn cached_mac(host: &Host, neighbour: IpAddr) -> Option<String> {
    after(&ask(host, &format!("neighbour show {neighbour}")), "lladdr")
}

/// The word after that one.
fn after(text: &str, word: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    words.find(|it| *it == word)?;
    words.next().map(str::to_owned)
}
