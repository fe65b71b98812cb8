//! Programs of servers that answer over UDP, each on a free port of loopback.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long a server may take until it answers, and to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One with a clock of its own. Without `local` it is never synchronized.
pub(crate) const CHRONY: [&str; 2] = [
    "chronyd -d -x -f CONF",
    "port PORT\nbindaddress 127.0.0.1\nlocal stratum 10\nallow 127.0.0.1\n\
    cmdport 0\nbindcmdaddress /\npidfile DIR/pid\nuser root\n",
];

/// One with the community `seen`.
pub(crate) const SNMPD: [&str; 2] = [
    "snmpd -f -Lo -C -c CONF -p DIR/pid udp:127.0.0.1:PORT",
    "rocommunity seen 127.0.0.1\n",
];

/// One that answers as it is asked to.
pub(crate) const KAMAILIO: [&str; 2] = [
    "kamailio -DD -E -f CONF -m 16 -M 4 -P DIR/pid -Y DIR",
    "debug=1\nlog_stderror=yes\nfork=no\nchildren=1\n\
    listen=udp:127.0.0.1:PORT\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\n\
    request_route {\n\
    if ($rU == \"full\") { sl_send_reply(\"503\", \"Full\"); exit; }\n\
    if ($rU == \"nobody\") { sl_send_reply(\"404\", \"Nobody\"); exit; }\n\
    sl_send_reply(\"200\", \"Fine\"); }\n",
];

/// One with the secret `testing123`.
pub(crate) const FREERADIUS: [&str; 2] = [
    "freeradius -f -l stdout -n radiusd -d DIR",
    "name = radiusd\nlogdir = DIR\nrun_dir = DIR\npidfile = DIR/pid\n\
    libdir = /usr/lib/freeradius\nmax_requests = 256\n\
    security {\nstatus_server = yes\nreject_delay = 0\nmax_attributes = 200\n}\n\
    thread pool {\nstart_servers = 1\nmax_servers = 1\nmin_spare_servers = 1\n\
    max_spare_servers = 1\nmax_requests_per_server = 0\n}\n\
    client here {\nipaddr = 127.0.0.1\nsecret = testing123\n}\n\
    server default {\nlisten {\ntype = auth\nipaddr = 127.0.0.1\nport = PORT\n}\n\
    authorize {\n}\nauthenticate {\n}\n}\n",
];

/// A program of a server, with a directory of its own.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts a program with this configuration in a file; in it and in the arguments `DIR`, `PORT`
    /// and `CONF` stand for what is only known now.
    pub(crate) fn start([command, configuration]: [&str; 2]) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        // The name that FreeRADIUS looks for.
        let path = directory.path().join("radiusd.conf");
        let fill = |text: &str| {
            text.replace("DIR", &directory.path().display().to_string())
                .replace("PORT", &address.port().to_string())
                .replace("CONF", &path.display().to_string())
        };
        fs::write(&path, fill(configuration)).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let command = fill(command);
        let mut words = command.split_whitespace();
        let process = Command::new(words.next().unwrap())
            .args(words)
            .env("SNMP_PERSISTENT_DIR", directory.path())
            .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        Self {
            process,
            address,
            directory,
        }
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        let begin = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if begin.elapsed() > PATIENCE {
                let _ = self.process.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
