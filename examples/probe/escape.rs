//! Bytes on the command line: text with `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`.

/// Bytes to be sent or expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// Reads a text with escapes.
pub(crate) fn parse(text: &str) -> Result<Bytes, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = match rest.next() {
            Some(b'r') => Some(b'\r'),
            Some(b'n') => Some(b'\n'),
            Some(b't') => Some(b'\t'),
            Some(b'0') => Some(0),
            Some(b'\\') => Some(b'\\'),
            Some(b'x') => hexadecimal(rest.next(), rest.next()),
            _ => None,
        };
        bytes.push(escaped.ok_or(
            "must have no other escapes than \\r, \\n, \\t, \\0, \\\\ and \\x with two hexadecimal digits",
        )?);
    }
    Ok(Bytes(bytes))
}

fn hexadecimal(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        let bytes = parse(r"PING\r\n\t\0\\\x1fä").unwrap();
        assert_eq!(bytes.0, "PING\r\n\t\0\\\x1fä".as_bytes());
        for odd in [r"\", r"\q", r"\x1", r"\xg0", r"\x"] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }
}
