//! The director tells FIFOs and scripts of both halves, in a network namespace, with the table in
//! memory: nothing is lost on the way, and nobody who does not listen holds it up.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;

use core::fmt::Write as _;
use core::time::Duration;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use electing::director;
use network::{Host, cable};
use nix::sys::signal::Signal;
use nix::unistd::{User, chown};
use program::{End, Program};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(60);

const ROUTER: &str = "interface va\n version 3\n virtual_router_id 51\n advert_int 0.2\n \
                      virtual_ipaddress {\n 192.0.2.1/24\n }\n";

/// A host with the interface `va`, and a folder that is nobody's, as the account is called.
struct Scene {
    host: Host,
    _peer: Host,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (host, peer) = (Host::new("director"), Host::new("peer"));
        cable(&host, "va", &peer, "vb");
        host.ip("address add 192.0.2.11/24 dev va");
        let folder = tempfile::tempdir().unwrap();
        let nobody = User::from_name("nobody").unwrap().unwrap();
        chown(folder.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
        Self {
            host,
            _peer: peer,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path("ha.conf")).unwrap();
    }

    fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn start(&self) -> Program {
        let options = ["--memory", "-P", "-C", "--json", "-D"];
        director(&self.host, &self.path("ha.conf"), &options)
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path("told")).unwrap_or_default()
    }
}

/// A virtual server whose real server, which is not checked, is up.
fn service(last: u32, lines: &str) -> String {
    format!(
        "virtual_server 198.51.100.{last} 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n {lines}\n \
         real_server 10.0.0.1 80 {{\n }}\n}}\n"
    )
}

fn events(end: &End) -> Vec<Value> {
    let lines = end.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

fn wait(program: &Program, is_it: impl Fn(&Value) -> bool) {
    program.wait_for(|line| {
        let told: Value = serde_json::from_str(line).ok()?;
        is_it(&told).then_some(())
    });
}

fn wait_active(program: &Program) {
    wait(program, |it| it["event"] == "state" && it["to"] == "active");
}

fn stop(program: Program) -> End {
    program.signal(Signal::SIGTERM);
    let begin = Instant::now();
    let end = program.end();
    println!("ended after {:.3} s", begin.elapsed().as_secs_f64());
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    end
}

/// Processes of a group that are more than zombies.
fn left_of(group: &str) -> String {
    let mut ps = Command::new("ps");
    let ps = ps.args(["-o", "stat=,args=", "-g", group.trim()]).output();
    let text = String::from_utf8(ps.unwrap().stdout).unwrap();
    let alive = text.lines().filter(|line| !line.starts_with('Z'));
    alive.collect()
}

/// Both halves write into one FIFO, over reloads and to the end; who reads it is slow, and has an
/// account of its own.
#[test]
#[ignore = "needs root, for network namespaces and accounts"]
fn a_fifo_of_both_halves_loses_nothing() {
    let scene = Scene::new();
    let reader = scene.script(
        "reader",
        &format!(
            "while read line; do sleep 0.05; echo \"$(id -un) $line\" >>{}; done <$1",
            scene.path("told").display()
        ),
    );
    let fifo = scene.path("fifo");
    let globals = format!(
        "global_defs {{\n script_user nobody\n notify_fifo {}\n notify_fifo_script {reader}\n \
         rs_init_notifies\n child_wait_time 50\n}}\nvrrp_instance ONE {{\n {ROUTER}}}\n",
        fifo.display()
    );
    let mut text = globals + &service(1, "omega");
    scene.configure(&text);
    let program = scene.start();
    wait_active(&program);
    let inode = fs::metadata(&fifo).unwrap().ino();
    for last in 2..8 {
        text += &service(last, "omega");
        scene.configure(&text);
        program.signal(Signal::SIGHUP);
        let subject = format!("-a -t 198.51.100.{last}:80");
        wait(&program, |it| {
            it["text"]
                .as_str()
                .is_some_and(|text| text.contains(&subject))
        });
    }
    assert_eq!(fs::metadata(&fifo).unwrap().ino(), inode);
    let end = stop(program);
    assert!(!fifo.exists(), "it was the program's own");
    let told = scene.told();
    let own =
        |word: &str| -> Vec<&str> { told.lines().filter(|line| line.contains(word)).collect() };
    let routers = ["BACKUP", "MASTER", "STOP"];
    let routers = routers.map(|state| format!("nobody INSTANCE \"ONE\" {state} 100"));
    assert_eq!(own("INSTANCE"), routers, "{told}");
    for last in 1..8 {
        let service = format!("[198.51.100.{last}]:tcp:80");
        let expected = [
            format!("nobody RS [10.0.0.1]:tcp:80 {service} UP"),
            format!("nobody VS {service} UP"),
            format!("nobody RS [10.0.0.1]:tcp:80 {service} DOWN"),
            format!("nobody VS {service} DOWN"),
        ];
        assert_eq!(own(&service), expected, "{told}");
    }
    let events = events(&end);
    let of_fifos = events.iter().filter(|it| {
        it["event"]
            .as_str()
            .is_some_and(|it| it.starts_with("fifo"))
    });
    assert_eq!(of_fifos.count(), 0, "{}", end.out);
}

/// More than a FIFO holds: the rest is lost, and counted.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_reader_that_does_not_read_holds_nothing_up() {
    const SERVICES: u64 = 250;
    const SERVERS: u64 = 8;
    let scene = Scene::new();
    let deaf = scene.script("deaf", "exec sleep 100000");
    let mut text = format!(
        "global_defs {{\n script_user root\n notify_fifo {}\n \
         notify_fifo_script {deaf}\n rs_init_notifies\n child_wait_time 1\n}}\nvrrp_instance ONE {{\n {ROUTER}}}\n",
        scene.path("fifo").display()
    );
    for last in 1..=SERVICES {
        let _ = writeln!(
            text,
            "virtual_server 198.51.100.{last} 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP"
        );
        for server in 1..=SERVERS {
            let _ = writeln!(text, " real_server 10.0.0.{server} 80 {{\n }}");
        }
        text += "}\n";
    }
    scene.configure(&text);
    let program = scene.start();
    wait_active(&program);
    wait(&program, |it| it["event"] == "fifo-losing");
    let end = stop(program);
    let events = events(&end);
    let of =
        |name: &str| -> Vec<&Value> { events.iter().filter(|it| it["event"] == name).collect() };
    assert_eq!(of("fifo-losing").len(), 1);
    assert_eq!(of("fifo-reader-ended").len(), 0);
    let lost = of("fifo-lost");
    // Nothing was read: all of it, and BACKUP, MASTER, STOP of the virtual router.
    let expected = SERVICES * (SERVERS + 1) + 3;
    assert_eq!((lost.len(), &lost[0]["count"]), (1, &expected.into()));
}

/// Scripts of both halves that never end have `child_wait_time`, then they go with what they started.
#[test]
#[ignore = "needs root, for network namespaces"]
fn scripts_that_hang_are_ended_with_their_groups() {
    let scene = Scene::new();
    let hang = |name: &str| {
        let path = scene.path(name);
        let text = format!(
            "trap '' TERM\nsleep 100000 &\necho $$ >{0}.new\nmv {0}.new {0}\nsleep 100000",
            path.display()
        );
        scene.script(&format!("{name}.sh"), &text)
    };
    let (master, quorum) = (hang("master"), hang("quorum"));
    scene.configure(&format!(
        "global_defs {{\n script_user root\n child_wait_time 1\n}}\nvrrp_instance ONE {{\n \
         {ROUTER} notify_master {master}\n}}\n{}",
        service(1, &format!("quorum_up {quorum}"))
    ));
    let program = scene.start();
    let groups = ["master", "quorum"].map(|name| {
        let begin = Instant::now();
        while !scene.path(name).exists() {
            assert!(begin.elapsed() < PATIENCE, "{name} does not run");
            thread::sleep(Duration::from_millis(10));
        }
        fs::read_to_string(scene.path(name)).unwrap()
    });
    let end = stop(program);
    for group in groups {
        assert_eq!(left_of(&group), "");
    }
    let events = events(&end);
    let killed = |event: &str, key: &str, script: &str| {
        events.iter().any(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or_default();
            it["event"] == event
                && text(key).contains("took too long, killed")
                && it.to_string().contains(script)
        })
    };
    assert!(killed("notified", "result", &master), "{}", end.out);
    assert!(killed("told", "text", &quorum), "{}", end.out);
}

/// `child_wait_time` is that of the file as it was read last, for both halves.
#[test]
#[ignore = "needs root, for network namespaces"]
fn scripts_of_the_end_have_the_time_that_is_configured() {
    let scene = Scene::new();
    let told = scene.path("told");
    let slow = |what: &str| {
        let text = format!("sleep 6\necho {what} >>{}", told.display());
        scene.script(what, &text)
    };
    let (router, server) = (slow("router"), slow("server"));
    let text = |seconds: u32| {
        format!(
            "global_defs {{\n script_user root\n child_wait_time {seconds}\n}}\nvrrp_instance ONE \
             {{\n {ROUTER} notify_stop {router}\n}}\n{}",
            service(1, &format!("omega\n quorum_down {server}"))
        )
    };
    scene.configure(&text(1));
    let program = scene.start();
    wait_active(&program);
    scene.configure(&text(50));
    program.signal(Signal::SIGHUP);
    wait(&program, |it| it["event"] == "reloaded");
    stop(program);
    assert_eq!(scene.told(), "router\nserver\n");
}
