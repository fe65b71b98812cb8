//! Any text as a keepalived.conf that may include itself.
//!
//! Try: `cargo +nightly fuzz run keepalived_conf -- -dict=fuzz/keepalived_conf.dict`.

#![no_main]

use director::keepalived::{Config, Limits, MemoryFiles, Options, VirtualAddress};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let limits = Limits::small();
    let options = Options::default()
        .with_config_id("main")
        .with_limits(limits.clone());
    let mut files = MemoryFiles::default();
    for path in ["main.conf", "a.conf", "d/b.conf"] {
        files.files.insert(path.into(), text.to_owned());
    }
    files.environment.insert("X".into(), text.to_owned());
    let config = Config::parse_with("main.conf", text, &options, &files);
    for diagnostic in config.diagnostics() {
        assert!(diagnostic.position.line >= 1 && diagnostic.position.column >= 1);
        assert!(!diagnostic.message.is_empty());
        assert!(Some(diagnostic.severity) <= config.worst());
    }
    // One more says that there were more.
    assert!(config.diagnostics().len() <= limits.diagnostics + 1);
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
    // What is written back is read as the same statements, as far as no limit cuts it short.
    let written: String = config
        .statements()
        .iter()
        .map(ToString::to_string)
        .collect();
    if config.worst().is_none() {
        let again = Config::parse_with("main.conf", &written, &options, &files);
        let rewritten: String = again.statements().iter().map(ToString::to_string).collect();
        assert_eq!(written, rewritten);
    }
});
