//! Trackers: what virtual routers and groups follow.

use lvs_vrrp::track::{ScriptConfig, Track, TrackerId, TrackerStatus};

use super::numbers::Ids;
use crate::keepalived::Messages;
use crate::keepalived::vrrp::{
    TrackFile, TrackKind, TrackProcess, Tracked, Vrrp, VrrpScript, Weight,
};

/// Something that is fine or has failed, for whoever watches it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlannedTracker {
    /// Its number in the node.
    pub id: TrackerId,
    /// What is watched.
    pub source: TrackerSource,
    /// What is known of it before anything was seen.
    pub status: TrackerStatus,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TrackerSource {
    /// An interface: fine while it is up.
    Interface(String),
    /// A program: fine while it says so.
    Script(VrrpScript),
    /// A file: its number counts, as [`TrackerStatus::Value`].
    File(TrackFile),
    /// A process: fine while enough of them run.
    Process(TrackProcess),
}

/// When a script is run, and what its results amount to.
#[must_use]
pub fn script_config(script: &VrrpScript) -> ScriptConfig {
    let mut config = ScriptConfig::default();
    config.interval = script.interval;
    config.timeout = Some(script.timeout);
    config.rise = script.rise;
    config.fall = script.fall;
    config.init_fail = script.init_fail;
    config
}

/// The trackers in use.
#[derive(Debug)]
pub(super) struct Trackers<'a> {
    vrrp: &'a Vrrp,
    used: Vec<PlannedTracker>,
}

impl<'a> Trackers<'a> {
    pub(super) const fn new(vrrp: &'a Vrrp) -> Self {
        Self {
            vrrp,
            used: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<PlannedTracker> {
        self.used
    }

    /// What `owner` follows; lines that cannot be followed are reported.
    pub(super) fn tracks(
        &mut self,
        owner: &str,
        lines: &[Tracked],
        ids: &mut Ids,
        messages: &mut Messages,
    ) -> Vec<Track> {
        let mut tracks = Vec::with_capacity(lines.len());
        for line in lines {
            let (keyword, name) = (line.kind.keyword(), &line.name);
            if line.kind == TrackKind::Bfd {
                let message = format!("{owner}: {keyword} {name}: there is no BFD here; ignored");
                messages.warning(&line.position, message);
            } else if let Some(id) = self.id(line, ids) {
                tracks.push(track(id, line.weight));
            }
        }
        tracks
    }

    /// The number of what a line follows; it is used from now on.
    fn id(&mut self, line: &Tracked, ids: &mut Ids) -> Option<TrackerId> {
        let name = &line.name;
        let (source, status) = match line.kind {
            TrackKind::Interface => (
                TrackerSource::Interface(name.clone()),
                TrackerStatus::Unknown,
            ),
            TrackKind::Script => {
                let script = self.vrrp.scripts.iter().find(|it| it.name == *name)?;
                let status = script.init_fail.then_some(false).into();
                (TrackerSource::Script(script.clone()), status)
            }
            TrackKind::File => {
                let file = self.vrrp.files.iter().find(|it| it.name == *name)?;
                (TrackerSource::File(file.clone()), TrackerStatus::Unknown)
            }
            TrackKind::Process => {
                let process = self.vrrp.processes.iter().find(|it| it.name == *name)?;
                (
                    TrackerSource::Process(process.clone()),
                    TrackerStatus::Unknown,
                )
            }
            _ => return None,
        };
        let key = format!("{} {name}", line.kind.keyword());
        let id = TrackerId::new(ids.trackers.of(&key));
        if !self.used.iter().any(|used| used.id == id) {
            self.used.push(PlannedTracker { id, source, status });
        }
        Some(id)
    }
}

fn track(id: TrackerId, weight: Weight) -> Track {
    let track = Track::new(id, weight.value);
    if weight.reverse {
        track.reversed()
    } else {
        track
    }
}
