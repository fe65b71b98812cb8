//! Several requests that must all be answered as expected.

use core::mem;
use std::sync::{Mutex, PoisonError};

use super::Http;
use super::dialogue::HttpDialogue;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Detail, Outcome, Verdict};
use crate::policy::Health;
use crate::probe::{Dialogue, Identity, Protocol};

/// Several requests to one server: all must be answered as expected.
///
/// Unless [told otherwise](Self::one_per_attempt), every attempt makes all of them, one after the
/// other within its one time limit. In HTTP/1.1 they share a connection as long as the server keeps
/// it open and replies stay within [`Http::with_max_body`]; otherwise each has its own.
///
/// ```
/// use lvs_healthcheck::probe::http::{Http, HttpSequence};
/// use lvs_healthcheck::{Target, TcpProbe};
///
/// let pages = HttpSequence::new([Http::get("/login"), Http::get("/status").with_body_contains("ok")]);
/// let probe = TcpProbe::new(Target::new("192.0.2.7:80".parse()?)).with_protocol(pages);
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct HttpSequence {
    requests: Vec<Http>,
    /// One per attempt, and how far that has come.
    turns: Option<Mutex<Turns>>,
    fast_recovery: bool,
}

/// Which request's turn it is. Belongs to the check: its attempts never overlap.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    /// The one that is next.
    next: usize,
    course: Course,
    /// Whether the check was up when the present attempt began.
    up: bool,
    /// Whether the present attempt makes all requests.
    all: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Course {
    /// From one to the next. Not all have passed yet, if the check is not up.
    #[default]
    Round,
    /// The one that failed is next.
    Retest,
}

impl HttpSequence {
    /// These requests, in this order, in every attempt.
    pub fn new(requests: impl IntoIterator<Item = Http>) -> Self {
        Self {
            requests: requests.into_iter().collect(),
            turns: None,
            fast_recovery: false,
        }
    }

    /// Makes one request per attempt, as keepalived does with several `url`.
    ///
    /// While the check is up, each attempt makes the next request; one that failed is made again
    /// first. While it is not up, the request that failed must pass and then all of them in order;
    /// until they have, an attempt that passes says nothing ([`Verdict::Neutral`]).
    ///
    /// Which request is next is remembered here. So every check needs a sequence of its own: a
    /// clone begins anew, but two checks of one and the same probe would take turns from each
    /// other.
    pub fn one_per_attempt(mut self) -> Self {
        self.turns = Some(Mutex::default());
        self
    }

    /// After a failure that took the check down, makes all requests in the attempt in which the
    /// failed one passes, instead of one per attempt. keepalived's `fast_recovery`, which makes
    /// them in quick succession. Only of interest with [`one_per_attempt`](Self::one_per_attempt).
    pub const fn with_fast_recovery(mut self) -> Self {
        self.fast_recovery = true;
        self
    }

    fn count(&self) -> usize {
        self.requests.len()
    }
}

impl Turns {
    /// The requests of an attempt that begins.
    fn begin(&mut self, requests: &[Http], health: Health, fast: bool) -> Vec<Http> {
        self.up = health == Health::Up;
        self.all = fast && !self.up && self.course == Course::Retest;
        let mut now: Vec<Http> = requests.get(self.next).cloned().into_iter().collect();
        if self.all {
            now.extend_from_slice(requests);
        }
        now
    }

    /// Takes note of an outcome. False if it passes but says nothing yet.
    fn end(&mut self, verdict: Verdict, count: usize) -> bool {
        if verdict.is_fail() {
            self.course = Course::Retest;
            return true;
        }
        if !verdict.is_pass() {
            return true;
        }
        let course = mem::take(&mut self.course);
        let last = self.next.saturating_add(1) >= count;
        if self.all || (course == Course::Retest && !self.up) {
            // What failed works again; now all of them.
            self.next = 0;
            return self.all || count <= 1;
        }
        self.next = if last { 0 } else { self.next.saturating_add(1) };
        self.up || last
    }
}

impl Clone for HttpSequence {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            turns: self.turns.as_ref().map(|_| Mutex::default()),
            fast_recovery: self.fast_recovery,
        }
    }
}

impl Protocol for HttpSequence {
    fn identity(&self) -> Option<Identity<'_>> {
        // Taking turns is up to each check.
        let shared = self.turns.is_none() && self.requests.iter().all(Http::is_independent);
        shared.then(|| Identity::of(&self.requests))
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn dialogue(&self, attempt: &Attempt) -> Box<dyn Dialogue> {
        let mut requests = match &self.turns {
            None => self.requests.clone(),
            // Nothing panics while it is held; if it did, what it says would still be usable.
            Some(turns) => turns.lock().unwrap_or_else(PoisonError::into_inner).begin(
                &self.requests,
                attempt.health,
                self.fast_recovery,
            ),
        }
        .into_iter();
        // Without a request it does not pass validation.
        let first = requests.next().unwrap_or_else(|| Http::get("/"));
        Box::new(HttpDialogue::new(first, requests.collect(), attempt))
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.requests.is_empty() {
            return Err(Invalid::new("requests", "0", "must be at least one"));
        }
        self.requests.iter().try_for_each(Protocol::validate)
    }

    /// Each request names the server for itself: its dialogue says which it asks next.
    fn server_names(&self) -> Vec<&str> {
        self.requests.iter().filter_map(Http::server_name).collect()
    }

    /// Those of the first request that offers any.
    fn alpn(&self) -> &'static [&'static [u8]] {
        let mut offers = self.requests.iter().map(Protocol::alpn);
        offers.find(|offer| !offer.is_empty()).unwrap_or_default()
    }

    fn judge(&self, mut outcome: Outcome) -> Outcome {
        let Some(turns) = &self.turns else {
            return outcome;
        };
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        if !turns.end(outcome.verdict, self.count()) {
            outcome.verdict = Verdict::Neutral;
            outcome.detail = Detail::new(&format!("{}; not all have passed yet", outcome.detail));
        }
        outcome
    }
}
