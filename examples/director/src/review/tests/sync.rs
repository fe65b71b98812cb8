//! Sync daemons.

use lvs_ipvs::{DaemonRole, SyncDaemon};

use super::*;

/// OP-3, specification 3.10: with both daemons and `backup_only` nobody balances.
#[test]
fn both_roles_with_backup_only() {
    let only = with("ipv4/vs/backup_only", "1");
    let routed = format!(
        "{}{}{}",
        sync(" id 7"),
        router("192.0.2.1/24"),
        dr("10.0.0.2 80", "")
    );
    let found = the("sync-both-roles", &routed, &only);
    let fix =
        "t.conf:2: lvs_sync_daemon eth0 inst VI_1 id 7    (in place of: lvs_sync_daemon eth0 id 7)";
    is(&found, Severity::Fails, 2, &[fix]);
    assert!(found.is_refused);
    let alone = format!("{}{}", sync(""), dr("10.0.0.2 80", ""));
    let found = the("sync-both-roles", &alone, &only);
    is(
        &found,
        Severity::Fails,
        2,
        &["sysctl -w net.ipv4.vs.backup_only=0"],
    );
    let follows = routed.replace("eth0 id 7", "eth0 inst VI_1 id 7");
    none("sync-both-roles", &follows, &only);
    none("sync-both-roles", &routed, &host());
    none("sync-both-roles", &dr("10.0.0.2 80", ""), &only);
}

fn with_daemon(rest: &str) -> String {
    let services = dr("10.0.0.2 80", "");
    format!("{}{}{services}", sync(rest), router("192.0.2.1/24"))
}

/// OP-8: the id differs between clusters of a network.
#[test]
fn ids_that_others_have() {
    let found = the("sync-id", &with_daemon(""), &host());
    let fix = "t.conf:2: lvs_sync_daemon eth0 id 51    (in place of: lvs_sync_daemon eth0)";
    is(&found, Severity::Advice, 2, &[fix]);
    let elsewhere = with_daemon(" inst VI_1").replace("daemon eth0", "daemon eth1");
    let found = the("sync-id", &elsewhere, &host());
    let fix = "t.conf:2: lvs_sync_daemon eth1 inst VI_1 id 51    (in place of: lvs_sync_daemon eth1 inst \
               VI_1)";
    is(&found, Severity::Advice, 2, &[fix]);
    none("sync-id", &with_daemon(" id 0"), &host());
    none("sync-id", &with_daemon(" inst VI_1"), &host());
    none("sync-id", &dr("10.0.0.2 80", ""), &host());
}

/// OP-8: the kernel has one daemon of each role.
#[test]
fn daemons_that_run_already() {
    let running = |interface: &str, id| Host {
        daemons: Some(vec![SyncDaemon::new(
            DaemonRole::Active,
            interface.parse().unwrap(),
            id,
        )]),
        ..host()
    };
    let found = the("sync-clash", &with_daemon(" id 7"), &running("eth0", 8));
    is(
        &found,
        Severity::Fails,
        2,
        &["ipvsadm --stop-daemon master"],
    );
    the(
        "sync-clash",
        &with_daemon(" inst VI_1"),
        &running("eth1", 51),
    );
    none(
        "sync-clash",
        &with_daemon(" inst VI_1"),
        &running("eth0", 51),
    );
    none("sync-clash", &with_daemon(" id 7"), &host());
    none("sync-clash", &dr("10.0.0.2 80", ""), &running("eth0", 8));
}

/// OP-8: no mixed families.
#[test]
fn families_that_cannot_be_synchronised() {
    let mixed = "lb_kind TUN\n  protocol TCP";
    let mixed = service("192.0.2.1 80", mixed, "2001:db8::2 80", "");
    let text = format!("{}{mixed}", sync(" id 7"));
    let found = the("sync-mixed-family", &text, &host());
    let fix = "t.conf:2: # lvs_sync_daemon eth0 id 7    (in place of: lvs_sync_daemon eth0 id 7)";
    is(&found, Severity::Fails, 8, &[fix]);
    none("sync-mixed-family", &mixed, &host());
    none(
        "sync-mixed-family",
        &text.replace("2001:db8::2", "10.0.0.2"),
        &host(),
    );
}

/// OP-8: what is idle leaves the standby.
#[test]
fn idle_connections() {
    let never = with("ipv4/vs/sync_refresh_period", "0");
    let found = the("sync-idle", &with_daemon(" id 7"), &never);
    is(
        &found,
        Severity::Advice,
        2,
        &["sysctl -w net.ipv4.vs.sync_refresh_period=10"],
    );
    none(
        "sync-idle",
        &with_daemon(" id 7"),
        &with("ipv4/vs/sync_refresh_period", "10"),
    );
    none("sync-idle", &dr("10.0.0.2 80", ""), &never);
}

/// OP-8, OP-19: not with an empty table on standby.
#[test]
fn connections_without_a_table() {
    let of = |text: &str, is_empty| {
        let config = Config::parse("t.conf", text);
        let plan = Plan::new(&config);
        let mut subject = Subject::new(&config, &plan);
        if is_empty {
            subject = subject.with_empty_standby();
        }
        let found = review(&subject, &host());
        found.into_iter().find(|it| it.code == "sync-empty-standby")
    };
    let found = of(&with_daemon(" id 7"), true).unwrap();
    let fix = "t.conf:2: # lvs_sync_daemon eth0 id 7    (in place of: lvs_sync_daemon eth0 id 7)";
    is(&found, Severity::WorksBadly, 2, &[fix]);
    assert_eq!(of(&with_daemon(" id 7"), false), None);
    assert_eq!(of(&dr("10.0.0.2 80", ""), true), None);
}

/// OP-8: preemption waits.
#[test]
fn directors_that_return_with_nothing() {
    let follows = with_daemon(" inst VI_1");
    let found = the("sync-preempt", &follows, &host());
    let delay = "preempt_delay 60    (in the block at t.conf:4)";
    is(&found, Severity::Advice, 4, &[delay]);
    let master = follows.replace("  interface", "  state MASTER\n  interface");
    let found = the("sync-preempt", &master, &host());
    let state = "t.conf:5: state BACKUP    (in place of: state MASTER)";
    is(&found, Severity::Advice, 4, &[state, delay]);
    for fine in ["preempt_delay 60", "nopreempt", "priority 255"] {
        let fine = follows.replace("  interface", &format!("  {fine}\n  interface"));
        none("sync-preempt", &fine, &host());
    }
    none("sync-preempt", &with_daemon(" id 7"), &host());
}
