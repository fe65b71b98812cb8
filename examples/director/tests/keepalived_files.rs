//! Whole files and what is read from them.
//!
//! Each `data/keepalived/files/NAME.conf` has a `NAME.txt` beside it with the diagnostics, the
//! services and the list of features. `UPDATE_EXPECT=1 cargo test --test keepalived_files` writes
//! them anew; the difference is then for a person to judge.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use director::keepalived::{
    Check, CheckKind, Config, Connection, Forwarding, Granularity, MemoryFiles, Options, Protocol,
    RealServer, Severity, Tunnel, VirtualAddress, VirtualServer,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keepalived/files")
}

fn read(name: &str) -> Config {
    let text = fs::read_to_string(folder().join(name)).expect(name);
    let mut loader = MemoryFiles::default();
    loader
        .files
        .insert("router.conf".into(), "lvs_flush\n".into());
    Config::parse_with(
        name,
        &text,
        &Options::default().with_config_id("main"),
        &loader,
    )
}

/// The part of a configuration that a reader of the file would check.
fn summary(config: &Config) -> String {
    let mut text = String::from("diagnostics\n");
    for diagnostic in config.diagnostics() {
        writeln!(text, "  {diagnostic}").unwrap();
    }
    text.push_str("services\n");
    for service in config.virtual_servers() {
        write_service(&mut text, service);
    }
    write_vrrp(&mut text, config);
    text.push_str("features\n");
    for feature in config.features() {
        writeln!(text, "  {feature}").unwrap();
    }
    text
}

/// Virtual routers and the like, as they are written in a file with all values spelt out.
fn write_vrrp(text: &mut String, config: &Config) {
    let vrrp = config.vrrp();
    text.extend(vrrp.scripts.iter().map(ToString::to_string));
    text.extend(vrrp.files.iter().map(ToString::to_string));
    text.extend(vrrp.processes.iter().map(ToString::to_string));
    text.extend(vrrp.bfds.iter().map(ToString::to_string));
    text.extend(vrrp.instances.iter().map(ToString::to_string));
    text.extend(vrrp.groups.iter().map(ToString::to_string));
    for group in &vrrp.garp_groups {
        let (garp, gna) = (group.garp_interval, group.gna_interval);
        writeln!(text, "garp_group {:?} {garp:?} {gna:?}", group.interfaces).unwrap();
    }
    for delay in &vrrp.interface_delays {
        let (down, up) = (delay.down, delay.up);
        writeln!(text, "delays {} down {down:?} up {up:?}", delay.interface).unwrap();
    }
    let instances = vrrp.instances.iter();
    let unsupported = instances.flat_map(|instance| &instance.unsupported);
    for unsupported in unsupported.chain(&vrrp.unsupported) {
        let (position, keyword) = (&unsupported.position, unsupported.keyword);
        writeln!(text, "unsupported {position}: {keyword}").unwrap();
    }
}

fn write_service(text: &mut String, service: &VirtualServer) {
    let VirtualServer {
        address,
        family,
        protocol,
        scheduler,
        forwarding,
        ..
    } = service;
    let protocol = protocol.map_or("any protocol".to_owned(), |protocol| protocol.to_string());
    writeln!(
        text,
        "  {address} {family} {protocol} {scheduler} {forwarding:?}"
    )
    .unwrap();
    if service.flags != Default::default() {
        writeln!(text, "    {:?}", service.flags).unwrap();
    }
    if let Some(persistence) = &service.persistence {
        writeln!(text, "    {persistence:?}").unwrap();
    }
    writeln!(
        text,
        "    quorum {} hysteresis {}",
        service.quorum, service.hysteresis
    )
    .unwrap();
    for (name, command) in [("up", &service.quorum_up), ("down", &service.quorum_down)] {
        if let Some(command) = command {
            writeln!(text, "    {name} {:?} {:?}", command.words, command.user).unwrap();
        }
    }
    if let Some(sorry) = &service.sorry_server {
        let inhibit = if sorry.inhibit { " inhibit" } else { "" };
        let endpoint = SocketAddr::new(sorry.ip, sorry.port);
        writeln!(text, "    sorry {endpoint} {:?}{inhibit}", sorry.forwarding).unwrap();
    }
    for server in &service.real_servers {
        write_server(text, server);
    }
}

fn write_server(text: &mut String, server: &RealServer) {
    write!(
        text,
        "    {server} weight {} {:?}",
        server.weight, server.forwarding
    )
    .unwrap();
    for (name, on) in [
        ("inhibit", server.inhibit_on_failure),
        ("alpha", server.alpha),
        ("mail", server.smtp_alert),
    ] {
        if on {
            write!(text, " {name}").unwrap();
        }
    }
    if server.upper_threshold != 0 || server.lower_threshold != 0 {
        write!(
            text,
            " thresholds {}/{}",
            server.upper_threshold, server.lower_threshold
        )
        .unwrap();
    }
    text.push('\n');
    for check in &server.checks {
        write_check(text, check);
    }
}

fn write_check(text: &mut String, check: &Check) {
    let timing = &check.timing;
    write!(
        text,
        "      {} every {:?}, {} retries after {:?}, warmup {:?}, timeout {:?}",
        check.kind.keyword(),
        timing.delay_loop,
        timing.retry,
        timing.delay_before_retry,
        timing.warmup,
        timing.connect_timeout
    )
    .unwrap();
    for (name, on) in [("alpha", check.alpha), ("log all", check.log_all_failures)] {
        if on {
            write!(text, ", {name}").unwrap();
        }
    }
    text.push_str("\n        ");
    match &check.kind {
        CheckKind::Tcp(connection) | CheckKind::Ping(connection) => {
            write_connection(text, connection)
        }
        CheckKind::Misc(misc) => {
            let dynamic = if misc.dynamic { " dynamic" } else { "" };
            write!(
                text,
                "{:?} as {:?} in {:?}{dynamic}",
                misc.command.words, misc.command.user, misc.timeout
            )
            .unwrap();
        }
        CheckKind::Http(http) | CheckKind::Https(http) => {
            write_connection(text, &http.connection);
            write!(
                text,
                " {:?} fast recovery {}",
                http.protocol, http.fast_recovery
            )
            .unwrap();
            for url in &http.urls {
                write!(
                    text,
                    "\n        {} host {:?} sni {:?} status {:?}",
                    url.path, url.virtualhost, url.sni_name, url.status
                )
                .unwrap();
                if let Some(regex) = &url.regex {
                    write!(text, " regex {:?} {:?}", regex.pattern, regex.options).unwrap();
                }
                if let Some(digest) = url.digest {
                    write!(text, " digest {:02x}..", digest[0]).unwrap();
                }
            }
        }
        other => write!(text, "{other:?}").unwrap(),
    }
    text.push('\n');
}

fn write_connection(text: &mut String, connection: &Connection) {
    let Connection {
        ip,
        port,
        bind_ip,
        bind_port,
        bind_interface,
        fwmark,
        ..
    } = connection;
    write!(text, "to {}", SocketAddr::new(*ip, *port)).unwrap();
    if let Some(ip) = bind_ip {
        write!(text, " from {ip}").unwrap();
    }
    if let Some(port) = bind_port {
        write!(text, " from port {port}").unwrap();
    }
    if let Some(name) = bind_interface {
        write!(text, " on {name}").unwrap();
    }
    if *fwmark != 0 {
        write!(text, " mark {fwmark}").unwrap();
    }
}

#[test]
fn files_are_read_as_recorded() {
    let mut read_files = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        read_files += 1;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("text");
        let found = summary(&read(name));
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &found).expect("written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{name}:\n{found}"));
        }
    }
    assert!(read_files >= 7, "{read_files} files");
    assert!(wrong.is_empty(), "read differently:\n{}", wrong.join("\n"));
}

/// A tunnel service as it runs in production, first of the acceptance files.
#[test]
fn elasticsearch_service_is_read_exactly() {
    let config = read("elasticsearch.conf");
    assert_eq!(config.diagnostics(), []);
    let [service] = config.virtual_servers() else {
        panic!("one virtual server")
    };
    assert_eq!(
        service.address,
        VirtualAddress::Socket("172.1.1.114:9200".parse().unwrap())
    );
    assert_eq!(service.protocol, Some(Protocol::Tcp));
    assert_eq!(service.scheduler, "wrr");
    assert_eq!(service.forwarding, Forwarding::Tunnel(Tunnel::Ipip));
    let persistence = service.persistence.as_ref().expect("persistence");
    assert_eq!(persistence.timeout_secs, 10);
    assert_eq!(
        persistence.granularity,
        Granularity::Mask("255.255.255.255".parse().unwrap())
    );
    assert_eq!((service.quorum, service.hysteresis), (1, 0));

    let servers: Vec<String> = service
        .real_servers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        servers,
        ["172.1.1.54:9200", "172.1.1.55:9200", "172.1.1.56:9200"]
    );
    for (server, last) in service.real_servers.iter().zip([54, 55]) {
        assert_eq!((server.weight, server.forwarding), (10, service.forwarding));
        let [check] = server.checks.as_slice() else {
            panic!("one check")
        };
        let CheckKind::Misc(misc) = &check.kind else {
            panic!("{:?}", check.kind)
        };
        let ip = format!("172.1.1.{last}");
        assert_eq!(misc.command.words, ["/data/es_check.sh", &ip, "9200"]);
        assert_eq!((misc.timeout, misc.dynamic), (Duration::from_secs(3), true));
        assert_eq!(
            (check.timing.delay_loop, check.timing.retry),
            (Duration::from_secs(3), 0)
        );
        assert_eq!(check.timing.warmup, Duration::from_secs(3));
    }
    let [check] = service.real_servers[2].checks.as_slice() else {
        panic!("one check")
    };
    let CheckKind::Tcp(connection) = &check.kind else {
        panic!("{:?}", check.kind)
    };
    assert_eq!(
        (connection.ip, connection.port),
        ("172.1.1.56".parse::<IpAddr>().unwrap(), 9200)
    );
    assert_eq!(check.timing.connect_timeout, Duration::from_secs(3));
    assert_eq!(
        (check.timing.retry, check.timing.delay_before_retry),
        (1, Duration::from_secs(1))
    );
}

#[test]
fn reading_from_disk_follows_includes_and_warns_of_readable_secrets() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("conf.d")).expect("a folder");
    let main = folder.path().join("main.conf");
    fs::write(&main, "include conf.d/*.conf\n").expect("written");
    let secret = folder.path().join("conf.d/ssl.conf");
    fs::write(
        &secret,
        "SSL {\n  password x\n}\nglobal_defs {\n  router_id ${_PWD}\n}\n",
    )
    .expect("written");
    let set = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("set");

    set(0o600);
    let config = Config::read(&main).expect("read");
    assert_eq!(config.diagnostics(), []);
    let directory = folder.path().join("conf.d");
    assert_eq!(config.globals().router_id.as_deref(), directory.to_str());

    set(0o644);
    let config = Config::read(&main).expect("read");
    assert_eq!(config.worst(), Some(Severity::Warning));
    let expected = format!(
        "{}:2:3: warning: a secret in a file that everybody may read; remove the permission",
        secret.display()
    );
    assert_eq!(config.diagnostics()[0].to_string(), expected);

    let error = Config::read(folder.path().join("nope.conf")).expect_err("no such file");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
