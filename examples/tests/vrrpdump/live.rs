//! An interface being watched.

use core::time::Duration;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket};
use nix::unistd::Pid;
use serde_json::Value;

use crate::{program, vectors};

/// Runs it in a network namespace of its own, with a pair of interfaces v0 and v1.
fn in_a_namespace<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        // A namespace belongs to a thread, and goes with it.
        let run = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            for arguments in [
                "link add v0 type veth peer name v1",
                "link set lo up",
                "link set v0 up",
                "link set v1 up",
            ] {
                let status = Command::new("ip")
                    .args(arguments.split(' '))
                    .status()
                    .unwrap();
                assert!(status.success(), "ip {arguments}");
            }
            body()
        });
        run.join().unwrap()
    })
}

fn start(arguments: &str) -> Child {
    let mut command = program::command();
    command.args(arguments.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Sends these frames again and again until the program ends, or a while has passed; says how often.
fn send_until_it_ends(mut child: Child, interface: &str, frames: &[Vec<u8>]) -> (Output, usize) {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None).unwrap();
    let mut addresses = getifaddrs()
        .unwrap()
        .filter(|a| a.interface_name == interface);
    let address: LinkAddr = addresses
        .find_map(|found| found.address?.as_link_addr().copied())
        .unwrap();
    bind(socket.as_raw_fd(), &address).unwrap();
    let (start, mut rounds) = (Instant::now(), 0);
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("{:?}", child.wait_with_output().unwrap());
        }
        for frame in frames {
            send(socket.as_raw_fd(), frame, MsgFlags::empty()).unwrap();
        }
        rounds += 1;
        thread::sleep(Duration::from_millis(20));
    }
    (child.wait_with_output().unwrap(), rounds)
}

fn objects(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
#[ignore = "needs root, for a network namespace and packet sockets"]
fn an_interface_is_watched() {
    let mut other = vectors::named("V07").frame;
    other[14 + 9] = 17;
    let names = ["V03", "V07", "V14", "G01", "N01", "X01"];
    let mut frames: Vec<_> = names.iter().map(|id| vectors::named(id).frame).collect();
    frames.push(other);
    for (watched, shown) in [("v1", "v1"), ("any", "v1"), ("v0", "v0")] {
        let (output, _) = in_a_namespace(|| {
            let arguments = "--json --stats --announcements --count 40 --interface";
            send_until_it_ends(start(&format!("{arguments} {watched}")), "v0", &frames)
        });
        let mut objects = objects(&output);
        let stats = objects.pop().unwrap();
        assert_eq!(objects.len(), 40);
        for vrid in [53, 12, 10] {
            let accepted = objects
                .iter()
                .find(|o| o["ok"] == true && o["vrid"] == vrid);
            assert!(accepted.is_some(), "{watched} {vrid}");
        }
        let refused = objects.iter().find(|o| o["ok"] == false).unwrap();
        assert_eq!(refused["reason"], "ttl");
        for kind in ["arp", "na"] {
            assert!(
                objects.iter().any(|o| o["kind"] == kind),
                "{watched} {kind}"
            );
        }
        assert!(
            objects.iter().any(|object| object["interface"] == shown),
            "{watched}"
        );
        let interfaces = objects
            .iter()
            .map(|object| object["interface"].as_str().unwrap());
        let expected: &[&str] = if watched == "any" {
            &["v0", "v1"]
        } else {
            &[shown]
        };
        for interface in interfaces {
            assert!(expected.contains(&interface), "{interface}");
        }
        // The kernel's filter keeps the other traffic away; a little may come in before it is set.
        assert!(stats["frames"].as_u64().unwrap() < 60, "{stats}");
    }
}

/// As it is on the loopback interface: once, though the kernel shows it twice.
#[test]
#[ignore = "needs root, for a network namespace and packet sockets"]
fn a_signal_ends_it_with_the_counters() {
    let (output, rounds) = in_a_namespace(|| {
        let child = start("--stats --passive --interface lo");
        let pid = Pid::from_raw(child.id().cast_signed());
        let ender = thread::spawn(move || {
            thread::sleep(Duration::from_secs(2));
            kill(pid, Signal::SIGTERM).unwrap();
        });
        let output = send_until_it_ends(child, "lo", &[vectors::named("V07").frame]);
        ender.join().unwrap();
        output
    });
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (lines, counters): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.contains("VRRPv3"));
    assert!(
        lines.len() > 2 && lines.len() <= rounds,
        "{rounds} sent: {text}"
    );
    assert!(
        lines[0].contains(" lo 192.0.2.240 > 224.0.0.18: VRRPv3 vrid 12"),
        "{}",
        lines[0]
    );
    let said = format!("vrid 12 IPv4 on lo: advertisement-rcvd {}", lines.len());
    assert_eq!(counters.last(), Some(&said.as_str()), "{text}");
}

#[test]
fn what_is_missing_without_privilege_is_said() {
    let program = program::command().get_program().to_owned();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-net_raw"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command
        .args(["--passive", "--interface", "lo"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot open a packet socket: "), "{said}");
    assert!(said.contains("needs CAP_NET_RAW: run it as root"), "{said}");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let outcome = program::run("--interface vrrpdump99", b"");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""));
    assert!(
        outcome.stderr.contains("no interface vrrpdump99"),
        "{}",
        outcome.stderr
    );
}
