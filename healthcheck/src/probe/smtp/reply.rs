//! Replies of an SMTP server, RFC 5321 §4.2.

/// The longest line that is taken; the standard allows 512.
const LINE: usize = 4096;

/// The most lines of one reply.
const LINES: usize = 128;

/// A complete reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// How many lines it had.
    pub(super) lines: usize,
    /// The text of its last line.
    pub(super) text: Vec<u8>,
}

/// Puts replies together from bytes.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    /// The code of the lines so far, and how many they are.
    begun: Option<(u16, usize)>,
}

impl Reader {
    /// Takes a byte; gives the reply it completes, or why there will be none.
    pub(super) fn take(&mut self, byte: u8) -> Result<Option<Reply>, &'static str> {
        if byte != b'\n' {
            if self.line.len() >= LINE {
                return Err("line of more than 4096 bytes");
            }
            self.line.push(byte);
            return Ok(None);
        }
        let mut line = core::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let digits = line.get(..3).ok_or("line without a reply code")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err("line without a reply code");
        }
        let code = digits
            .iter()
            .fold(0, |code: u16, digit| code * 10 + u16::from(digit - b'0'));
        let last = match line.get(3) {
            None | Some(b' ') => true,
            Some(b'-') => false,
            Some(_) => return Err("neither blank nor hyphen after the reply code"),
        };
        let lines = match self.begun {
            Some((first, _)) if first != code => return Err("lines with different reply codes"),
            Some((_, lines)) => lines.saturating_add(1),
            None => 1,
        };
        if lines > LINES {
            return Err("reply of more than 128 lines");
        }
        if !last {
            self.begun = Some((code, lines));
            return Ok(None);
        }
        self.begun = None;
        let text = line.get(4..).unwrap_or_default().to_vec();
        Ok(Some(Reply { code, lines, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Reply>, &'static str> {
        let mut reader = Reader::default();
        let mut replies = Vec::new();
        for byte in bytes {
            replies.extend(reader.take(*byte)?);
        }
        assert!(reader.begun.is_none() && reader.line.is_empty());
        Ok(replies)
    }

    fn reply(code: u16, lines: usize, text: &str) -> Reply {
        Reply {
            code,
            lines,
            text: text.into(),
        }
    }

    #[test]
    fn replies_of_one_and_many_lines() {
        assert_eq!(read(b"220 hello\r\n"), Ok(vec![reply(220, 1, "hello")]));
        assert_eq!(read(b"250\n"), Ok(vec![reply(250, 1, "")]));
        assert_eq!(
            read(b"250-a\r\n250-b\r\n250 c d\r\n221 bye\r\n"),
            Ok(vec![reply(250, 3, "c d"), reply(221, 1, "bye")])
        );
    }

    #[test]
    fn what_is_no_reply_is_refused_with_the_reason() {
        for (bytes, reason) in [
            (&b"hi\r\n"[..], "line without a reply code"),
            (b"\r\n", "line without a reply code"),
            (b"2x0 hello\r\n", "line without a reply code"),
            (
                b"220hello\r\n",
                "neither blank nor hyphen after the reply code",
            ),
            (b"250-a\r\n220 b\r\n", "lines with different reply codes"),
        ] {
            assert_eq!(read(bytes), Err(reason));
        }
    }

    #[test]
    fn endless_lines_and_replies_are_cut_off() {
        let long = [b"220 ".to_vec(), vec![b'x'; 4092], b"\n".to_vec()].concat();
        assert_eq!(read(&long).unwrap().first().unwrap().text.len(), 4092);
        let longer = [b"220 ".to_vec(), vec![b'x'; 4093]].concat();
        let mut reader = Reader::default();
        let refused = longer.iter().find_map(|byte| reader.take(*byte).err());
        assert_eq!(refused, Some("line of more than 4096 bytes"));

        let most = [b"220-x\n".repeat(127), b"220 x\n".to_vec()].concat();
        assert_eq!(read(&most).unwrap().first().unwrap().lines, 128);
        let more = [b"220-x\n".repeat(128), b"220 x\n".to_vec()].concat();
        assert_eq!(read(&more), Err("reply of more than 128 lines"));
    }
}
