//! The live view, in a terminal that `script(1)` makes.

use std::process::{Command, Stdio};

use crate::network::Network;

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_terminal_shows_the_routers_and_is_given_back() {
    let network = Network::new();
    let command = network.command();
    let words: Vec<_> = core::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let line = format!(
        "stty rows 10 cols 120; timeout --signal TERM 3 {} -i va --vrid 51 --address 192.0.2.1/24 \
         --interval 100ms",
        words.join(" ")
    );
    let output = Command::new("script")
        .args(["--quiet", "--command", &line, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("\u{1b}[?1049h"), "{shown:?}");
    assert!(
        shown.trim_end().ends_with("\u{1b}[?25h\u{1b}[?1049l"),
        "{shown:?}"
    );
    let last = shown.rsplit("\u{1b}[H").next().unwrap();
    assert!(last.matches("\r\n").count() < 10, "{last:?}");
    let frame = shown
        .rsplit("\u{1b}[H")
        .find(|frame| frame.contains("Active"));
    let frame = frame.expect("an Active router");
    for part in ["ROUTER", "va/51", "this one", "100", "state", "Ctrl-C"] {
        assert!(frame.contains(part), "{part}: {frame:?}");
    }
    assert!(!network.has("192.0.2.1/24"));
}
