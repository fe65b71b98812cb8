//! `HTTP_GET` and `SSL_GET`: pages of a web server.

use core::ops::RangeInclusive;

use super::super::ast::Statement;
use super::super::command;
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::{Connection, ConnectionDraft, Outer, missing};

/// Requests to a web server (keepalived.conf(5)).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpCheck {
    /// Where to.
    pub connection: Connection,
    /// The pages; at least one.
    pub urls: Vec<HttpUrl>,
    /// `http_protocol`. Default 1.0.
    pub protocol: HttpProtocol,
    /// `fast_recovery`: after a failure all pages are tried at the quick pace.
    pub fast_recovery: bool,
}

/// The request's version.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpProtocol {
    /// `1.0`
    #[default]
    V10,
    /// `1.0C`: 1.0 with `Connection: close`.
    V10Close,
    /// `1.1`
    V11,
}

/// One page and what it must be like.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpUrl {
    /// Where its block starts.
    pub position: Position,
    /// `path` with query. Default `/`.
    pub path: String,
    /// `digest`: MD5 of the body.
    pub digest: Option<[u8; 16]>,
    /// `status_code`: codes that pass. Default 200..=299.
    pub status: Vec<RangeInclusive<u16>>,
    /// `virtualhost` of the page, the check, the real server or the virtual server, whichever is
    /// set first; taken verbatim. None for address and port.
    pub virtualhost: Option<String>,
    /// Name for server name indication: `sni_name`, or with `enable_sni` the virtual host of page,
    /// check or virtual server. None for no indication.
    pub sni_name: Option<String>,
    /// `regex` and its options.
    pub regex: Option<Regex>,
    /// `tls_compliant`: the connection is shut down as TLS wants it.
    pub tls_compliant: bool,
}

/// A pattern to look for in a body.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Regex {
    /// The pattern, in PCRE2's syntax.
    pub pattern: String,
    /// `regex_no_match`: a match is a failure.
    pub no_match: bool,
    /// `regex_options`, as written; each is one of [`OPTIONS`](Self::OPTIONS).
    pub options: Vec<String>,
    /// `regex_min_offset`: where to start looking, in bytes. Default 0.
    pub min_offset: u64,
    /// `regex_max_offset`: where a match must start at the latest, in bytes.
    pub max_offset: Option<u64>,
    /// `regex_stack START MAX` of PCRE2's compiled matcher, in bytes.
    pub stack: Option<(u64, u64)>,
}

impl Regex {
    /// The words that `regex_options` takes: PCRE2's compile options.
    pub const OPTIONS: [&str; 23] = [
        "allow_empty_class",
        "alt_bsux",
        "auto_callout",
        "caseless",
        "dollar_endonly",
        "dotall",
        "dupnames",
        "extended",
        "firstline",
        "match_unset_backref",
        "multiline",
        "never_ucp",
        "never_utf",
        "no_auto_capture",
        "no_auto_possess",
        "no_dotstar_anchor",
        "no_start_optimize",
        "ucp",
        "ungreedy",
        "utf",
        "never_backslash_c",
        "alt_circumflex",
        "alt_verbnames",
    ];
}

/// Codes that pass unless `status_code` says otherwise.
const STATUS: RangeInclusive<u16> = 200..=299;

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    connection: ConnectionDraft,
    urls: Vec<UrlDraft>,
    protocol: HttpProtocol,
    fast_recovery: bool,
    virtualhost: Option<String>,
    enable_sni: bool,
    sni_name: Option<String>,
    tls_compliant: bool,
}

impl Draft {
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "url" => self.urls.push(UrlDraft::read(statement, report)),
            "http_protocol" => {
                let expected = "one of 1.0, 1.0C, 1.1";
                let protocol = values::word(statement, expected, report, |word| match word {
                    "1.0" => Some(HttpProtocol::V10),
                    "1.0C" | "1.0c" => Some(HttpProtocol::V10Close),
                    "1.1" => Some(HttpProtocol::V11),
                    _ => None,
                });
                self.protocol = protocol.unwrap_or(self.protocol);
            }
            "fast_recovery" => {
                let on = values::switch(statement, report);
                self.fast_recovery = on.unwrap_or(self.fast_recovery);
            }
            "virtualhost" => {
                values::set(&mut self.virtualhost, values::text(statement, report));
            }
            "enable_sni" => self.enable_sni = values::flag(statement, report),
            "sni_name" => {
                values::set(&mut self.sni_name, values::text(statement, report));
            }
            "tls_compliant" => {
                let on = values::switch(statement, report);
                self.tls_compliant = on.unwrap_or(self.tls_compliant);
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
    ) -> Option<HttpCheck> {
        if self.urls.is_empty() {
            missing(statement, "url", report);
            return None;
        }
        Some(HttpCheck {
            connection: self.connection.finish(outer, true, statement, report),
            urls: self
                .urls
                .iter()
                .map(|url| self.finish_url(url, outer))
                .collect(),
            protocol: self.protocol,
            fast_recovery: self.fast_recovery,
        })
    }

    fn finish_url(&self, url: &UrlDraft, outer: &Outer<'_>) -> HttpUrl {
        let own = url.virtualhost.as_deref().or(self.virtualhost.as_deref());
        // The real server's name is used for the request, not for TLS.
        let host = own
            .or(outer.server_virtualhost)
            .or(outer.service_virtualhost);
        let sni = if self.enable_sni {
            own.or(outer.service_virtualhost)
        } else {
            None
        };
        HttpUrl {
            position: url.position.clone(),
            path: url.path.clone().unwrap_or_else(|| "/".to_owned()),
            digest: url.digest,
            status: if url.status.is_empty() {
                vec![STATUS]
            } else {
                url.status.clone()
            },
            virtualhost: host.map(str::to_owned),
            sni_name: self.sni_name.as_deref().or(sni).map(str::to_owned),
            regex: url.pattern.as_ref().map(|pattern| Regex {
                pattern: pattern.clone(),
                no_match: url.no_match,
                options: url.options.clone(),
                min_offset: url.min_offset,
                max_offset: url.max_offset,
                stack: url.stack,
            }),
            tls_compliant: url.tls_compliant.unwrap_or(self.tls_compliant),
        }
    }
}

/// A page as written.
#[derive(Clone, Debug)]
struct UrlDraft {
    position: Position,
    path: Option<String>,
    digest: Option<[u8; 16]>,
    status: Vec<RangeInclusive<u16>>,
    virtualhost: Option<String>,
    tls_compliant: Option<bool>,
    pattern: Option<String>,
    no_match: bool,
    options: Vec<String>,
    min_offset: u64,
    max_offset: Option<u64>,
    stack: Option<(u64, u64)>,
}

impl UrlDraft {
    fn read(statement: &Statement, report: &mut Report) -> Self {
        let mut url = Self {
            position: statement.position().clone(),
            path: None,
            digest: None,
            status: Vec::new(),
            virtualhost: None,
            tls_compliant: None,
            pattern: None,
            no_match: false,
            options: Vec::new(),
            min_offset: 0,
            max_offset: None,
            stack: None,
        };
        let mut about_regex = None;
        for inner in values::block(statement, report) {
            if inner.keyword().starts_with("regex_") {
                about_regex = about_regex.or(Some(inner));
            }
            if !url.read_statement(inner, report) {
                values::unknown(inner, report);
            }
        }
        if let (None, Some(inner)) = (&url.pattern, about_regex) {
            let message = format!("{} has no effect without 'regex'", inner.keyword());
            report.note(inner.position(), message);
        }
        url
    }

    fn read_statement(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let sizes = 0..=u64::from(u32::MAX);
        match statement.keyword() {
            "path" => values::set(&mut self.path, values::text(statement, report)),
            "digest" => {
                let expected = "an MD5 digest of 32 hexadecimal digits";
                self.digest = values::word(statement, expected, report, digest).or(self.digest);
            }
            "status_code" => self.read_status(statement, report),
            "virtualhost" => {
                values::set(&mut self.virtualhost, values::text(statement, report));
            }
            "tls_compliant" => {
                self.tls_compliant = values::switch(statement, report).or(self.tls_compliant);
            }
            "regex" => self.read_regex(statement, report),
            "regex_no_match" => self.no_match = values::flag(statement, report),
            "regex_options" => self.read_options(statement, report),
            "regex_min_offset" => {
                self.min_offset =
                    values::number(statement, sizes, report).unwrap_or(self.min_offset);
            }
            "regex_max_offset" => {
                self.max_offset = values::number(statement, sizes, report).or(self.max_offset);
            }
            "regex_stack" => {
                values::leaf(statement, 2, report);
                let start = values::number_at(statement, 0, sizes.clone(), report);
                let most = values::number_at(statement, 1, sizes, report);
                self.stack = start.zip(most).or(self.stack);
            }
            _ => return false,
        }
        true
    }

    fn read_status(&mut self, statement: &Statement, report: &mut Report) {
        values::leaf(statement, usize::MAX, report);
        for word in statement.arguments() {
            match status(word.text()) {
                Some(range) => self.status.push(range),
                None => {
                    let message = format!(
                        "status_code: '{}' is neither a code nor a range in 100..=599; ignored",
                        word.text()
                    );
                    report.error(word.position(), message);
                }
            }
        }
    }

    fn read_regex(&mut self, statement: &Statement, report: &mut Report) {
        values::leaf(statement, usize::MAX, report);
        let reason = match command::words(statement.raw_arguments()) {
            Ok(words) => match words.into_iter().next() {
                Some(pattern) => {
                    self.pattern = Some(pattern);
                    return;
                }
                None => "the pattern is missing",
            },
            Err(reason) => reason,
        };
        let message = format!("regex: {reason}; line ignored");
        report.error(statement.argument_position(0), message);
    }

    fn read_options(&mut self, statement: &Statement, report: &mut Report) {
        values::leaf(statement, usize::MAX, report);
        for word in statement.arguments() {
            if Regex::OPTIONS.contains(&word.text()) {
                self.options.push(word.text().to_owned());
            } else {
                let message = format!(
                    "regex_options: '{}' is no option; known are {}",
                    word.text(),
                    Regex::OPTIONS.join(", ")
                );
                report.error(word.position(), message);
            }
        }
    }
}

/// `200` or `200-299`.
fn status(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let code = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|code| (100..=599).contains(code))
    };
    let (first, last) = (code(first)?, code(last)?);
    (first <= last).then_some(first..=last)
}

fn digest(word: &str) -> Option<[u8; 16]> {
    if word.len() != 32 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some(u128::from_str_radix(word, 16).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::CheckKind;
    use super::super::tests_support::{check, clean};
    use super::*;

    fn http(text: &str) -> HttpCheck {
        match clean(text).kind {
            CheckKind::Http(http) | CheckKind::Https(http) => http,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let check = clean("HTTP_GET {\n url {\n }\n}");
        assert_eq!(check.timing.delay_before_retry.as_secs(), 3);
        let CheckKind::Http(http) = check.kind else {
            panic!("http")
        };
        assert_eq!(
            (http.protocol, http.fast_recovery),
            (HttpProtocol::V10, false)
        );
        let url = &http.urls[0];
        assert_eq!(
            (url.path.as_str(), url.digest, &url.regex),
            ("/", None, &None)
        );
        assert_eq!(url.status, [200..=299]);
        assert_eq!(url.virtualhost.as_deref(), Some("server.example"));
        assert_eq!(url.sni_name, None);
    }

    #[test]
    fn page_with_everything() {
        let http = http(
            "HTTP_GET {\n http_protocol 1.0C\n fast_recovery\n url {\n path /mrtg/?a=b\n\
             digest 9b3a0c85a887a256d6939da88aabd8cd\n status_code 200 400-499 503\n\
             regex \"a\\\\d+ b\"\n regex_options caseless dotall\n regex_no_match\n\
             regex_min_offset 10\n regex_max_offset 50\n regex_stack 100 200\n }\n}",
        );
        assert_eq!(
            (http.protocol, http.fast_recovery),
            (HttpProtocol::V10Close, true)
        );
        let url = &http.urls[0];
        assert_eq!(url.path, "/mrtg/?a=b");
        assert_eq!(url.digest.unwrap()[..3], [0x9b, 0x3a, 0x0c]);
        assert_eq!(url.status, [200..=200, 400..=499, 503..=503]);
        let regex = url.regex.as_ref().unwrap();
        assert_eq!(regex.pattern, r"a\d+ b");
        assert_eq!(regex.options, ["caseless", "dotall"]);
        assert!(regex.no_match);
        assert_eq!((regex.min_offset, regex.max_offset), (10, Some(50)));
        assert_eq!(regex.stack, Some((100, 200)));
    }

    /// §2.3: the name for TLS comes from page, check or virtual server, never the real server.
    #[test]
    fn names_for_request_and_tls() {
        let names = |lines: &str, url: &str| {
            let http = http(&format!("SSL_GET {{\n{lines}\n url {{\n{url}\n }}\n}}"));
            let url = &http.urls[0];
            (url.virtualhost.clone().unwrap(), url.sni_name.clone())
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names("", ""), ("server.example".into(), None));
        assert_eq!(
            names("enable_sni", ""),
            ("server.example".into(), some("service.example"))
        );
        assert_eq!(
            names("enable_sni\nvirtualhost c", ""),
            ("c".into(), some("c"))
        );
        assert_eq!(
            names("enable_sni\nvirtualhost c", "virtualhost u"),
            ("u".into(), some("u"))
        );
        assert_eq!(
            names("sni_name s\nvirtualhost c", ""),
            ("c".into(), some("s"))
        );
    }

    #[test]
    fn old_name_of_retry_still_works() {
        let (check, messages) = check("HTTP_GET {\n nb_get_retry 4\n url {\n }\n}");
        assert_eq!(check.unwrap().timing.retry, 4);
        assert!(messages[0].contains("warning: nb_get_retry is deprecated, use 'retry'"));
    }

    #[test]
    fn wrong_values_are_named() {
        let (read, messages) = check(
            "HTTP_GET {\n http_protocol 2\n url {\n digest abc\n status_code 99 300-299 200\n\
             regex \"a\n regex_options bogus\n }\n}",
        );
        let CheckKind::Http(http) = read.unwrap().kind else {
            panic!("http")
        };
        assert_eq!(http.urls[0].status, [200..=200]);
        let expected = [
            "http_protocol: '2' is not one of 1.0, 1.0C, 1.1",
            "digest: 'abc' is not an MD5 digest",
            "status_code: '99' is neither",
            "status_code: '300-299' is neither",
            "regex: a quote is not closed",
            "regex_options: 'bogus' is no option",
            "regex_options has no effect without 'regex'",
        ];
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        for (message, part) in messages.iter().zip(expected) {
            assert!(message.contains(part), "{message} / {part}");
        }
    }

    #[test]
    fn check_without_page_is_ignored() {
        let (check, messages) = check("HTTP_GET {\n}");
        assert_eq!(check, None);
        assert!(messages[0].contains("HTTP_GET: 'url' is missing, check ignored"));
    }

    #[test]
    fn control_characters_cannot_reach_the_request() {
        let (_, messages) = check("HTTP_GET {\n url {\n path \"/a\u{0}b\"\n }\n}");
        assert!(
            messages[0].contains("without control characters"),
            "{messages:?}"
        );
    }
}
