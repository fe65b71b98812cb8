//! The tool `vrrpd` as a router: what is tested.

use core::time::Duration;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use lvs_vrrp::Version;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::example;
use crate::host::{Program, eventually, show};
use crate::lab::{Lab, Side};
use crate::router::{Counters, Router};
use crate::settings::Settings;

/// The kernel looks for addresses whose time is over now and then only.
const KERNEL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Vrrpd {
    program: Program,
    folder: PathBuf,
}

impl Vrrpd {
    /// Starts it with this driver. What it writes goes into the lab's folder.
    pub(crate) fn start(lab: &Lab, side: Side, settings: &Settings, driver: &str) -> Self {
        let folder = tempfile::tempdir_in(&lab.folder).unwrap().keep();
        let [conf, output, error] = ["vrrpd.conf", "events", "error"].map(|name| folder.join(name));
        let mut file = File::create(&conf).unwrap();
        // It may hold a password.
        file.set_permissions(Permissions::from_mode(0o600)).unwrap();
        file.write_all(settings.keepalived_conf().as_bytes())
            .unwrap();
        let mut command = example::command("vrrpd");
        command.arg("--strict").arg("--use-file").arg(conf);
        command.args(["--driver", driver]);
        if settings.version == Version::V2 {
            // Three down intervals would be eleven seconds.
            let seconds = LIFETIME_V2.as_secs();
            command.args(["--lifetime", &format!("{seconds}s")]);
        }
        command.stdout(File::create(output).unwrap());
        command.stderr(File::create(error).unwrap());
        let router = Self {
            program: lab.host(side).start(&mut command),
            folder,
        };
        eventually("start of vrrpd", || {
            let mut events = router.events().into_iter();
            events.find(|event| event["event"] == "state" && event["to"] == "backup")
        });
        router
    }

    /// How long an address of it stays at most when it was killed.
    pub(crate) fn lifetime(settings: &Settings) -> Duration {
        let lifetime = match settings.version {
            Version::V2 => LIFETIME_V2,
            Version::V3 => (3 * settings.down_interval()).max(Duration::from_secs(3)),
        };
        lifetime + KERNEL
    }

    /// What it told until now.
    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("events")).unwrap();
        // The last line may not be all there yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}

/// What the tests set with version 2: two thirds of it, which may be left when it is killed, are more
/// than a down interval.
const LIFETIME_V2: Duration = Duration::from_secs(7);

impl Router for Vrrpd {
    fn kill(&mut self) {
        self.program.kill_all();
    }

    fn resign(&mut self) {
        self.program.signal(Signal::SIGTERM);
        let status = self.program.wait();
        assert!(status.success(), "{status}");
    }

    fn counters(&mut self) -> Counters {
        let snapshots = |events: Vec<Value>| {
            let all = events.into_iter();
            all.filter(|event| event["event"] == "snapshot")
                .collect::<Vec<_>>()
        };
        let before = snapshots(self.events()).len();
        self.program.signal(Signal::SIGUSR1);
        let snapshot = eventually("snapshot of vrrpd", || {
            snapshots(self.events()).into_iter().nth(before)
        });
        let router = &snapshot["routers"][0];
        let count = |name: &str| router[name].as_u64().unwrap();
        Counters {
            sent: count("sent"),
            received: count("received"),
            errors: count("rejected"),
            times_active: count("became_active"),
            resignations_sent: Some(count("sent_resignations")),
            resignations_received: Some(count("received_resignations")),
        }
    }

    fn processes(&self) -> Vec<u32> {
        [self.program.number()].into()
    }
}

impl Drop for Vrrpd {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["vrrpd.conf", "events", "error"] {
                show(&self.folder.join(name));
            }
        }
    }
}
