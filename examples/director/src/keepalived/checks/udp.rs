//! `UDP_CHECK`: a datagram, and what comes back.

use super::super::ast::{Statement, Word};
use super::super::diagnostic::Report;
use super::super::values;
use super::{Connection, ConnectionDraft, Outer};

/// A datagram to the server (keepalived.conf(5)).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UdpCheck {
    /// Where to.
    pub connection: Connection,
    /// `payload`; none for a built-in text.
    pub payload: Option<Vec<u8>>,
    /// `require_reply`: silence is a failure, and the reply must match.
    pub require_reply: Option<ReplyPattern>,
    /// `min_reply_length` in bytes, 0..=65535. Default 0. Counts only with a pattern.
    pub min_reply_length: u16,
    /// `max_reply_length` in bytes, 0..=65535. Default 255. Counts only with a pattern.
    pub max_reply_length: u16,
}

/// What a reply must start with: bytes with a mask of the bits that count.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReplyPattern {
    /// Expected bytes; 0 where the mask is 0. Empty if any reply will do.
    pub bytes: Vec<u8>,
    /// As many bytes; a half byte is 0 where the text has an `X`, else 0xf.
    pub mask: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Draft {
    connection: ConnectionDraft,
    payload: Option<Vec<u8>>,
    require_reply: Option<ReplyPattern>,
    min: u16,
    max: u16,
}

impl Default for Draft {
    fn default() -> Self {
        let connection = ConnectionDraft::default();
        Self {
            connection,
            payload: None,
            require_reply: None,
            min: 0,
            max: 255,
        }
    }
}

impl Draft {
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "payload" => {
                if let Some(pattern) = hexadecimal(statement, false, report) {
                    self.payload = Some(pattern.bytes);
                }
            }
            "require_reply" if statement.arguments().is_empty() => {
                values::leaf(statement, 0, report);
                self.require_reply = Some(ReplyPattern::default());
            }
            "require_reply" => {
                let pattern = hexadecimal(statement, true, report);
                values::set(&mut self.require_reply, pattern);
            }
            "min_reply_length" => {
                self.min = values::number(statement, 0..=65_535, report).unwrap_or(self.min);
            }
            "max_reply_length" => {
                self.max = values::number(statement, 0..=65_535, report).unwrap_or(self.max);
            }
            _ => return self.connection.read(statement, report),
        }
        true
    }

    pub(super) fn finish(
        &self,
        outer: &Outer<'_>,
        statement: &Statement,
        report: &mut Report,
    ) -> UdpCheck {
        if self.min > self.max {
            let message = format!(
                "UDP_CHECK: min_reply_length {} is over max_reply_length {}, no reply can match",
                self.min, self.max
            );
            report.warning(statement.position(), message);
        }
        let has_pattern = self
            .require_reply
            .as_ref()
            .is_some_and(|pattern| !pattern.bytes.is_empty());
        if !has_pattern && (self.min, self.max) != (0, 255) {
            let message = "UDP_CHECK: the length of a reply is only looked at with bytes after \
                           'require_reply'";
            report.note(statement.position(), message);
        }
        UdpCheck {
            connection: self.connection.finish(outer, true, statement, report),
            payload: self.payload.clone(),
            require_reply: self.require_reply.clone(),
            min_reply_length: self.min,
            max_reply_length: self.max,
        }
    }
}

/// Reads bytes in hexadecimal. Blanks separate groups, each read in pairs; a digit left over is a
/// byte of its own.
fn hexadecimal(
    statement: &Statement,
    wildcards: bool,
    report: &mut Report,
) -> Option<ReplyPattern> {
    values::leaf(statement, usize::MAX, report);
    let keyword = statement.keyword();
    let text: Vec<&str> = statement.arguments().iter().map(Word::text).collect();
    let text = text.join(" ");
    let mut pattern = ReplyPattern::default();
    for group in text.split_whitespace() {
        let mut digits = group.chars();
        while let Some(first) = digits.next() {
            let halves: Vec<char> = core::iter::once(first).chain(digits.next()).collect();
            let (mut byte, mut mask) = (0_u8, 0_u8);
            for half in &halves {
                let wild = wildcards && matches!(half, 'x' | 'X');
                let digit = half.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let Some(digit) = digit.or(if wild { Some(0) } else { None }) else {
                    let allowed = if wildcards {
                        "hexadecimal digits and X"
                    } else {
                        "hexadecimal digits"
                    };
                    let message =
                        format!("{keyword}: '{text}' has more than {allowed}; line ignored");
                    report.error(statement.argument_position(0), message);
                    return None;
                };
                byte = (byte << 4) | digit;
                mask = (mask << 4) | if wild { 0 } else { 0xf };
            }
            if halves.len() == 1 {
                mask |= 0xf0;
            }
            pattern.bytes.push(byte);
            pattern.mask.push(mask);
        }
    }
    if pattern.bytes.is_empty() {
        report.error(
            statement.position(),
            format!("{keyword}: the bytes are missing; line ignored"),
        );
        return None;
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::super::CheckKind;
    use super::super::tests_support::{check, clean};
    use super::*;

    fn udp(lines: &str) -> UdpCheck {
        let CheckKind::Udp(udp) = clean(&format!("UDP_CHECK {{\n{lines}\n}}")).kind else {
            panic!("udp")
        };
        udp
    }

    #[test]
    fn defaults() {
        let check = udp("");
        assert_eq!((check.payload, check.require_reply), (None, None));
        assert_eq!((check.min_reply_length, check.max_reply_length), (0, 255));
        assert_eq!(
            udp("require_reply").require_reply,
            Some(ReplyPattern::default())
        );
    }

    /// The example of keepalived's manual.
    #[test]
    fn bytes_are_read_in_pairs_within_groups() {
        let expected = [
            0xab, 0x12, 0x0f, 0x03, 0x45, 0x06, 0x54, 0x64, 0x43, 0x12, 0x03,
        ];
        assert_eq!(
            udp("payload Ab12f 3 456 546443123").payload.unwrap(),
            expected
        );
        assert_eq!(
            udp("payload \"Ab12f 3 456 546443123\"").payload.unwrap(),
            expected
        );
    }

    #[test]
    fn wild_halves_of_a_pattern_are_masked() {
        let pattern = udp("require_reply 0X x1 xx 5").require_reply.unwrap();
        assert_eq!(pattern.bytes, [0x00, 0x01, 0x00, 0x05]);
        assert_eq!(pattern.mask, [0xf0, 0x0f, 0x00, 0xff]);
    }

    #[test]
    fn what_is_no_byte_is_refused() {
        let (_, messages) = check("UDP_CHECK {\n payload 0102zz\n payload\n require_reply 0y\n}");
        assert!(messages[0].contains("payload: '0102zz' has more than hexadecimal digits; line"));
        assert!(messages[1].contains("payload: the bytes are missing"));
        assert!(messages[2].contains("hexadecimal digits and X"));
    }

    #[test]
    fn lengths_that_exclude_each_other_are_reported() {
        let (_, messages) = check("UDP_CHECK {\n min_reply_length 2\n max_reply_length 1\n}");
        assert!(messages[0].contains("min_reply_length 2 is over max_reply_length 1"));
    }
}
