//! Replies without a nest: timeouts and information.

use super::attributes::{Nest, info, top};
use super::reader::{Attributes, missing};
use crate::config::Timeouts;
use crate::error::DecodeError;
use crate::info::{Info, IpvsVersion};

/// Reads the attributes of a message with command `SET_CONFIG`.
///
/// `offset` is where `attributes` start within the message, for errors.
///
/// # Errors
///
/// The first attribute that is cut off or too short.
pub fn read_timeouts(attributes: &[u8], offset: usize) -> Result<Timeouts, DecodeError> {
    let mut timeouts = Timeouts::default();
    for attribute in Attributes::new(attributes, Nest::Top, offset) {
        let attribute = attribute?;
        let field = match attribute.number {
            top::TIMEOUT_TCP => &mut timeouts.tcp_secs,
            top::TIMEOUT_TCP_FIN => &mut timeouts.tcp_fin_secs,
            top::TIMEOUT_UDP => &mut timeouts.udp_secs,
            _ => continue,
        };
        *field = Some(attribute.u32()?);
    }
    Ok(timeouts)
}

/// Reads the attributes of a message with command `SET_INFO`.
///
/// `offset` is where `attributes` start within the message, for errors.
///
/// # Errors
///
/// The first attribute that is cut off, too short, or missing.
pub fn read_info(attributes: &[u8], offset: usize) -> Result<Info, DecodeError> {
    let (mut version, mut connection_table_size) = (None, None);
    for attribute in Attributes::new(attributes, Nest::Info, offset) {
        let attribute = attribute?;
        match attribute.number {
            info::VERSION => version = Some(IpvsVersion::from_number(attribute.u32()?)),
            info::CONN_TAB_SIZE => connection_table_size = Some(attribute.u32()?),
            _ => {}
        }
    }
    let missing = |number| missing(Nest::Info, number, offset);
    Ok(Info {
        version: version.ok_or_else(|| missing(info::VERSION))?,
        connection_table_size: connection_table_size.ok_or_else(|| missing(info::CONN_TAB_SIZE))?,
    })
}
