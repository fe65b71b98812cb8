//! Groups: virtual routers that change their state together.

use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::track::Track;

use super::numbers::Ids;
use super::router::PlannedRouter;
use super::tracker::Trackers;
use crate::keepalived::Messages;
use crate::keepalived::Position;
use crate::keepalived::vrrp::{Notify, VrrpSyncGroup};

/// A group of the node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlannedGroup {
    /// Where it is configured.
    pub position: Position,
    /// Its number in the node.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// The names of its members.
    pub members: Vec<String>,
    /// Its members and what they follow.
    pub config: GroupConfig,
    /// What they follow.
    pub tracks: Vec<Track>,
    /// What is run when it changes.
    pub notify: Notify,
}

/// The group of a block, if it has members that are run.
pub(super) fn plan(
    group: &VrrpSyncGroup,
    routers: &[PlannedRouter],
    ids: &mut Ids,
    trackers: &mut Trackers<'_>,
    messages: &mut Messages,
) -> Option<PlannedGroup> {
    let owner = format!("vrrp_sync_group {}", group.name);
    let members: Vec<&PlannedRouter> = group
        .members
        .iter()
        .filter_map(|name| routers.iter().find(|router| router.name == *name))
        .collect();
    let owners = members.iter().filter(|member| member.config.is_owner());
    let owners = owners.count();
    let problem = if members.is_empty() {
        "none of its members is run"
    } else if owners != 0 && owners != members.len() {
        "members of priority 255 do not go together with others"
    } else {
        let tracks = trackers.tracks(&owner, &group.tracks, ids, messages);
        let mut config = GroupConfig::new(members.iter().map(|member| member.id));
        for track in &tracks {
            config = config.with_track(*track);
        }
        return Some(PlannedGroup {
            position: group.position.clone(),
            members: members.iter().map(|member| member.name.clone()).collect(),
            id: GroupId::new(ids.groups.of(&group.name)),
            name: group.name.clone(),
            config,
            tracks,
            notify: group.notify.clone(),
        });
    };
    let message = format!("{owner}: {problem}; the group is not run");
    messages.error(&group.position, message);
    None
}
