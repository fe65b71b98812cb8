//! Sysctls as files of a folder: types, ranges, absence, the preset and its way back.
//!
//! `kernel_sysctl.rs` does the same to a kernel.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use lvs_ipvs::sysctl::{
    self, ConnReuse, CpuList, Defence, Director, Preset, SyncThreshold, Sysctl, SysctlError,
    Sysctls, Value,
};
use lvs_ipvs::{Error, Family};

/// A folder with a file for each sysctl that has a default, as in a new namespace.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sysctl-{name}"));
        let _ = fs::remove_dir_all(&path);
        let folder = Self { path };
        for definition in sysctl::ALL {
            if let Some(default) = definition.default {
                folder.write(definition.path, &format!("{default}\n"));
            }
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path.join(path)).unwrap()
    }

    fn sysctls(&self) -> Sysctls {
        Sysctls::in_directory(&self.path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[test]
fn each_has_a_path_of_its_own_and_says_what_it_is() {
    let paths: BTreeSet<_> = sysctl::ALL.iter().map(|it| it.path).collect();
    assert_eq!(paths.len(), sysctl::ALL.len());
    // 35 of IPVS, two of its neighbours.
    assert_eq!(paths.len(), 37);
    let in_order: Vec<_> = sysctl::ALL.iter().map(|it| it.path).collect();
    assert!(in_order.is_sorted());
    for definition in sysctl::ALL {
        for text in [definition.meaning, definition.accepted, definition.needs] {
            assert!(text.len() > 3 && !text.contains("  "), "{text:?}");
        }
    }
    let definition = sysctl::IPV6_FORWARDING.definition();
    assert_eq!(definition.to_string(), "net.ipv6.conf.all.forwarding");
    assert_eq!(sysctl::CONNTRACK.definition().name(), "conntrack");
}

#[test]
fn every_default_is_read_as_its_type() {
    let folder = Folder::new("defaults");
    let sysctls = folder.sysctls();
    assert!(!sysctls.get(sysctl::CONNTRACK).unwrap());
    assert!(sysctls.get(sysctl::PMTU_DISC).unwrap());
    assert_eq!(sysctls.get(sysctl::AMEMTHRESH).unwrap(), 1024);
    assert_eq!(sysctls.get(sysctl::DROP_ENTRY).unwrap(), Defence::Off);
    assert_eq!(
        sysctls.get(sysctl::CONN_REUSE_MODE).unwrap(),
        ConnReuse::CLOSED
    );
    let threshold = SyncThreshold {
        packets: 3,
        period: 50,
    };
    assert_eq!(sysctls.get(sysctl::SYNC_THRESHOLD).unwrap(), threshold);
    let day = Duration::from_secs(86400);
    assert_eq!(sysctls.get(sysctl::LBLC_EXPIRATION).unwrap(), day);
    assert_eq!(sysctls.get(sysctl::SYNC_PORTS).unwrap(), 1);
}

/// Sets a value, looks at the file, reads it back.
fn set<T: Value>(folder: &Folder, sysctl: Sysctl<T>, value: &T, text: &str) {
    let path = sysctl.definition().path;
    if !folder.path.join(path).exists() {
        folder.write(path, "\n");
    }
    folder.sysctls().set(sysctl, value).unwrap();
    assert_eq!(folder.read(path), format!("{text}\n"));
    assert_eq!(folder.sysctls().get(sysctl).unwrap(), *value);
}

#[test]
fn values_of_every_type_are_written_as_the_kernel_reads_them() {
    let folder = Folder::new("set");
    set(&folder, sysctl::CONNTRACK, &true, "1");
    set(&folder, sysctl::EST_NICE, &-20, "-20");
    set(
        &folder,
        sysctl::SYNC_QLEN_MAX,
        &u64::MAX,
        "18446744073709551615",
    );
    set(&folder, sysctl::SECURE_TCP, &Defence::Always, "3");
    set(&folder, sysctl::CONN_REUSE_MODE, &ConnReuse::all(), "3");
    let threshold = SyncThreshold {
        packets: 10,
        period: 0,
    };
    set(&folder, sysctl::SYNC_THRESHOLD, &threshold, "10 0");
    let minute = Duration::from_secs(60);
    set(&folder, sysctl::SYNC_REFRESH_PERIOD, &minute, "60");
    let cpus: CpuList = "0-3,8".parse().unwrap();
    set(&folder, sysctl::EST_CPULIST, &cpus, "0-3,8");
    set(&folder, sysctl::EST_CPULIST, &CpuList::default(), "");
    set(&folder, sysctl::IP_FORWARD, &true, "1");
}

/// Checks that a value is refused with this error, before the file is touched.
fn refused<T: Value>(folder: &Folder, sysctl: Sysctl<T>, value: &T, expected: &str) {
    let error = folder.sysctls().set(sysctl, value).unwrap_err();
    assert_eq!(error.to_string(), format!("sysctl net.ipv4.vs.{expected}"));
    let path = folder.path.join(sysctl.definition().path);
    let now = fs::read_to_string(path).map_or(None, |text| Some(text.trim_end().to_owned()));
    assert_eq!(now.as_deref(), sysctl.definition().default);
}

#[test]
fn what_is_out_of_range_is_refused_with_the_range() {
    let folder = Folder::new("refused");
    for ports in [0, 3, 128] {
        let expected = format!("sync_ports {ports}: must be a power of two, 1 to 64");
        refused(&folder, sysctl::SYNC_PORTS, &ports, &expected);
    }
    refused(
        &folder,
        sysctl::SYNC_RETRIES,
        &4,
        "sync_retries 4: must be 0 to 3",
    );
    refused(
        &folder,
        sysctl::EST_NICE,
        &20,
        "est_nice 20: must be -20 to 19",
    );
    refused(
        &folder,
        sysctl::CONN_LFACTOR,
        &-9,
        "conn_lfactor -9: must be -8 to 8",
    );
    refused(
        &folder,
        sysctl::AM_DROPRATE,
        &(1 << 31),
        "am_droprate 2147483648: must be 0 to 2147483647",
    );
    refused(
        &folder,
        sysctl::SYNC_VERSION,
        &2,
        "sync_version 2: must be 0 or 1",
    );
    refused(
        &folder,
        sysctl::LBLC_EXPIRATION,
        &Duration::from_millis(1500),
        "lblc_expiration 1.5s: must be whole seconds, at most 2147483",
    );
    refused(
        &folder,
        sysctl::LBLCR_EXPIRATION,
        &Duration::from_secs(2_147_484),
        "lblcr_expiration 2147484: must be whole seconds, at most 2147483",
    );
    for (packets, period) in [(50, 50), (1, 1), (u32::MAX, 0)] {
        let expected = format!(
            "sync_threshold {packets} {period}: must be two numbers, the first less than the \
             second unless that is 0"
        );
        let threshold = SyncThreshold { packets, period };
        refused(&folder, sysctl::SYNC_THRESHOLD, &threshold, &expected);
    }
}

#[test]
fn a_missing_file_is_absent_and_the_error_says_what_may_be_the_reason() {
    let folder = Folder::new("absent");
    let sysctls = folder.sysctls();
    for error in [
        sysctls.get(sysctl::CONN_MAX).unwrap_err(),
        sysctls.set(sysctl::CONN_MAX, &1000).unwrap_err(),
    ] {
        let Error::Sysctl(absent) = &error else {
            panic!("{error}")
        };
        assert!(absent.is_absent());
        let path = folder.path.join("ipv4/vs/conn_max");
        assert_eq!(absent.path(), Some(path.as_path()));
        let message = error.to_string();
        let expected = "ipv4/vs/conn_max is not there: the kernel is older than Linux 7.2, the \
                        module ip_vs is not loaded, or";
        assert!(message.contains(expected), "{message}");
    }
    // Nothing was made of the attempt.
    assert!(!folder.path.join("ipv4/vs/conn_max").exists());
    fs::remove_file(folder.path.join("ipv4/vs/lblc_expiration")).unwrap();
    let error = sysctls.get(sysctl::LBLC_EXPIRATION).unwrap_err();
    let message = error.to_string();
    assert!(
        message.ends_with("is not there: the module ip_vs_lblc is not loaded"),
        "{message}"
    );
}

#[test]
fn what_has_another_form_is_an_error_that_shows_it() {
    let folder = Folder::new("unreadable");
    folder.write("ipv4/vs/sync_threshold", "3\n");
    let error = folder.sysctls().get(sysctl::SYNC_THRESHOLD).unwrap_err();
    let message = error.to_string();
    let expected = "sync_threshold says \"3\": expected two numbers that are not negative";
    assert!(message.ends_with(expected), "{message}");
    // Not a bool by the book, and yes to the kernel.
    folder.write("ipv4/vs/conntrack", "2\n");
    assert!(folder.sysctls().get(sysctl::CONNTRACK).unwrap());
    // A failure to read comes through with the path.
    fs::remove_file(folder.path.join("ipv4/vs/conntrack")).unwrap();
    fs::create_dir(folder.path.join("ipv4/vs/conntrack")).unwrap();
    let Error::Sysctl(error) = folder.sysctls().get(sysctl::CONNTRACK).unwrap_err() else {
        panic!("not of a sysctl")
    };
    assert!(matches!(error, SysctlError::Read { .. }), "{error}");
    assert!(error.os_error().is_some());
    let Error::Sysctl(error) = folder.sysctls().set(sysctl::CONNTRACK, &true).unwrap_err() else {
        panic!("not of a sysctl")
    };
    assert!(matches!(error, SysctlError::Refused { .. }), "{error}");
}

#[test]
fn files_of_a_newer_kernel_are_named() {
    let folder = Folder::new("unknown");
    assert_eq!(folder.sysctls().unknown().unwrap(), [""; 0]);
    folder.write("ipv4/vs/zzz", "1\n");
    folder.write("ipv4/vs/brand_new", "1\n");
    assert_eq!(folder.sysctls().unknown().unwrap(), ["brand_new", "zzz"]);
    let nowhere = Sysctls::in_directory(folder.path.join("nowhere"));
    assert!(nowhere.unknown().is_err());
}

fn everything() -> Preset {
    Director::new()
        .removing_dead_servers()
        .draining_persistent_services()
        .masquerading(Family::Inet)
        .masquerading(Family::Inet6)
        .one_of_several()
        .tracking_connections()
        .preset()
}

#[test]
fn a_director_wants_what_it_needs_and_no_more() {
    let wanted = |director: Director| {
        let preset = director.preset();
        let wishes = preset.wishes().iter();
        let names = wishes.map(|wish| format!("{}={}", wish.sysctl().name(), wish.value()));
        names.collect::<Vec<_>>()
    };
    let director = Director::new;
    assert_eq!(wanted(director()), [""; 0]);
    assert_eq!(
        wanted(director().removing_dead_servers()),
        ["expire_nodest_conn=1", "conn_reuse_mode=1"]
    );
    assert_eq!(
        wanted(director().draining_persistent_services()),
        ["expire_quiescent_template=1", "conn_reuse_mode=1"]
    );
    assert_eq!(
        wanted(director().tracking_connections()),
        ["conntrack=1", "conn_reuse_mode=1"]
    );
    assert_eq!(
        wanted(director().masquerading(Family::Inet)),
        ["ip_forward=1"]
    );
    assert_eq!(
        wanted(director().masquerading(Family::Inet6)),
        ["forwarding=1"]
    );
    assert_eq!(
        wanted(director().one_of_several()),
        ["sloppy_tcp=1", "schedule_icmp=1"]
    );
}

#[test]
fn any_reuse_is_as_good_as_the_wanted_one() {
    let folder = Folder::new("reuse");
    let preset = Director::new().draining_persistent_services().preset();
    for (mode, is_fine) in [("0", false), ("1", true), ("2", true), ("3", true)] {
        folder.write("ipv4/vs/expire_quiescent_template", "1\n");
        folder.write("ipv4/vs/conn_reuse_mode", mode);
        let review = preset.review(&folder.sysctls()).unwrap();
        assert_eq!(review.is_fine(), is_fine, "{mode}");
    }
}

#[test]
fn a_review_names_each_difference_with_its_reason() {
    let folder = Folder::new("review");
    folder.write("ipv4/vs/expire_nodest_conn", "1\n");
    fs::remove_file(folder.path.join("ipv6/conf/all/forwarding")).unwrap();
    let preset = everything();
    let review = preset.review(&folder.sysctls()).unwrap();
    let text = review.to_string();
    assert!(!review.is_fine());
    assert_eq!(review.findings().len(), preset.wishes().len() - 2);
    assert_eq!(text.lines().count(), review.findings().len());
    let expected = "net.ipv4.ip_forward is 0, should be 1: masquerading forwards packets";
    assert!(text.starts_with(expected), "{text}");
    let absent = "net.ipv6.conf.all.forwarding is not there, should be 1: masquerading";
    assert!(text.contains(absent), "{text}");
    assert!(!text.contains("expire_nodest_conn"), "{text}");
    // It has looked, and nothing else.
    assert_eq!(folder.read("ipv4/ip_forward"), "0\n");

    // The same of values that were read before.
    let read = |path: &str| fs::read_to_string(folder.path.join(path)).ok();
    let values = |definition: &sysctl::Definition| Some(read(definition.path)?.trim().to_owned());
    assert_eq!(preset.review_values(values).to_string(), text);
    let none = preset.review_values(|_| None);
    assert_eq!(none.findings().len(), preset.wishes().len());
}

#[test]
fn what_was_applied_can_be_taken_back() {
    let folder = Folder::new("applied");
    folder.write("ipv4/vs/expire_nodest_conn", "2\n");
    let sysctls = folder.sysctls();
    let preset = everything();
    let applied = preset.apply(&sysctls).unwrap();
    assert!(applied.failures().is_empty());
    assert!(preset.review(&sysctls).unwrap().is_fine());
    // 2 is as good as 1, and was left.
    assert_eq!(folder.read("ipv4/vs/expire_nodest_conn"), "2\n");
    let changes: Vec<_> = applied.changes().iter().map(ToString::to_string).collect();
    assert_eq!(changes[0], "net.ipv4.ip_forward was 0, is 1");

    // Somebody else changes one meanwhile: it stays as that wants it.
    folder.write("ipv4/vs/sloppy_tcp", "0\n");
    let count = applied.changes().len();
    let restored = applied.restore().unwrap();
    assert_eq!(restored.restored.len(), count - 1);
    assert_eq!(restored.left.len(), 1);
    assert_eq!(
        restored.left[0].wish.sysctl(),
        sysctl::SLOPPY_TCP.definition()
    );
    // Last change first.
    let last = restored.restored.last().unwrap();
    assert_eq!(last.wish.sysctl(), sysctl::IP_FORWARD.definition());
    for path in ["ipv4/ip_forward", "ipv4/vs/conntrack", "ipv4/vs/sloppy_tcp"] {
        assert_eq!(folder.read(path), "0\n");
    }
}

#[test]
fn dropping_leaves_things_as_they_were_set() {
    let folder = Folder::new("dropped");
    drop(everything().apply(&folder.sysctls()).unwrap());
    assert_eq!(folder.read("ipv4/ip_forward"), "1\n");
}

#[test]
fn one_failure_does_not_keep_the_others_from_being_set_or_restored() {
    let folder = Folder::new("failure");
    fs::remove_file(folder.path.join("ipv4/vs/sloppy_tcp")).unwrap();
    let preset = everything();
    let applied = preset.apply(&folder.sysctls()).unwrap();
    assert_eq!(applied.changes().len(), preset.wishes().len() - 2);
    let [(wish, error)] = applied.failures() else {
        panic!("{:?}", applied.failures())
    };
    assert_eq!(wish.sysctl(), sysctl::SLOPPY_TCP.definition());
    assert!(matches!(error, Error::Sysctl(error) if error.is_absent()));

    fs::remove_file(folder.path.join("ipv4/vs/conntrack")).unwrap();
    fs::create_dir(folder.path.join("ipv4/vs/conntrack")).unwrap();
    applied.restore().unwrap_err();
    assert_eq!(folder.read("ipv4/ip_forward"), "0\n");
}

#[test]
fn a_wish_of_ones_own_is_checked_and_replaces_the_presets() {
    let preset = everything()
        .with_wish(sysctl::CONNTRACK, &false, "no rules look at states")
        .unwrap();
    assert_eq!(preset.wishes().len(), everything().wishes().len());
    assert_eq!(
        preset.wishes().last().unwrap().to_string(),
        "net.ipv4.vs.conntrack = 0: no rules look at states"
    );
    let error = preset
        .with_wish(sysctl::SYNC_PORTS, &5, "why not")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "sysctl net.ipv4.vs.sync_ports 5: must be a power of two, 1 to 64"
    );
}
