//! What the kernel does with one request of the `IPVS` family.

use nix::libc::{EEXIST, EINVAL, ENOENT, EOPNOTSUPP, EPERM, ESRCH};

use super::Errno;
use super::daemons;
use super::destinations::{self, Destination, DestinationIdentity};
use super::netlink::{
    ATTRIBUTES, ExtendedAck, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, Request, Writer,
};
use super::policy::{self, Attributes};
use super::services::{self, Identity};
use super::state::{IPVS, State};
use crate::wire::attributes::{command, info, top};

/// The forms of request a command has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Do,
    Dump,
    Both,
}

/// The commands of the family, in the order in which it lists them.
pub(super) const COMMANDS: &[(u8, Form)] = &[
    (command::NEW_SERVICE, Form::Do),
    (command::SET_SERVICE, Form::Do),
    (command::DEL_SERVICE, Form::Do),
    (command::GET_SERVICE, Form::Both),
    (command::NEW_DEST, Form::Do),
    (command::SET_DEST, Form::Do),
    (command::DEL_DEST, Form::Do),
    (command::GET_DEST, Form::Dump),
    (command::NEW_DAEMON, Form::Do),
    (command::DEL_DAEMON, Form::Do),
    (command::GET_DAEMON, Form::Dump),
    (command::SET_CONFIG, Form::Do),
    (command::GET_CONFIG, Form::Do),
    (command::GET_INFO, Form::Do),
    (command::ZERO, Form::Do),
    (command::FLUSH, Form::Do),
];
/// The commands of this family up to here were there before reserved fields were checked.
const CHECKED_FROM: u8 = command::FLUSH + 1;

/// The version every kernel examined reports (`ip_vs_ctl.c`).
const VERSION: u32 = 0x01_02_01;

const RESERVED: &str = "genlmsghdr.reserved field is not 0";
const FLAGS: &str = "ambiguous or reserved bits set in nlmsg_flags";
const NLM_F_ECHO: u16 = 8;

/// A request that goes on as a dump.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DumpOf {
    Services,
    Destinations,
    Daemons,
}

/// What [`State::ipvs`] leaves to do.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing but the acknowledgement.
    Done,
    /// One message, then the acknowledgement.
    Reply(Vec<u8>),
    Dump(DumpOf),
}

impl State {
    /// The checks generic netlink makes before it looks for the command.
    pub(super) fn checked_header(
        &self,
        request: &Request<'_>,
        checked_from: u8,
        ack: &mut ExtendedAck,
    ) -> Result<(u8, Form), Errno> {
        let (command, reserved) = request.command().ok_or(EINVAL)?;
        let dump = request.is_dump();
        if command >= checked_from && self.generation.checks_reserved {
            let mut flags = request.flags & !(NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO);
            if dump {
                flags &= !NLM_F_DUMP;
            }
            if reserved != 0 {
                ack.message = Some(RESERVED);
                return Err(EINVAL);
            }
            if flags != 0 {
                ack.message = Some(FLAGS);
                return Err(EINVAL);
            }
        }
        Ok((command, if dump { Form::Dump } else { Form::Do }))
    }

    /// Handles a request up to its acknowledgement.
    pub(super) fn ipvs(
        &mut self,
        request: &Request<'_>,
        port: u32,
        ack: &mut ExtendedAck,
    ) -> Result<Answer, Errno> {
        let (command, asked) = self.checked_header(request, CHECKED_FROM, ack)?;
        let (_, form) = COMMANDS
            .iter()
            .find(|(known, _)| *known == command)
            .ok_or(EOPNOTSUPP)?;
        let right_form = *form == asked || *form == Form::Both;
        if self.generation.form_before_permission && !right_form {
            return Err(EOPNOTSUPP);
        }
        if !self.permitted {
            return Err(EPERM);
        }
        if !right_form {
            return Err(EOPNOTSUPP);
        }
        if asked == Form::Dump {
            // Dumps look at attributes later, if at all.
            return Ok(Answer::Dump(match command {
                command::GET_SERVICE => DumpOf::Services,
                command::GET_DEST => DumpOf::Destinations,
                _ => DumpOf::Daemons,
            }));
        }
        let bytes = request.attributes();
        let attributes = policy::parse(bytes, &policy::TOP, |_| true, ATTRIBUTES, ack)?;
        match command {
            command::GET_SERVICE | command::GET_CONFIG | command::GET_INFO => {
                self.get(command, &attributes, (request.sequence, port))
            }
            command::NEW_DAEMON | command::DEL_DAEMON => {
                let nest = daemons::parse(attributes.place(top::DAEMON), &self.generation, ack)?;
                if command == command::NEW_DAEMON {
                    let state = self.daemons.start(
                        &nest,
                        self.mixed > 0,
                        &self.generation,
                        &self.network,
                    )?;
                    // A backup needs the connection table; a master does not (seen on 7.2.7).
                    self.table_used |= state == daemons::BACKUP;
                } else {
                    self.daemons.stop(&nest)?;
                }
                Ok(Answer::Done)
            }
            command => self.set(command, &attributes).map(|()| Answer::Done),
        }
    }

    fn get(
        &self,
        command: u8,
        attributes: &Attributes<'_, 7>,
        (sequence, port): (u32, u32),
    ) -> Result<Answer, Errno> {
        let mut datagram = Vec::new();
        let header = (IPVS, 0, sequence, port);
        let padding = self.generation.padding;
        match command {
            command::GET_SERVICE => {
                let nest = services::parse(attributes.get(top::SERVICE), &self.generation)?;
                let identity = Identity::read(&nest, &self.generation)?;
                let service = self.services.get(&identity).ok_or(ESRCH)?;
                let reply = (command::NEW_SERVICE, 1);
                let mut writer = Writer::family(&mut datagram, header, reply, padding);
                service.write(&mut writer, &self.generation);
                writer.finish();
            }
            command::GET_CONFIG => {
                let reply = (command::SET_CONFIG, 1);
                let mut writer = Writer::family(&mut datagram, header, reply, padding);
                let [tcp, tcp_fin, udp] = self.timeouts;
                writer.put_u32(top::TIMEOUT_TCP, tcp);
                writer.put_u32(top::TIMEOUT_TCP_FIN, tcp_fin);
                writer.put_u32(top::TIMEOUT_UDP, udp);
                writer.finish();
            }
            _ => {
                let reply = (command::SET_INFO, 1);
                let mut writer = Writer::family(&mut datagram, header, reply, padding);
                let size = if self.table_used {
                    self.generation.table_size
                } else {
                    self.generation.idle_table_size
                };
                writer.put_u32(info::VERSION, VERSION);
                writer.put_u32(info::CONN_TAB_SIZE, size);
                writer.finish();
            }
        }
        Ok(Answer::Reply(datagram))
    }

    fn set(&mut self, command: u8, attributes: &Attributes<'_, 7>) -> Result<(), Errno> {
        match command {
            command::FLUSH => {
                self.flush();
                return Ok(());
            }
            command::SET_CONFIG => return self.set_timeouts(attributes),
            command::ZERO if !attributes.has(top::SERVICE) => {
                for service in self.services.iter_mut() {
                    service.zero();
                }
                return Ok(());
            }
            _ => {}
        }
        let nest = services::parse(attributes.get(top::SERVICE), &self.generation)?;
        let identity = Identity::read(&nest, &self.generation)?;
        if command == command::NEW_SERVICE || command == command::SET_SERVICE {
            return self.set_service(command, identity, &nest);
        }
        let service = self.services.get_mut(&identity).ok_or(ESRCH)?;
        match command {
            command::DEL_SERVICE => {
                if let Some(service) = self.services.remove(&identity) {
                    self.discard(service);
                }
                Ok(())
            }
            command::ZERO => {
                service.zero();
                Ok(())
            }
            _ => self.set_destination(command, identity, attributes.get(top::DEST)),
        }
    }

    fn set_service(
        &mut self,
        command: u8,
        identity: Identity,
        nest: &Attributes<'_, 13>,
    ) -> Result<(), Errno> {
        let old = self.services.get_mut(&identity);
        let old_flags = old.as_ref().map_or(0, |service| service.settings.flags);
        // An incomplete request fails before existence is looked at.
        let asked = services::Asked::read(nest, old_flags)?;
        match old {
            None if command == command::SET_SERVICE => Err(ESRCH),
            Some(service) if command == command::SET_SERVICE => {
                service.settings = asked.check(identity.family, &self.generation)?;
                Ok(())
            }
            Some(_) => Err(EEXIST),
            None => {
                let settings = asked.check(identity.family, &self.generation)?;
                self.services
                    .insert(identity, settings, self.generation.marks_last);
                self.table_used = true;
                Ok(())
            }
        }
    }

    fn set_destination(
        &mut self,
        command: u8,
        identity: Identity,
        nest: Option<&[u8]>,
    ) -> Result<(), Errno> {
        let full = command != command::DEL_DEST;
        let asked = destinations::Asked::read(nest, full, &self.generation)?;
        let key = asked.resolve(identity.family, self.daemons.any(), &self.generation)?;
        match command {
            command::DEL_DEST => {
                let service = self.services.get_mut(&identity).ok_or(ESRCH)?;
                let destination = service.destinations.remove(&key).ok_or(ENOENT)?;
                self.bury(destination, identity);
                Ok(())
            }
            command::SET_DEST => {
                let settings = asked.check(&self.generation)?;
                let service = self.services.get_mut(&identity).ok_or(ESRCH)?;
                let destination = service.destinations.get_mut(&key).ok_or(ENOENT)?;
                destination.set(settings);
                Ok(())
            }
            _ => {
                let settings = asked.check(&self.generation)?;
                self.add_destination(identity, key, settings)
            }
        }
    }

    fn add_destination(
        &mut self,
        identity: Identity,
        key: DestinationIdentity,
        settings: destinations::Settings,
    ) -> Result<(), Errno> {
        let service = self.services.get_mut(&identity).ok_or(ESRCH)?;
        if service.destinations.contains(&key) {
            return Err(EEXIST);
        }
        let destination = match self.trash.take(&key, &identity) {
            Some(mut destination) => {
                destination.rebind(settings, service.serial);
                destination
            }
            None if !self.network.accepts(key.ip()) => return Err(EINVAL),
            None => Destination::new(key, settings, service.serial),
        };
        service.destinations.insert(destination);
        if key.family != identity.family {
            self.mixed = self.mixed.saturating_add(1);
        }
        Ok(())
    }

    /// `SET_CONFIG`: nothing is changed when one value is out of range (`ip_vs_ctl.c`).
    fn set_timeouts(&mut self, attributes: &Attributes<'_, 7>) -> Result<(), Errno> {
        let asked = [top::TIMEOUT_TCP, top::TIMEOUT_TCP_FIN, top::TIMEOUT_UDP]
            .map(|number| attributes.u32(number).unwrap_or(0));
        if asked
            .iter()
            .any(|seconds| *seconds > self.generation.max_timeout())
        {
            return Err(EINVAL);
        }
        for (timeout, seconds) in self.timeouts.iter_mut().zip(asked) {
            if seconds != 0 {
                *timeout = seconds;
            }
        }
        Ok(())
    }
}
