//! Presets over UDP with real servers from Debian's packages, each on a free port of loopback.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::preset::{Ntp, Sip, Snmp};
use lvs_healthcheck::probe::udp::{Exchange, ExchangeProbe};
use lvs_healthcheck::{Check, CheckEvent, Code, Config, Driver, Outcome, Policy, Target};
use tempfile::TempDir;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program of a server, with a directory of its own.
struct Server {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts a program with this configuration in a file; in it and in the arguments `DIR`, `PORT`
    /// and `CONF` stand for what is only known now.
    fn start(command: &str, configuration: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
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

    /// What one attempt finds out.
    fn outcome<E: Exchange + Clone + 'static>(&self, exchange: E, time: Duration) -> Outcome {
        let policy = Policy::default().with_spread(Spread::None);
        let probe = ExchangeProbe::new(Target::new(self.address), exchange);
        let mut driver = Driver::new(Config::default()).unwrap();
        let check = Check::new(probe, policy.with_timeout(time));
        driver.add(check).unwrap();
        let mut events = Vec::new();
        while events.is_empty() {
            driver.poll(Some(PATIENCE), &mut events).unwrap();
        }
        match events.pop() {
            Some(CheckEvent::Completed(report)) => report.outcome,
            other => panic!("unexpected {other:?}"),
        }
    }

    /// What is found out once the server answers as it should, which takes some time.
    fn passes<E: Exchange + Clone + 'static>(&self, exchange: &E) -> Outcome {
        let begin = Instant::now();
        loop {
            let outcome = self.outcome(exchange.clone(), Duration::from_secs(5));
            if outcome.code == Code::Ok {
                return outcome;
            }
            let log = fs::read_to_string(self.directory.path().join("log"));
            assert!(
                begin.elapsed() < PATIENCE,
                "{outcome}\n{}",
                log.unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let begin = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if begin.elapsed() > PATIENCE {
                let _ = self.process.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Long enough for an answer, short enough to wait for none.
const SHORT: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs chrony"]
fn chrony_knows_the_time() {
    let configuration = "port PORT\nbindaddress 127.0.0.1\nlocal stratum 10\nallow 127.0.0.1\n\
        cmdport 0\nbindcmdaddress /\npidfile DIR/pid\nuser root\n";
    let server = Server::start("chronyd -d -x -f CONF", configuration);
    let outcome = server.passes(&Ntp::new());
    assert_eq!(outcome.detail.as_str(), "stratum 10");
    let near = server.outcome(Ntp::new().with_max_stratum(9), PATIENCE);
    assert_eq!(
        near.to_string(),
        "status (match): expected stratum 9 at most, got 10"
    );
}

#[test]
#[ignore = "needs chrony"]
fn chrony_that_lost_the_time_fails() {
    // Without a source and without `local`.
    let configuration = "port PORT\nbindaddress 127.0.0.1\nallow 127.0.0.1\n\
        cmdport 0\nbindcmdaddress /\npidfile DIR/pid\nuser root\n";
    let server = Server::start("chronyd -d -x -f CONF", configuration);
    let begin = Instant::now();
    loop {
        let outcome = server.outcome(Ntp::new(), SHORT);
        if outcome.code == Code::Status {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{outcome}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs snmpd"]
fn snmpd_tells_how_long_it_runs() {
    let command = "snmpd -f -Lo -C -c CONF -p DIR/pid udp:127.0.0.1:PORT";
    let server = Server::start(command, "rocommunity seen 127.0.0.1\n");
    server.passes(&Snmp::new("seen"));
    server.passes(&Snmp::new("seen").with_version_1());
    let stranger = server.outcome(Snmp::new("public"), SHORT);
    assert_eq!(
        stranger.to_string(),
        "timeout_io (recv): no answer to 2 questions"
    );
}

#[test]
#[ignore = "needs kamailio"]
fn kamailio_answers_options() {
    let configuration = "debug=1\nlog_stderror=yes\nfork=no\nchildren=1\n\
        listen=udp:127.0.0.1:PORT\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\n\
        request_route {\n\
        if ($rU == \"full\") { sl_send_reply(\"503\", \"Full\"); exit; }\n\
        if ($rU == \"nobody\") { sl_send_reply(\"404\", \"Nobody\"); exit; }\n\
        sl_send_reply(\"200\", \"Fine\"); }\n";
    let command = "kamailio -DD -E -f CONF -m 16 -M 4 -P DIR/pid -Y DIR";
    let server = Server::start(command, configuration);
    let outcome = server.passes(&Sip::new());
    assert_eq!(outcome.detail.as_str(), "200 Fine");
    for (user, code) in [("full", Code::Busy), ("nobody", Code::Status)] {
        let sip = Sip::new().with_uri(&format!("sip:{user}@127.0.0.1"));
        assert_eq!(server.outcome(sip, PATIENCE).code, code, "{user}");
    }
    let alive = Sip::new().with_uri("sip:nobody@127.0.0.1");
    let outcome = server.outcome(alive.with_status(200..=499), PATIENCE);
    assert_eq!(outcome.to_string(), "ok (match): 404 Nobody");
}

#[cfg(feature = "radius")]
#[test]
#[ignore = "needs freeradius"]
fn freeradius_answers_who_knows_its_secret() {
    use lvs_healthcheck::probe::preset::Radius;

    let configuration = "name = radiusd\nlogdir = DIR\nrun_dir = DIR\npidfile = DIR/pid\n\
        libdir = /usr/lib/freeradius\nmax_requests = 256\n\
        security {\nstatus_server = yes\nreject_delay = 0\nmax_attributes = 200\n}\n\
        thread pool {\nstart_servers = 1\nmax_servers = 1\nmin_spare_servers = 1\n\
        max_spare_servers = 1\nmax_requests_per_server = 0\n}\n\
        client here {\nipaddr = 127.0.0.1\nsecret = testing123\n}\n\
        server default {\nlisten {\ntype = auth\nipaddr = 127.0.0.1\nport = PORT\n}\n\
        authorize {\n}\nauthenticate {\n}\n}\n";
    let server = Server::start("freeradius -f -l stdout -n radiusd -d DIR", configuration);
    server.passes(&Radius::new("testing123"));
    let stranger = server.outcome(Radius::new("other"), SHORT);
    assert_eq!(stranger.code, Code::TimeoutIo, "{stranger}");
}
