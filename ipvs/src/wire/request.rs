//! Requests read back: what a captured message asks for.

use super::attributes::{command, top};
use super::config::read_timeouts;
use super::daemon::{read_daemon, read_daemon_role};
use super::destination::{DestinationView, read_destination_key};
use super::header::GENERIC_HEADER_LEN;
use super::reader::{find_top_nest, top_nest};
use super::service::{ServiceView, read_service_key};
use crate::error::{DecodeError, DecodeProblem};
use crate::request::{Change, Query, Request};
use crate::service::ServiceKey;

/// Reads a request of the `IPVS` family by its command (see [`command`]).
///
/// `offset` is where `attributes` start within the message, for errors.
///
/// The counterpart of [`encode_request`](super::encode_request), and lenient towards other
/// programs: attributes a command has no use for are skipped. `GET_SERVICE` with a service asks
/// for that one here, although the kernel overlooks it in a dump. Of the flags of a service those
/// count that are set, whatever the mask beside them.
///
/// # Errors
///
/// A command that no request has, or the first attribute that is cut off, too short, or missing.
///
/// ```
/// use bytes::BytesMut;
/// use lvs_ipvs::wire::{Body, FamilyId, Messages, encode_request, read_request};
/// use lvs_ipvs::{Change, Request, VirtualService};
///
/// let service = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let request = Request::Change(Change::AddService(service));
/// let mut datagram = BytesMut::new();
/// encode_request(&mut datagram, FamilyId::new(28), 1, &request);
///
/// let message = Messages::new(&datagram).next().ok_or("no message")??;
/// if let Body::Generic { command, attributes } = message.body()? {
///     assert_eq!(read_request(command, attributes, 20)?, request);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_request(command: u8, attributes: &[u8], offset: usize) -> Result<Request, DecodeError> {
    let service = || {
        let nest = top_nest(attributes, top::SERVICE, offset)?;
        read_service_key(&nest)
    };
    let service_if_any = || {
        let nest = find_top_nest(attributes, top::SERVICE, offset)?;
        nest.as_ref().map(read_service_key).transpose()
    };
    let whole_service =
        || ServiceView::read(attributes, offset).map(|view| view.to_entry().service);
    let whole_destination = |service: &ServiceKey| {
        DestinationView::read(attributes, service.family(), offset)
            .map(|view| view.to_entry().destination)
    };
    Ok(match command {
        command::NEW_SERVICE => Change::AddService(whole_service()?).into(),
        command::SET_SERVICE => Change::SetService(whole_service()?).into(),
        command::DEL_SERVICE => Change::RemoveService(service()?).into(),
        command::GET_SERVICE => service_if_any()?
            .map_or(Query::Services, Query::Service)
            .into(),
        command::NEW_DEST => {
            let service = service()?;
            Change::AddDestination(service, whole_destination(&service)?).into()
        }
        command::SET_DEST => {
            let service = service()?;
            Change::SetDestination(service, whole_destination(&service)?).into()
        }
        command::DEL_DEST => {
            let service = service()?;
            let nest = top_nest(attributes, top::DEST, offset)?;
            let destination = read_destination_key(&nest, service.family())?;
            Change::RemoveDestination(service, destination).into()
        }
        command::GET_DEST => Query::Destinations(service()?).into(),
        command::NEW_DAEMON => Change::StartDaemon(read_daemon(attributes, offset)?).into(),
        command::DEL_DAEMON => Change::StopDaemon(read_daemon_role(attributes, offset)?).into(),
        command::GET_DAEMON => Query::Daemons.into(),
        command::SET_CONFIG => Change::SetTimeouts(read_timeouts(attributes, offset)?).into(),
        command::GET_CONFIG => Query::Timeouts.into(),
        command::GET_INFO => Query::Info.into(),
        command::ZERO => Change::Zero(service_if_any()?).into(),
        command::FLUSH => Change::Flush.into(),
        other => return Err(unexpected_command(other, offset)),
    })
}

/// The error for a command without a meaning, which stands in the header before the attributes.
const fn unexpected_command(command: u8, offset: usize) -> DecodeError {
    DecodeError::new(
        None,
        offset.saturating_sub(GENERIC_HEADER_LEN),
        DecodeProblem::Unexpected(command as u64),
    )
}
