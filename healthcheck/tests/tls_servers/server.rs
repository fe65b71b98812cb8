//! nginx and `openssl s_server`, for as long as a test holds them.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pki::Pki;

pub(crate) struct Server {
    process: Child,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// nginx with these blocks outside `http`, and so many `server` blocks in it as there are
    /// texts; `ADDRESS` in a text is where it listens.
    pub(crate) fn nginx(pki: &Pki, outside: &str, servers: &[&str]) -> Self {
        let start = |addresses: &[SocketAddr]| {
            let listen = |text: &str, at: &SocketAddr| text.replace("ADDRESS", &at.to_string());
            let blocks: Vec<_> = servers
                .iter()
                .zip(addresses)
                .map(|(text, at)| format!("server {{ {} }}\n", listen(text, at)))
                .collect();
            let outside = addresses.last().map(|at| listen(outside, at)).unwrap();
            let folder = pki.folder().display();
            let configuration = format!(
                "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
                {outside}
                events {{ worker_connections 256; }}
                http {{
                    access_log off; ssl_protocols TLSv1.2 TLSv1.3;
                    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
                    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
                    scgi_temp_path {folder}/scgi;
                    {}
                }}",
                blocks.concat()
            );
            // Modules come first.
            let (modules, rest): (Vec<_>, Vec<_>) = configuration
                .lines()
                .partition(|line| line.contains("load_module"));
            let configuration = [modules, rest].concat().join("\n");
            fs::write(pki.path("nginx.conf"), configuration).unwrap();
            let mut command = Command::new("nginx");
            command
                .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
                .arg(pki.folder());
            command
        };
        let more = usize::from(!outside.is_empty());
        Self::start(servers.len() + more, start, || {
            fs::read_to_string(pki.path("error.log")).unwrap_or_default()
        })
    }

    /// `openssl s_server` with the certificate `NAME.pem` and these options.
    pub(crate) fn openssl(pki: &Pki, name: &str, options: &str) -> Self {
        let start = |addresses: &[SocketAddr]| {
            let mut command = Command::new("openssl");
            command
                .args(["s_server", "-quiet", "-accept", &addresses[0].to_string()])
                .args([
                    "-cert",
                    &format!("{name}.pem"),
                    "-key",
                    &format!("{name}.key"),
                ])
                .args(options.split_whitespace())
                .current_dir(pki.folder())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        Self::start(1, start, || options.to_owned())
    }

    /// OpenSMTPD with the settings in `smtpd.conf`, written when the address is known.
    pub(crate) fn smtpd(pki: &Pki, configure: impl Fn(SocketAddr)) -> Self {
        let start = |addresses: &[SocketAddr]| {
            configure(addresses[0]);
            let mut command = Command::new("smtpd");
            command
                .args(["-d", "-f", "smtpd.conf"])
                .current_dir(pki.folder());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        Self::start(1, start, || "smtpd".to_owned())
    }

    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number]
    }

    /// Ports that were free a moment ago; others if somebody was faster.
    fn start(
        count: usize,
        command: impl Fn(&[SocketAddr]) -> Command,
        why: impl Fn() -> String,
    ) -> Self {
        for _ in 0..10 {
            let free: Vec<_> = (0..count)
                .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
                .collect();
            let addresses: Vec<_> = free.iter().map(|free| free.local_addr().unwrap()).collect();
            drop(free);
            let mut command = command(&addresses);
            command
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .stdin(Stdio::null());
            let mut process = command.spawn().unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            while process.try_wait().unwrap().is_none() {
                if addresses
                    .iter()
                    .all(|address| TcpStream::connect(address).is_ok())
                {
                    return Self { process, addresses };
                }
                assert!(Instant::now() < end, "does not listen: {}", why());
                thread::sleep(Duration::from_millis(10));
            }
        }
        panic!("does not start: {}", why());
    }
}

impl Drop for Server {
    /// Ends it as an operator would: some have children that must go first.
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        let end = Instant::now() + Duration::from_secs(10);
        while let Ok(None) = self.process.try_wait() {
            if Instant::now() > end {
                let _ = self.process.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
