//! Scripts that are followed, and scripts that are told.

use core::time::Duration;
use std::fs;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::network::Network;

const ROUTER: &str = "  interface va\n  version 3\n  advert_int 0.1\n  virtual_router_id 51\n  \
                      priority 150\n  virtual_ipaddress { 192.0.2.1/24 }\n";

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_script_that_fails_lowers_the_priority() {
    let network = Network::new();
    let flag = network.write("fine", "");
    network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_script chk {{\n  script \"/bin/test -e \
             {}\"\n  interval 0.1\n  timeout 5\n  weight -30\n  fall 2\n}}\nvrrp_instance ONE {{\n{ROUTER}  \
             track_script {{ chk }}\n}}\n",
            flag.display()
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    assert_eq!(vrrpd.wait_event("tracker")["status"], "fine");
    vrrpd.wait_state("ONE", "active");
    fs::remove_file(&flag).unwrap();
    assert_eq!(vrrpd.wait_event("tracker")["status"], "failed");
    let lower = vrrpd.wait_event("priority");
    assert_eq!((&lower["from"], &lower["to"]), (&150.into(), &120.into()));
    fs::write(&flag, "").unwrap();
    assert_eq!(vrrpd.wait_event("priority")["to"], 150);
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_script_that_hangs_is_killed_with_what_it_started() {
    let network = Network::new();
    let pid = network.path("pid");
    network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_script chk {{\n  script \"/bin/sh -c \
             'sleep 1000 & echo $! > {}; wait'\"\n  interval 1\n  timeout 0.3\n  weight 0\n}}\n\
             vrrp_instance ONE {{\n{ROUTER}  track_script {{ chk }}\n}}\n",
            pid.display()
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    assert_eq!(vrrpd.wait_event("script-overdue")["name"], "chk");
    assert_eq!(vrrpd.wait_event("tracker")["status"], "failed");
    let child = fs::read_to_string(&pid).unwrap();
    let path = format!("/proc/{}/cmdline", child.trim());
    let until = Instant::now() + Duration::from_secs(5);
    // A zombie has no command line.
    while fs::read(&path).is_ok_and(|line| line.starts_with(b"sleep")) {
        assert!(Instant::now() < until, "{path} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    // A tracker without weight: the router does not run.
    assert_eq!(vrrpd.snapshot()["routers"][0]["init_reason"], "tracker");
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn files_and_processes_are_followed() {
    let network = Network::new();
    let number = network.write("number", "-10\n");
    network.write(
        "ha.conf",
        &format!(
            "track_file f {{\n  file {}\n  weight 2\n}}\nvrrp_track_process p {{\n  process \
             \"no such program\"\n  weight 20\n}}\nvrrp_instance ONE {{\n{ROUTER}  track_file {{ f \
             }}\n  track_process {{ p }}\n}}\n",
            number.display()
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    vrrpd.wait("value", |event| {
        event["name"] == "f" && event["value"] == -10
    });
    vrrpd.wait_state("ONE", "active");
    assert_eq!(vrrpd.snapshot()["routers"][0]["priority"], 130);
    let process = vrrpd
        .seen
        .iter()
        .find(|event| event["name"] == "p")
        .unwrap();
    assert_eq!(process["status"], "failed");
    fs::write(&number, "5").unwrap();
    assert_eq!(vrrpd.wait_event("priority")["to"], 160);
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn notifications_run_in_order_one_at_a_time() {
    let network = Network::new();
    let told = network.path("told");
    let (told, pipe) = (told.display(), network.path("pipe"));
    network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n  vrrp_notify_fifo {}\n}}\n\
             vrrp_sync_group G {{\n  group {{ ONE }}\n  notify \"/bin/sh -c 'echo $0 $@ >> \
             {told}.group'\"\n}}\n\
             vrrp_instance ONE {{\n{ROUTER}  \
             notify_backup \"/bin/sh -c 'echo slow; sleep 1; echo backup >> {told}'\"\n  \
             notify_master \"/bin/sh -c 'echo master >> {told}'\"\n  \
             notify_stop \"/bin/sh -c 'echo stop >> {told}'\"\n  \
             notify \"/bin/sh -c 'echo $0 $@ >> {told}'\"\n}}\n",
            pipe.display()
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    // Long before the first script has ended.
    vrrpd.wait_state("ONE", "active");
    let lines = vrrpd.wait("the last one", |event| {
        event["event"] == "notified"
            && event["subject"] == "INSTANCE"
            && event["state"] == "MASTER"
            && event["command"]
                .as_str()
                .is_some_and(|command| command.ends_with("150"))
    });
    assert_eq!(lines["ok"], true);
    let mut said = [0; 200];
    let mut reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let length = std::io::Read::read(&mut reader, &mut said).unwrap();
    assert_eq!(
        str::from_utf8(&said[..length]).unwrap(),
        "INSTANCE \"ONE\" BACKUP 150\nGROUP \"G\" BACKUP 0\nINSTANCE \"ONE\" MASTER 150\n\
         GROUP \"G\" MASTER 0\n"
    );
    assert_eq!(vrrpd.stop(), Some(0));
    assert_eq!(
        fs::read_to_string(network.path("told")).unwrap(),
        "backup\nINSTANCE ONE BACKUP 150\nmaster\nINSTANCE ONE MASTER 150\nstop\nINSTANCE ONE STOP \
         150\n"
    );
    assert_eq!(
        fs::read_to_string(network.path("told.group")).unwrap(),
        "GROUP G BACKUP 0\nGROUP G MASTER 0\nGROUP G STOP 0\n"
    );
    assert!(!pipe.exists());
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_removed_router_is_told_of_as_deleted() {
    let network = Network::new();
    let told = network.path("told");
    let two = "vrrp_instance TWO {\n  interface va\n  version 3\n  virtual_router_id 52\n  \
               virtual_ipaddress { 192.0.2.2/24 }\n}\n";
    let path = network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_instance ONE {{\n{ROUTER}  \
             notify_deleted \"/bin/sh -c 'echo deleted >> {}'\"\n}}\n{two}",
            told.display()
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    vrrpd.wait_state("ONE", "active");
    fs::write(&path, two).unwrap();
    vrrpd.signal(Signal::SIGHUP);
    assert_eq!(vrrpd.wait_event("notified")["state"], "DELETED");
    assert_eq!(fs::read_to_string(&told).unwrap(), "deleted\n");
    assert_eq!(vrrpd.stop(), Some(0));
}

/// What `told` says, once it has this many lines.
fn lines(network: &Network, count: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(network.path("told")).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count {
            return lines;
        }
        assert!(Instant::now() < until, "{lines:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Notifications that write what they are told, a line each.
fn telling(network: &Network) -> String {
    let told = network.path("told");
    let told = told.display();
    format!(
        "  notify \"/bin/sh -c 'echo $0 $@ >> {told}'\"\n  notify_fault \"/bin/sh -c 'echo fault >> \
         {told}'\"\n"
    )
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_script_that_fails_from_the_start_is_told_as_fault() {
    let network = Network::new();
    let flag = network.path("fine");
    network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_script chk {{\n  script \"/bin/test -e \
             {}\"\n  interval 0.1\n  timeout 5\n}}\nvrrp_instance ONE {{\n{ROUTER}{}  track_script {{ chk }}\n}}\n",
            flag.display(),
            telling(&network)
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    assert_eq!(lines(&network, 2), ["fault", "INSTANCE ONE FAULT 150"]);
    fs::write(&flag, "").unwrap();
    let after = [
        "fault",
        "INSTANCE ONE FAULT 150",
        "INSTANCE ONE BACKUP 150",
        "INSTANCE ONE MASTER 150",
    ];
    assert_eq!(lines(&network, 4), after);
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_script_without_result_is_waited_for() {
    let network = Network::new();
    network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_script chk {{\n  script \"/bin/sleep 1\"\n  \
             interval 3\n}}\nvrrp_instance ONE {{\n{ROUTER}{}  track_script {{ chk }}\n}}\n",
            telling(&network)
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    let expected = ["INSTANCE ONE BACKUP 150", "INSTANCE ONE MASTER 150"];
    assert_eq!(lines(&network, 2), expected);
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_group_is_in_fault_with_the_member_that_cannot_run() {
    let network = Network::new();
    let two = ROUTER
        .replace("51", "52")
        .replace("192.0.2.1/", "192.0.2.2/");
    network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  script_user root\n}}\nvrrp_sync_group G {{\n  group {{ ONE TWO \
             }}\n{0}}}\nvrrp_instance ONE {{\n{ROUTER}{0}  track_interface {{ absent0 }}\n}}\n\
             vrrp_instance TWO {{\n{two}{0}}}\n",
            telling(&network)
        ),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    let mut said = lines(&network, 6);
    said.retain(|line| line != "fault");
    said.sort();
    let expected = [
        "GROUP G FAULT 0",
        "INSTANCE ONE FAULT 150",
        "INSTANCE TWO FAULT 150",
    ];
    assert_eq!(said, expected);
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_router_that_is_added_tells_from_its_first_state_on() {
    let network = Network::new();
    let one = format!("vrrp_instance ONE {{\n{ROUTER}}}\n");
    let path = network.write(
        "ha.conf",
        &format!("global_defs {{\n  script_user root\n}}\n{one}"),
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    vrrpd.wait_state("ONE", "active");
    let tells = telling(&network);
    let two = ROUTER
        .replace("51", "52")
        .replace("192.0.2.1/", "192.0.2.2/");
    let absent = two.replace("va", "absent0").replace("52", "53");
    fs::write(
        &path,
        format!(
            "global_defs {{\n  script_user root\n}}\n{one}vrrp_instance TWO \
             {{\n{two}{tells}}}\nvrrp_instance THREE {{\n{absent}{tells}}}\n"
        ),
    )
    .unwrap();
    vrrpd.signal(Signal::SIGHUP);
    vrrpd.wait_event("reloaded");
    let mut said = lines(&network, 4);
    said.sort();
    let expected = [
        "INSTANCE THREE FAULT 150",
        "INSTANCE TWO BACKUP 150",
        "INSTANCE TWO MASTER 150",
        "fault",
    ];
    assert_eq!(said, expected);
    assert_eq!(vrrpd.stop(), Some(0));
}
