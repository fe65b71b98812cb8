//! The `nlctrl` family, which resolves names of families.

use nix::libc::{EINVAL, ENOENT, EOPNOTSUPP};

use super::Errno;
use super::netlink::{ATTRIBUTES, ExtendedAck, NLM_F_MULTI, Request, Writer};
use super::policy;
use super::requests::{COMMANDS, Form};
use super::state::{IPVS, State};
use crate::wire::attributes::control;

const NAME: &str = "nlctrl";
const VERSION: u8 = 2;
/// The commands of this family up to here were there before reserved fields were checked.
const CHECKED_FROM: u8 = 11;

/// `CTRL_ATTR_OPS` with its parts, `CTRL_ATTR_MCAST_GROUPS` with its parts.
const OPS: u16 = 6;
const OP_ID: u16 = 1;
const OP_FLAGS: u16 = 2;
const GROUPS: u16 = 7;
const GROUP_NAME: u16 = 1;
const GROUP_ID: u16 = 2;

/// `GENL_ADMIN_PERM`, `GENL_CMD_CAP_DO`, `GENL_CMD_CAP_DUMP`, `GENL_CMD_CAP_HASPOL`.
const ADMIN: u32 = 1;
const DO: u32 = 2;
const DUMP: u32 = 4;
const HAS_POLICY: u32 = 8;

/// A family that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Known {
    Control,
    Ipvs,
}

/// What [`check`] found.
#[derive(Debug)]
pub(super) enum Asked {
    One(Known),
    All,
}

impl State {
    /// Handles a request to `nlctrl` up to the reply.
    pub(super) fn control(
        &self,
        request: &Request<'_>,
        ack: &mut ExtendedAck,
    ) -> Result<Asked, Errno> {
        let (command, _) = self.checked_header(request, CHECKED_FROM, ack)?;
        if command != control::CMD_GETFAMILY {
            return Err(EOPNOTSUPP);
        }
        if request.is_dump() {
            return Ok(Asked::All);
        }
        self.asked_family(request, ack).map(Asked::One)
    }

    fn asked_family(&self, request: &Request<'_>, ack: &mut ExtendedAck) -> Result<Known, Errno> {
        let attributes = policy::parse(
            request.attributes(),
            &policy::CONTROL,
            |_| true,
            ATTRIBUTES,
            ack,
        )?;
        let loaded = |family: &Known| *family == Known::Control || self.loaded;
        let by_id = attributes.u16(control::FAMILY_ID).map(|id| match id {
            control::FAMILY => Some(Known::Control),
            IPVS => Some(Known::Ipvs),
            _ => None,
        });
        // The name wins where both are given.
        let by_name = attributes.text(control::FAMILY_NAME).map(|name| {
            [(NAME, Known::Control), ("IPVS", Known::Ipvs)]
                .into_iter()
                .find(|(known, _)| known.as_bytes() == name)
                .map(|(_, family)| family)
        });
        by_name
            .or(by_id)
            .ok_or(EINVAL)?
            .filter(loaded)
            .ok_or(ENOENT)
    }

    /// What starting a dump of all families checks once no other dump runs.
    pub(super) fn check_family_dump(
        &self,
        request: &Request<'_>,
        ack: &mut ExtendedAck,
    ) -> Result<(), Errno> {
        if !self.generation.checks_family_dump {
            return Ok(());
        }
        let bytes = request.attributes();
        policy::parse(bytes, &policy::CONTROL, |_| true, ATTRIBUTES, ack).map(drop)
    }

    /// All families, in the order of dumps.
    pub(super) fn families(&self) -> &'static [Known] {
        if self.loaded {
            &[Known::Control, Known::Ipvs]
        } else {
            &[Known::Control]
        }
    }

    /// Appends the description of a family.
    pub(super) fn write_family(
        &self,
        datagram: &mut Vec<u8>,
        family: Known,
        (sequence, port, multi): (u32, u32, bool),
    ) {
        let flags = if multi { NLM_F_MULTI } else { 0 };
        let mut writer = Writer::family(
            datagram,
            (control::FAMILY, flags, sequence, port),
            (control::CMD_NEWFAMILY, VERSION),
            self.generation.padding,
        );
        let (name, id, version, max) = match family {
            Known::Control => (NAME, control::FAMILY, u32::from(VERSION), 0),
            Known::Ipvs => ("IPVS", IPVS, 1, 6),
        };
        writer.put_text(control::FAMILY_NAME, name);
        writer.put_u16(control::FAMILY_ID, id);
        writer.put_u32(control::VERSION, version);
        writer.put_u32(control::HDRSIZE, 0);
        writer.put_u32(control::MAXATTR, max);
        writer.nest(OPS, |writer| match family {
            Known::Control => {
                let flags = DO | DUMP | HAS_POLICY;
                write_operation(writer, 1, control::CMD_GETFAMILY, flags);
            }
            Known::Ipvs => {
                // A dump that checks nothing before it starts stopped counting as one with a
                // policy together with the other change.
                let dump_only = if self.generation.form_before_permission {
                    ADMIN | DUMP
                } else {
                    ADMIN | DUMP | HAS_POLICY
                };
                for (index, (command, form)) in (1..).zip(COMMANDS) {
                    let flags = match form {
                        Form::Do => ADMIN | DO | HAS_POLICY,
                        Form::Both => ADMIN | DO | DUMP | HAS_POLICY,
                        Form::Dump => dump_only,
                    };
                    write_operation(writer, index, *command, flags);
                }
            }
        });
        if family == Known::Control {
            writer.nest(GROUPS, |writer| {
                writer.nest(1, |writer| {
                    writer.put_u32(GROUP_ID, control::FAMILY.into());
                    writer.put_text(GROUP_NAME, "notify");
                });
            });
        }
        writer.finish();
    }
}

fn write_operation(writer: &mut Writer<'_>, index: u16, command: u8, flags: u32) {
    writer.nest(index, |writer| {
        writer.put_u32(OP_ID, command.into());
        writer.put_u32(OP_FLAGS, flags);
    });
}
