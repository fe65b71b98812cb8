//! FRR as a router: its zebra and its vrrpd, with folders and sockets of their own.
//!
//! FRR makes no device: it wants a macvlan device with the virtual MAC and the virtual addresses on
//! it, which it holds down while it is Backup.

use core::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use lvs_vrrp::Family;
use nix::sys::signal::Signal;
use nix::unistd::User;
use serde_json::Value;

use crate::host::{Host, Program, complete, eventually, show};
use crate::lab::{INTERFACE, Lab, Side};
use crate::router::{Counters, Router};
use crate::settings::Settings;

/// Where Debian has its daemons.
const DAEMONS: &str = "/usr/lib/frr";
/// The device of the virtual MAC.
const DEVICE: &str = "vmac0";

#[derive(Debug)]
pub(crate) struct Frr {
    // In the order in which they end.
    vrrpd: Program,
    zebra: Program,
    folder: PathBuf,
    family: Family,
}

impl Frr {
    pub(crate) fn start(lab: &Lab, side: Side, settings: &Settings) -> Self {
        let host = lab.host(side);
        add_device(host, side, settings);
        // Both give up root for this user.
        let folder = tempfile::tempdir_in(&lab.folder).unwrap().keep();
        let user = User::from_name("frr").unwrap().expect("package frr");
        for path in [lab.folder.path(), &folder] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        chown(&folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        fs::write(folder.join("zebra.conf"), "").unwrap();
        fs::write(folder.join("vrrpd.conf"), conf(settings)).unwrap();
        let zebra = start(host, &folder, "zebra");
        eventually("socket of zebra", || {
            folder.join("zserv.api").exists().then_some(())
        });
        let router = Self {
            vrrpd: start(host, &folder, "vrrpd"),
            zebra,
            folder,
            family: settings.family,
        };
        eventually("start of FRR", || {
            let state = router.state()?;
            (state["status"] != "Initialize").then_some(())
        });
        router
    }

    /// What it says of the virtual router, once it knows of it.
    fn state(&self) -> Option<Value> {
        self.folder.join("vrrpd.vty").exists().then_some(())?;
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(&self.folder);
        command.args(["-d", "vrrpd", "-c", "show vrrp json"]);
        let output = complete(&mut command);
        let mut all: Value = serde_json::from_slice(&output.stdout).ok()?;
        let family = match self.family {
            Family::Ipv4 => "v4",
            Family::Ipv6 => "v6",
        };
        Some(all.get_mut(0)?.get_mut(family)?.take())
    }
}

fn start(host: &Host, folder: &Path, daemon: &str) -> Program {
    let path = |extension: &str| folder.join(format!("{daemon}{extension}"));
    let output = File::create(path(".out")).unwrap();
    let mut command = Command::new(Path::new(DAEMONS).join(daemon));
    command.arg("--config_file").arg(path(".conf"));
    command.arg("--pid_file").arg(path(".pid"));
    command.arg("--socket").arg(folder.join("zserv.api"));
    command.arg("--vty_socket").arg(folder);
    command.args(["--vty_port", "0", "--log", "stdout"]);
    command.stdout(output.try_clone().unwrap()).stderr(output);
    host.start(&mut command)
}

fn add_device(host: &Host, side: Side, settings: &Settings) {
    // A daemon that ran before left it.
    host.try_run("ip", &format!("link delete {DEVICE}"));
    let mut commands = format!(
        "link add {DEVICE} link {INTERFACE} address {} type macvlan mode bridge\n",
        settings.mac()
    );
    for address in &settings.addresses {
        let length = if address.is_ipv4() { 32 } else { 128 };
        writeln!(commands, "address add {address}/{length} dev {DEVICE}").unwrap();
    }
    if settings.family == Family::Ipv6 {
        // The last one is where it advertises from.
        let number = match side {
            Side::Us => 11,
            Side::Peer => 12,
        };
        writeln!(commands, "address add fe80::{number}/64 dev {DEVICE}").unwrap();
    }
    // Without a carrier, as FRR keeps it until it is Active.
    writeln!(commands, "link set dev {DEVICE} protodown on").unwrap();
    writeln!(commands, "link set dev {DEVICE} up").unwrap();
    host.ip(&commands);
    // While the device is down nothing answers for its addresses; on the interface nothing does so
    // ever, and nothing asks in their name.
    for device in [INTERFACE, DEVICE] {
        host.sysctl(&format!("ipv4/conf/{device}/arp_ignore"), "1");
        host.sysctl(&format!("ipv4/conf/{device}/arp_announce"), "2");
        host.sysctl(
            &format!("ipv4/conf/{device}/ignore_routes_with_linkdown"),
            "1",
        );
        host.sysctl(
            &format!("ipv6/conf/{device}/ignore_routes_with_linkdown"),
            "1",
        );
    }
}

fn conf(settings: &Settings) -> String {
    let router = format!(" vrrp {}", settings.vrid);
    let mut text = format!("interface {INTERFACE}\n");
    writeln!(text, "{router} version {}", settings.version.number()).unwrap();
    writeln!(text, "{router} priority {}", settings.priority).unwrap();
    let interval = settings.interval.as_millis();
    writeln!(text, "{router} advertisement-interval {interval}").unwrap();
    if !settings.preempts {
        writeln!(text, " no{router} preempt").unwrap();
    }
    let family = match settings.family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ipv6",
    };
    for address in &settings.addresses {
        writeln!(text, "{router} {family} {address}").unwrap();
    }
    text
}

impl Router for Frr {
    fn kill(&mut self) {
        self.vrrpd.kill_all();
    }

    fn resign(&mut self) {
        self.vrrpd.signal(Signal::SIGTERM);
        self.vrrpd.wait();
    }

    /// It counts neither what it refuses nor priority 0.
    fn counters(&mut self) -> Counters {
        let state = self.state().unwrap();
        let count = |name: &str| state["stats"][name].as_u64().unwrap();
        Counters {
            sent: count("adverTx"),
            received: count("adverRx"),
            errors: 0,
            // From Initialize to Backup and on, and back and forth.
            times_active: count("transitions") / 2,
            resignations_sent: None,
            resignations_received: None,
        }
    }

    fn processes(&self) -> Vec<u32> {
        [&self.vrrpd, &self.zebra].map(Program::number).into()
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["vrrpd.conf", "zebra.out", "vrrpd.out"] {
                show(&self.folder.join(name));
            }
        }
    }
}
