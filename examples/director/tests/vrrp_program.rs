//! The director as a program with virtual routers beside its checks, in a network namespace, with the
//! table in memory.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use electing::{director, has_address};
use network::{Host, cable, eventually};
use nix::sys::signal::Signal;
use program::{End, Program};
use serde_json::Value;
use tempfile::TempDir;

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

/// A host with the interface `va`, and files of its own.
struct Scene {
    host: Host,
    peer: Host,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (host, peer) = (Host::new("director"), Host::new("peer"));
        cable(&host, "va", &peer, "vb");
        host.ip("address add 192.0.2.11/24 dev va");
        Self {
            host,
            peer,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ha.conf")
    }

    /// Who reads the file sees the old text or the new one.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn start(&self, options: &[&str]) -> Program {
        let mut all = vec!["--memory", "--json"];
        if !options.contains(&"-P") && !options.contains(&"-C") {
            all.extend(["-P", "-C"]);
        }
        all.extend(options);
        director(&self.host, &self.path(), &all)
    }

    fn has(&self, address: IpAddr) -> bool {
        has_address(&self.host, "va", address)
    }
}

/// A virtual router with this address.
fn instance(name: &str, id: u8, address: IpAddr) -> String {
    format!(
        "vrrp_instance {name} {{\n interface va\n version 3\n virtual_router_id {id}\n \
         advert_int 0.2\n virtual_ipaddress {{\n {address}/24\n }}\n}}\n"
    )
}

/// A virtual server at this address.
fn service(address: IpAddr) -> String {
    format!(
        "virtual_server {address} 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
         real_server 10.0.0.1 80 {{\n }}\n}}\n"
    )
}

/// What was told, as JSON.
fn events(end: &End) -> Vec<Value> {
    let lines = end.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

/// Waits for an event with such a value.
fn wait(program: &Program, event: &str, key: &str, value: &str) -> Value {
    program.wait_for(|line| {
        let told: Value = serde_json::from_str(line).ok()?;
        let has_it = told["event"] == event
            && told[key]
                .as_str()
                .is_some_and(|found| found.contains(value));
        has_it.then_some(told)
    })
}

fn wait_active(program: &Program, router: &str) {
    program.wait_for(|line| {
        let told: Value = serde_json::from_str(line).ok()?;
        let is_it = told["event"] == "state" && told["router"] == router && told["to"] == "active";
        is_it.then_some(())
    });
}

/// Where the first event with such a value is.
fn place(events: &[Value], event: &str, key: &str, value: &str) -> usize {
    let mut events = events.iter();
    let found = events.position(|it| {
        it["event"] == event && it[key].as_str().is_some_and(|found| found.contains(value))
    });
    found.unwrap_or_else(|| panic!("no {event} with {key} {value}"))
}

/// `OP-1`: table, then *backup* stopped, then *active* started, then told; back in the other order, and
/// the table last.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_take_over_and_an_end_keep_their_order() {
    let scene = Scene::new();
    let text = format!(
        "global_defs {{\n lvs_sync_daemon va inst ONE\n}}\n{}{}",
        instance("ONE", 51, FIRST),
        service(FIRST)
    );
    scene.write(&text);
    let program = scene.start(&[]);
    wait_active(&program, "ONE");
    assert!(scene.has(FIRST));
    program.signal(Signal::SIGUSR1);
    let routers = program.wait_for(|line| {
        let told: Value = serde_json::from_str(line).ok()?;
        (told["event"] == "routers").then_some(told)
    });
    assert_eq!(routers["routers"][0]["state"], "active");
    let services = wait(&program, "services", "role", "active");
    assert_eq!(services["services"][0]["servers"][0]["weight"], 1);
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    assert!(!scene.has(FIRST));
    let events = events(&end);
    let places = [
        place(&events, "step", "step", "sync daemon backup started"),
        place(&events, "step", "step", "table ready"),
        place(&events, "step", "step", "sync daemon backup stopped"),
        place(&events, "state", "to", "active"),
        place(&events, "stopping", "text", "stop"),
        place(&events, "state", "cause", "shutdown"),
        place(&events, "table", "text", "ipvsadm -D -t 192.0.2.1:80"),
    ];
    assert!(places.is_sorted(), "{places:?}\n{}", end.out);
    let started = place(&events, "step", "step", "sync daemon active started");
    assert!(places[2] < started && started < places[3], "{}", end.out);
    assert!(events.iter().all(|it| it["error"].is_null()), "{}", end.out);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_reload_changes_both_halves_or_none() {
    let scene = Scene::new();
    let one = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    scene.write(&one);
    let program = scene.start(&[]);
    wait_active(&program, "ONE");

    // The half about servers is wrong, so that about routers does not count either.
    let broken = format!(
        "{one}{}virtual_server 192.0.2.3 80 {{\n quorum x\n}}\n",
        instance("TWO", 52, SECOND)
    );
    scene.write(&broken);
    program.signal(Signal::SIGHUP);
    wait(&program, "not-reloaded", "text", "there are errors");
    assert!(!scene.has(SECOND));

    let both = format!("{one}{}{}", instance("TWO", 52, SECOND), service(SECOND));
    scene.write(&both);
    program.signal(Signal::SIGHUP);
    wait(
        &program,
        "table",
        "text",
        "-a -t 192.0.2.3:80 -r 10.0.0.1:80",
    );
    wait_active(&program, "TWO");
    assert!(scene.has(FIRST) && scene.has(SECOND));

    // Only the second is left; it is not disturbed.
    scene.write(&format!(
        "{}{}",
        instance("TWO", 52, SECOND),
        service(SECOND)
    ));
    program.signal(Signal::SIGHUP);
    wait(&program, "table", "text", "-D -t 192.0.2.1:80");
    eventually(|| scene.has(FIRST), |has_it| !has_it);
    assert!(scene.has(SECOND));
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let events = events(&end);
    let moves = events
        .iter()
        .filter(|it| it["event"] == "state" && it["router"] == "TWO");
    let states: Vec<_> = moves.map(|it| it["to"].as_str().unwrap()).collect();
    assert_eq!(states, ["backup", "active", "initialize"], "{}", end.out);
}

/// Whatever the table's half is refused for, the routers' half has not begun: here a check that needs
/// exit codes, which a process that ignores SIGCHLD does not get.
#[test]
#[ignore = "needs root, for network namespaces"]
fn what_is_refused_has_changed_nothing() {
    let scene = Scene::new();
    let one = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    let two = format!("{}{}", instance("TWO", 52, SECOND), service(SECOND));
    scene.write(&format!("{one}{two}"));
    let mut command = Command::new("env");
    command.args(["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_director")]);
    command.args(["--memory", "--json", "-P", "-C", "-f"]);
    command.arg(scene.path());
    let program = scene.host.enter(|| Program::start(&mut command));
    wait_active(&program, "ONE");
    wait_active(&program, "TWO");

    // A router leaves, one comes, and the check.
    let check = "real_server 10.0.0.1 80 {\n MISC_CHECK {\n misc_path /bin/true\n }\n";
    let checked = one.replace("real_server 10.0.0.1 80 {\n", check);
    let three = instance("THREE", 53, Ipv4Addr::new(192, 0, 2, 4).into());
    scene.write(&format!("{checked}{three}"));
    program.signal(Signal::SIGHUP);
    wait(&program, "not-reloaded", "text", "need exit codes");
    assert!(scene.has(FIRST) && scene.has(SECOND));

    // Then it goes on as if nothing had been.
    scene.write(&format!("{one}{two}{three}"));
    program.signal(Signal::SIGHUP);
    wait_active(&program, "THREE");
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let events = events(&end);
    for router in ["ONE", "TWO", "THREE"] {
        let states = events.iter();
        let states = states.filter(|it| it["event"] == "state" && it["router"] == router);
        let states: Vec<_> = states.map(|it| it["to"].as_str().unwrap()).collect();
        assert_eq!(states, ["backup", "active", "initialize"], "{}", end.out);
    }
}

/// What the start would have said of it is said of a new file, too, and does not keep it from running.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_new_file_is_reviewed() {
    let scene = Scene::new();
    let one = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    scene.write(&one);
    let program = scene.start(&[]);
    wait_active(&program, "ONE");
    let direct = service(SECOND)
        .replace("lb_kind NAT", "lb_kind DR")
        .replace("10.0.0.1 80", "192.0.2.12 8080");
    scene.write(&format!("{one}{direct}"));
    program.signal(Signal::SIGHUP);
    wait(&program, "reloaded", "text", "is run now");
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let events = events(&end);
    let found = place(&events, "finding", "code", "port-differs");
    assert_eq!(events[found]["severity"], "fails");
    assert!(found < place(&events, "reloaded", "text", "is run now"));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn either_half_alone() {
    let scene = Scene::new();
    let text = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    scene.write(&text);
    let routers = scene.start(&["-P"]);
    wait_active(&routers, "ONE");
    routers.signal(Signal::SIGTERM);
    let end = routers.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    assert!(!end.out.contains("ipvsadm"), "{}", end.out);

    let servers = scene.start(&["-C"]);
    wait(&servers, "table", "text", "-a -t 192.0.2.1:80");
    servers.signal(Signal::SIGTERM);
    let end = servers.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    assert!(!end.out.contains(r#""router""#), "{}", end.out);
    assert!(!scene.has(FIRST));
}

/// `-V`: whoever starts it again soon finds them; if nobody does they go (`OP-4`).
#[test]
#[ignore = "needs root, for network namespaces"]
fn addresses_may_be_left_and_then_go_by_themselves() {
    // Of the eleven seconds of its lifetime, which is renewed when a third of it is over.
    const STAYS: Duration = Duration::from_secs(7);
    let scene = Scene::new();
    let text = instance("ONE", 51, FIRST).replace("advert_int 0.2", "advert_int 1");
    scene.write(&text);
    let program = scene.start(&["-V"]);
    wait_active(&program, "ONE");
    let asked = Instant::now();
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let is_left = scene.has(FIRST);
    let elapsed = asked.elapsed();
    println!("{elapsed:?} after the signal: left: {is_left}");
    assert!(is_left || elapsed > STAYS, "gone after {elapsed:?}");
    eventually(|| scene.has(FIRST), |has_it| !has_it);
}

/// With an empty standby table it is filled before the address is there (`OP-19`).
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_standby_table_may_be_empty() {
    let scene = Scene::new();
    let text = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    scene.write(&text);
    let program = director(
        &scene.host,
        &scene.path(),
        &["--memory", "-P", "-C", "--json", "--standby-table", "empty"],
    );
    wait_active(&program, "ONE");
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let events = events(&end);
    let places = [
        place(&events, "state", "to", "backup"),
        place(&events, "table", "text", "-a -t 192.0.2.1:80"),
        place(&events, "step", "step", "table ready"),
        place(&events, "state", "to", "active"),
    ];
    assert!(places.is_sorted(), "{places:?}\n{}", end.out);
}

/// Routers that come and go while it runs: with the first the director is a standby, whose table is
/// empty, without any it is alone.
#[test]
#[ignore = "needs root, for network namespaces"]
fn without_virtual_routers_it_is_alone() {
    let scene = Scene::new();
    let alone = service(FIRST);
    let electing = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    scene.write(&alone);
    let program = scene.start(&["--standby-table", "empty"]);
    wait(&program, "table", "text", "-a -t 192.0.2.1:80");

    scene.write(&electing);
    program.signal(Signal::SIGHUP);
    wait(&program, "table", "text", "-D -t 192.0.2.1:80");
    wait_active(&program, "ONE");

    scene.write(&alone);
    program.signal(Signal::SIGHUP);
    wait(&program, "role", "text", "alone");
    eventually(|| scene.has(FIRST), |has_it| !has_it);
    // What the router still had to say about the table does not count any more.
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let told: Vec<_> = events(&end);
    let roles = told.iter().filter(|it| it["event"] == "role");
    let roles: Vec<_> = roles.map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(
        roles,
        ["role    standby", "role    active", "role    alone"],
        "{}",
        end.out
    );
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn what_a_file_comes_to_is_shown_before_it_runs() {
    let scene = Scene::new();
    let text = format!("{}{}", instance("ONE", 51, FIRST), service(FIRST));
    scene.write(&text);
    let program = director(
        &scene.host,
        &scene.path(),
        &[
            "--memory", "-P", "-C", "-d", "-n", "-l", "-D", "--for", "100ms",
        ],
    );
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    for line in [
        "-A -t 192.0.2.1:80 -s rr",
        "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1",
        "vrrp_instance ONE: IPv4 on va, id 51, priority 100, every 200ms: 192.0.2.1/24",
    ] {
        assert!(end.out.lines().any(|it| it == line), "{line}: {}", end.out);
    }
}

/// `ha_suspend`: on a standby all stays as it is whatever checks say; of an Active one they count.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_standby_may_leave_checks_alone() {
    let scene = Scene::new();
    scene.peer.ip("address add 192.0.2.12/24 dev vb");
    let router = instance("ONE", 51, FIRST);
    let better = router.replace("interface va\n", "interface vb\n priority 200\n");
    scene.write(&better);
    let active = director(&scene.peer, &scene.path(), &["-P", "--json"]);
    wait_active(&active, "ONE");

    let _listener = scene
        .host
        .enter(|| TcpListener::bind("192.0.2.11:8080").unwrap());
    let server = |address: &str, port: u16| {
        format!(
            " real_server {address} 80 {{\n TCP_CHECK {{\n retry 0\n connect_ip 192.0.2.11\n \
             connect_port {port}\n }}\n }}\n"
        )
    };
    let text = format!(
        "{router}virtual_server {FIRST} 80 {{\n ha_suspend\n delay_loop 1\n warmup 0\n \
         lb_algo rr\n lb_kind NAT\n protocol TCP\n{}{}}}\n",
        server("10.0.0.1", 8080),
        server("10.0.0.2", 8081),
    );
    scene.write(&text);
    let standby = scene.start(&[]);
    wait(&standby, "state", "to", "backup");
    wait(&standby, "check", "text", "unknown to up");
    wait(&standby, "check", "text", "unknown to down");
    standby.signal(Signal::SIGUSR1);
    let status = wait(&standby, "services", "role", "standby");
    let service = &status["services"][0];
    assert_eq!(service["suspended"], true, "{status}");
    for number in [0, 1] {
        assert_eq!(service["servers"][number]["weight"], 1, "{status}");
    }

    active.signal(Signal::SIGTERM);
    assert_eq!(active.end().code, Some(0));
    wait_active(&standby, "ONE");
    let failed = "-d -t 192.0.2.1:80 -r 10.0.0.2:80";
    wait(&standby, "table", "text", failed);
    standby.signal(Signal::SIGUSR1);
    let status = wait(&standby, "services", "role", "active");
    assert_eq!(status["services"][0]["suspended"], false, "{status}");
    standby.signal(Signal::SIGTERM);
    let end = standby.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    let events = events(&end);
    let became_active = place(&events, "role", "text", "active");
    assert!(became_active < place(&events, "table", "text", failed));
}
