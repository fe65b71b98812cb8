//! Without privilege, what is missing is named.

use std::env;
use std::process::Command;

use lvs_vrrp::net::{Carrier, FrameSender, NetError, Receiver, Sender};
use lvs_vrrp::{Family, InterfaceIndex};

/// Set for the run without capabilities.
const INSIDE: &str = "LVS_VRRP_WITHOUT_CAPABILITIES";

fn check(error: &NetError, what: &str) {
    let said = error.to_string();
    assert_eq!(error.missing_capability(), Some("CAP_NET_RAW"), "{said}");
    assert!(
        said.starts_with(&format!("cannot open a {what} socket (lo): ")),
        "{said}"
    );
    assert!(
        said.ends_with("; needs CAP_NET_RAW: run it as root"),
        "{said}"
    );
}

#[test]
fn what_is_missing_without_privilege_is_said() {
    let is_root = nix::unistd::geteuid().is_root();
    if is_root && env::var_os(INSIDE).is_none() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-net_raw"]);
        command.arg(env::current_exe().unwrap());
        let name = "privilege::what_is_missing_without_privilege_is_said";
        command.args(["--exact", name]).env(INSIDE, "1");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    let index = InterfaceIndex::new(1);
    for family in [Family::Ipv4, Family::Ipv6] {
        check(
            &Receiver::open("lo", index, family, Carrier::Plain).unwrap_err(),
            "raw",
        );
        check(&Sender::open("lo", 1, family).unwrap_err(), "raw");
    }
    check(&FrameSender::open("lo").unwrap_err(), "packet");
}
