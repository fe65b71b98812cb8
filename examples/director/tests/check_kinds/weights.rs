//! Weights by `MISC_CHECK` with `misc_dynamic`, and by `FILE_CHECK`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::judge::judge;
use crate::server::folder;
use crate::table::{Fails, Passes, Verdict, Weighs};

/// The account tests run under.
pub(crate) fn account() -> String {
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid());
    own.unwrap().unwrap().name
}

pub(crate) fn exit_codes_are_weights() {
    let folder = folder();
    let script = folder.path().join("check");
    fs::write(&script, "#!/bin/sh\nexit $1\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (path, own) = (script.display(), account());
    let exit = |code: u32, lines: &str| {
        format!("weight 5\nMISC_CHECK {{\nmisc_path \"{path} {code}\"\nuser {own}\n{lines}\n}}")
    };
    let dynamic = |code| exit(code, "misc_dynamic");
    let both = format!("{}\n{}", dynamic(12), dynamic(22).replace("weight 5\n", ""));
    let checks = [
        (Passes, exit(0, "")),
        (Fails, exit(1, "")),
        (Fails, exit(2, "")),
        (Passes, dynamic(0)),
        (Fails, dynamic(1)),
        (Weighs(0), dynamic(2)),
        (Weighs(1), dynamic(3)),
        (Weighs(10), dynamic(12)),
        // What a shell says of a program that is not there.
        (Weighs(125), dynamic(127)),
        (Weighs(253), dynamic(255)),
        // 5 + (10 - 5) + (20 - 5)
        (Weighs(25), both),
    ];
    let checks = checks
        .each_ref()
        .map(|(verdict, check)| (*verdict, check.as_str()));
    judge("", &checks);
}

pub(crate) fn numbers_in_files_are_weights() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut definitions = String::new();
    for (name, number, lines) in [
        ("twenty", Some("20"), ""),
        ("minus", Some("-20\n"), ""),
        ("reverse", Some("20"), "weight 2 reverse"),
        ("none", None, ""),
        ("zero", Some("0"), "weight 0"),
        ("one", Some("1"), "weight 0"),
        ("huge", Some("3000000000"), ""),
        ("least", Some("-2147483648"), ""),
        ("begun", None, "init_file 7"),
    ] {
        if let Some(number) = number {
            fs::write(path(name), number).unwrap();
        }
        let file = path(name);
        definitions.push_str(&format!("track_file {name} {{\nfile {file}\n{lines}\n}}\n"));
    }
    let weigh = |name: &str, lines: &str| {
        format!("weight 50\nFILE_CHECK {{\ntrack_file {name}\n{lines}\n}}")
    };
    let checks: [(Verdict, String); 13] = [
        (Weighs(70), weigh("twenty", "")),
        (Weighs(110), weigh("twenty", "weight 3")),
        (Weighs(10), weigh("twenty", "weight -2")),
        (Weighs(90), weigh("twenty", "weight -2 reverse")),
        // Not less than 0.
        (Weighs(0), weigh("twenty", "weight -3")),
        (Weighs(30), weigh("minus", "")),
        (Weighs(10), weigh("reverse", "")),
        (Passes, weigh("none", "")),
        (Passes, weigh("zero", "")),
        (Fails, weigh("one", "")),
        (Fails, weigh("twenty", "weight 0")),
        (Fails, weigh("least", "")),
        (Weighs(57), weigh("begun", "")),
    ];
    let checks = checks
        .each_ref()
        .map(|(verdict, check)| (*verdict, check.as_str()));
    judge(&definitions, &checks);
}
