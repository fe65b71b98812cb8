//! What virtual routers and their scripts tell, as JSON: the event's name, and what belongs to it.

use core::fmt::Debug;

use lvs_vrrp::event::{Notification, Transition};
use lvs_vrrp::net::{DriverEventKind, Snapshot};
use lvs_vrrp::node::{Report, ReportKind};
use lvs_vrrp::track::TrackerStatus;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::scripts::{Change, ScriptEvent};

/// An object with the event's name and what belongs to it.
type Object = Map<String, Value>;

/// What the driver tells.
#[must_use]
pub fn driver(kind: &DriverEventKind, names: &Names) -> (&'static str, Value) {
    match kind {
        DriverEventKind::Report(told) => report(told, names),
        DriverEventKind::InterfaceFound { name, index } => (
            "interface-found",
            json!({ "interface": name, "index": index.get() }),
        ),
        DriverEventKind::InterfaceMissing { name } => {
            ("interface-missing", json!({ "interface": name }))
        }
        DriverEventKind::LinksReread => ("links-reread", json!({})),
        DriverEventKind::Refused(error) => ("refused", json!({ "error": error.to_string() })),
        DriverEventKind::LeftoverRemoved(left) => (
            "leftover-removed",
            json!({ "address": left.address, "index": left.interface.get() }),
        ),
        DriverEventKind::DeviceDeleted(left) => {
            let fields = json!({ "interface": left.name, "index": left.index.get() });
            ("device-deleted", fields)
        }
        DriverEventKind::AddressRestored(key) => (
            "address-restored",
            json!({ "address": key.address, "index": key.interface.get() }),
        ),
        DriverEventKind::Failed(error) => ("failed", json!({ "error": error.to_string() })),
        other => ("other", json!({ "text": format!("{other:?}") })),
    }
}

/// What scripts did, or what was done with them.
#[must_use]
pub fn script(event: &ScriptEvent) -> (&'static str, Value) {
    let change = |change: &Change, command: &str| {
        json!({
            "subject": change.subject().kind(),
            "name": change.subject().name(),
            "state": change.state(),
            "priority": change.priority(),
            "command": command,
        })
    };
    match event {
        ScriptEvent::Tracker { name, status, .. } => {
            let value = match status {
                TrackerStatus::Value(value) => Some(*value),
                _ => None,
            };
            let status = match status {
                TrackerStatus::Value(_) => "value".to_owned(),
                status => token(status),
            };
            let fields = json!({ "name": name, "status": status, "value": value });
            ("tracker", fields)
        }
        ScriptEvent::NotRun { name, reason } => {
            ("script-not-run", json!({ "name": name, "reason": reason }))
        }
        ScriptEvent::Overdue { name } => ("script-overdue", json!({ "name": name })),
        ScriptEvent::Notifies {
            change: told,
            command,
        } => ("notify", change(told, command)),
        ScriptEvent::Notified {
            change: told,
            command,
            ended,
        } => {
            let mut fields = change(told, command);
            if let Value::Object(fields) = &mut fields {
                fields.insert("result".into(), ended.to_string().into());
                fields.insert("ok".into(), ended.is_success().into());
            }
            ("notified", fields)
        }
    }
}

fn report(told: &Report, names: &Names) -> (&'static str, Value) {
    let subject = told.subject;
    let mut object = Object::new();
    let name = subject.router.and_then(|id| names.of(id));
    object.insert("router".into(), name.as_ref().map(|it| &*it.router).into());
    object.insert("interface".into(), name.map(|it| it.interface).into());
    object.insert("index".into(), subject.interface.get().into());
    object.insert("family".into(), subject.family.to_string().into());
    object.insert("vrid".into(), subject.vrid.map(|vrid| vrid.get()).into());
    let (event, fields) = match &told.kind {
        ReportKind::Router(notification) => notified(notification),
        ReportKind::Repeated {
            notification,
            suppressed,
        } => {
            let (event, mut fields) = notified(notification);
            if let Value::Object(fields) = &mut fields {
                fields.insert("suppressed".into(), (*suppressed).into());
            }
            (event, fields)
        }
        ReportKind::Rejected {
            reason,
            source,
            suppressed,
        } => (
            "rejected",
            json!({ "reason": reason.as_str(), "source": source, "suppressed": suppressed }),
        ),
        ReportKind::Observed {
            observation,
            source,
            suppressed,
        } => (
            "observed",
            json!({ "observation": observation.as_str(), "source": source, "suppressed": suppressed }),
        ),
        ReportKind::Flooded { suppressed } => ("flooded", json!({ "suppressed": suppressed })),
        ReportKind::SendFailed { suppressed } => {
            ("send-failed", json!({ "suppressed": suppressed }))
        }
        ReportKind::PrepareFailed => ("prepare-failed", json!({})),
        ReportKind::InstallFailed => ("install-failed", json!({})),
        ReportKind::AddressesLost => ("addresses-lost", json!({})),
        ReportKind::RemoveFailed => ("remove-failed", json!({})),
        ReportKind::RemoveLate => ("remove-late", json!({})),
        ReportKind::EstablishFailed => ("establish-failed", json!({})),
        ReportKind::SettleFailed => ("settle-failed", json!({})),
        ReportKind::JobFailed { job, suppressed } => (
            "job-failed",
            json!({ "job": token(job), "suppressed": suppressed }),
        ),
        other => ("other", json!({ "text": format!("{other:?}") })),
    };
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    (event, Value::Object(object))
}

fn notified(notification: &Notification) -> (&'static str, Value) {
    match notification {
        Notification::Transition(Transition {
            from,
            to,
            event,
            reason,
            priority,
        }) => (
            "state",
            json!({
                "from": token(from),
                "to": token(to),
                "cause": token(event),
                "reason": token(reason),
                "priority": priority.get(),
            }),
        ),
        Notification::Priority { from, to } => {
            ("priority", json!({ "from": from.get(), "to": to.get() }))
        }
        Notification::LosingAdvert(rank) => (
            "losing-advert",
            json!({ "source": rank.address(), "priority": rank.priority().get() }),
        ),
        Notification::DuplicatePrimaryAddress(source) => {
            ("duplicate-primary-address", json!({ "source": source }))
        }
        Notification::OwnerConflict(source) => ("owner-conflict", json!({ "source": source })),
        Notification::Flap(rank) => (
            "flap",
            json!({ "source": rank.address(), "priority": rank.priority().get() }),
        ),
        Notification::LongInterval(interval) => (
            "long-interval",
            json!({ "interval_cs": interval.centiseconds() }),
        ),
        Notification::Stalled { gap } => ("stalled", json!({ "gap": gap.as_secs_f64() })),
        Notification::PromotionRefused => ("promotion-refused", json!({})),
        Notification::ResignationIgnored(source) => {
            ("resignation-ignored", json!({ "source": source }))
        }
        Notification::ActiveWithoutV2(source) => ("active-without-v2", json!({ "source": source })),
        Notification::V2AboveFastV3(rank) => (
            "v2-above-fast-v3",
            json!({ "source": rank.address(), "priority": rank.priority().get() }),
        ),
        other => ("other", json!({ "text": format!("{other:?}") })),
    }
}

/// How the virtual routers are.
#[must_use]
pub fn snapshot(taken: &Snapshot, names: &Names) -> Value {
    let routers = taken.routers.iter().map(|router| {
        json!({
            "router": names.of(router.id).map(|name| name.router),
            "interface": router.interface,
            "family": router.family.to_string(),
            "vrid": router.vrid.get(),
            "state": token(&router.state),
            "init_reason": router.init_reason.as_ref().map(token),
            "seconds_in_state": taken.at.saturating_sub(router.since).as_secs_f64(),
            "priority": router.priority.get(),
            "active": router.active.map(|rank| rank.address()),
            "active_priority": router.active.map(|rank| rank.priority().get()),
            "interval_cs": router.interval.centiseconds(),
            "seconds_since_advert": router
                .last_advert
                .map(|at| taken.at.saturating_sub(at).as_secs_f64()),
            "received": router.counters.received(),
            "received_resignations": router.counters.received_resignations(),
            "sent": router.counters.sent(),
            "sent_resignations": router.counters.sent_resignations(),
            "rejected": router.counters.rejected_in_all(),
            "flooded": router.counters.flooded(),
            "became_active": router.machine_counters.became_active,
            "losing_adverts": router.machine_counters.losing_adverts,
        })
    });
    json!({
        "routers": routers.collect::<Vec<_>>(),
        "rejected_globally": taken.counters.rejected_in_all(),
        "truncated": taken.truncated,
    })
}

/// The name of a variant, as `interface-down` for `InterfaceDown`: sets that may grow are said
/// without a table here.
#[must_use]
pub fn token(value: &impl Debug) -> String {
    let mut token = String::new();
    for char in format!("{value:?}").chars() {
        if char.is_ascii_uppercase() && !token.is_empty() {
            token.push('-');
        }
        token.push(char.to_ascii_lowercase());
    }
    token
}
