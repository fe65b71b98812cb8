//! `HTTP_GET` and `SSL_GET` with nginx.

use std::fs;
use std::process::{Command, Stdio};

use crate::judge::judge;
use crate::server::{Server, folder, free_port};
use crate::table::{Fails, Passes};

/// Serves the folder `www`: these blocks, in which `PORT` stands for where it listens.
pub(crate) fn nginx(servers: &str) -> Server {
    let (folder, port) = (folder(), free_port());
    fs::create_dir(folder.path().join("www")).unwrap();
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
               -subj /CN=www.example -keyout key.pem -out cert.pem";
    let made = Command::new("openssl")
        .args(key.split_whitespace())
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let place = folder.path().display();
    let text = format!(
        "daemon off; pid {place}/pid; error_log {place}/error.log;
        events {{ worker_connections 64; }}
        http {{
            log_format brief '$request|$host|$http_user_agent';
            access_log {place}/access.log brief; root {place}/www;
            client_body_temp_path {place}/1; proxy_temp_path {place}/2;
            fastcgi_temp_path {place}/3; uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
            ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;
            {}
        }}",
        servers.replace("PORT", &format!("127.0.0.1:{port}"))
    );
    fs::write(folder.path().join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-e", "error.log", "-c", "nginx.conf", "-p"]);
    let command = command.arg(folder.path());
    Server::start(folder, port, command)
}

pub(crate) fn page(server: &Server, name: &str, content: &str) {
    fs::write(server.path("www").join(name), content).unwrap();
}

/// A check of some pages at a port.
pub(crate) fn get(keyword: &str, port: u16, common: &str, urls: &[&str]) -> String {
    let urls: String = urls
        .iter()
        .map(|url| format!("url {{\n{url}\n}}\n"))
        .collect();
    format!("{keyword} {{\nconnect_ip 127.0.0.1\nconnect_port {port}\n{common}\n{urls}}}")
}

pub(crate) fn pages_are_judged_by_digest_status_pattern_and_host() {
    let server = nginx(
        "server { listen PORT; location /moved { return 302 /; }
                  location /gone { return 404; } }
         server { listen PORT; server_name named.example; location / { return 203 named; } }",
    );
    page(&server, "ok.txt", "all is well\n");
    let port = server.port();
    let http = |url: &str| get("HTTP_GET", port, "", &[url]);
    let ok = "path /ok.txt";
    let digest = "digest 00112233445566778899aabbccddeeff";
    let checks = [
        (Passes, http(ok)),
        (Fails, http("path /nothing.txt")),
        (Passes, http("path /nothing.txt\nstatus_code 404")),
        (Passes, http("path /moved\nstatus_code 200-204 301-303")),
        (Fails, http("path /moved")),
        (Passes, http(&format!("{ok}\ndigest {}", md5(&server)))),
        (Fails, http(&format!("{ok}\n{digest}"))),
        (
            Passes,
            http(&format!("{ok}\nregex \"is +WELL\"\nregex_options caseless")),
        ),
        (Fails, http(&format!("{ok}\nregex \"is +WELL\""))),
        (Fails, http(&format!("{ok}\nregex well\nregex_no_match"))),
        (
            Passes,
            http("path /x\nvirtualhost named.example\nstatus_code 203"),
        ),
        (
            Fails,
            http("path /x\nvirtualhost other.example\nstatus_code 203"),
        ),
        (Passes, get("HTTP_GET", port, "http_protocol 1.1", &[ok])),
        (Passes, get("HTTP_GET", port, "http_protocol 1.0C", &[ok])),
        (
            Passes,
            get("HTTP_GET", port, "", &[ok, "path /gone\nstatus_code 404"]),
        ),
        (Fails, get("HTTP_GET", port, "", &[ok, "path /gone"])),
        (Fails, get("SSL_GET", port, "", &[ok])),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
    let log = fs::read_to_string(server.path("access.log")).unwrap();
    for version in ["1.0", "1.1"] {
        let request = format!("GET /ok.txt HTTP/{version}|127.0.0.1|KeepAliveClient");
        assert!(log.contains(&request), "{log}");
    }
}

/// What `md5sum` says of the page.
fn md5(server: &Server) -> String {
    let output = Command::new("md5sum")
        .arg(server.path("www/ok.txt"))
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

pub(crate) fn secure_pages_need_no_known_certificate_but_perhaps_a_name() {
    let server = nginx(
        "server { listen PORT ssl; ssl_reject_handshake on; }
         server { listen PORT ssl; server_name named.example; }",
    );
    page(&server, "ok.txt", "well\n");
    let port = server.port();
    let https = |common: &str, url: &str| get("SSL_GET", port, common, &[url]);
    let ok = "path /ok.txt";
    let named = format!("{ok}\nvirtualhost named.example");
    let checks = [
        // The name is sent only when that is asked for.
        (Fails, https("", &named)),
        (Passes, https("enable_sni", &named)),
        (
            Fails,
            https("enable_sni", &format!("{ok}\nvirtualhost other.example")),
        ),
        (
            Fails,
            https("enable_sni\nvirtualhost named.example", "path /gone"),
        ),
        (Fails, get("HTTP_GET", port, "", &[ok])),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
}
