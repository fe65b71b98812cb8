//! Whatever the text, reading ends, quickly and without a panic; statements written again are read
//! as the same statements.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod reading;

use std::fs;
use std::path::Path;
use std::time::Instant;

use director::keepalived::{Config, Statement};
use proptest::prelude::*;

use reading::check;

/// The valid files and the cases, as material for mutations.
fn material() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keepalived");
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder.join("files")).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "conf")
        {
            texts.push(fs::read_to_string(path).expect("a file"));
        }
    }
    for name in ["cases.txt", "vrrp.txt"] {
        let cases = fs::read_to_string(folder.join(name)).expect("the cases");
        texts.extend(cases.split("\n=== ").skip(1).map(str::to_owned));
    }
    texts
}

/// Pieces that mean something to one of the stages.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "virtual_server",
        "real_server",
        "fwmark",
        "group",
        "virtual_server_group",
        "TCP_CHECK",
        "MISC_CHECK",
        "HTTP_GET",
        "url",
        "UDP_CHECK",
        "payload",
        "misc_path",
        "weight",
        "quorum",
        "hysteresis",
        "lb_kind",
        "TUN",
        "DR",
        "type",
        "gue",
        "port",
        "protocol",
        "TCP",
        "10.0.0.1",
        "2001:db8::1-a",
        "10.0.0.0/8",
        "0.5",
        "80",
        "-1",
        "18446744073709551615",
        "global_defs",
        "lvs_sync_daemon",
        "vrrp_instance",
        "VI_1",
        "VI_2",
        "vrrp_sync_group",
        "group",
        "vrrp_script",
        "script",
        "virtual_ipaddress",
        "virtual_router_id",
        "interface",
        "eth0",
        "fe80::1/64",
        "unicast_peer",
        "min_ttl",
        "use_vmac",
        "02:00:00:00:00:01",
        "track_interface",
        "track_script",
        "reverse",
        "strict_mode",
        "authentication",
        "auth_type",
        "PASS",
        "auth_pass",
        "advert_int",
        "preempt_delay",
        "notify_master",
        "track_file",
        "vrrp_track_process",
        "bfd_instance",
        "include",
        "includea",
        "*.conf",
        "d/b.conf",
        "{a,b}.conf",
        "@main",
        "@^main",
        "$A",
        "${A}",
        "$A=",
        "$B=$A ",
        "${B}",
        "~SEQ(A,1,9)",
        "~SEQx(B,9,-2,0)",
        "~LST({A,B},{1,2},{3,4})",
        "${_RANDOM 1 2}",
        "${_PWD}",
        "${_ENV X}",
        "\\\n",
        "\n",
        "\n",
        "{",
        "}",
        "{\n",
        "}\n",
        "\"",
        "'",
        "#",
        "!",
        "\\",
        " ",
        " ",
        "\t",
        "ä",
        "\u{0}",
        "\r\n",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => any::<i64>().prop_map(|number| number.to_string()),
    ]
}

/// Words that stay themselves when a statement is written and read again.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9_.:/=+-]{1,8}",
        "\"[ a-z{}#!'\\\\]{0,8}\"",
        "[a-z]{1,3}\\\\[#!][a-z]{1,3}",
    ]
}

fn statement() -> impl Strategy<Value = String> {
    let keyword = "[a-z][a-z_]{0,8}".prop_filter("no include", |word| !word.starts_with("include"));
    let line = (keyword, prop::collection::vec(word(), 0..4))
        .prop_map(|(keyword, words)| format!("{keyword} {}", words.join(" ")));
    line.prop_recursive(4, 32, 4, |inner| {
        ("[a-z]{1,8}", prop::collection::vec(inner, 0..4)).prop_map(|(keyword, statements)| {
            format!("{keyword} {{\n{}\n}}", statements.join("\n"))
        })
    })
}

/// Keywords, words and structure, without positions.
fn shape(statements: &[Statement]) -> Vec<String> {
    let mut shape = Vec::new();
    for statement in statements {
        shape.push(statement.keyword().to_owned());
        for word in statement.arguments() {
            shape.push(format!("{:?} {}", word.text(), word.is_quoted()));
        }
        if let Some(block) = statement.block() {
            shape.push("{".to_owned());
            shape.extend(self::shape(block.statements()));
            shape.push("}".to_owned());
        }
    }
    shape
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_pieces_are_read(pieces in prop::collection::vec(piece(), 0..60), blanks: bool) {
        check(&pieces.join(if blanks { " " } else { "" }));
    }

    #[test]
    fn changed_files_are_read(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..20_usize, piece()), 1..8),
    ) {
        let material = material();
        let mut text: Vec<char> = which.get(&material).chars().collect();
        for (place, length, piece) in changes {
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn cut_files_are_read(which: prop::sample::Index, end: prop::sample::Index) {
        let material = material();
        let text: Vec<char> = which.get(&material).chars().collect();
        check(&text[..end.index(text.len() + 1)].iter().collect::<String>());
    }

    #[test]
    fn statements_written_again_are_the_same(
        statements in prop::collection::vec(statement(), 0..6),
    ) {
        let first = Config::parse("t.conf", &statements.join("\n"));
        let written: String = first.statements().iter().map(ToString::to_string).collect();
        let second = Config::parse("t.conf", &written);
        prop_assert_eq!(shape(first.statements()), shape(second.statements()), "{}", written);
        let again: String = second.statements().iter().map(ToString::to_string).collect();
        prop_assert_eq!(written, again);
    }
}

/// Each virtual router of the valid files and the cases, written and read again by `check`.
#[test]
fn blocks_of_the_material_are_read_again() {
    let configs: Vec<Config> = material().iter().map(|text| check(text)).collect();
    let written = |config: &&Config| !config.vrrp().instances.is_empty();
    assert!(configs.iter().filter(written).count() >= 150);
}

/// Inputs made to grow: each ends at a limit, within a time that says nothing grew beyond it.
#[test]
fn hostile_texts_end_at_a_limit() {
    let deep: String = (0..64)
        .map(|n| format!("$V{n}=${{V{0}}}${{V{0}}}\n", n + 1))
        .collect();
    let texts = [
        "~SEQ(A,1,999999999999) x\n".to_owned(),
        "~SEQ(A,99999) ~SEQ(B,99999) ~SEQ(C,99999) ${A}${B}\n".to_owned(),
        format!("{deep}$V64=\n${{V0}}\n"),
        "$A= \\\n$A \\\n$A\n$A\n".to_owned(),
        format!("$A={}\n~SEQ(N,99999) ${{A}}\n", "x".repeat(9000)),
        "include main.conf\ninclude a.conf\ninclude d/b.conf\n".repeat(50),
        format!("include {}\n", "{a,b}".repeat(400)),
        "{\n".repeat(100_000),
        "a {\n".repeat(100_000),
        "}".repeat(100_000),
        "\"".repeat(100_001),
        "${".repeat(50_000),
        format!("$A={}\n$A \n", "$A ".repeat(1000)),
        "virtual_server_group g {\n".to_owned() + &"::/1 80\n".repeat(1000) + "}\n",
        "virtual_server 10.0.0.1 80 {\n".to_owned() + &"real_server 10.0.0.2 80 {}\n".repeat(9000),
    ];
    for text in texts {
        let start = Instant::now();
        let config = check(&text);
        let start_of_text: String = text.chars().take(40).collect();
        assert!(config.worst().is_some(), "{start_of_text}");
        assert!(
            start.elapsed().as_secs() < 20,
            "{start_of_text}: {:?}",
            start.elapsed()
        );
    }
}
