//! From a process to its successor: a socket at which the one that runs the virtual routers is asked
//! to leave them as they are, and what it says of them.
//!
//! The socket has a name without a file, unix(7), so that it belongs to the network namespace, as the
//! virtual routers do, and goes with its process. Such a name may be anybody's: both sides look who
//! the other is.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use lvs_vrrp::net::{DriverConfig, Snapshot};
use lvs_vrrp::node::{HandOver, HandedRouter};
use lvs_vrrp::track::{TrackerId, TrackerStatus};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use serde_json::{Map, Value, json};

/// What both sides speak; it grows when they would not understand each other.
const VERSION: u64 = 1;
/// For so long a guest may take to say what it wants, or to take the answer.
const MOMENT: Duration = Duration::from_secs(1);
/// For so long the other may take to stop: a driver ends within 10 s.
const PATIENCE: Duration = Duration::from_secs(15);
/// No question is longer, in bytes.
const LONGEST_QUESTION: u64 = 256;
/// No answer is: room for 100,000 addresses.
const LONGEST_ANSWER: u64 = 8 << 20;

/// How a virtual router is known to both: names may have changed.
type Key = (String, String, u64);

fn address(tag: u8) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("lvs-vrrp/vrrpd/{tag}"))
}

/// Whether the other side is root, or whoever this is.
fn is_trusted(stream: &UnixStream) -> bool {
    let peer = getsockopt(stream, PeerCredentials);
    peer.is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw())
}

/// Where a successor knocks.
#[derive(Debug)]
pub(crate) struct Door(UnixListener);

impl Door {
    pub(crate) fn open(tag: u8) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&address(tag)?)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Who asks for everything, if somebody does who may.
    pub(crate) fn successor(&self) -> Option<Successor> {
        let (stream, _) = self.0.accept().ok()?;
        if !is_trusted(&stream) {
            // It is short enough for an empty queue, and waits for nobody.
            Successor(stream).refuse("only root and the user of the process that runs can");
            return None;
        }
        let configured = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_read_timeout(Some(MOMENT)))
            .and_then(|()| stream.set_write_timeout(Some(MOMENT)));
        configured.ok()?;
        let mut line = String::new();
        let mut reader = BufReader::new((&stream).take(LONGEST_QUESTION));
        reader.read_line(&mut line).ok()?;
        let question: Value = serde_json::from_str(&line).ok()?;
        let successor = Successor(stream);
        if question.get("take-over").and_then(Value::as_u64) == Some(VERSION) {
            return Some(successor);
        }
        successor
            .refuse("the process that runs speaks another version; stop it, and start this one");
        None
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A process that goes on with everything.
#[derive(Debug)]
pub(crate) struct Successor(UnixStream);

impl Successor {
    pub(crate) fn refuse(self, reason: &str) {
        // Without an answer it knows as much.
        let _ = self.say(&json!({ "refused": reason }));
    }

    /// Leaves everything to it; says whether it has heard that.
    pub(crate) fn give(self, estate: &Estate) -> io::Result<()> {
        self.say(&estate.to_json())
    }

    fn say(&self, answer: &Value) -> io::Result<()> {
        let mut stream = &self.0;
        stream.write_all(answer.to_string().as_bytes())?;
        self.0.shutdown(Shutdown::Write)
    }
}

/// What is left: virtual routers that were Active, and what is known of what they follow.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Estate {
    at: Duration,
    routers: BTreeMap<Key, HandedRouter>,
    trackers: BTreeMap<String, TrackerStatus>,
}

impl Estate {
    /// Of these virtual routers and named trackers.
    pub(crate) fn new(
        left: &HandOver,
        snapshot: &Snapshot,
        trackers: &BTreeMap<TrackerId, String>,
    ) -> Self {
        let routers = snapshot.routers.iter().filter_map(|router| {
            let handed = left.routers.get(&router.id)?;
            let vrid = router.vrid.get().into();
            let key = (router.interface.clone(), router.family.to_string(), vrid);
            Some((key, handed.clone()))
        });
        let known = trackers.iter().filter_map(|(id, name)| {
            let status = snapshot.trackers.get(id)?;
            Some((name.clone(), *status))
        });
        Self {
            at: left.at,
            routers: routers.collect(),
            trackers: known.collect(),
        }
    }

    /// How many virtual routers were Active.
    pub(crate) fn len(&self) -> usize {
        self.routers.len()
    }

    /// What of it a configuration goes on with, and the configuration with what is known of its
    /// trackers.
    pub(crate) fn into_parts(
        self,
        config: DriverConfig,
        trackers: &BTreeMap<TrackerId, String>,
    ) -> (HandOver, DriverConfig) {
        let mut routers = BTreeMap::new();
        for (id, setup) in config.routers() {
            let vrid = setup.config().vrid().get().into();
            let family = setup.config().family().to_string();
            let key = (setup.interface().to_owned(), family, vrid);
            routers.extend(self.routers.get(&key).map(|handed| (id, handed.clone())));
        }
        let config =
            trackers
                .iter()
                .fold(config, |config, (id, name)| match self.trackers.get(name) {
                    Some(status) => config.with_tracker(*id, *status),
                    None => config,
                });
        let left = HandOver {
            at: self.at,
            routers,
            ..HandOver::default()
        };
        (left, config)
    }

    fn to_json(&self) -> Value {
        let routers = self.routers.iter().map(|((interface, family, vrid), it)| {
            json!({
                "interface": interface,
                "family": family,
                "vrid": vrid,
                "addresses": it.addresses,
                "sequence": it.sequence,
            })
        });
        let trackers = self.trackers.iter().map(|(name, status)| {
            let status = match status {
                TrackerStatus::Unknown => Value::Null,
                TrackerStatus::Fine => true.into(),
                TrackerStatus::Failed => false.into(),
                TrackerStatus::Value(value) => (*value).into(),
            };
            (name.clone(), status)
        });
        json!({
            "boot_ns": u64::try_from(self.at.as_nanos()).unwrap_or(u64::MAX),
            "routers": routers.collect::<Vec<_>>(),
            "trackers": trackers.collect::<Map<_, _>>(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let router = |value: &Value| {
            let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
            let key = (
                text("interface")?,
                text("family")?,
                value.get("vrid")?.as_u64()?,
            );
            let addresses = value.get("addresses")?.as_array()?.iter();
            let addresses = addresses.map(|it| it.as_str()?.parse::<IpAddr>().ok());
            let sequence = match value.get("sequence") {
                None | Some(Value::Null) => None,
                Some(sequence) => Some(u32::try_from(sequence.as_u64()?).ok()?),
            };
            let handed = HandedRouter {
                addresses: addresses.collect::<Option<_>>()?,
                sequence,
            };
            Some((key, handed))
        };
        let tracker = |(name, value): (&String, &Value)| {
            let status = match value {
                Value::Null => TrackerStatus::Unknown,
                Value::Bool(is_fine) => TrackerStatus::from(*is_fine),
                value => TrackerStatus::Value(i32::try_from(value.as_i64()?).ok()?),
            };
            Some((name.clone(), status))
        };
        let routers = value.get("routers")?.as_array()?.iter();
        let trackers = value.get("trackers")?.as_object()?.iter();
        Some(Self {
            at: Duration::from_nanos(value.get("boot_ns")?.as_u64()?),
            routers: routers.map(router).collect::<Option<_>>()?,
            trackers: trackers.map(tracker).collect::<Option<_>>()?,
        })
    }
}

/// Asks the process that runs the virtual routers of this tag to leave them, and waits until it has;
/// `None` if there is none.
pub(crate) fn take_over(tag: u8) -> Result<Option<Estate>, String> {
    let connected = address(tag).and_then(|address| UnixStream::connect_addr(&address));
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !is_trusted(&stream) {
        return Err("the process at its socket is another user's".to_owned());
    }
    let said = |error: io::Error| error.to_string();
    stream.set_read_timeout(Some(PATIENCE)).map_err(said)?;
    let question = json!({ "take-over": VERSION });
    // Who does not listen may have answered: both are known from the answer.
    let asked = stream.write_all(format!("{question}\n").as_bytes());
    let mut answer = Vec::new();
    let mut limited = (&stream).take(LONGEST_ANSWER);
    let heard = limited.read_to_end(&mut answer);
    if answer.is_empty() {
        asked.and(heard).map_err(said)?;
    }
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|_| "it ended without an answer".to_owned())?;
    if let Some(reason) = answer.get("refused").and_then(Value::as_str) {
        return Err(reason.to_owned());
    }
    let estate = Estate::from_json(&answer);
    estate
        .map(Some)
        .ok_or_else(|| "its answer makes no sense".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let key = |vrid| ("eth0".to_owned(), "IPv4".to_owned(), vrid);
        let handed = HandedRouter {
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            sequence: Some(u32::MAX),
        };
        let trackers = [
            ("script a", TrackerStatus::Fine),
            ("script b", TrackerStatus::Failed),
            ("file c", TrackerStatus::Value(-7)),
            ("process d", TrackerStatus::Unknown),
        ];
        let estate = Estate {
            at: Duration::new(86_400 * 365, 123_456_789),
            routers: BTreeMap::from([(key(51), handed), (key(52), HandedRouter::default())]),
            trackers: trackers.map(|(name, it)| (name.to_owned(), it)).into(),
        };
        let said = estate.to_json().to_string();
        let heard = serde_json::from_str(&said).unwrap();
        assert_eq!(Estate::from_json(&heard), Some(estate));
    }

    #[test]
    fn nonsense_is_no_answer() {
        let good = json!({
            "boot_ns": 1,
            "routers": [{
                "interface": "eth0", "family": "IPv4", "vrid": 51,
                "addresses": ["192.0.2.1"], "sequence": null,
            }],
            "trackers": { "script a": true },
        });
        assert!(Estate::from_json(&good).is_some());
        for (pointer, bad) in [
            ("/boot_ns", json!(-1)),
            ("/routers", json!({})),
            ("/routers/0/vrid", json!("51")),
            ("/routers/0/addresses/0", json!("192.0.2.300")),
            ("/routers/0/sequence", json!(1_u64 << 32)),
            ("/trackers", json!([])),
            ("/trackers/script a", json!("fine")),
            ("/trackers/script a", json!(1_u64 << 31)),
        ] {
            let mut value = good.clone();
            *value.pointer_mut(pointer).unwrap() = bad;
            assert_eq!(Estate::from_json(&value), None, "{pointer}");
        }
    }
}
