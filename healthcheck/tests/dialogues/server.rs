//! A server program of Debian's, on a free port of loopback, in a directory of its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use lvs_healthcheck::Target;
use tempfile::TempDir;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Server {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// A port nobody listens on just now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// Starts a program and waits until it listens on the port given to it.
    pub(super) fn start(
        program: impl AsRef<Path>,
        arguments: impl FnOnce(&Path, u16) -> Vec<String>,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        Self::start_in(directory, free_port(), program, arguments)
    }

    /// The same in a directory that was prepared, with a port that was.
    pub(super) fn start_in(
        directory: TempDir,
        port: u16,
        program: impl AsRef<Path>,
        arguments: impl FnOnce(&Path, u16) -> Vec<String>,
    ) -> Self {
        let program = program.as_ref();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let process = Command::new(program)
            .args(arguments(directory.path(), port))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let server = Self {
            process,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            directory,
        };
        let begin = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            assert!(
                begin.elapsed() < PATIENCE,
                "not listening:\n{}",
                server.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.address)
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What the program has printed.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Ends the program as an operator would, and waits for it.
    pub(super) fn stop(&mut self) {
        let pid = i32::try_from(self.process.id()).unwrap();
        let pid = nix::unistd::Pid::from_raw(pid);
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

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
