//! One attempt: requests, one after the other, and the judgement of their replies.

use std::vec;

use super::redirect::{Place, Redirects, resolve, same_host};
use super::reply::{Framing, Head, Item, Malformed, Reader};
use super::request::{Method, Version, encode, server_name};
use super::{Http, Settings, body::Body, hint};
use crate::attempt::Attempt;
use crate::outcome::{Code, Outcome, Phase, Verdict, WeightHint};
use crate::policy::Health;
use crate::probe::{Dialogue, Turn};

#[derive(Debug)]
pub(super) struct HttpDialogue {
    attempt: Attempt,
    http: Http,
    /// What is asked after this.
    others: vec::IntoIter<Http>,
    method: Method,
    /// Where the present request goes.
    place: Place,
    redirects: u8,
    reader: Reader,
    body: Body,
    /// Where the next request goes, if the reply is a redirect that is followed.
    redirect: Option<Place>,
    /// Whether the connection was used before the present request.
    reused: bool,
    found: Found,
}

/// What the replies so far say beside being as expected.
#[derive(Debug, Default)]
struct Found {
    /// The first conditional pass: its code.
    no_new: Option<Code>,
    weight: Option<WeightHint>,
    note: Option<String>,
}

impl HttpDialogue {
    /// Asks for `first`, then for the others; all must pass.
    pub(super) fn new(first: Http, others: Vec<Http>, attempt: &Attempt) -> Self {
        let mut dialogue = Self {
            attempt: *attempt,
            method: first.0.method,
            place: Place {
                host: None,
                path: String::new(),
            },
            redirects: 0,
            reader: Reader::new(Framing::Standard, false),
            body: Body::default(),
            redirect: None,
            reused: false,
            found: Found::default(),
            http: first,
            others: others.into_iter(),
        };
        dialogue.begin();
        dialogue
    }

    /// Gets ready for what `http` asks for.
    fn begin(&mut self) {
        let settings = &self.http.0;
        self.method = settings.method;
        self.redirects = 0;
        self.place = Place {
            host: settings.host.value(self.attempt.server, self.attempt.tls),
            path: settings.path.to_string(),
        };
        self.expect();
    }

    /// Gets ready for a reply.
    fn expect(&mut self) {
        let settings = &self.http.0;
        let framing = if settings.until_eof {
            Framing::Connection
        } else {
            Framing::Standard
        };
        self.reader = Reader::new(framing, self.method == Method::Head);
        self.body = Body::default();
        self.redirect = None;
    }

    fn request(&self) -> Vec<u8> {
        let more = self.others.len() > 0 || self.follows();
        encode(&self.http.0, self.method, &self.place, !more, &self.attempt)
    }

    /// Whether a redirect would be followed.
    fn follows(&self) -> bool {
        match self.http.0.redirects {
            Redirects::Judge => false,
            Redirects::Follow { max, .. } => self.redirects < max,
        }
    }

    /// Judges the head. `Some` if that ends the reply.
    fn on_head(&mut self) -> Option<Turn> {
        let http = self.http.clone();
        let settings = &*http.0;
        let head = self.reader.head();
        if settings.immediate_fail && head.values(hint::IMMEDIATE_FAIL).next().is_some() {
            let detail = format!("{} is set", hint::IMMEDIATE_FAIL);
            let outcome = Outcome::new(Code::Status, Phase::Match).with_detail(&detail);
            return Some(Turn::Done(outcome.with_verdict(Verdict::FailNow)));
        }
        let mut remark = String::new();
        if (300..400).contains(&head.status()) {
            match self.where_to(settings, head) {
                Ok(place) => self.redirect = Some(place),
                Err(why) => remark = why,
            }
        }
        if self.redirect.is_none() {
            if let Some(outcome) = self.judge_head(settings, &remark) {
                return Some(Turn::Done(outcome));
            }
            self.body = Body::new(settings);
        }
        let nothing_follows = self.redirect.is_none() && self.others.len() == 0;
        if settings.until_eof || self.body.is_wanted() {
            return None;
        }
        // The rest is read only to get at the next reply on the same connection.
        if nothing_follows || !self.may_keep() {
            return Some(self.next(false));
        }
        None
    }

    /// Where a redirect leads, or why it is not followed.
    fn where_to(&self, settings: &Settings, head: &Head) -> Result<Place, String> {
        let Redirects::Follow {
            max,
            same_host: only_same,
        } = settings.redirects
        else {
            return Err(String::new());
        };
        let Some(location) = head.values("location").next() else {
            return Err(" without Location".to_owned());
        };
        let shown = location.get(..96).unwrap_or(location).escape_ascii();
        if self.redirects >= max {
            return Err(format!(" to {shown} after {max} redirects"));
        }
        let tls = self.attempt.tls;
        let mut place = resolve(location, &self.place.path, tls)
            .ok_or_else(|| format!(" to {shown}, which cannot be followed"))?;
        match (&place.host, &self.place.host) {
            (None, host) => place.host.clone_from(host),
            (Some(host), Some(own)) if same_host(host, own, tls) => {
                place.host = Some(own.clone());
            }
            (Some(_), _) if only_same => {
                return Err(format!(" to {shown}, another host"));
            }
            (Some(_), _) => {}
        }
        Ok(place)
    }

    /// Judges status and fields.
    fn judge_head(&mut self, settings: &Settings, remark: &str) -> Option<Outcome> {
        let head = self.reader.head();
        let status = head.status();
        let failed = |code, detail: &str| Outcome::new(code, Phase::Match).with_detail(detail);
        if settings.weight_field {
            match hint::weight(head) {
                Ok(weight) => self.found.weight = weight.or(self.found.weight),
                Err(note) => self.found.note = Some(note),
            }
        }
        let drains = settings.drain.contains(status);
        // 503 is the one that says it is for now.
        let busy = drains && status == 503;
        // One that has not been judged yet counts as in service: it may be draining since before.
        if drains && self.attempt.health != Health::Down {
            let code = if busy { Code::Busy } else { Code::OkNoNew };
            self.found.no_new.get_or_insert(code);
        } else if !settings.status.contains(status) {
            let detail = format!(
                "expected status {}, got {}{remark}",
                settings.status,
                head.status_text()
            );
            let code = if busy { Code::Busy } else { Code::Status };
            let outcome = failed(code, &detail);
            let now = settings.fail_now.contains(status);
            return Some(if now {
                outcome.with_verdict(Verdict::FailNow)
            } else {
                outcome
            });
        }
        settings
            .reply_fields
            .iter()
            .find_map(|wanted| wanted.refuses(head))
            .map(|detail| failed(Code::Content, &detail))
    }

    /// Whether another request may follow on the same connection, once the reply is over.
    fn may_keep(&self) -> bool {
        self.http.0.version == Version::Http11
            && self.reader.is_delimited()
            && self.reader.head().keeps_connection()
    }

    /// Judges the body, all of it or as much as is read.
    fn finish(&mut self, complete: bool, keep: bool) -> Turn {
        if let Some(detail) = self.body.judge(&self.http.0, complete) {
            let outcome = Outcome::new(Code::Content, Phase::Match).with_detail(&detail);
            return Turn::Done(outcome);
        }
        self.next(keep)
    }

    /// Whether a connection that ends was used before and ends before the server can have seen the
    /// present request, RFC 9112 §9.3.1: then it is asked once more, on another one.
    fn was_closed_before(&mut self) -> bool {
        core::mem::take(&mut self.reused) && self.reader.is_untouched()
    }

    /// The reply is as expected: asks for what comes next.
    fn next(&mut self, mut keep: bool) -> Turn {
        if let Some(place) = self.redirect.take() {
            self.redirects = self.redirects.saturating_add(1);
            // RFC 9110 §15.4: what was done with POST goes on with GET, unless said otherwise.
            let status = self.reader.head().status();
            if status == 303 && self.method != Method::Head
                || matches!(status, 301 | 302) && self.method == Method::Post
            {
                self.method = Method::Get;
            }
            self.place = place;
            self.expect();
        } else if let Some(http) = self.others.next() {
            // What was said to one name is not said to another.
            keep &= server_name(&http.0) == server_name(&self.http.0);
            self.http = http;
            self.begin();
        } else {
            return Turn::Done(self.passed());
        }
        self.reused = keep;
        if keep {
            Turn::Send(self.request())
        } else {
            Turn::Reopen
        }
    }

    fn passed(&mut self) -> Outcome {
        let code = self.found.no_new.unwrap_or(Code::Ok);
        let mut outcome = Outcome::new(code, Phase::Match);
        if self.found.no_new.is_some() {
            outcome = outcome.with_verdict(Verdict::PassNoNew);
        }
        outcome.weight = self.found.weight;
        let status = self.reader.head().status_text();
        match &self.found.note {
            Some(note) => outcome.with_detail(&format!("{status}; {note}")),
            None => outcome.with_detail(&status),
        }
    }

    fn heard(&mut self, mut input: &[u8]) -> Result<Turn, Malformed> {
        while let Some(item) = self.reader.next(&mut input)? {
            match item {
                Item::Head => {
                    if let Some(turn) = self.on_head() {
                        return Ok(turn);
                    }
                }
                Item::Body { bytes, content } => {
                    if !self.body.take(&self.http.0, bytes, content) {
                        return Ok(self.finish(false, false));
                    }
                }
                Item::End => {
                    // What comes without being asked for belongs to no reply.
                    let keep = input.is_empty() && self.may_keep();
                    return Ok(self.finish(true, keep));
                }
            }
        }
        Ok(Turn::Listen)
    }
}

impl Dialogue for HttpDialogue {
    fn server_name(&self) -> Option<&str> {
        server_name(&self.http.0)
    }

    fn opened(&mut self) -> Turn {
        Turn::Send(self.request())
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        self.heard(bytes).unwrap_or_else(|Malformed(what)| {
            Turn::Done(Outcome::new(Code::Proto, Phase::Recv).with_detail(&what))
        })
    }

    fn eof(&mut self, orderly: bool) -> Turn {
        if self.reader.eof(orderly) {
            let missing = self.reader.missing();
            if missing > 0 {
                self.found.note = Some(format!("{missing} bytes less than Content-Length"));
            }
            return self.finish(true, false);
        }
        if self.was_closed_before() {
            return Turn::Reopen;
        }
        let mut detail = if orderly {
            "closed by the server".to_owned()
        } else {
            "TLS connection cut off".to_owned()
        };
        detail.push_str(" in the ");
        detail.push_str(self.reader.place());
        if self.reader.missing() > 0 {
            detail.push_str(&format!(", {} bytes short", self.reader.missing()));
        }
        Turn::Done(Outcome::new(Code::EofEarly, Phase::Recv).with_detail(&detail))
    }

    fn broken(&mut self, outcome: Outcome) -> Turn {
        if self.was_closed_before() {
            return Turn::Reopen;
        }
        Turn::Done(outcome)
    }

    fn expired(&mut self) -> Outcome {
        let mut detail = format!("time is up in the {}", self.reader.place());
        if self.body.length() > 0 {
            detail.push_str(&format!(", after {} bytes", self.body.length()));
        }
        Outcome::new(Code::TimeoutIo, Phase::Recv).with_detail(&detail)
    }
}
