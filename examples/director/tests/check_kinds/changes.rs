//! Checks that change their mind: the table follows.

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Instant;

use crate::judge::Director;
use crate::pages::{get, nginx, page};
use crate::table::{Fails, Passes, configuration};

#[test]
#[ignore = "needs nginx"]
fn a_server_leaves_with_its_page_and_returns_with_it() {
    let server = nginx("server { listen PORT; }");
    page(&server, "a.txt", "a");
    page(&server, "b.txt", "b");
    let check = get(
        "HTTP_GET",
        server.port(),
        "fast_recovery",
        &["path /a.txt", "path /b.txt"],
    );
    let director = Director::start(&configuration("", &[(Passes, &check)]));
    director.wait("-a", 0, 1);
    // The second page's turn comes.
    fs::remove_file(server.path("www/b.txt")).unwrap();
    director.wait("-d", 0, 1);
    page(&server, "b.txt", "b");
    director.wait("-a", 0, 2);
    let said = director.end();
    assert!(said.contains("HTTP_GET 127.0.0.1"), "{said}");
}

#[test]
fn scripts_decide_by_their_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (script, code) = (folder.path().join("check"), folder.path().join("code"));
    let text = format!("#!/bin/sh\nexit `cat {}`\n", code.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap()
        .name;
    let block = |lines: &str| {
        let path = script.display();
        format!("weight 7\nMISC_CHECK {{\nmisc_path {path}\nuser {own}\n{lines}\n}}")
    };
    let (plain, dynamic) = (block(""), block("misc_dynamic"));
    let director = |checks: &[(_, &str)]| Director::start(&configuration("", checks));
    fs::write(&code, "0").unwrap();
    let director = director(&[(Passes, &plain), (Passes, &dynamic)]);
    director.wait("-a", 0, 1);
    director.wait("-a", 1, 1);
    fs::write(&code, "12").unwrap();
    // A failure for one, a weight for the other.
    director.wait("-d", 0, 1);
    let line = director.wait("-e", 1, 1);
    assert!(line.ends_with("-w 10"), "{line}");
    fs::write(&code, "0").unwrap();
    director.wait("-a", 0, 2);
    let line = director.wait("-e", 1, 2);
    assert!(line.ends_with("-w 7"), "{line}");
    fs::write(&code, "1").unwrap();
    director.wait("-d", 0, 2);
    director.wait("-d", 1, 1);
    director.end();
}

#[test]
fn files_weigh_or_decide_as_soon_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let definitions = format!(
        "track_file load {{\n file {}\n weight -1\n}}\ntrack_file off {{\n file {}\n weight 0\n}}\n\
         track_file begun {{\n file {}\n weight 0\n init_file 3\n}}\n",
        path("load").display(),
        path("off").display(),
        path("begun").display()
    );
    let load = "weight 50\nFILE_CHECK {\ntrack_file load\n}";
    let twice = "weight 50\nFILE_CHECK {\ntrack_file load\nweight -2\n}";
    let off = "FILE_CHECK {\ntrack_file off\n}";
    let begun = "FILE_CHECK {\ntrack_file begun\n}";
    let checks = [
        (Passes, load),
        (Passes, twice),
        (Passes, off),
        (Fails, begun),
    ];
    let director = Director::start(&configuration(&definitions, &checks));
    // No file counts as 0.
    for place in 0..3 {
        director.wait("-a", place, 1);
    }
    director.wait("-d", 3, 1);
    let begin = Instant::now();
    let write = |name: &str, text: &str| {
        let beside = path("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, path(name)).unwrap();
    };
    write("load", "20\n");
    let line = director.wait("-e", 0, 1);
    assert!(line.ends_with("-w 30"), "{line}");
    let line = director.wait("-e", 1, 1);
    assert!(line.ends_with("-w 10"), "{line}");
    write("off", "1");
    director.wait("-d", 2, 1);
    write("off", "0");
    director.wait("-a", 2, 2);
    write("begun", "0");
    director.wait("-a", 3, 2);
    // It would take longer if nobody told of it.
    let patience = Duration::from_secs(30);
    assert!(begin.elapsed() < patience, "{:?}", begin.elapsed());
    director.end();
}

/// In a network of its own, which can be taken away.
#[test]
#[ignore = "needs root"]
fn hosts_answer_while_there_is_a_network() {
    let text = configuration("", &[(Passes, "PING_CHECK {\nconnect_ip 127.0.0.1\n}")]);
    let mut command = Command::new("sh");
    // Its process stays the same.
    let script = "echo $$ >process; exec unshare -n \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_director")]);
    let director = Director::start_as(&mut command, &text);
    // By then it is in its network.
    director.wait_for_service();
    let id = fs::read_to_string(director.path("process")).unwrap();
    let id = id.trim();
    let link = |state: &str| {
        let mut command = Command::new("nsenter");
        command.args(["-t", id, "-n", "ip", "link", "set", "lo", state]);
        assert!(command.status().unwrap().success());
    };
    link("up");
    director.wait("-a", 0, 1);
    link("down");
    director.wait("-d", 0, 1);
    link("up");
    director.wait("-a", 0, 2);
    director.end();
}
