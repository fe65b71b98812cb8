//! `lvs_sync_daemon`: which sync daemons run, and when.

use lvs_ipvs::{DaemonRole, InterfaceName};

use super::choreography::SyncRoles;
use super::plan::Plan;
use crate::keepalived::{Config, Diagnostic, Messages, Position};

/// The sync daemons of a configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SyncPlan {
    roles: SyncRoles,
    daemon: lvs_ipvs::SyncDaemon,
}

impl SyncPlan {
    /// The sync daemons that a configuration asks for, if any, and what is wrong with that. The id is
    /// that of the virtual router that is followed (OP-8), or 0, if none is given.
    #[must_use]
    pub fn new(config: &Config, plan: &Plan) -> (Option<Self>, Vec<Diagnostic>) {
        let mut messages = Messages::default();
        let found = Self::find(config, plan, &mut messages);
        (found, messages.list)
    }

    fn find(config: &Config, plan: &Plan, messages: &mut Messages) -> Option<Self> {
        let written = config.globals().lvs_sync_daemon.as_ref()?;
        let position = position(config);
        let Some(interface) = InterfaceName::new(&written.interface) else {
            let message = format!(
                "lvs_sync_daemon: {} is longer than names of interfaces are, 15 bytes; not run",
                written.interface
            );
            messages.error(&position, message);
            return None;
        };
        let mut routers = plan.routers().iter();
        let (roles, vrid) = match &written.instance {
            None => (SyncRoles::Both, 0),
            Some(name) => match routers.find(|router| router.name == *name) {
                Some(router) => (SyncRoles::Follow(router.id), router.config.vrid().get()),
                None => {
                    let message =
                        format!("lvs_sync_daemon: there is no vrrp_instance {name}; not run");
                    messages.warning(&position, message);
                    return None;
                }
            },
        };
        let id = written.id.unwrap_or(vrid);
        let mut daemon = lvs_ipvs::SyncDaemon::new(DaemonRole::Backup, interface, id)
            .with_group(written.group)
            .with_port(written.port);
        if let Some(length) = written.max_length {
            daemon = daemon.with_max_length(length);
        }
        if let Some(ttl) = written.ttl {
            daemon = daemon.with_ttl(ttl);
        }
        Some(Self { roles, daemon })
    }

    /// Which of them run when.
    #[must_use]
    pub const fn roles(&self) -> SyncRoles {
        self.roles
    }

    /// The daemon of a role.
    pub const fn daemon(&self, role: DaemonRole) -> lvs_ipvs::SyncDaemon {
        let mut daemon = self.daemon;
        daemon.role = role;
        daemon
    }

    /// Why it must not run on a host with that `net.ipv4.vs.backup_only`, if so: while a *backup* daemon
    /// runs IPVS leaves packets alone, whether or not a master runs too (OP-3).
    #[must_use]
    pub fn refused(&self, is_backup_only: bool) -> Option<&'static str> {
        (is_backup_only && self.roles == SyncRoles::Both).then_some(
            "lvs_sync_daemon without a vrrp_instance runs both daemons all the time, and with \
             net.ipv4.vs.backup_only=1 nothing is balanced then: add inst and the instance's name, \
             or set it to 0",
        )
    }
}

/// Where it is in the file.
fn position(config: &Config) -> Position {
    let mut features = config.features().iter();
    let found = features.find(|feature| feature.keyword == "lvs_sync_daemon");
    found.map_or_else(
        || Position::new("".into(), 0, 0),
        |feature| feature.position.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n \
                            virtual_ipaddress { 192.0.2.1 }\n}\n";

    fn planned(line: &str) -> (Option<SyncPlan>, Vec<String>) {
        let config = Config::parse("t.conf", &format!("global_defs {{\n{line}\n}}\n{INSTANCE}"));
        assert_eq!(config.diagnostics(), []);
        let (plan, said) = SyncPlan::new(&config, &Plan::new(&config));
        (plan, said.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_id_is_the_virtual_routers_if_none_is_given() {
        for (line, roles, id) in [
            ("lvs_sync_daemon eth1", SyncRoles::Both, 0),
            ("lvs_sync_daemon eth1 id 7", SyncRoles::Both, 7),
            (
                "lvs_sync_daemon eth1 inst VI_1",
                SyncRoles::Follow(Plan::new(&Config::parse("t", INSTANCE)).routers()[0].id),
                51,
            ),
            (
                "lvs_sync_daemon eth1 VI_1 id 9",
                SyncRoles::Follow(Plan::new(&Config::parse("t", INSTANCE)).routers()[0].id),
                9,
            ),
        ] {
            let (plan, said) = planned(line);
            let plan = plan.unwrap();
            assert_eq!(said, Vec::<String>::new());
            assert_eq!(
                (plan.roles(), plan.daemon(DaemonRole::Active).sync_id),
                (roles, id)
            );
            for role in [DaemonRole::Active, DaemonRole::Backup] {
                assert_eq!(plan.daemon(role).role, role);
            }
        }
        let (plan, _) =
            planned("lvs_sync_daemon eth1 inst VI_1 maxlen 1400 port 8000 ttl 3 group 224.0.0.90");
        let daemon = plan.unwrap().daemon(DaemonRole::Backup);
        let group = "224.0.0.90".parse().ok();
        assert_eq!((daemon.max_length, daemon.port), (Some(1400), Some(8000)));
        assert_eq!((daemon.ttl, daemon.group), (Some(3), group));
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let said = "t.conf:2:1: warning: lvs_sync_daemon: there is no vrrp_instance VI_2; not run";
        assert_eq!(
            planned("lvs_sync_daemon eth1 inst VI_2"),
            (None, vec![said.to_owned()])
        );
        let (none, said) = planned("lvs_sync_daemon a_very_long_name_0");
        assert_eq!(none, None);
        assert!(
            said[0].contains("error: lvs_sync_daemon: a_very_long_name_0"),
            "{said:?}"
        );
        assert_eq!(planned("router_id x"), (None, vec![]));
    }

    /// `OP-3`
    #[test]
    fn both_daemons_with_backup_only_are_refused() {
        for (line, is_backup_only, is_refused) in [
            ("lvs_sync_daemon eth1", true, true),
            ("lvs_sync_daemon eth1", false, false),
            ("lvs_sync_daemon eth1 inst VI_1", true, false),
        ] {
            let plan = planned(line).0.unwrap();
            assert_eq!(plan.refused(is_backup_only).is_some(), is_refused, "{line}");
        }
    }
}
