//! Commands are cut into the words that keepalived cuts them into, seen in its dump of the
//! configuration.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use core::time::Duration;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, thread};

use director::keepalived::{CheckKind, Config};

/// Texts after `script` and `misc_path`.
const COMMANDS: [&str; 16] = [
    "/bin/echo",
    "\"/bin/echo\"",
    "\"/bin/echo a b\"",
    "'/bin/echo a b'",
    "\"/bin/echo 'a  b' c\"",
    r#""/bin/echo \"a b\" c""#,
    r#""/bin/echo a\nb""#,
    "\"/bin/echo a # b ! c\"",
    "\"/bin/echo ${X} $X\"",
    "\"/bin/echo {a} b\"",
    "\"/bin/echo '' x\"",
    "\"/bin/echo 'x'y'z w'\"",
    "\"/bin/echo a\tb\"",
    "\"/bin/echo  >/dev/null\"",
    "\"/bin/echo \"a b\" c\"",
    "\"/bin/echo \" a",
];

/// The words as the dump shows them: each in single quotes.
fn here(text: &str) -> String {
    let config = Config::parse(
        "t.conf",
        &format!(
            "virtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
             real_server 10.0.0.2 80 {{\nMISC_CHECK {{\nmisc_path {text}\n}}\n}}\n}}\n"
        ),
    );
    let [service] = config.virtual_servers() else {
        panic!("{:?}", config.diagnostics())
    };
    let CheckKind::Misc(misc) = &service.real_servers[0].checks[0].kind else {
        panic!("misc")
    };
    misc.command
        .words
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
#[ignore = "needs root, Debian's keepalived (2.2.7) and iproute2"]
fn words_are_those_of_keepalived() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("v.conf");
    fs::write(&path, configuration()).expect("written");
    let pid = |name: &str| {
        folder
            .path()
            .join(name)
            .into_os_string()
            .into_string()
            .expect("text")
    };
    // A namespace of its own: the virtual router starts for real, and ends soon.
    let script = "ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up \
                  && exec timeout --kill-after 3 3 keepalived -n -l -G -d -P -R -f \"$0\" -p \"$1\" -r \"$2\"";
    let mut child = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["sh", "-c", script])
        .args([
            path.to_str().expect("text"),
            &pid("parent.pid"),
            &pid("vrrp.pid"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare");
    let mut output = child.stderr.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        output.read_to_end(&mut text).expect("the dump");
        String::from_utf8_lossy(&text).into_owned()
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().expect("a status").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("killed");
        }
        thread::sleep(Duration::from_millis(50));
    }
    let dump = reader.join().expect("the dump");

    let mut compared = 0;
    let mut wrong = Vec::new();
    for (index, text) in COMMANDS.iter().enumerate() {
        let title = format!("VRRP Script = s{index}\n");
        let (_, after) = dump
            .split_once(&title)
            .unwrap_or_else(|| panic!("no s{index}: {dump}"));
        let (_, command) = after.split_once("Command = ").expect("a command");
        let command = command.lines().next().expect("a line");
        // keepalived resolves links in the program's path.
        let theirs = command.replacen("'/usr/bin/", "'/bin/", 1);
        compared += 1;
        if theirs != here(text) {
            wrong.push(format!("{text}: keepalived {theirs}, here {}", here(text)));
        }
    }
    println!("{compared} commands compared with the dump of keepalived");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn configuration() -> String {
    let mut text = String::new();
    for (index, command) in COMMANDS.iter().enumerate() {
        text.push_str(&format!(
            "vrrp_script s{index} {{\n  script {command}\n}}\n"
        ));
    }
    text.push_str("vrrp_instance V {\n  interface d0\n  virtual_router_id 1\n  track_script {\n");
    for index in 0..COMMANDS.len() {
        text.push_str(&format!("    s{index}\n"));
    }
    text.push_str("  }\n  virtual_ipaddress {\n    10.9.9.9\n  }\n}\n");
    text
}
