//! What refers to something else: weights that come from definitions, members of groups, virtual
//! routers that packets could not be told apart for.

use std::collections::HashMap;

use super::super::diagnostic::Report;
use super::super::global::Globals;
use super::group::{self, VrrpSyncGroup};
use super::instance::VrrpInstance;
use super::track::{Lines, TrackKind, Tracked, Weight};
use super::transport::Destination;
use super::{Vrrp, instance};

/// What can be followed, by kind and name, and how much it counts.
pub(super) struct Definitions<'a> {
    weights: HashMap<(TrackKind, &'a str), Weight>,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(vrrp: &'a Vrrp) -> Self {
        let scripts = vrrp.scripts.iter();
        let scripts = scripts.map(|it| ((TrackKind::Script, it.name.as_str()), it.weight));
        let files = vrrp.files.iter();
        let files = files.map(|it| ((TrackKind::File, it.name.as_str()), it.weight));
        let processes = vrrp.processes.iter();
        let processes = processes.map(|it| ((TrackKind::Process, it.name.as_str()), it.weight));
        let bfds = vrrp.bfds.iter();
        let bfds = bfds.map(|it| ((TrackKind::Bfd, it.name.as_str()), it.weight));
        Self {
            weights: scripts.chain(files).chain(processes).chain(bfds).collect(),
        }
    }

    /// The lines of `owner` whose things exist, with the weights that count.
    fn resolve(&self, owner: &str, lines: Lines, report: &mut Report) -> Vec<Tracked> {
        let mut tracks = Vec::with_capacity(lines.lines.len());
        for (mut line, has_weight) in lines.lines {
            let kind = line.kind;
            let known = self.weights.get(&(kind, line.name.as_str()));
            if known.is_none() && kind != TrackKind::Interface {
                let message = format!(
                    "{owner}: {}: there is no {} '{}', line ignored",
                    kind.keyword(),
                    kind.definition(),
                    line.name
                );
                report.error(&line.position, message);
                continue;
            }
            if let Some(weight) = known.filter(|_| !has_weight) {
                line.weight = *weight;
            }
            tracks.push(line);
        }
        tracks
    }
}

/// Finishes virtual routers and groups.
pub(super) fn finish(
    vrrp: &mut Vrrp,
    drafts: Vec<instance::Draft>,
    group_drafts: Vec<group::Draft>,
    globals: &Globals,
    report: &mut Report,
) {
    let definitions = Definitions::new(vrrp);
    let mut instances = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        let lines = draft.take_tracks();
        if let Some(mut instance) = draft.finish(globals, report) {
            let owner = format!("vrrp_instance {}", instance.name);
            instance.tracks = definitions.resolve(&owner, lines, report);
            instances.push(instance);
        }
    }
    let mut instances = without_clashes(instances, report);
    let names: HashMap<String, usize> = instances
        .iter()
        .enumerate()
        .map(|(number, instance)| (instance.name.clone(), number))
        .collect();
    let mut member_of: HashMap<usize, String> = HashMap::new();
    let mut free_weights: HashMap<usize, bool> = HashMap::new();
    let mut groups = Vec::with_capacity(group_drafts.len());
    for mut draft in group_drafts {
        let lines = core::mem::take(&mut draft.tracks);
        let owner = format!("vrrp_sync_group {}", draft.name);
        let tracks = definitions.resolve(&owner, lines, report);
        let weights = draft.tracking_weight;
        let members = members(&draft, &names, &mut member_of, report);
        for name in &members {
            if let Some(number) = names.get(name) {
                free_weights.insert(*number, weights);
            }
        }
        groups.extend(finish_group(draft, members, tracks, globals, report));
    }
    for (number, instance) in instances.iter_mut().enumerate() {
        correct_tracks(instance, free_weights.get(&number).copied(), report);
    }
    (vrrp.instances, vrrp.groups) = (instances, groups);
}

fn members(
    draft: &group::Draft,
    names: &HashMap<String, usize>,
    member_of: &mut HashMap<usize, String>,
    report: &mut Report,
) -> Vec<String> {
    let group = &draft.name;
    let mut members = Vec::with_capacity(draft.members.len());
    for (name, position) in &draft.members {
        let problem = match names.get(name) {
            None => format!("there is no vrrp_instance '{name}'"),
            Some(number) => match member_of.get(number) {
                Some(other) => format!("{name} is in group {other} already"),
                None => {
                    member_of.insert(*number, group.clone());
                    members.push(name.clone());
                    continue;
                }
            },
        };
        let message = format!("vrrp_sync_group {group}: {problem}; ignored");
        report.warning(position, message);
    }
    members
}

fn finish_group(
    draft: group::Draft,
    members: Vec<String>,
    tracks: Vec<Tracked>,
    globals: &Globals,
    report: &mut Report,
) -> Option<VrrpSyncGroup> {
    let name = draft.name;
    match members.len() {
        0 => {
            let message = format!("vrrp_sync_group {name}: there is no member; block ignored");
            report.error(&draft.position, message);
            return None;
        }
        1 => {
            let message = format!("vrrp_sync_group {name}: there is only one member");
            report.warning(&draft.position, message);
        }
        _ => {}
    }
    Some(VrrpSyncGroup {
        position: draft.position,
        name,
        members,
        tracks,
        notify: draft.notify.finish(
            globals.vrrp.notify_priority_changes,
            globals.vrrp_alerts().unwrap_or(false),
        ),
        tracking_weight: draft.tracking_weight,
    })
}

/// The owner's priority never changes; members of a group have none of their own unless the group
/// says so; a virtual router follows its own interface anyway.
fn correct_tracks(instance: &mut VrrpInstance, free_weights: Option<bool>, report: &mut Report) {
    let name = &instance.name;
    let (is_owner, own) = (instance.priority == 255, instance.interface.as_deref());
    let follows_own = instance.track_primary;
    instance.tracks.retain_mut(|line| {
        let what = format!(
            "vrrp_instance {name}: {} {}",
            line.kind.keyword(),
            line.name
        );
        let is_own = line.kind == TrackKind::Interface && own == Some(line.name.as_str());
        if is_own && follows_own {
            let message = format!("{what} is its own interface; ignored");
            report.warning(&line.position, message);
            return false;
        }
        if line.weight.value == 0 {
            return true;
        }
        if is_owner {
            let message = format!(
                "{what}: weight {} has no effect on priority 255; ignored",
                line.weight
            );
            report.warning(&line.position, message);
            return false;
        }
        if free_weights != Some(false) {
            return true;
        }
        let is_interface = line.kind == TrackKind::Interface;
        let outcome = if is_interface { "set to 0" } else { "ignored" };
        let message = format!(
            "{what}: weight {} of a member of a vrrp_sync_group without \
             sync_group_tracking_weight; {outcome}",
            line.weight
        );
        report.warning(&line.position, message);
        line.weight = Weight::default();
        is_interface
    });
}

/// Packets are told apart by interface, family and id; with unicast also by where they come from,
/// with multicast by where they go to.
fn without_clashes(instances: Vec<VrrpInstance>, report: &mut Report) -> Vec<VrrpInstance> {
    let mut seen: HashMap<_, Vec<usize>> = HashMap::new();
    let mut kept: Vec<VrrpInstance> = Vec::with_capacity(instances.len());
    for instance in instances {
        let (family, id) = (instance.family, instance.virtual_router_id);
        let same = seen
            .entry((instance.interface.clone(), family, id))
            .or_default();
        let mut others = same.iter().filter_map(|other| kept.get(*other));
        if let Some(other) = others.find(|other| overlap(&other.destination, &instance.destination))
        {
            let message = format!(
                "vrrp_instance {}: virtual_router_id {id} with {family} on interface {} is that \
                 of vrrp_instance {} at {}; the block is ignored",
                instance.name,
                instance.interface.as_deref().unwrap_or_default(),
                other.name,
                other.position
            );
            report.error(&instance.position, message);
            continue;
        }
        same.push(kept.len());
        kept.push(instance);
    }
    kept
}

fn overlap(one: &Destination, other: &Destination) -> bool {
    match (one, other) {
        (Destination::Group(one), Destination::Group(other)) => one == other,
        (Destination::Peers(one), Destination::Peers(others)) => one
            .iter()
            .any(|peer| others.iter().any(|other| other.ip == peer.ip)),
        _ => false,
    }
}
