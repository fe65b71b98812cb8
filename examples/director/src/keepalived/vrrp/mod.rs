//! The VRRP parts of a keepalived.conf: virtual routers, groups of them, and what they follow
//! (keepalived.conf(5)).
//!
//! | Block | Type |
//! |---|---|
//! | `vrrp_instance` | [`VrrpInstance`] |
//! | `vrrp_sync_group` | [`VrrpSyncGroup`] |
//! | `vrrp_script` | [`VrrpScript`] |
//! | `track_file`, `vrrp_track_file` | [`TrackFile`] |
//! | `vrrp_track_process` | [`TrackProcess`] |
//! | `bfd_instance` | [`BfdInstance`] |
//! | `garp_group` | [`GarpGroup`] |
//! | `interface_up_down_delays` | [`InterfaceDelay`] |
//! | `static_ipaddress`, `static_routes`, `static_rules`, `track_group`, `linkbeat_interfaces` | [`Unsupported`]: named, not read |
//!
//! Values are those that count: corrected as keepalived 2.2.7 does it, with a warning, and with the
//! defaults of `global_defs`. It deviates in these points, in favour of the user:
//!
//! - Scripts, files and the like may be defined below the virtual routers that follow them.
//! - Intervals and timeouts of scripts may have decimal places, as in later versions.
//! - Of two virtual routers that packets could not be told apart for, the second is ignored.
//!
//! Whether interfaces exist is not looked at: reading opens nothing.
//!
//! Virtual routers, groups and definitions can be written: `Display` gives a block with all values
//! spelt out, which is read as the same values.

mod address;
mod bfd;
mod file;
mod group;
mod instance;
mod interfaces;
mod notify;
mod process;
mod references;
mod script;
mod track;
mod transport;
mod write;

pub use address::{Broadcast, Preferred, VrrpAddress};
pub use bfd::BfdInstance;
pub use file::{InitFile, TrackFile};
pub use group::VrrpSyncGroup;
pub use instance::{Announce, InitialState, Unsupported, VrrpInstance};
pub use interfaces::{GarpGroup, InterfaceDelay};
pub use notify::Notify;
pub use process::{ParamMatch, TrackProcess};
pub use script::VrrpScript;
pub use track::{TrackKind, Tracked, Weight};
pub use transport::{Authentication, AuthenticationKind, Destination, UnicastPeer, VirtualMac};

use super::ast::Statement;
use super::diagnostic::Report;
use super::global::Globals;

/// All VRRP parts of a file.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Vrrp {
    /// `vrrp_instance` blocks that can be run. Names are unique.
    pub instances: Vec<VrrpInstance>,
    /// `vrrp_sync_group` blocks with at least one member. Names are unique.
    pub groups: Vec<VrrpSyncGroup>,
    /// `vrrp_script` blocks. Names are unique.
    pub scripts: Vec<VrrpScript>,
    /// `track_file` blocks. Names are unique.
    pub files: Vec<TrackFile>,
    /// `vrrp_track_process` blocks. Names are unique.
    pub processes: Vec<TrackProcess>,
    /// `bfd_instance` blocks. Names are unique.
    pub bfds: Vec<BfdInstance>,
    /// `garp_group` blocks.
    pub garp_groups: Vec<GarpGroup>,
    /// Lines of `interface_up_down_delays`.
    pub interface_delays: Vec<InterfaceDelay>,
    /// Blocks that exist, matter, and are not read further.
    pub unsupported: Vec<Unsupported>,
}

impl Vrrp {
    /// The virtual router with a name.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<&VrrpInstance> {
        self.instances.iter().find(|instance| instance.name == name)
    }
}

/// Blocks of the file while it is being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    vrrp: Vrrp,
    instances: Vec<instance::Draft>,
    groups: Vec<group::Draft>,
}

/// Blocks that exist, matter, and are not read further.
const UNSUPPORTED: [&str; 6] = [
    "linkbeat_interfaces",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_group",
    "vrrp_track_group",
];

impl Draft {
    /// Reads a block if it is one of these.
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let vrrp = &mut self.vrrp;
        match statement.keyword() {
            "vrrp_instance" => {
                let read = instance::Draft::read(statement, report);
                add(&mut self.instances, read, statement, |it| &it.name, report);
            }
            "vrrp_sync_group" => {
                let read = group::Draft::read(statement, report);
                add(&mut self.groups, read, statement, |it| &it.name, report);
            }
            "vrrp_script" => {
                let read = VrrpScript::read(statement, report);
                add(&mut vrrp.scripts, read, statement, |it| &it.name, report);
            }
            "track_file" | "vrrp_track_file" => {
                let read = TrackFile::read(statement, report);
                add(&mut vrrp.files, read, statement, |it| &it.name, report);
            }
            "vrrp_track_process" => {
                let read = TrackProcess::read(statement, report);
                add(&mut vrrp.processes, read, statement, |it| &it.name, report);
            }
            "bfd_instance" => {
                let read = BfdInstance::read(statement, report);
                add(&mut vrrp.bfds, read, statement, |it| &it.name, report);
            }
            "garp_group" => {
                let group = GarpGroup::read(statement, &vrrp.garp_groups, report);
                vrrp.garp_groups.extend(group);
            }
            "interface_up_down_delays" => {
                InterfaceDelay::read(statement, &mut vrrp.interface_delays, report);
            }
            keyword => {
                let Some(keyword) = UNSUPPORTED.into_iter().find(|known| *known == keyword) else {
                    return false;
                };
                vrrp.unsupported.push(Unsupported {
                    position: statement.position().clone(),
                    keyword,
                });
            }
        }
        let name = statement.argument(0).unwrap_or_default();
        report.feature(statement.position(), statement.keyword(), name);
        true
    }

    /// Names of the tracked files.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.vrrp.files.iter().map(|file| file.name.as_str())
    }

    /// Names of the BFD sessions.
    pub(super) fn bfds(&self) -> impl Iterator<Item = &str> {
        self.vrrp.bfds.iter().map(|bfd| bfd.name.as_str())
    }

    /// Everything that counts, when the whole file is read.
    pub(super) fn finish(self, globals: &Globals, report: &mut Report) -> Vrrp {
        let mut vrrp = self.vrrp;
        references::finish(&mut vrrp, self.instances, self.groups, globals, report);
        vrrp
    }
}

/// Adds a block unless there is one of its name.
fn add<T>(
    list: &mut Vec<T>,
    block: Option<T>,
    statement: &Statement,
    name: impl Fn(&T) -> &String,
    report: &mut Report,
) {
    let Some(block) = block else {
        return;
    };
    if list.iter().any(|known| name(known) == name(&block)) {
        let message = format!(
            "{} {}: there is one already; this one is ignored",
            statement.keyword(),
            name(&block)
        );
        report.warning(statement.position(), message);
    } else {
        list.push(block);
    }
}
