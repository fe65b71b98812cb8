//! What both kernels are asked: this machine's and the guest's.

mod addresses;
pub(crate) mod isolated;
mod links;
mod review;

use lvs_vrrp::net::addresses::{
    AddressBook, AddressError, AddressKey, Installed, Removed, Renewed, VirtualAddress,
};
use lvs_vrrp::net::links::{InterfaceAddress, Link, LinkChanges, LinkMonitor, LinkTable};
use lvs_vrrp::net::macvlan::{Leftover, Macvlans, VirtualMac};
use lvs_vrrp::net::sysctl::Finding;

/// Address work is done on a thread of its own (OP-2).
#[test]
fn everything_may_move_to_another_thread() {
    fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<(AddressBook, AddressError, AddressKey, VirtualAddress)>();
    is_send_and_sync::<(Installed, Removed, Renewed)>();
    is_send_and_sync::<(InterfaceAddress, Link, LinkChanges, LinkMonitor, LinkTable)>();
    is_send_and_sync::<(Leftover, Macvlans, VirtualMac, Finding)>();
}
