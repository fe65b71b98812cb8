//! Trackers: what virtual routers and groups follow.

use lvs_vrrp::track::{Track, TrackerId};

use super::plan::{Ids, Messages};
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
    /// Whether it is fine before anything was seen; none for not known.
    pub is_ok: Option<bool>,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TrackerSource {
    /// An interface: fine while it is up.
    Interface(String),
    /// A program: fine while it says so.
    Script(VrrpScript),
    /// A file: fine while its number is 0.
    File(TrackFile),
    /// A process: fine while enough of them run.
    Process(TrackProcess),
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
            let what = match (line.kind, line.weight.value) {
                (TrackKind::Bfd, _) => "there is no BFD here",
                (TrackKind::File, weight) if weight != 0 => {
                    "a number times a weight is not supported, only weight 0"
                }
                _ => {
                    if let Some(id) = self.id(line, ids) {
                        tracks.push(track(id, line.weight));
                    }
                    continue;
                }
            };
            messages.warning(
                &line.position,
                format!("{owner}: {keyword} {name}: {what}; ignored"),
            );
        }
        tracks
    }

    /// The number of what a line follows; it is used from now on.
    fn id(&mut self, line: &Tracked, ids: &mut Ids) -> Option<TrackerId> {
        let name = &line.name;
        let (source, is_ok) = match line.kind {
            TrackKind::Interface => (TrackerSource::Interface(name.clone()), None),
            TrackKind::Script => {
                let script = self.vrrp.scripts.iter().find(|it| it.name == *name)?;
                let is_ok = script.init_fail.then_some(false);
                (TrackerSource::Script(script.clone()), is_ok)
            }
            TrackKind::File => {
                let file = self.vrrp.files.iter().find(|it| it.name == *name)?;
                (TrackerSource::File(file.clone()), None)
            }
            TrackKind::Process => {
                let process = self.vrrp.processes.iter().find(|it| it.name == *name)?;
                (TrackerSource::Process(process.clone()), None)
            }
            _ => return None,
        };
        let key = format!("{} {name}", line.kind.keyword());
        let id = TrackerId::new(ids.trackers.of(&key));
        if !self.used.iter().any(|used| used.id == id) {
            self.used.push(PlannedTracker { id, source, is_ok });
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
