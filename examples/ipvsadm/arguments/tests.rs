//! Command lines and what becomes of them, as seen with ipvsadm 1.31.

use lvs_ipvs::text::parse::NumbersOnly;

use super::*;

/// What a command line comes to, in short.
fn read(line: &str) -> Result<String, u8> {
    // Split by hand: the empty word matters here.
    let words: Vec<&str> = line.split(' ').collect();
    match Command::read(words.into_iter(), &mut NumbersOnly) {
        Ok(Command::Change(change)) => Ok(change.to_string()),
        Ok(other) => Ok(format!("{other:?}")),
        Err(failure) => Err(failure.status()),
    }
}
