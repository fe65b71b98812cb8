//! MariaDB, PostgreSQL and OpenLDAP: the start of a session.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;

use lvs_healthcheck::probe::preset::{Ldap, Mysql, Pgsql};
use lvs_healthcheck::{Code, Outcome, TcpProbe};
use tempfile::TempDir;

use super::checking::report;
use super::server::{Server, free_port};

/// Runs a program that prepares something.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}

/// Gives everything in a directory to the user a server insists on running as.
fn give(directory: &Path, user: &str) {
    run(Command::new("chown").arg("-R").arg(user).arg(directory));
}

#[test]
#[ignore = "needs mariadb-server"]
fn mariadb_greets_and_lets_a_user_in() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    run(Command::new("mariadb-install-db")
        .arg("--no-defaults")
        .arg("--auth-root-authentication-method=normal")
        .arg("--user=root")
        .arg(format!("--datadir={}", data.display())));
    fs::write(
        directory.path().join("init"),
        "DROP USER IF EXISTS ''@localhost;\nCREATE USER probe@localhost;\nCREATE USER locked@localhost IDENTIFIED BY 'secret';\n",
    )
    .unwrap();
    let server = Server::start_in(directory, free_port(), "mariadbd", |directory, port| {
        let directory = directory.display();
        vec![
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--datadir={directory}/data"),
            format!("--socket={directory}/socket"),
            format!("--init-file={directory}/init"),
        ]
    });
    let probe = |mysql| TcpProbe::new(server.target()).with_protocol(mysql);
    for (mysql, code) in [
        (Mysql::new(), Code::Ok),
        (Mysql::new().with_user("probe"), Code::Ok),
        (Mysql::new().with_user("locked"), Code::Status),
        (Mysql::new().with_user("nobody"), Code::Status),
    ] {
        let outcome = report(probe(mysql.clone())).outcome;
        assert_eq!(outcome.code, code, "{mysql:?}: {outcome}\n{}", server.log());
        if code == Code::Status {
            let detail = outcome.detail.as_str();
            assert!(detail.starts_with("error 1045: Access denied"), "{detail}");
        }
    }
}

/// The programs of the installed version of PostgreSQL.
fn postgres() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("postgresql is not installed");
    let version = versions.map(|entry| entry.unwrap().path()).max().unwrap();
    version.join("bin")
}

#[test]
#[ignore = "needs postgresql, and root to start it as another user"]
fn postgresql_asks_for_a_password_or_says_why_not() {
    let programs = postgres();
    let directory = TempDir::new().unwrap();
    give(directory.path(), "postgres");
    let data = directory.path().join("data");
    run(Command::new("runuser")
        .args(["-u", "postgres", "--"])
        .arg(programs.join("initdb"))
        .args([
            "-A",
            "scram-sha-256",
            "-U",
            "admin",
            "--pwfile=/etc/hostname",
            "-D",
        ])
        .arg(&data)
        .current_dir("/"));
    let server = Server::start_in(directory, free_port(), "runuser", |directory, port| {
        let mut arguments = ["-u", "postgres", "--"].map(String::from).to_vec();
        arguments.push(programs.join("postgres").display().to_string());
        arguments.extend([
            "-D".to_owned(),
            directory.join("data").display().to_string(),
        ]);
        arguments.extend(["-k".to_owned(), directory.display().to_string()]);
        arguments.extend(["-h", "127.0.0.1", "-p"].map(String::from));
        arguments.push(port.to_string());
        arguments
    });
    let until = |done: &dyn Fn(&Outcome) -> bool| {
        (0..200)
            .map(|_| {
                sleep(Duration::from_millis(50));
                let probe = TcpProbe::new(server.target()).with_protocol(Pgsql::new("admin"));
                report(probe).outcome
            })
            .find(done)
            .unwrap_or_else(|| panic!("in vain:\n{}", server.log()))
    };
    let starting = "the server refused: the database system is starting up";
    let outcome = until(&|outcome| outcome.detail.as_str() != starting);
    assert_eq!(outcome.code, Code::Ok, "{outcome}\n{}", server.log());
    let rules = server.path().join("data/pg_hba.conf");
    fs::write(rules, "host all admin 127.0.0.1/32 reject\n").unwrap();
    let pid = fs::read_to_string(server.path().join("data/postmaster.pid")).unwrap();
    run(Command::new("kill").args(["-HUP", pid.lines().next().unwrap()]));
    // It reads its rules again when it gets round to it.
    let outcome = until(&|outcome| outcome.code != Code::Ok);
    assert_eq!(outcome.code, Code::Status, "{outcome}");
    assert!(
        outcome.detail.as_str().contains("pg_hba.conf rejects"),
        "{outcome}"
    );
}

#[test]
#[ignore = "needs slapd"]
fn openldap_answers_an_anonymous_bind_or_refuses_it() {
    for (more, code) in [("", Code::Ok), ("disallow bind_anon\n", Code::Status)] {
        let directory = TempDir::new().unwrap();
        fs::write(
            directory.path().join("conf"),
            format!("include /etc/ldap/schema/core.schema\n{more}database config\n"),
        )
        .unwrap();
        let server = Server::start_in(directory, free_port(), "slapd", |directory, port| {
            let file = directory.join("conf").display().to_string();
            let url = format!("ldap://127.0.0.1:{port}/");
            vec!["-d".into(), "0".into(), "-f".into(), file, "-h".into(), url]
        });
        let probe = TcpProbe::new(server.target()).with_protocol(Ldap::new());
        let outcome = report(probe).outcome;
        assert_eq!(outcome.code, code, "{outcome}\n{}", server.log());
    }
}
