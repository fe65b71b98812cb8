//! Commands written for HAProxy get from us what they get from HAProxy.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::command::ExternalCheck;
use lvs_healthcheck::{Check, CheckEvent, Code, Config, Driver, Policy};

/// Writes a script that writes its arguments and its environment to a file, whole or not at all.
fn script(directory: &Path, name: &str) -> String {
    let (path, seen) = (directory.join(name), directory.join(format!("{name}.seen")));
    let text = format!(
        "#!/bin/sh\n{{ for word; do echo \"argument=$word\"; done; /usr/bin/env; }} >{seen}.new\n\
         /bin/mv {seen}.new {seen}\n",
        seen = seen.display(),
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// What a script saw: its arguments in order, and the variables but those the shell makes.
fn seen(directory: &Path, name: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let path = directory.join(format!("{name}.seen"));
    let end = Instant::now() + Duration::from_secs(30);
    let text = loop {
        match fs::read_to_string(&path) {
            Ok(text) => break text,
            Err(error) => assert!(Instant::now() < end, "{name}: {error}"),
        }
        sleep(Duration::from_millis(20));
    };
    let mut arguments = Vec::new();
    let mut variables = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "argument" => arguments.push(value.to_owned()),
            "PWD" | "SHLVL" | "_" | "OLDPWD" => {}
            _ => {
                variables.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    (arguments, variables)
}

#[test]
#[ignore = "needs haproxy"]
fn arguments_and_environment_are_those_of_haproxy() {
    let directory = tempfile::tempdir().unwrap();
    let theirs = script(directory.path(), "theirs");
    let configuration = format!(
        "global\n  external-check\n  insecure-fork-wanted\ndefaults\n  mode tcp\n  \
         timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         listen web\n  id 7\n  bind 127.0.0.9:8079\n  option external-check\n  \
         external-check path /opt/checks\n  external-check command {theirs}\n  \
         server web1 127.0.0.8:8080 id 3 maxconn 20 check inter 1s\n"
    );
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, configuration).unwrap();
    let mut haproxy = Command::new("haproxy")
        .args(["-db", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("haproxy: {error}"));
    let theirs = seen(directory.path(), "theirs");
    haproxy.kill().unwrap();
    haproxy.wait().unwrap();

    let mut external = ExternalCheck::new("127.0.0.8:8080".parse().unwrap());
    external.proxy = Some("127.0.0.9:8079".parse().unwrap());
    external.proxy_name = "web".to_owned();
    external.proxy_id = 7;
    external.server_name = "web1".to_owned();
    external.server_id = 3;
    external.max_connections = 20;
    external.path = "/opt/checks".to_owned();
    let probe = external.probe(&script(directory.path(), "ours"));
    let mut driver = Driver::new(Config::default()).unwrap();
    let policy = Policy::default().with_spread(Spread::None);
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    driver
        .poll(Some(Duration::from_secs(30)), &mut events)
        .unwrap();
    assert!(
        matches!(&events[..], [CheckEvent::Completed(report)] if report.outcome.code == Code::Ok),
        "{events:?}"
    );
    assert_eq!(seen(directory.path(), "ours"), theirs);
    assert_eq!(theirs.0, ["127.0.0.9", "8079", "127.0.0.8", "8080"]);
}
