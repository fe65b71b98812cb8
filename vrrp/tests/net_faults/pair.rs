//! Two hosts on a switch.

use lvs_vrrp::Version;

use crate::network::{Host, Switch};
use crate::process::Router;

pub(crate) const ADDRESS: &str = "192.0.2.100";

pub(crate) fn network() -> (Switch, Host, Host) {
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24"]);
    (switch, one, other)
}

pub(crate) fn router(priority: u8) -> Router {
    Router::new(Version::V3, priority, ADDRESS)
}
