//! The two sides: the same file, the same real servers, the same failures; one has keepalived, the
//! other has us.
//!
//! ```text
//! director namespace                     servers namespace
//!   keepalived or director                 10.1.0.11  10.1.0.12  10.1.0.13
//!   eth0 10.1.0.1, 2001:db8:1::1  ─────    2001:db8:1::11  ::12  ::13
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::network::{Host, PATIENCE, cable};
use crate::pipe::Pipe;
use crate::program::Program;
use crate::servers::{HttpServer, MailServer, NameServer, TlsServer};

/// How many real servers there are.
pub(crate) const SERVERS: usize = 3;

/// Where they listen for HTTP.
pub(crate) const HTTP: u16 = 80;

/// Where they listen for DNS.
pub(crate) const DNS: u16 = 53;

/// Where the first one listens for HTTPS, if it does.
const HTTPS: u16 = 443;

/// Where the second one listens for mail, if it does.
const MAIL: u16 = 25;

/// Stands in a configuration for the folder of the side.
const FOLDER: &str = "@DIR@";

/// What is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Daemon {
    Keepalived,
    Director,
}

/// The address of a real server, by number from 0.
pub(crate) fn server(number: usize) -> IpAddr {
    let last = 11 + u8::try_from(number).unwrap();
    IpAddr::V4(Ipv4Addr::new(10, 1, 0, last))
}

fn server6(number: usize) -> IpAddr {
    let last = 0x11 + u16::try_from(number).unwrap();
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, last))
}

/// One side. Fields drop in order: programs first, namespaces last.
#[derive(Debug)]
struct Side {
    daemon: Daemon,
    program: Option<Program>,
    http: [Vec<HttpServer>; SERVERS],
    names: [Option<NameServer>; SERVERS],
    tls: Option<TlsServer>,
    mail: Option<MailServer>,
    director: Host,
    servers: Host,
    /// What the daemon says of virtual routers, and of services and servers.
    routers: Pipe,
    services: Pipe,
    folder: TempDir,
}

/// Both sides, brought to the same states together.
#[derive(Debug)]
pub(crate) struct Pair {
    sides: [Side; 2],
}

/// What can be compared of a side.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    /// What `ipvsadm -S -n` prints, by line.
    table: Vec<String>,
    /// Addresses of the interface, but for link-local ones.
    addresses: Vec<String>,
    /// What was told last of every virtual router and group.
    states: Vec<String>,
    /// What was told of services and servers since the start, in order.
    told: Vec<String>,
}

impl Pair {
    /// Both sides with all servers well, running the configuration.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::prepared(configuration, |_| ())
    }

    /// Likewise, with something that happens to both before they run.
    pub(crate) fn prepared(configuration: &str, prepare: impl FnOnce(&mut Self)) -> Self {
        let mut pair = Self {
            sides: [Daemon::Keepalived, Daemon::Director].map(Side::new),
        };
        prepare(&mut pair);
        for side in &mut pair.sides {
            side.configure(configuration);
            side.launch();
        }
        pair
    }

    /// Writes another configuration and lets both read it.
    pub(crate) fn reload(&mut self, configuration: &str) {
        for side in &self.sides {
            side.configure(configuration);
            side.signal(Signal::SIGHUP);
        }
    }

    /// Ends both; their tables have to be empty then, and the addresses gone. What is left are files.
    pub(crate) fn stop(mut self) -> Self {
        for side in &mut self.sides {
            side.signal(Signal::SIGTERM);
            let end = side.program.take().unwrap().end();
            assert_eq!(end.code, Some(0), "{:?}: {end:?}", side.daemon);
        }
        self.settles(&[]);
        self
    }

    /// Stops the HTTP server of a real server.
    pub(crate) fn stop_http(&mut self, number: usize) {
        for side in &mut self.sides {
            side.http[number].clear();
        }
    }

    /// Starts it again.
    pub(crate) fn start_http(&mut self, number: usize) {
        for side in &mut self.sides {
            side.start_http(number);
        }
    }

    /// Starts the HTTPS server of the first real server, or stops it.
    pub(crate) fn set_tls(&mut self, is_there: bool) {
        for side in &mut self.sides {
            side.tls = None;
            if is_there {
                let address = SocketAddr::new(server(0), HTTPS);
                let started = TlsServer::start(&side.servers, address, side.folder.path());
                side.tls = Some(started);
            }
        }
    }

    /// Starts the mail server of the second real server, or stops it.
    pub(crate) fn set_mail(&mut self, is_there: bool) {
        for side in &mut self.sides {
            side.mail = None;
            if is_there {
                let address = SocketAddr::new(server(1), MAIL);
                side.mail = Some(MailServer::start(&side.servers, address));
            }
        }
    }

    /// What the HTTP server of a real server answers from now on.
    pub(crate) fn answer(&self, number: usize, status: u16, body: &str) {
        let servers = self.sides.iter().flat_map(|side| &side.http[number]);
        for server in servers {
            server.answer(status, body);
        }
    }

    /// Whether the name server of a real server answers well, or with SERVFAIL.
    pub(crate) fn set_name_server(&self, number: usize, is_well: bool) {
        let servers = self.sides.iter().flat_map(|side| &side.names[number]);
        for server in servers {
            server.set_well(is_well);
        }
    }

    /// The exit code of the script `@DIR@/check NAME` from now on.
    pub(crate) fn set_exit_code(&self, name: &str, code: u8) {
        for side in &self.sides {
            side.set_exit_code(name, code);
        }
    }

    /// Waits until both tables are as expected, given by line as `ipvsadm -S -n` prints them, and
    /// everything else is the same on both sides.
    pub(crate) fn settles(&self, table: &[&str]) {
        self.settle(table, |_| true);
    }

    /// Likewise, with what was told of virtual routers last: `INSTANCE "VI_1" MASTER`.
    pub(crate) fn settles_with(&self, table: &[&str], states: &[&str]) {
        self.settle(table, |seen| seen.states == states);
    }

    fn settle(&self, table: &[&str], is_right: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let [theirs, ours] = self.sides.each_ref().map(Side::look);
            if theirs == ours && ours.table == table && is_right(&ours) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "after {PATIENCE:?}, expected {table:#?}\nkeepalived {theirs:#?}\ndirector {ours:#?}\n{}",
                self.logs()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Nothing changes for a time in which checks have run several times.
    pub(crate) fn stays(&self, table: &[&str]) {
        self.settles(table);
        thread::sleep(Duration::from_secs(3));
        let seen = self.sides.each_ref().map(Side::look);
        for seen in &seen {
            assert_eq!(seen.table, table, "{}", self.logs());
        }
        assert_eq!(seen[0], seen[1], "{}", self.logs());
    }

    /// Waits until what was told of services and servers is the same on both sides, and as expected.
    pub(crate) fn told(&self, table: &[&str], expected: &[&str]) {
        self.settle(table, |seen| seen.told == expected);
    }

    /// Waits until a file of the folder is the same on both sides, and as expected.
    pub(crate) fn file_settles(&self, name: &str, expected: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let [theirs, ours] = self.sides.each_ref().map(|side| side.lines(name));
            if theirs == ours && ours == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{name}: expected {expected:#?}\nkeepalived {theirs:#?}\ndirector {ours:#?}\n{}",
                self.logs()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn logs(&self) -> String {
        let logs = self.sides.iter().filter_map(|side| {
            let program = side.program.as_ref()?;
            Some(format!("== {:?}\n{program:#?}\n", side.daemon))
        });
        logs.collect()
    }
}

impl Side {
    fn new(daemon: Daemon) -> Self {
        let (director, servers) = (Host::new("director"), Host::new("servers"));
        cable(&director, "eth0", &servers, "eth0");
        director
            .ip("address add 10.1.0.1/24 dev eth0\naddress add 2001:db8:1::1/64 dev eth0 nodad");
        for number in 0..SERVERS {
            let (v4, v6) = (server(number), server6(number));
            servers.ip(&format!(
                "address add {v4}/24 dev eth0\naddress add {v6}/64 dev eth0 nodad"
            ));
        }
        let folder = tempfile::tempdir().unwrap();
        let mut side = Self {
            daemon,
            program: None,
            http: Default::default(),
            names: [const { None }; SERVERS],
            tls: None,
            mail: None,
            director,
            servers,
            routers: Pipe::new(&folder.path().join("routers")),
            services: Pipe::new(&folder.path().join("services")),
            folder,
        };
        for number in 0..SERVERS {
            side.start_http(number);
            let address = SocketAddr::new(server(number), DNS);
            side.names[number] = Some(NameServer::start(&side.servers, address));
        }
        side.script("check", "read -r code <\"$0.$1\"; exit $code");
        // Arguments: INSTANCE or GROUP, its name, its state, its priority.
        side.script(
            "state",
            "echo \"$2 $3\" >\"$0.new.$$\"; mv \"$0.new.$$\" \"$0.$2\"",
        );
        side.script("log", "echo \"$2\" >>\"$0.$1\"");
        side
    }

    /// A script in the folder that can be run by what stands in a configuration.
    fn script(&self, name: &str, body: &str) {
        let file = self.path(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_http(&mut self, number: usize) {
        let addresses = [server(number), server6(number)];
        self.http[number] = addresses
            .map(|address| HttpServer::start(&self.servers, SocketAddr::new(address, HTTP)))
            .into();
    }

    fn set_exit_code(&self, name: &str, code: u8) {
        // The script sees the old code or the new one, never half a file.
        let new = self.path("new");
        fs::write(&new, format!("{code}\n")).unwrap();
        fs::rename(new, self.path(&format!("check.{name}"))).unwrap();
    }

    fn configure(&self, configuration: &str) {
        let folder = self.folder.path().to_str().unwrap();
        fs::write(self.file(), configuration.replace(FOLDER, folder)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.path("keepalived.conf")
    }

    fn launch(&mut self) {
        let mut command = match self.daemon {
            Daemon::Keepalived => keepalived(&self.file(), self.folder.path()),
            Daemon::Director => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
                command.arg(self.file());
                command
            }
        };
        self.program = Some(self.director.enter(|| Program::start(&mut command)));
    }

    fn signal(&self, signal: Signal) {
        self.program.as_ref().unwrap().signal(signal);
    }

    fn look(&self) -> Seen {
        let table = self.output("ipvsadm", &["-S", "-n"]);
        let addresses = self.output("ip", &["-brief", "address", "show", "dev", "eth0"]);
        let mut addresses: Vec<String> = addresses
            .iter()
            .flat_map(|line| line.split_whitespace().skip(2))
            .filter(|address| !address.starts_with("fe80:"))
            .map(str::to_owned)
            .collect();
        addresses.sort();
        Seen {
            table,
            addresses,
            states: self.states(),
            told: self.services.lines(),
        }
    }

    /// What has come through the pipe of the virtual routers: the last line of each, sorted. Scripts
    /// are no witnesses: keepalived runs one beside the other.
    fn states(&self) -> Vec<String> {
        let mut last = BTreeMap::new();
        for line in self.routers.lines() {
            // INSTANCE "VI_1" MASTER 100
            let words: Vec<&str> = line.split(' ').collect();
            let [kind, name, state, ..] = words[..] else {
                panic!("{line:?}");
            };
            last.insert(format!("{kind} {name}"), state.to_owned());
        }
        let states = last
            .into_iter()
            .map(|(name, state)| format!("{name} {state}"));
        states.collect()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Vec<String> {
        let output = self
            .director
            .enter(|| Command::new(program).args(arguments).output().unwrap());
        assert!(output.status.success(), "{program}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

fn keepalived(file: &Path, folder: &Path) -> Command {
    let mut command = Command::new("keepalived");
    command.args(["--dont-fork", "--log-console", "--use-file"]);
    command.arg(file);
    for (option, name) in [
        ("--pid", "all"),
        ("--checkers_pid", "checkers"),
        ("--vrrp_pid", "vrrp"),
    ] {
        command.arg(format!("{option}={}/{name}.pid", folder.display()));
    }
    command
}
