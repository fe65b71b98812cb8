//! The reader of documents.
//!
//! The path to a field and its position in the text are kept by the packages that walk the text.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::de::{self, Deserialize, Deserializer};

use crate::destination::Destination;
use crate::error::UnknownScheduler;
use crate::flags::SchedulerFlags;
use crate::flow::Protocol;
use crate::persistence::Persistence;
use crate::scenario::error::{Place, Problem, ScenarioError};
use crate::scenario::event::{Change, Event};
use crate::scenario::field::{
    Address, FlowIndex, Mask, Number, Seconds, Weight, given, object, text, whole, word,
};
use crate::scenario::kernel::Kernel;
use crate::scenario::{Scenario, Server, Target};
use crate::scheduler::Algorithm;

pub(super) fn read(text: &str) -> Result<Scenario, ScenarioError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document: Document = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| unreadable(error.path().to_string(), error.inner()))?;
    deserializer
        .end()
        .map_err(|error| unreadable(String::new(), &error))?;

    let Fields {
        scheduler,
        flags,
        kernel,
        protocol,
        target,
        persistent,
        mask,
        seed,
        servers,
        events,
    } = document.0;
    let ipv6 = is_ipv6(target, &servers, &events);
    let mut scenario = Scenario::new(scheduler, target, servers)?
        .with_flags(flags)
        .with_semantics(kernel.0)
        .with_protocol(protocol)
        .with_seed(seed);
    if let Some(seconds) = persistent {
        let mask = mask.map(|mask| mask.of_family(ipv6)).transpose()?;
        let persistence = Persistence::new(Duration::from_secs(seconds.into()))
            .with_mask(mask.unwrap_or_default());
        scenario = scenario.with_persistence(persistence)?;
    } else if mask.is_some() {
        return Err(Problem::SurplusMask.at(Place::Document));
    }
    for event in events {
        scenario.push(event)?;
    }
    Ok(scenario)
}

/// Whether the first address is IPv6. Another family further on is an error wherever it stands.
/// Where there is no address at all, a prefix length is one of IPv6: it is the only way to give one,
/// and IPv4 has another.
fn is_ipv6(target: Target, servers: &[Server], events: &[Event]) -> bool {
    let first = match target {
        Target::Address(address) => Some(address),
        Target::Mark(_) => None,
    };
    let of_server = || servers.first().map(|server| server.destination().address());
    let of_event = || {
        events.iter().find_map(|event| match event {
            Event::Flow { client, .. } => Some(*client),
            Event::Add(change) => change.address(),
            _ => None,
        })
    };
    first
        .or_else(of_server)
        .or_else(of_event)
        .is_none_or(|address| address.is_ipv6())
}

fn unreadable(path: String, error: &serde_json::Error) -> ScenarioError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let position = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&position).unwrap_or(&message);
    ScenarioError::Unreadable {
        // What the walk calls the document itself, and what it has not entered.
        path: if matches!(path.as_str(), "." | "?") {
            String::new()
        } else {
            plain(&path)
        },
        message: plain(message),
        line,
        column,
    }
}

/// One short line, whatever names and words the document has.
fn plain(text: &str) -> String {
    const LIMIT: usize = 400;
    let mut line = String::new();
    for character in text.chars().take(LIMIT) {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    if text.chars().nth(LIMIT).is_some() {
        line.push('…');
    }
    line
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(deserialize_with = "scheduler")]
    scheduler: Algorithm,
    #[serde(default, deserialize_with = "flags")]
    flags: SchedulerFlags,
    #[serde(default)]
    kernel: Kernel,
    #[serde(default = "tcp", deserialize_with = "protocol")]
    protocol: Protocol,
    #[serde(rename = "virtual", deserialize_with = "target")]
    target: Target,
    #[serde(default, deserialize_with = "persistent")]
    persistent: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    mask: Option<Mask>,
    #[serde(default, deserialize_with = "seed")]
    seed: u64,
    servers: Vec<Server>,
    #[serde(default)]
    events: Vec<Event>,
}

struct Document(Fields);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer, "an object that is a scenario").map(Self)
    }
}

const fn tcp() -> Protocol {
    Protocol::Tcp
}

fn persistent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    whole(deserializer, 1..=u32::MAX).map(Some)
}

fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole(deserializer, 0..=u64::MAX)
}

fn scheduler<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    text(deserializer, "the name of a scheduler", |name| {
        name.parse()
            .map_err(|error: UnknownScheduler| error.to_string())
    })
}

fn flags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SchedulerFlags, D::Error> {
    let flags = Vec::<Flag>::deserialize(deserializer)?;
    Ok(flags
        .into_iter()
        .fold(SchedulerFlags::NONE, |flags, flag| match flag.0 {
            SchedulerFlag::Fallback => flags.with_fallback(),
            SchedulerFlag::Port => flags.with_port(),
        }))
}

struct Flag(SchedulerFlag);

#[derive(Clone, Copy)]
enum SchedulerFlag {
    Fallback,
    Port,
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = [
            ("sh-fallback", SchedulerFlag::Fallback),
            ("sh-port", SchedulerFlag::Port),
            ("mh-fallback", SchedulerFlag::Fallback),
            ("mh-port", SchedulerFlag::Port),
        ];
        word(deserializer, &words).map(Self)
    }
}

fn protocol<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Protocol, D::Error> {
    let words = [
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("sctp", Protocol::Sctp),
    ];
    word(deserializer, &words)
}

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    const EXPECTED: &str = "ADDR:PORT, [ADDR6]:PORT or fwmark N";
    text(deserializer, EXPECTED, |text| {
        let target = match text.strip_prefix("fwmark ") {
            Some(mark) if mark.starts_with(|first: char| first.is_ascii_digit()) => {
                mark.parse().ok().map(Target::Mark)
            }
            Some(_) => None,
            None => text
                .parse()
                .ok()
                .filter(|_| !text.contains('%'))
                .map(Target::Address),
        };
        target.ok_or_else(|| format!("bad address {text:?}, expected {EXPECTED}"))
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerDocument {
    id: Number,
    address: Address,
    weight: Weight,
    #[serde(default)]
    upper: Number,
    #[serde(default)]
    lower: Number,
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ServerDocument {
            id,
            address,
            weight,
            upper,
            lower,
        } = object(deserializer, "an object that is a server")?;
        let destination = Destination::new(address.0)
            .with_weight(weight.0)
            .with_thresholds(upper.0, lower.0);
        Ok(Self::new(id.0, destination))
    }
}

/// All fields that events have; which of them an event may have depends on its `op`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct EventDocument {
    #[serde(deserialize_with = "op")]
    op: Op,
    #[serde(default, deserialize_with = "given")]
    client: Option<Address>,
    #[serde(default, deserialize_with = "given")]
    to: Option<Address>,
    #[serde(default, deserialize_with = "given")]
    flow: Option<FlowIndex>,
    #[serde(default, deserialize_with = "given")]
    id: Option<Number>,
    #[serde(default, deserialize_with = "given")]
    address: Option<Address>,
    #[serde(default, deserialize_with = "given")]
    weight: Option<Weight>,
    #[serde(default, deserialize_with = "given")]
    upper: Option<Number>,
    #[serde(default, deserialize_with = "given")]
    lower: Option<Number>,
    #[serde(default, deserialize_with = "given")]
    seconds: Option<Seconds>,
}

#[derive(Clone, Copy)]
enum Op {
    Flow,
    Establish,
    Close,
    Expire,
    Add,
    Edit,
    Remove,
    Advance,
}

const OPS: [(&str, Op); 8] = [
    ("flow", Op::Flow),
    ("establish", Op::Establish),
    ("close", Op::Close),
    ("expire", Op::Expire),
    ("add", Op::Add),
    ("edit", Op::Edit),
    ("remove", Op::Remove),
    ("advance", Op::Advance),
];

fn op<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Op, D::Error> {
    word(deserializer, &OPS)
}

impl Op {
    /// The fields that such an event may have.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Flow => &["client", "to"],
            Self::Establish | Self::Close | Self::Expire => &["flow"],
            Self::Add | Self::Edit => &["id", "address", "weight", "upper", "lower"],
            Self::Remove => &["id"],
            Self::Advance => &["seconds"],
        }
    }
}

impl EventDocument {
    /// The fields that are there.
    fn fields(&self) -> impl Iterator<Item = &'static str> {
        let Self {
            op: _,
            client,
            to,
            flow,
            id,
            address,
            weight,
            upper,
            lower,
            seconds,
        } = self;
        [
            ("client", client.is_some()),
            ("to", to.is_some()),
            ("flow", flow.is_some()),
            ("id", id.is_some()),
            ("address", address.is_some()),
            ("weight", weight.is_some()),
            ("upper", upper.is_some()),
            ("lower", lower.is_some()),
            ("seconds", seconds.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let checked: Checked = object(deserializer, "an object that is an event")?;
        Ok(checked.0)
    }
}

/// An event checked while its object is read, so that errors have its position.
struct Checked(Event);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventDocument::deserialize(deserializer)?.event().map(Self)
    }
}

impl EventDocument {
    fn event<E: de::Error>(self) -> Result<Event, E> {
        let allowed = self.op.fields();
        if let Some(surplus) = self.fields().find(|name| !allowed.contains(name)) {
            return Err(E::unknown_field(surplus, allowed));
        }
        let missing = E::missing_field;
        let id = || self.id.ok_or_else(|| missing("id"));
        let flow = || self.flow.as_ref().ok_or_else(|| missing("flow"));
        let change = || {
            Ok(Change {
                id: id()?.0,
                address: self.address.map(|address| address.0),
                weight: self.weight.as_ref().map(|weight| weight.0),
                upper: self.upper.map(|upper| upper.0),
                lower: self.lower.map(|lower| lower.0),
            })
        };
        Ok(match self.op {
            Op::Flow => Event::Flow {
                client: self.client.ok_or_else(|| missing("client"))?.0,
                to: self.to.map(|to| to.0),
            },
            Op::Establish => Event::Establish { flow: flow()?.0 },
            Op::Close => Event::Close { flow: flow()?.0 },
            Op::Expire => Event::Expire { flow: flow()?.0 },
            Op::Add => Event::Add(change()?),
            Op::Edit => Event::Edit(change()?),
            Op::Remove => Event::Remove { id: id()?.0 },
            Op::Advance => Event::Advance {
                by: self.seconds.ok_or_else(|| missing("seconds"))?.0,
            },
        })
    }
}
