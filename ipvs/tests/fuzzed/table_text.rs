//! Any text as a table and, line by line, as changes.

use lvs_ipvs::{Change, Table};

/// Reads the text; what can be read is the same after it was written again.
pub(crate) fn check(text: &str) {
    // A name that the format itself drops wherever it stands as a word.
    if text.contains("ipvsadm") {
        return;
    }
    match text.parse::<Table>() {
        Ok(table) => {
            let written = table.text().lossless().to_string();
            let again: Table = written.parse().expect(&written);
            assert_eq!(again.text().lossless().to_string(), written);
            for (before, after) in table.services().zip(again.services()) {
                assert!(before.service.same_settings(&after.service), "{written}");
                assert_eq!(before.destinations, after.destinations, "{written}");
            }
            assert_eq!(table.len(), again.len());
        }
        Err(error) => {
            assert!((1..=text.lines().count()).contains(&error.line()));
            assert_one_line(&error.to_string());
        }
    }
    for line in text.lines() {
        match line.parse::<Change>() {
            Ok(change) => {
                let written = change.to_string();
                let again: Change = written.parse().expect(&written);
                assert_eq!(again.to_string(), written);
                assert_eq!(again.service(), change.service());
            }
            Err(error) => assert_one_line(&error.to_string()),
        }
    }
}

fn assert_one_line(message: &str) {
    assert!(!message.is_empty());
    assert!(!message.contains(char::is_control), "{message:?}");
}
