//! What a program that runs virtual routers alone leaves out of a keepalived.conf.

use std::collections::HashSet;

use crate::keepalived::{Block, Config, Diagnostic, Messages, Position, Statement};

/// Blocks and statements outside of blocks that are about something else.
const BLOCKS: [&str; 5] = [
    "SSL",
    "child_wait_time",
    "net_namespace_ipvs",
    "virtual_server",
    "virtual_server_group",
];

/// Settings that count for virtual routers, beside those whose names begin with `vrrp_`.
const SETTINGS: [&str; 10] = [
    "default_interface",
    "dynamic_interfaces",
    "enable_script_security",
    "log_unknown_vrids",
    "net_namespace",
    "notify_fifo",
    "notify_fifo_script",
    "reload_check_config",
    "router_id",
    "script_user",
];

/// Settings whose names begin so and which are about something else.
const NOT_SETTINGS: [&str; 4] = [
    "vrrp_cpu_affinity",
    "vrrp_no_swap",
    "vrrp_priority",
    "vrrp_rt_priority",
];

/// What is about virtual routers, beside what begins with `vrrp_`.
const ROUTERS: [&str; 14] = [
    "default_interface",
    "dynamic_interfaces",
    "garp_group",
    "interface_up_down_delays",
    "linkbeat_interfaces",
    "log_unknown_vrids",
    "lvs_sync_daemon",
    "net_namespace",
    "reload_check_config",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_file",
    "track_group",
];

/// A warning for each block and each setting that has nothing to do with virtual routers, such as
/// `virtual_server`: for programs that run these alone. What is inside such blocks is not named.
///
/// # Examples
///
/// ```
/// use director::keepalived::Config;
///
/// let config = Config::parse("ha.conf", "global_defs {\n  lvs_flush\n  vrrp_version 3\n}\n");
/// let warnings = director::vrrp::left_out(&config);
/// assert_eq!(
///     warnings.first().map(ToString::to_string).as_deref(),
///     Some("ha.conf:2:3: warning: lvs_flush is not about virtual routers; ignored"),
/// );
/// assert_eq!(warnings.len(), 1);
/// ```
#[must_use]
pub fn left_out(config: &Config) -> Vec<Diagnostic> {
    let mut messages = Messages::default();
    // Others in there are unknown, or have no effect on anything: that has been said.
    let known: HashSet<&Position> = config.features().iter().map(|it| &it.position).collect();
    for statement in config.statements() {
        let keyword = statement.keyword();
        if BLOCKS.contains(&keyword) {
            tell(statement, &mut messages);
        }
        if keyword != "global_defs" {
            continue;
        }
        let settings = statement.block().map(Block::statements);
        for setting in settings.unwrap_or_default() {
            let keyword = setting.keyword();
            let counts = SETTINGS.contains(&keyword)
                || keyword.starts_with("vrrp_") && !NOT_SETTINGS.contains(&keyword);
            if !counts && known.contains(setting.position()) {
                tell(setting, &mut messages);
            }
        }
    }
    messages.list
}

/// Whether a keyword outside of blocks, or one of `global_defs`, is about virtual routers or what
/// moves with them: what of it is not run is among the [diagnostics](super::Plan::diagnostics) of a
/// plan.
#[must_use]
pub fn is_about_routers(keyword: &str) -> bool {
    ROUTERS.contains(&keyword) || keyword.starts_with("vrrp_") && !NOT_SETTINGS.contains(&keyword)
}

fn tell(statement: &Statement, messages: &mut Messages) {
    let keyword = statement.keyword();
    let message = format!("{keyword} is not about virtual routers; ignored");
    messages.warning(statement.position(), message);
}
