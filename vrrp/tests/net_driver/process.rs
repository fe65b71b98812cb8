//! A process that runs one virtual router: this program again, told what to do by its environment.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use lvs_vrrp::event::{Notification, ShutdownMode};
use lvs_vrrp::net::{
    AddressSetup, AsyncDriver, Driver, DriverConfig, DriverEvent, DriverEventKind, RouterSetup,
    VirtualMacSetup,
};
use lvs_vrrp::node::{ReportKind, RouterId};
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{AddressList, Interval, Priority, RouterConfig, Version, Vrid};

use crate::network::{Host, PATIENCE, Running};

/// What the process runs is said here.
const VARIABLE: &str = "LVS_VRRP_TEST_ROUTER";

/// A virtual router on `eth0`.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) version: Version,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    pub(crate) preempts: bool,
    pub(crate) address: String,
    pub(crate) prefix_len: u8,
    pub(crate) on_tokio: bool,
    pub(crate) has_virtual_mac: bool,
}

impl Router {
    pub(crate) fn new(version: Version, priority: u8, address: &str) -> Self {
        Self {
            version,
            priority,
            interval: match version {
                Version::V2 => Duration::from_secs(1),
                Version::V3 => Duration::from_millis(100),
            },
            preempts: true,
            address: address.into(),
            prefix_len: if address.contains(':') { 64 } else { 24 },
            on_tokio: false,
            has_virtual_mac: false,
        }
    }

    /// How long the others wait for it.
    pub(crate) fn config(&self) -> RouterConfig {
        let addresses = AddressList::new([self.address.parse().unwrap()]).unwrap();
        let interval = u64::try_from(self.interval.as_millis() / 10).unwrap();
        RouterConfig::new(Vrid::new(51).unwrap(), addresses)
            .with_versions(Versions::Only(self.version))
            .with_priority(Priority::new(self.priority))
            .with_interval(Interval::from_centiseconds(interval.try_into().unwrap()).unwrap())
            .with_preempt(self.preempts)
    }

    pub(crate) fn driver(&self) -> DriverConfig {
        let address = self.address.parse().unwrap();
        let setup = AddressSetup::new().with_prefix_len(self.prefix_len);
        let mut router = RouterSetup::new("eth0", self.config()).with_address(address, setup);
        if self.has_virtual_mac {
            router = router.with_virtual_mac(VirtualMacSetup::new());
        }
        DriverConfig::new().with_router(RouterId::new(1), router)
    }

    /// What runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        let name = "process::a_process_with_a_router";
        command.args(["--exact", name, "--nocapture", "--ignored"]);
        command.env(VARIABLE, self.to_string());
        command
    }

    /// Starts a process with it.
    pub(crate) fn start(&self, host: &Host) -> Process {
        self.start_as(host, self.command())
    }

    /// Starts what runs it.
    pub(crate) fn start_as(&self, host: &Host, mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = host.start(&mut command);
        let output = BufReader::new(running.0.stdout.take().unwrap());
        let (line, lines) = mpsc::channel();
        // It ends with the process, or when nobody listens any more.
        thread::spawn(move || output.lines().try_for_each(|said| line.send(said.unwrap())));
        Process { running, lines }
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {} {} {}",
            u8::from(self.version == Version::V3),
            self.priority,
            self.interval.as_millis(),
            self.preempts,
            self.address,
            self.prefix_len,
            self.on_tokio,
            self.has_virtual_mac
        )
    }
}

impl FromStr for Router {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<_> = text.split(' ').collect();
        let [
            version,
            priority,
            interval,
            preempts,
            address,
            prefix_len,
            on_tokio,
            has_virtual_mac,
        ] = words[..]
        else {
            return Err(());
        };
        Ok(Self {
            version: if version == "1" {
                Version::V3
            } else {
                Version::V2
            },
            priority: priority.parse().unwrap(),
            interval: Duration::from_millis(interval.parse().unwrap()),
            preempts: preempts.parse().unwrap(),
            address: address.into(),
            prefix_len: prefix_len.parse().unwrap(),
            on_tokio: on_tokio.parse().unwrap(),
            has_virtual_mac: has_virtual_mac.parse().unwrap(),
        })
    }
}

/// A process with a router; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) running: Running,
    lines: Receiver<String>,
}

impl Process {
    /// Reads what it says until this is said, and gives all of that.
    pub(crate) fn until(&mut self, word: &str) -> String {
        let mut said = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error}: it said {said}, not {word}"));
            said.push_str(&line);
            said.push('\n');
            if line.ends_with(word) {
                return said;
            }
        }
    }

    /// `SIGKILL`
    pub(crate) fn kill(mut self) {
        self.running.0.kill().unwrap();
        self.running.0.wait().unwrap();
    }

    /// Lets it resign, and waits until it has ended.
    pub(crate) fn stop(mut self) {
        drop(self.running.0.stdin.take());
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {rest:#?}"),
            }
        }
        assert!(self.running.0.wait().unwrap().success(), "{rest:#?}");
    }
}

/// Says each transition; ends with its input.
#[test]
#[ignore = "is a part of other tests"]
fn a_process_with_a_router() {
    let Ok(text) = env::var(VARIABLE) else {
        return;
    };
    let router: Router = text.parse().unwrap();
    let driver = Driver::new(router.driver());
    let mut driver = driver.unwrap_or_else(|error| panic!("{error}"));
    driver.on_event(say);
    let handle = driver.handle();
    thread::spawn(move || {
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        handle.shutdown(ShutdownMode::Graceful).unwrap();
    });
    if router.on_tokio {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_io().build().unwrap();
        runtime.block_on(async {
            let handle = driver.handle();
            let states = tokio::spawn(async move { handle.snapshot_async().await.unwrap() });
            let mut driver = AsyncDriver::new(driver).unwrap();
            driver.run().await.unwrap();
            assert_eq!(states.await.unwrap().routers.len(), 1);
        });
    } else {
        driver.run().unwrap();
    }
}

fn say(event: &DriverEvent) {
    match &event.kind {
        DriverEventKind::Report(report) => match report.kind {
            ReportKind::Router(Notification::Transition(transition)) => {
                println!("{}", transition.to);
            }
            kind => println!("{kind:?}"),
        },
        DriverEventKind::Failed(error) => println!("{error}"),
        DriverEventKind::LeftoverRemoved(address) => println!("leftover {}", address.address),
        kind => println!("{kind:?}"),
    }
}
