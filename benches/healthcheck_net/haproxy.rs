//! The peer: HAProxy with one thread.

use core::fmt::Write as _;
use core::time::Duration;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::Result;
use crate::host::Host;
use crate::process::Program;
use crate::server::address;
use crate::subject::{Kind, NETWORK};

const PATIENCE: Duration = Duration::from_secs(20);

/// Says what is missing, and which version there is.
pub(crate) fn check() -> Result<()> {
    let output = Command::new("haproxy").arg("-v").output();
    let output = output.map_err(|error| {
        format!("no peer to compare with: haproxy: {error} (Debian: apt install haproxy)")
    })?;
    let words = String::from_utf8_lossy(&output.stdout);
    println!("peer: {}", words.lines().next().unwrap_or_default());
    Ok(())
}

/// Starts it, and waits until it has found all servers up.
pub(crate) fn start(host: &Host, kind: Kind, servers: u16, folder: &Path) -> Result<Program> {
    let (file, socket) = (folder.join("haproxy.cfg"), folder.join("haproxy.sock"));
    fs::write(&file, configuration(kind, servers, &socket)?)?;
    // One thread on the first processor, where ours is, too.
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0", "haproxy", "-db", "-f"]);
    command
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut program = Program::start(host, &mut command)?;
    let end = Instant::now() + PATIENCE;
    while up(&socket).unwrap_or(0) < servers.into() {
        program.still_runs()?;
        if Instant::now() > end {
            return Err("HAProxy does not find all servers up".into());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(program)
}

/// How many servers have passed a check of layer 4 or 7.
fn up(socket: &PathBuf) -> Result<usize> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"show stat\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let passed =
        |line: &&str| line.contains(",UP,") && (line.contains("L4OK") || line.contains("L7OK"));
    Ok(text.lines().filter(passed).count())
}

fn configuration(kind: Kind, servers: u16, socket: &Path) -> Result<String> {
    let mut text = format!(
        "global\n  nbthread 1\n  maxconn 100\n  stats socket {}\n\
         defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n",
        socket.display()
    );
    text.push_str(match kind {
        Kind::Http => "backend servers\n  mode http\n  option httpchk GET /\n",
        Kind::Tcp | Kind::HalfOpen => "backend servers\n  mode tcp\n",
    });
    for number in 0..servers {
        let at = address(NETWORK, number);
        writeln!(text, "  server s{number} {at} check inter 1s")?;
    }
    Ok(text)
}
