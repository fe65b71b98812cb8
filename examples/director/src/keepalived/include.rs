//! Other files and the environment: everything a configuration takes from outside its own text.
//!
//! Parsing itself opens nothing; it asks a [`Loader`]. [`FileSystem`] is the real one,
//! [`MemoryFiles`] serves tests and fuzzers, and [`Config::parse`](super::Config::parse) uses one
//! that finds nothing.

use std::collections::BTreeMap;
use std::{fs, io};

/// Gives a configuration its included files and environment variables.
///
/// Paths are text: an include's pattern is relative to the directory of the file it stands in, and
/// has been joined with it before it comes here.
pub trait Loader {
    /// Reads a file. Bytes that are not UTF-8 become U+FFFD; words with them are reported.
    ///
    /// # Errors
    ///
    /// Whatever opening or reading it gives; the include's variant decides whether that matters.
    fn read(&self, path: &str) -> io::Result<String>;

    /// The paths that match a pattern with `*`, `?` and `[…]`, sorted. A pattern without these
    /// matches the file of that name if it exists.
    fn find(&self, pattern: &str) -> Vec<String>;

    /// A variable for `${_ENV NAME}`.
    fn environment(&self, name: &str) -> Option<String>;

    /// A directory as `${_PWD}` shows it; an empty one is where relative paths start.
    fn absolute(&self, directory: &str) -> String {
        directory.to_owned()
    }
}

/// Files and environment of this process.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FileSystem;

/// Files larger than this are refused: no configuration is, and `/dev/zero` is.
const FILE_LIMIT: u64 = 64 << 20;

impl Loader for FileSystem {
    fn read(&self, path: &str) -> io::Result<String> {
        use io::Read as _;

        let mut bytes = Vec::new();
        fs::File::open(path)?
            .take(FILE_LIMIT.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_LIMIT) {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "file over 64 MiB",
            ));
        }
        // Old files have comments in other encodings; where it matters, the lexer says so.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn find(&self, pattern: &str) -> Vec<String> {
        // Unreadable directories and names that are not text match nothing.
        let Ok(paths) = glob::glob(pattern) else {
            return Vec::new();
        };
        paths
            .flatten()
            .filter_map(|path| path.to_str().map(str::to_owned))
            .collect()
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn absolute(&self, directory: &str) -> String {
        let path = if directory.is_empty() { "." } else { directory };
        let absolute = std::path::absolute(path).ok();
        absolute
            .and_then(|path| path.to_str().map(str::to_owned))
            .unwrap_or_else(|| path.into())
    }
}

/// A loader without files and without environment.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Nothing;

impl Loader for Nothing {
    fn read(&self, _path: &str) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn find(&self, _pattern: &str) -> Vec<String> {
        Vec::new()
    }

    fn environment(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Files and environment variables held in memory.
///
/// # Examples
///
/// ```
/// use director::keepalived::{Config, MemoryFiles, Options};
///
/// let mut files = MemoryFiles::default();
/// files.files.insert("conf.d/web.conf".into(), "router_id web\n".into());
/// let text = "global_defs {\n include conf.d/*.conf\n}\n";
/// let config = Config::parse_with("main.conf", text, &Options::default(), &files);
/// assert_eq!(config.globals().router_id.as_deref(), Some("web"));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MemoryFiles {
    /// Path → text.
    pub files: BTreeMap<String, String>,
    /// Name → value.
    pub environment: BTreeMap<String, String>,
}

impl Loader for MemoryFiles {
    fn read(&self, path: &str) -> io::Result<String> {
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find(&self, pattern: &str) -> Vec<String> {
        let Ok(matcher) = glob::Pattern::new(pattern) else {
            return Vec::new();
        };
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..Default::default()
        };
        self.files
            .keys()
            .filter(|path| matcher.matches_with(path, options))
            .cloned()
            .collect()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}

/// What an `include` variant demands of its files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Demand {
    /// What matches can be read.
    pub(super) readable: bool,
    /// A pattern without wildcards matches.
    pub(super) exists: bool,
    /// A pattern with wildcards matches.
    pub(super) wildcard: bool,
    /// Each alternative in braces matches.
    pub(super) braces: bool,
}

/// What the keyword demands, if it is an include.
pub(super) fn demand(keyword: &str) -> Option<Demand> {
    let none = Demand {
        readable: false,
        exists: false,
        wildcard: false,
        braces: false,
    };
    let readable = Demand {
        readable: true,
        ..none
    };
    Some(match keyword {
        "include" => none,
        "includer" => readable,
        "includem" => Demand {
            exists: true,
            ..readable
        },
        "includew" => Demand {
            exists: true,
            wildcard: true,
            ..readable
        },
        "includeb" => Demand {
            exists: true,
            braces: true,
            ..readable
        },
        "includea" => Demand {
            readable: true,
            exists: true,
            wildcard: true,
            braces: true,
        },
        _ => return None,
    })
}

/// Whether a pattern has a wildcard.
pub(super) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Expands `{a,b}` the way csh does, at most to `limit` patterns.
pub(super) fn alternatives(pattern: &str, limit: usize) -> Vec<String> {
    let mut done = Vec::new();
    // Each with the place up to which nothing is left to expand.
    let mut open = vec![(pattern.to_owned(), 0)];
    while let Some((pattern, from)) = open.pop() {
        if done.len() >= limit {
            break;
        }
        match braces(&pattern, from) {
            None => done.push(pattern),
            Some((start, parts, end)) => {
                let before = pattern.get(..start).unwrap_or_default();
                let after = pattern.get(end..).unwrap_or_default();
                let room = limit.saturating_sub(done.len());
                let parts: Vec<&str> = parts.into_iter().take(room).collect();
                let next = parts
                    .iter()
                    .rev()
                    .map(|part| (format!("{before}{part}{after}"), start));
                open.extend(next);
            }
        }
    }
    done
}

/// The first pair of braces at or after `from`: its place and its alternatives. Empty and
/// unbalanced braces are ordinary characters.
fn braces(pattern: &str, from: usize) -> Option<(usize, Vec<&str>, usize)> {
    for (start, _) in pattern.match_indices('{').filter(|&(at, _)| at >= from) {
        let mut parts = Vec::new();
        let (mut depth, mut part) = (0_usize, start.saturating_add(1));
        for (at, char) in pattern.char_indices().skip_while(|&(at, _)| at < start) {
            let next = at.saturating_add(1);
            match char {
                '{' => depth = depth.saturating_add(1),
                ',' if depth == 1 => {
                    parts.push(pattern.get(part..at)?);
                    part = next;
                }
                '}' if depth > 1 => depth = depth.saturating_sub(1),
                '}' if next == start.saturating_add(2) => break,
                '}' => {
                    parts.push(pattern.get(part..at)?);
                    return Some((start, parts, next));
                }
                _ => {}
            }
        }
    }
    None
}

/// The directory part of a path; empty if it has none.
pub(super) fn directory(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(slash) => path.get(..slash).unwrap_or_default(),
        None => "",
    }
}

/// A path relative to a directory.
pub(super) fn join(directory: &str, path: &str) -> String {
    if directory.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else if directory.ends_with('/') {
        format!("{directory}{path}")
    } else {
        format!("{directory}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_give_alternatives_in_order() {
        assert_eq!(
            alternatives("a{b,c}d{e,f}", 100),
            ["abde", "abdf", "acde", "acdf"]
        );
        assert_eq!(
            alternatives("{foo/{,cat,dog},bar}", 100),
            ["foo/", "foo/cat", "foo/dog", "bar"]
        );
        assert_eq!(alternatives("a{}b", 100), ["a{}b"]);
        assert_eq!(alternatives("a}b{", 100), ["a}b{"]);
    }

    #[test]
    fn braces_do_not_explode() {
        assert!(alternatives(&"{a,b}".repeat(60), 64).len() <= 64);
        assert!(alternatives(&format!("{{{}}}", ",".repeat(10_000)), 64).len() <= 64);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        assert_eq!(
            join(directory("/etc/k/main.conf"), "d/*.conf"),
            "/etc/k/d/*.conf"
        );
        assert_eq!(join(directory("main.conf"), "x"), "x");
        assert_eq!(join(directory("/main.conf"), "x"), "/x");
        assert_eq!(join(directory("/etc/k/main.conf"), "/x"), "/x");
    }

    #[test]
    fn memory_files_match_within_one_directory() {
        let mut files = MemoryFiles::default();
        for path in ["d/a.conf", "d/b.conf", "d/e/c.conf"] {
            files.files.insert(path.into(), String::new());
        }
        assert_eq!(files.find("d/*.conf"), ["d/a.conf", "d/b.conf"]);
        assert_eq!(files.find("d/a.conf"), ["d/a.conf"]);
        assert!(files.find("d/[").is_empty());
    }

    #[test]
    fn file_system_reads_any_encoding() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.conf");
        fs::write(&path, b"ok # \xfc").expect("written");
        let path = path.to_str().expect("text").to_owned();
        assert_eq!(FileSystem.read(&path).expect("text"), "ok # \u{fffd}");
        assert_eq!(FileSystem.find(&path), [path]);
    }
}
