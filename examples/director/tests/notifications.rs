//! The program tells scripts and pipes what happens to services and servers.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

mod program;

use core::time::Duration;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use program::Program;

/// Long enough for a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines of a pipe, once it is there.
fn lines_of(path: &Path) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        let begin = Instant::now();
        while !path.exists() {
            assert!(begin.elapsed() < PATIENCE, "there is no pipe");
            thread::sleep(Duration::from_millis(10));
        }
        for line in BufReader::new(File::open(&path).unwrap()).lines() {
            let Ok(()) = sender.send(line.unwrap()) else {
                return;
            };
        }
    });
    receiver
}

fn wait_for(path: &Path, text: &str) {
    let begin = Instant::now();
    while fs::read_to_string(path).unwrap_or_default() != text {
        let found = fs::read_to_string(path);
        assert!(
            begin.elapsed() < PATIENCE,
            "expected {text:?}, found {found:?}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn scripts_and_pipes_are_told_in_order_of_a_server_that_leaves_and_returns() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("tell"), "echo $1 $LVS_FROM $LVS_STATE >>$2\n").unwrap();
    let own = User::from_uid(geteuid()).unwrap().unwrap().name;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = |what: &str| {
        let (tell, told) = (path("tell"), path("told"));
        format!("\"/bin/sh {} {what} {}\"", tell.display(), told.display())
    };
    let text = format!(
        "global_defs {{\n script_user {own}\n lvs_notify_fifo {}\n}}\n\
         virtual_server 192.0.2.1 80 {{\n delay_loop 1\n warmup 0\n lb_algo rr\n lb_kind NAT\n \
         protocol TCP\n quorum_up {}\n quorum_down {}\n real_server 127.0.0.1 80 {{\n \
         notify_up {}\n notify_down {}\n TCP_CHECK {{\n connect_port {}\n delay_before_retry 0.1\n \
         }}\n }}\n}}\n",
        path("fifo").display(),
        script("quorum_up"),
        script("quorum_down"),
        script("notify_up"),
        script("notify_down"),
        address.port(),
    );
    fs::write(path("test.conf"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    command.arg(path("test.conf")).arg("--memory");
    let program = Program::start(&mut command);
    let lines = lines_of(&path("fifo"));

    // Of a start only the quorum is told.
    program.wait_for(|line| line.contains("unknown to up").then_some(()));
    let start = "quorum_up DOWN UP\n";
    wait_for(&path("told"), start);
    drop(listener);
    let down = format!("{start}notify_down UP DOWN\nquorum_down UP DOWN\n");
    wait_for(&path("told"), &down);
    let listener = TcpListener::bind(address).unwrap();
    wait_for(
        &path("told"),
        &format!("{down}notify_up DOWN UP\nquorum_up DOWN UP\n"),
    );
    drop(listener);

    let server = "RS [127.0.0.1]:tcp:80 [192.0.2.1]:tcp:80";
    let service = "VS [192.0.2.1]:tcp:80";
    for expected in [
        format!("{service} UP"),
        format!("{server} DOWN"),
        format!("{service} DOWN"),
        format!("{server} UP"),
        format!("{service} UP"),
    ] {
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), expected);
    }
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(
        end.out
            .contains(&format!("notify  {server} DOWN: /bin/sh ")),
        "{end:?}"
    );
    assert_eq!(end.err, "");
    assert!(!path("fifo").exists(), "it was the program's own");
}

/// A script that hangs holds up neither checks nor the end.
#[test]
fn a_script_that_hangs_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let own = User::from_uid(geteuid()).unwrap().unwrap().name;
    let text = format!(
        "global_defs {{\n script_user {own}\n child_wait_time 1\n}}\n\
         virtual_server 192.0.2.1 80 {{\n delay_loop 1\n warmup 0\n lb_algo rr\n lb_kind NAT\n \
         protocol TCP\n real_server 127.0.0.1 80 {{\n notify_down \"/bin/sleep 100000\"\n \
         TCP_CHECK {{\n connect_port 1\n }}\n }}\n}}\n"
    );
    fs::write(path("test.conf"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    command.arg(path("test.conf")).arg("--memory");
    let program = Program::start(&mut command);
    program.wait_for(|line| line.contains("notify  RS ").then_some(()));
    program.wait_for(|line| line.contains("ipvsadm -d ").then_some(()));
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(
        end.out.contains("/bin/sleep 100000: took too long, killed"),
        "{end:?}"
    );
}

/// With `rs_init_notifies` the start is told, with `omega` the end.
#[test]
fn start_and_end_are_told_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("tell"), "echo $1 >>$2\n").unwrap();
    let own = User::from_uid(geteuid()).unwrap().unwrap().name;
    let script = |what: &str| {
        let (tell, told) = (path("tell"), path("told"));
        format!("\"/bin/sh {} {what} {}\"", tell.display(), told.display())
    };
    let text = format!(
        "global_defs {{\n script_user {own}\n rs_init_notifies\n}}\n\
         virtual_server 192.0.2.1 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n omega\n \
         quorum_up {}\n quorum_down {}\n real_server 127.0.0.1 80 {{\n notify_up {}\n \
         notify_down {}\n }}\n}}\n",
        script("quorum_up"),
        script("quorum_down"),
        script("notify_up"),
        script("notify_down"),
    );
    fs::write(path("test.conf"), &text).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
        Program::start(command.arg(path("test.conf")).arg("--memory"))
    };
    let program = start();
    let begin = "notify_up\nquorum_up\n";
    wait_for(&path("told"), begin);
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    let told = format!("{begin}notify_down\nquorum_down\n");
    assert_eq!(fs::read_to_string(path("told")).unwrap(), told, "{end:?}");

    // Nobody asks: as with keepalived, only a quorum that is there is told.
    let silent = text.replace("omega", "").replace("rs_init_notifies", "");
    fs::write(path("test.conf"), silent).unwrap();
    let told = format!("{told}quorum_up\n");
    let program = start();
    wait_for(&path("told"), &told);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.end().code, Some(0));
    assert_eq!(fs::read_to_string(path("told")).unwrap(), told);
}
