//! `SMTP_CHECK` with OpenSMTPD.

use std::fs;
use std::process::Command;

use crate::judge::judge;
use crate::server::{Server, folder, free_port};
use crate::table::{Fails, Passes};

fn smtpd() -> Server {
    let (folder, port) = (folder(), free_port());
    let configuration = format!(
        "listen on 127.0.0.1 port {port} hostname mail.test\n\
         action \"keep\" maildir \"{}\"\nmatch for local action \"keep\"\n",
        folder.path().display(),
    );
    fs::write(folder.path().join("conf"), configuration).unwrap();
    let mut command = Command::new("smtpd");
    command.arg("-d").arg("-f").arg(folder.path().join("conf"));
    Server::start(folder, port, &mut command)
}

pub(crate) fn mail_servers_are_greeted_by_name() {
    let server = smtpd();
    let at = |port: u16| format!("connect_ip 127.0.0.1\nconnect_port {port}");
    let (there, nobody) = (at(server.port()), at(1));
    let block = |lines: &str| format!("SMTP_CHECK {{\n{lines}\n}}");
    let checks = [
        (Passes, block(&there)),
        (Passes, block(&format!("{there}\nhelo_name lb.test"))),
        // A name it does not take for one.
        (Fails, block(&format!("{there}\nhelo_name <>"))),
        (Fails, block(&nobody)),
        (
            Passes,
            block(&format!("host {{\n{there}\n}}\nhost {{\n{there}\n}}")),
        ),
        // All hosts of an old block must answer.
        (
            Fails,
            block(&format!("host {{\n{there}\n}}\nhost {{\n{nobody}\n}}")),
        ),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
}
