//! The blocks of a file, and what holds between them.

use std::collections::HashMap;

use super::ast::Statement;
use super::checks::CheckKind;
use super::diagnostic::Report;
use super::global::Globals;
use super::groups::{self, VirtualServerGroup};
use super::values;
use super::virtual_server::{self, VirtualAddress, VirtualServer};
use super::vrrp::{self, Vrrp};

/// Global statements that exist outside of blocks and that nothing here needs.
const IGNORED: &[&str] = &[
    "instance",
    "linkbeat_use_polling",
    "namespace_with_ipsets",
    "use_pid_dir",
];

/// The typed model of a file.
pub(super) struct Top {
    pub(super) globals: Globals,
    pub(super) groups: Vec<VirtualServerGroup>,
    pub(super) virtual_servers: Vec<VirtualServer>,
    pub(super) vrrp: Vrrp,
}

/// Reads the statements of a file.
pub(super) fn read(statements: &[Statement], report: &mut Report) -> Top {
    let mut globals = Globals::default();
    let mut groups: Vec<VirtualServerGroup> = Vec::new();
    let mut drafts = Vec::new();
    let mut vrrp = vrrp::Draft::default();
    for statement in statements {
        let keyword = statement.keyword();
        match keyword {
            "global_defs" => globals.read(statement, report),
            "virtual_server" => drafts.extend(virtual_server::Draft::read(statement, report)),
            "virtual_server_group" => add_group(&mut groups, statement, report),
            _ if vrrp.read(statement, report) => {}
            _ if IGNORED.contains(&keyword) => {
                let message = format!("{keyword} is known and has no effect here");
                report.note(statement.position(), message);
            }
            _ if globals.read_top(statement, report) => {}
            _ => values::unknown(statement, report),
        }
    }
    // Globals, groups and tracked files count wherever they stand in the file.
    let services: Vec<VirtualServer> = drafts
        .into_iter()
        .filter_map(|draft| draft.finish(&groups, &globals, report))
        .collect();
    let mut virtual_servers = without_duplicates(services, report);
    let files: Vec<&str> = vrrp.files().collect();
    let sessions: Vec<&str> = vrrp.bfds().collect();
    for service in &mut virtual_servers {
        drop_dangling_checks(service, &files, &sessions, report);
    }
    let vrrp = vrrp.finish(&globals, report);
    Top {
        globals,
        groups,
        virtual_servers,
        vrrp,
    }
}

fn add_group(groups: &mut Vec<VirtualServerGroup>, statement: &Statement, report: &mut Report) {
    let Some(group) = groups::read(statement, report) else {
        return;
    };
    if let Some(first) = groups.iter().find(|known| known.name == group.name) {
        let message = format!(
            "virtual_server_group {}: already at {}; this one is ignored",
            group.name, first.position
        );
        report.warning(&group.position, message);
    } else {
        groups.push(group);
    }
}

/// One service cannot be in the kernel's table twice.
fn without_duplicates(services: Vec<VirtualServer>, report: &mut Report) -> Vec<VirtualServer> {
    let mut seen: HashMap<_, super::Position> = HashMap::new();
    let mut kept = Vec::with_capacity(services.len());
    for service in services {
        // The same mark may be used for each family; a group once for each protocol.
        let family = matches!(service.address, VirtualAddress::Fwmark(_)).then_some(service.family);
        let key = (service.address.clone(), service.protocol, family);
        if let Some(first) = seen.get(&key) {
            let message = format!(
                "virtual_server {}: already at {first}; this one is ignored",
                service.address
            );
            report.warning(&service.position, message);
            continue;
        }
        seen.insert(key, service.position.clone());
        kept.push(service);
    }
    kept
}

/// Drops checks of files and sessions that are not configured.
fn drop_dangling_checks(
    service: &mut VirtualServer,
    files: &[&str],
    sessions: &[&str],
    report: &mut Report,
) {
    for server in &mut service.real_servers {
        server.checks.retain(|check| {
            let (kind, name, known) = match &check.kind {
                CheckKind::File(file) => ("track_file", &file.track_file, files),
                CheckKind::Bfd { name } => ("bfd_instance", name, sessions),
                _ => return true,
            };
            let exists = known.contains(&name.as_str());
            if !exists {
                let keyword = check.kind.keyword();
                let message = format!("{keyword}: there is no {kind} '{name}', check ignored");
                report.error(&check.position, message);
            }
            exists
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn messages(text: &str) -> Vec<String> {
        Config::parse("t.conf", text)
            .diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn service(address: &str, server: &str) -> String {
        format!(
            "virtual_server {address} {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server {server} {{ }}\n}}\n"
        )
    }

    #[test]
    fn blocks_of_virtual_routers_are_features() {
        let text = "vrrp_script chk {\n script /bin/true\n}\nvrrp_instance VI_1 {\n interface eth0\n \
                    virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n";
        let config = Config::parse("t.conf", text);
        assert!(config.diagnostics().is_empty());
        let features: Vec<_> = config.features().iter().map(ToString::to_string).collect();
        assert_eq!(
            features,
            [
                "t.conf:1:1: vrrp_script chk",
                "t.conf:4:1: vrrp_instance VI_1"
            ]
        );
    }

    #[test]
    fn duplicates_are_ignored() {
        let text = service("10.0.0.1 80", "10.0.0.2 80").repeat(2);
        let config = Config::parse("t.conf", &text);
        assert_eq!(config.virtual_servers().len(), 1);
        let expected = "t.conf:7:1: warning: virtual_server 10.0.0.1:80: already at t.conf:1:1; this one is \
             ignored";
        assert_eq!(config.diagnostics()[0].to_string(), expected);
        let group = "virtual_server_group g {\n 10.0.0.1 80\n}\n".repeat(2);
        assert!(messages(&group)[0].contains("virtual_server_group g: already at t.conf:1:1"));
    }

    #[test]
    fn checks_of_unknown_files_and_sessions_are_dropped() {
        let server = |check: &str| {
            service("10.0.0.1 80", "10.0.0.2 80").replace("{ }", &format!("{{\n{check}\n}}"))
        };
        let file = server("FILE_CHECK {\n track_file f\n}");
        assert!(messages(&file)[0].contains("FILE_CHECK: there is no track_file 'f'"));
        assert!(messages(&format!("{file}track_file f {{\n file /run/f\n}}")).is_empty());
        let bfd = server("BFD_CHECK {\n name b\n}");
        assert!(messages(&bfd)[0].contains("BFD_CHECK: there is no bfd_instance 'b'"));
        assert!(
            messages(&format!(
                "bfd_instance b {{\n neighbor_ip 192.0.2.9\n}}\n{bfd}"
            ))
            .is_empty()
        );
    }
}
