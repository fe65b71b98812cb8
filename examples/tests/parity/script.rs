//! Command lines written down: `tests/data/ipvsadm.txt`, which says how it is read.

/// A step of the script.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) number: usize,
    /// Starts from an empty table.
    pub(crate) fresh: bool,
    pub(crate) words: Vec<String>,
    pub(crate) stdin: String,
}

/// Reads a script.
pub(crate) fn read(text: &str) -> Vec<Step> {
    let lines = text.lines().zip(1..);
    let steps = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with("# "));
    steps
        .map(|(line, number)| {
            let (fresh, line) = match line.strip_prefix('+') {
                Some(rest) => (false, rest),
                None => (true, line),
            };
            let (line, stdin) = line.split_once(" <<<").unwrap_or((line, ""));
            Step {
                number,
                fresh,
                words: words(line),
                stdin: unescape(stdin),
            }
        })
        .collect()
}

/// Splits at blanks, but not between single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    assert!(!quoted, "{line}");
    words.extend(word);
    words
}

/// `\n`, `\r`, `\t`, `\0`, `\v` and `\f` stand for what they do in C.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('0') => '\0',
                Some('v') => '\u{b}',
                Some('f') => '\u{c}',
                other => panic!("\\{other:?} in {text}"),
            },
            letter => letter,
        });
    }
    plain
}
