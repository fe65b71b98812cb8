//! A process that goes on where another one leaves off.

use core::time::Duration;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::capture::Capture;
use crate::example;
use crate::network::Network;

const INTERVAL: Duration = Duration::from_millis(300);
/// How long something told by another process may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Two processes of a debug build share two processors with other tests.
const SLACK: Duration = Duration::from_millis(200);
const ROUTER: &str = "-i va --vrid 51 --address 192.0.2.1/24 --priority 150 --interval 300ms";

/// The MAC that a namespace has for the virtual address.
fn cached(network: &Network) -> String {
    let text = network.ask("neigh show 192.0.2.1");
    let mut words = text.split_whitespace();
    words.find(|word| *word == "lladdr");
    words.next().unwrap_or_default().to_owned()
}

/// Runs a program in there.
fn start(network: &Network, words: &str) -> Child {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", network.name()]);
    command.args(words.split(' ')).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn output(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// One process after the other with these arguments; a neighbour sees nothing of it.
fn change_hands(first: &str, second: &str, router: &str, check: impl Fn(Option<File>)) {
    let network = Network::new();
    let other = Network::new();
    network.give_end_to(&other);
    network.write("chk", "");
    network.write("ha.conf", &file(&network));
    let capture = Capture::start(&other);
    let mut before = network.start(first);
    before.wait_state(router, "active");
    // Where there is one it has a reader.
    let mut options = OpenOptions::new();
    let pipe = options
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(network.path("pipe"))
        .ok();
    let _ = output(start(&other, "ping -c 1 -W 5 192.0.2.1"));
    let known = cached(&other);
    assert!(known.contains(':'), "{known:?}");
    let changes = start(&network, "ip monitor address");
    let pings = start(&other, "ping -q -i 0.01 -c 300 192.0.2.1");
    sleep(Duration::from_millis(500));

    let mut after = network.start(second);
    let taken = after.wait_event("taken-over");
    assert_eq!(
        taken["routers"].as_array().map(Vec::len),
        Some(1),
        "{taken}"
    );
    let active = after.wait_state(router, "active");
    assert_eq!(active["cause"], "handover", "{active}");
    let given = before.wait_event("handed-over");
    assert_eq!((&given["active"], &given["error"]), (&1.into(), &().into()));
    assert_eq!(before.ended(), Some(0));
    let states: Vec<_> = before.seen.iter().collect();
    assert!(!states.iter().any(|event| event["event"] == "stopped"));

    let said = output(pings);
    assert!(said.contains(" 0% packet loss"), "{said}");
    sleep(2 * INTERVAL);
    assert_eq!(cached(&other), known);
    kill(
        Pid::from_raw(changes.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    let changes = output(changes);
    assert!(!changes.contains("Deleted"), "{changes}");
    let frames = capture.end();
    let adverts: Vec<_> = frames.iter().filter_map(|frame| frame.advert()).collect();
    assert!(adverts.len() >= 10, "{adverts:?}");
    assert!(
        adverts.iter().all(|advert| advert.priority == 150),
        "{adverts:?}"
    );
    assert!(
        adverts.iter().all(|advert| advert.from == known),
        "{adverts:?}"
    );
    let gaps = adverts.windows(2).map(|two| two[1].at - two[0].at);
    let longest = gaps.max().unwrap();
    println!("longest time between advertisements: {longest:?}, interval {INTERVAL:?}");
    assert!(longest <= INTERVAL + SLACK, "{longest:?}");
    let mut told = frames.iter().filter_map(|it| it.arp_sender([192, 0, 2, 1]));
    assert!(told.all(|mac| mac == known));

    // The successor is one like any other: it resigns, and has a successor.
    let mut third = network.start(second);
    third.wait_event("taken-over");
    third.wait_state(router, "active");
    assert_eq!(after.ended(), Some(0));
    check(pipe);
    let capture = Capture::start(&other);
    assert_eq!(third.stop(), Some(0));
    assert!(!network.path("pipe").exists());
    assert!(!network.has("192.0.2.1/24"));
    sleep(Duration::from_millis(100));
    let last = capture.end();
    let last = last.iter().filter_map(|frame| frame.advert()).next_back();
    assert_eq!(last.unwrap().priority, 0);
}

/// With a script without which it may not run, and a pipe.
fn file(network: &Network) -> String {
    format!(
        "global_defs {{\n  script_user root\n  vrrp_notify_fifo {}\n}}\nvrrp_script chk {{\n  script \
         \"/bin/test -e {}\"\n  interval 1\n}}\nvrrp_instance ONE {{\n  interface va\n  version 3\n  \
         advert_int 0.3\n  virtual_router_id 51\n  priority 150\n  virtual_ipaddress {{ 192.0.2.1/24 \
         }}\n  track_script {{ chk }}\n}}\n",
        network.path("pipe").display(),
        network.path("chk").display()
    )
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_successor_goes_on_and_neighbours_see_nothing_of_it() {
    change_hands(ROUTER, &format!("{ROUTER} --take-over"), "va/51", |_| {});
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_successor_goes_on_between_tasks() {
    let on_tokio = format!("{ROUTER} --driver tokio");
    change_hands(
        &on_tokio,
        &format!("{on_tokio} --take-over"),
        "va/51",
        |_| {},
    );
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_successor_goes_on_with_a_virtual_mac() {
    let router = format!("{ROUTER} --virtual-mac");
    change_hands(&router, &format!("{router} --take-over"), "va/51", |_| {});
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_successor_goes_on_with_what_is_known_of_scripts() {
    let told = |pipe: Option<File>| {
        let mut pipe = pipe.unwrap();
        let (mut text, begun) = (String::new(), Instant::now());
        // The third one tells of its state after it has told us.
        while text.lines().count() < 4 && begun.elapsed() < PATIENCE {
            let mut part = [0; 400];
            match pipe.read(&mut part) {
                Ok(length) => text.push_str(str::from_utf8(&part[..length]).unwrap()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
            sleep(Duration::from_millis(10));
        }
        // No end is told, and no fault.
        assert_eq!(
            text,
            "INSTANCE \"ONE\" BACKUP 150\nINSTANCE \"ONE\" MASTER 150\nINSTANCE \"ONE\" MASTER \
             150\nINSTANCE \"ONE\" MASTER 150\n"
        );
    };
    let (first, second) = ("--use-file ha.conf", "--use-file ha.conf --take-over");
    change_hands(first, second, "ONE", told);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn without_a_process_to_take_over_from_it_starts_as_usual() {
    let network = Network::new();
    let mut vrrpd = network.start(&format!("{ROUTER} --take-over"));
    vrrpd.wait_event("nothing-to-take-over");
    let active = vrrpd.wait_state("va/51", "active");
    assert_eq!(active["cause"], "active-timeout");
    // Who does not know of it is told.
    let mut command = network.command();
    let refused = command.args(ROUTER.split(' ')).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("--tag") && said.contains("--take-over"),
        "{said}"
    );
    // A router that is new begins like any other, and one that is not run any more leaves.
    let two = ROUTER
        .replace("51", "52")
        .replace("192.0.2.1/", "192.0.2.2/");
    let mut other = network.start(&format!("{two} --take-over"));
    let taken = other.wait_event("taken-over");
    assert_eq!(
        taken["routers"].as_array().map(Vec::len),
        Some(0),
        "{taken}"
    );
    other.wait_event("leftover-removed");
    assert!(!network.has("192.0.2.1/24"));
    assert_eq!(
        other.wait_state("va/52", "active")["cause"],
        "active-timeout"
    );
    assert_eq!(other.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn another_user_cannot_take_over() {
    let network = Network::new();
    let mut vrrpd = network.start(ROUTER);
    vrrpd.wait_state("va/51", "active");
    // The folder of the program may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("vrrpd");
    fs::copy(example::command("vrrpd").get_program(), &copy).unwrap();
    let capabilities = "+net_raw,+net_admin";
    let mut command = Command::new("ip");
    command.args(["netns", "exec", network.name(), "setpriv"]);
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
    command
        .arg(&copy)
        .args(ROUTER.split(' '))
        .arg("--take-over");
    let output = command.current_dir("/").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot take over: only root and the user"),
        "{said}"
    );
    assert_eq!(vrrpd.snapshot()["routers"][0]["state"], "active");
    assert_eq!(vrrpd.stop(), Some(0));
}

/// A keepalived that would take over.
struct Rival(Child);

impl Rival {
    fn start(network: &Network, routers: &str) -> Self {
        let conf = network.write("rival.conf", routers);
        let log = File::create(network.path("rival.log")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network.name(), "keepalived"]);
        command.args(["--dont-fork", "--vrrp", "--dont-respawn", "--log-console"]);
        command
            .args(["--no-syslog", "--log-detail", "--use-file"])
            .arg(conf);
        command.arg("--pid").arg(network.path("rival.pid"));
        command
            .arg("--vrrp_pid")
            .arg(network.path("rival_vrrp.pid"));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It ends its own children, if it is asked.
        let _ = kill(
            Pid::from_raw(self.0.id().try_into().unwrap()),
            Signal::SIGTERM,
        );
        let _ = self.0.wait();
    }
}

/// Waits until the log says this so many times.
fn until_said(network: &Network, what: &str, times: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let log = fs::read_to_string(network.path("rival.log")).unwrap();
        if log.matches(what).count() >= times {
            return;
        }
        assert!(Instant::now() < until, "{what}: {log}");
        sleep(Duration::from_millis(50));
    }
}

/// Both versions, both families, a group, and authentication headers, whose numbers go on: keepalived
/// drops lower ones.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_keepalived_that_is_backup_notices_nothing() {
    let network = Network::new();
    let other = Network::new();
    network.give_end_to(&other);
    let routers = |interface: &str, priority: u8| {
        format!(
            "vrrp_instance ONE {{\n  interface {interface}\n  version 2\n  virtual_router_id 51\n  \
             priority {priority}\n  advert_int 1\n  authentication {{\n    auth_type AH\n    \
             auth_pass secret\n  }}\n  virtual_ipaddress {{\n    192.0.2.1/24\n  }}\n}}\n\
             vrrp_instance SIX {{\n  interface {interface}\n  version 3\n  virtual_router_id 52\n  \
             priority {priority}\n  advert_int 1\n  virtual_ipaddress {{\n    fe80::51/64\n  }}\n}}\n"
        )
    };
    let group = "vrrp_sync_group G {\n  group {\n    ONE\n    SIX\n  }\n}\n";
    network.write("ha.conf", &format!("{group}{}", routers("va", 150)));
    let mut before = network.start("--use-file ha.conf");
    before.wait_state("ONE", "active");
    let rival = Rival::start(&other, &routers("vb", 100));
    until_said(&other, "Entering BACKUP STATE", 2);
    // It hears more than a down interval's worth: so many would be dropped.
    sleep(Duration::from_millis(6200));
    let mut after = network.start("--use-file ha.conf --take-over");
    let taken = after.wait_event("taken-over");
    assert_eq!(
        taken["routers"].as_array().map(Vec::len),
        Some(2),
        "{taken}"
    );
    assert_eq!(before.ended(), Some(0));
    // Longer than its down interval.
    sleep(Duration::from_millis(4500));
    let log = fs::read_to_string(other.path("rival.log")).unwrap();
    assert!(!log.contains("MASTER STATE"), "{log}");
    let snapshot = after.snapshot();
    for router in snapshot["routers"].as_array().unwrap() {
        assert_eq!(router["state"], "active", "{router}");
        assert_eq!(router["became_active"], 1, "{router}");
    }
    assert_eq!(after.stop(), Some(0));
    until_said(&other, "Entering MASTER STATE", 2);
    drop(rival);
}
