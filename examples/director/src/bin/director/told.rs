//! What is told of a run, as a line for people and as JSON, and the thread that prints it.

use core::fmt::Write as _;
use core::time::Duration;
use std::io::{self, Write as _};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::SystemTime;

use director::director::EventKind;
use director::log::{Entry, Log};
use director::notify::FifoEvent;
use director::review::Finding;
use director::run::{Happening, Status};
use director::vrrp::run::VrrpEvent;
use director::vrrp::take_over::Done;
use director::vrrp::{Names, told};
use lvs_vrrp::net::Snapshot;
use serde_json::{Value, json};

/// For so long the end of the program waits for who reads.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What is told only where everything is.
const DETAILS: [&str; 9] = [
    "flooded",
    "interface-found",
    "links-reread",
    "notified",
    "notify",
    "observed",
    "other",
    "rejected",
    "tracker",
];

/// Something that is told.
#[derive(Debug)]
pub(crate) struct Told {
    event: &'static str,
    fields: Value,
    /// For people; perhaps several lines.
    line: String,
}

impl Told {
    /// Something for which a line says all.
    pub(crate) fn line(event: &'static str, line: &str) -> Self {
        Self {
            event,
            fields: json!({ "text": line }),
            line: line.to_owned(),
        }
    }

    /// Something of a new configuration that will not work, or not well.
    pub(crate) fn finding(finding: &Finding) -> Self {
        Self {
            event: "finding",
            fields: finding.to_json(),
            line: finding.to_string(),
        }
    }

    /// What virtual routers or their scripts did, if it is to be told.
    pub(crate) fn vrrp(what: &VrrpEvent, names: &Names, has_detail: bool) -> Option<Self> {
        let (event, fields) = what.fields(names);
        if !has_detail && DETAILS.contains(&event) {
            return None;
        }
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
        let line = match event {
            "state" => format!(
                "vrrp    {}: {} to {} ({})",
                text("router"),
                text("from"),
                text("to"),
                text("reason")
            ),
            _ => format!("vrrp    {event}{}", words(&fields)),
        };
        Some(Self {
            event,
            fields,
            line,
        })
    }

    /// What happened to a FIFO, or to who reads it.
    pub(crate) fn fifo(happened: &FifoEvent) -> Self {
        let (event, fields) = happened.fields();
        Self {
            event,
            fields,
            line: happened.to_string(),
        }
    }

    /// A step of a take-over.
    pub(crate) fn take_over(done: &Done, names: &Names) -> Self {
        let router = done.router.and_then(|id| names.of(id));
        let router = router.map(|name| name.router);
        let (step, error) = (done.step, done.result.as_ref().err());
        let mut line = String::from("step    ");
        if let Some(router) = &router {
            let _ = write!(line, "{router}: ");
        }
        let _ = write!(line, "{step} ({:.3} s)", done.took.as_secs_f64());
        if let Some(error) = error {
            let _ = write!(line, " failed: {error}");
        }
        if let Some(again) = done.again {
            let _ = write!(line, "; tried again within {again:?}");
        }
        let fields = json!({
            "router": router,
            "step": step.to_string(),
            "seconds": done.took.as_secs_f64(),
            "error": error,
            "again_seconds": done.again.map(|again| again.as_secs_f64()),
        });
        Self {
            event: "step",
            fields,
            line,
        }
    }

    /// What the director did, if it is to be told.
    pub(crate) fn table(happening: &Happening<'_>) -> Option<Self> {
        let event = match happening {
            Happening::Applied => return None,
            Happening::Event(event) => match &event.kind {
                EventKind::Check { .. } => "check",
                EventKind::Server { .. } => "server",
                EventKind::Service { .. } => "service",
                EventKind::Ready => "ready",
                EventKind::Role(_) => "role",
                EventKind::Reloaded { .. } => "services-reloaded",
                _ => "table-stopping",
            },
            Happening::Change { .. } => "table",
            Happening::Adopted(_) => "adopted",
            Happening::Notify(_) => "told",
            _ => "failed",
        };
        Some(Self::line(event, &happening.to_string()))
    }

    /// How the virtual routers are.
    pub(crate) fn routers(snapshot: &Snapshot, names: &Names) -> Self {
        let fields = told::snapshot(snapshot, names);
        let mut lines = Vec::new();
        for router in fields
            .get("routers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let of = |key: &str| router.get(key).map(plain).unwrap_or_default();
            lines.push(format!(
                "router  {}: {} on {}, id {}, priority {}, sent {}, received {}",
                of("router"),
                of("state"),
                of("interface"),
                of("vrid"),
                of("priority"),
                of("sent"),
                of("received"),
            ));
        }
        Self {
            event: "routers",
            fields,
            line: lines.join("\n"),
        }
    }

    /// How services and servers are.
    pub(crate) fn status(status: &Status) -> Self {
        let mut line = format!("role    {}", status.role);
        let mut pools = Vec::new();
        for pool in &status.pools {
            let (scheduler, sums) = (pool.scheduler, pool.status);
            let _ = write!(
                line,
                "\nservice {} {scheduler}: {}, weight {}, {} of {} servers up{}{}",
                pool.name,
                quorum(sums.has_quorum),
                sums.weight,
                sums.healthy,
                sums.total,
                said(sums.needs_sorry, ", sorry server needed"),
                said(sums.is_suspended, ", checks count for nothing"),
            );
            let mut servers = Vec::new();
            for server in &pool.servers {
                let (key, health) = (server.server, server.health);
                let entry = Place(server.entry);
                let _ = write!(line, "\nserver  {key} of {}: {entry}, {health}", pool.name);
                let mut checks = Vec::new();
                for check in &server.checks {
                    let (name, health) = (&check.name, check.health);
                    let _ = write!(line, "\ncheck   {name} of {}: {health}", pool.name);
                    checks.push(json!({ "name": name, "health": health.to_string() }));
                }
                servers.push(json!({
                    "server": key.to_string(),
                    "weight": entry.weight(),
                    "health": health.to_string(),
                    "cause": server.cause.to_string(),
                    "draining": server.is_draining,
                    "checks": checks,
                }));
            }
            pools.push(json!({
                "name": pool.name,
                "scheduler": scheduler.to_string(),
                "configured": pool.is_configured,
                "quorum": sums.has_quorum,
                "weight": sums.weight,
                "servers_up": sums.healthy,
                "servers_in_all": sums.total,
                "sorry": sums.needs_sorry,
                "ready": sums.is_ready,
                "suspended": sums.is_suspended,
                "servers": servers,
            }));
        }
        let fields = json!({ "role": status.role.to_string(), "services": pools });
        Self {
            event: "services",
            fields,
            line,
        }
    }
}

const fn quorum(has_quorum: bool) -> &'static str {
    match has_quorum {
        true => "quorum",
        false => "no quorum",
    }
}

/// What is to be said if something is so.
const fn said(is_so: bool, what: &str) -> &str {
    match is_so {
        true => what,
        false => "",
    }
}

/// A place in the table: a weight, or none.
struct Place(lvs_healthcheck::aggregate::Desired);

impl Place {
    const fn weight(&self) -> Option<u32> {
        match self.0 {
            lvs_healthcheck::aggregate::Desired::Present { weight } => Some(weight),
            _ => None,
        }
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.weight() {
            Some(weight) => write!(f, "weight {weight}"),
            None => f.write_str("out"),
        }
    }
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// ` key=value` for all that are known. What comes from elsewhere must not move a cursor.
fn words(fields: &Value) -> String {
    let mut words = String::new();
    for (key, value) in fields.as_object().into_iter().flatten() {
        if !value.is_null() {
            let _ = write!(words, " {key}={}", plain(value));
        }
    }
    words.retain(|char| !char.is_control());
    words
}

/// The thread that prints, so that nobody else waits for who reads.
pub(crate) struct Output {
    /// Nothing ever comes; it is closed when the thread has ended.
    ended: Receiver<()>,
}

impl Output {
    pub(crate) fn start(log: Log<Told>, start: SystemTime, is_json: bool) -> io::Result<Self> {
        let (running, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("director-output".into());
        thread.spawn(move || {
            while let Some(entries) = log.take(None) {
                let mut text = String::new();
                for entry in &entries {
                    match is_json {
                        true => add_json(&mut text, entry),
                        false => add_lines(&mut text, entry, start),
                    }
                }
                let mut out = io::stdout().lock();
                // Nobody reads any more: there is nothing better to do with the lines.
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
            drop(running);
        })?;
        Ok(Self { ended })
    }

    /// Waits for the last line, but not for ever for somebody who does not read.
    pub(crate) fn finish(&self) {
        let _: Result<(), _> = self.ended.recv_timeout(LAST_WAIT);
    }
}

fn add_json(text: &mut String, entry: &Entry<Told>) {
    text.push_str(&entry.to_json(entry.what.event, &entry.what.fields));
    text.push('\n');
}

/// With the time since the start in front.
fn add_lines(text: &mut String, entry: &Entry<Told>, start: SystemTime) {
    let time = entry.at.duration_since(start).unwrap_or_default();
    for line in entry.what.line.lines() {
        let _ = writeln!(text, "{:9.3}  {line}", time.as_secs_f64());
    }
}
