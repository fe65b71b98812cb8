//! What is promised of reading any text as a keepalived.conf. One function for the property tests
//! and for the fuzz target `keepalived_conf`.

use director::keepalived::{Config, Limits, MemoryFiles, Options, VirtualAddress};

/// Reads a text that may include itself, and checks everything that holds of any outcome.
pub(crate) fn check(text: &str) -> Config {
    let mut files = MemoryFiles::default();
    for path in ["main.conf", "a.conf", "d/b.conf"] {
        files.files.insert(path.into(), text.to_owned());
    }
    files.environment.insert("X".into(), text.to_owned());
    let config = read(text, &files);
    outcome(&config);
    check_written_blocks(&config);
    // What is written back is read as the same statements, as far as no limit cuts it short.
    if config.worst().is_none() {
        let written = write(&config);
        assert_eq!(write(&read(&written, &files)), written);
    }
    config
}

/// Writes what virtual routers and their like are, and reads it again: it stays the same, unless a
/// word means something to an earlier stage or cannot be quoted.
fn check_written_blocks(config: &Config) {
    let written = write_blocks(config);
    if written.contains(['$', '\\', '\'', '~', '@']) {
        return;
    }
    let again = Config::parse_with(
        "main.conf",
        &written,
        &Options::default(),
        &MemoryFiles::default(),
    );
    assert_eq!(write_blocks(&again), written);
}

fn write_blocks(config: &Config) -> String {
    let vrrp = config.vrrp();
    let mut text = String::new();
    text.extend(vrrp.scripts.iter().map(ToString::to_string));
    text.extend(vrrp.files.iter().map(ToString::to_string));
    text.extend(vrrp.processes.iter().map(ToString::to_string));
    text.extend(vrrp.bfds.iter().map(ToString::to_string));
    text.extend(vrrp.instances.iter().map(ToString::to_string));
    text.extend(vrrp.groups.iter().map(ToString::to_string));
    text
}

fn read(text: &str, files: &MemoryFiles) -> Config {
    let options = Options::default()
        .with_config_id("main")
        .with_limits(Limits::small());
    Config::parse_with("main.conf", text, &options, files)
}

fn write(config: &Config) -> String {
    let statements = config.statements().iter();
    statements.map(ToString::to_string).collect()
}

fn outcome(config: &Config) {
    for diagnostic in config.diagnostics() {
        assert!(diagnostic.position.line >= 1 && diagnostic.position.column >= 1);
        assert!(!diagnostic.message.is_empty());
        assert!(Some(diagnostic.severity) <= config.worst());
    }
    // One more says that there were more.
    assert!(config.diagnostics().len() <= Limits::small().diagnostics + 1);
    for service in config.virtual_servers() {
        assert!(!service.real_servers.is_empty());
        let weights = service.real_servers.iter().map(|server| server.weight);
        let total: u64 = weights.map(u64::from).sum();
        assert!(u64::from(service.quorum) <= total);
        assert!(service.hysteresis < service.quorum.max(1));
        let VirtualAddress::Socket(address) = &service.address else {
            continue;
        };
        for server in &service.real_servers {
            // Nothing rewrites the port on the way there.
            if service.forwarding == server.forwarding && !server.forwarding.is_masquerade() {
                assert_eq!(server.port, address.port());
            }
        }
    }
}
