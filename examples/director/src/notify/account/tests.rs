//! Every way to say who runs a command, and what is refused.

use std::os::unix::fs::PermissionsExt as _;

use nix::unistd::User;

use super::*;
use crate::keepalived::Config;

/// A command of a real server's `notify_up`, under these globals.
fn made(globals: &str, written: &str) -> Result<Program, AccountError> {
    let text = format!(
        "global_defs {{\n{globals}\n}}\nvirtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\n\
         protocol TCP\nreal_server 10.0.0.1 80 {{\nnotify_up {written}\n}}\n}}\n"
    );
    let config = Config::parse("t.conf", &text);
    assert_eq!(config.diagnostics(), [], "{text}");
    let command = config.virtual_servers()[0].real_servers[0]
        .notify_up
        .clone();
    Accounts::new(config.globals()).command(&command.unwrap())
}

fn refused(globals: &str, written: &str) -> String {
    made(globals, written).unwrap_err().to_string()
}

#[test]
fn commands_have_words_environment_and_account() {
    let own = User::from_uid(geteuid()).unwrap().unwrap().name;
    let is_root = geteuid().is_root();
    let uid = |program: &Program| program.credentials().map(|who| who.uid);
    let plain = made(&format!("script_user {own}"), "\"/bin/check 'a b' c\"").unwrap();
    assert_eq!(plain.arguments(), ["/bin/check", "a b", "c"]);
    assert_eq!(*plain.environment(), Environment::Inherit);
    assert!(!plain.gains_privileges());
    assert_eq!(uid(&plain), is_root.then_some(0));
    // Its own account counts before the global one, which need not exist then.
    let own = made("script_user nosuchuser", &format!("/bin/check {own}")).unwrap();
    assert_eq!(uid(&own), is_root.then_some(0));
    // Without any, an account of a certain name if there is one.
    let usual = lookup_user(USUAL).ok().filter(|_| is_root);
    assert_eq!(
        made("", "/bin/check").unwrap().credentials(),
        usual.as_ref()
    );
}

#[test]
fn accounts_that_are_not_there_are_refused_by_name() {
    assert!(refused("script_user nosuchuser", "/bin/check").contains("nosuchuser"));
    assert!(refused("", "/bin/check nosuchuser").contains("nosuchuser"));
    let expected = "group nosuchgroup: must be a group of this host";
    assert_eq!(refused("", "/bin/check root nosuchgroup"), expected);
    assert_eq!(
        refused("script_user root nosuchgroup", "/bin/check"),
        expected
    );
    if !geteuid().is_root() {
        assert_eq!(
            refused("", "/bin/check root"),
            "running it as root needs root"
        );
    }
}

#[test]
#[ignore = "needs root, to become somebody else"]
fn a_group_may_be_another_than_the_users() {
    let who = made("", "/bin/check nobody daemon").unwrap();
    let who = who.credentials().unwrap().clone();
    let nobody = lookup_user("nobody").unwrap();
    let daemon = Group::from_name("daemon").unwrap().unwrap();
    assert_eq!((who.uid, who.gid), (nobody.uid, daemon.gid.as_raw()));
}

#[test]
#[ignore = "needs root, to whom alone it matters"]
fn scripts_that_others_may_change_are_refused_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check");
    fs::write(&script, "").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
    let written = format!("{} root", script.display());
    assert!(made("", &written).is_ok());
    let reason = refused("enable_script_security", &written);
    assert!(reason.contains("check"), "{reason}");
}

#[test]
fn a_program_that_is_not_there_yet_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("text"), "").unwrap();
    fs::set_permissions(path("text"), fs::Permissions::from_mode(0o644)).unwrap();
    let own = User::from_uid(geteuid()).unwrap().unwrap().name;
    let config = Config::parse(
        "t.conf",
        &format!("global_defs {{\nscript_user {own}\n}}\n"),
    );
    let accounts = Accounts::new(config.globals());
    let told = |program: &str| {
        let command = Command {
            words: vec![program.to_owned()],
            user: None,
            group: None,
        };
        let mut messages = Messages::default();
        let place = Position::new("t.conf".into(), 9, 1);
        let made = accounts.script(&command, "notify_up", &place, &mut messages);
        assert!(made.unwrap().gains_privileges());
        let told = messages.list.iter().map(ToString::to_string);
        told.collect::<Vec<_>>()
    };
    assert_eq!(told("/bin/sh"), [""; 0]);
    // Looked for in PATH when it runs.
    assert_eq!(told("nosuchprogram"), [""; 0]);
    for (program, reason) in [
        (path("none"), ": No such file or directory (os error 2)"),
        (path("text"), " is not executable"),
        (path(""), " is no file"),
    ] {
        let expected = format!(
            "t.conf:9:1: warning: notify_up: {program}{reason}; it cannot be run as things are"
        );
        assert_eq!(told(&program), [expected]);
    }
}
