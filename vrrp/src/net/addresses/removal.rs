//! What removing an address takes, by what is there and what is known of it.

use super::{Removed, VirtualAddress};
use crate::net::links::InterfaceAddress;
use crate::net::netlink::Request;

/// Whose an address is.
pub(super) enum There<'a> {
    Absent,
    Ours(&'a InterfaceAddress),
    Foreign,
}

/// What is to be done that an address is removed, and comes of it if that succeeds; `None` if nothing is
/// known of it.
pub(super) fn plan_removal(
    there: &There<'_>,
    held: Option<&VirtualAddress>,
    is_listed: bool,
) -> Option<(Removed, Option<Request>)> {
    match (there, held) {
        (There::Ours(there), _) => {
            Some((Removed::Removed, Some(Request::new(&there.removal(), 0))))
        }
        (There::Foreign, _) => Some((Removed::Foreign, None)),
        (There::Absent, _) if is_listed => Some((Removed::Absent, None)),
        // Whatever is there, what we have installed must go.
        (There::Absent, Some(held)) => Some((Removed::Removed, Some(held.removal()))),
        (There::Absent, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::address::InterfaceIndex;

    #[test]
    fn what_we_have_installed_is_removed_even_if_nothing_can_be_listed() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let ours = VirtualAddress::new(InterfaceIndex::new(2), address);
        let order = || Some(ours.removal());
        for (there, held, is_listed, planned) in [
            (
                There::Absent,
                Some(&ours),
                false,
                Some((Removed::Removed, order())),
            ),
            (
                There::Absent,
                Some(&ours),
                true,
                Some((Removed::Absent, None)),
            ),
            (There::Absent, None, false, None),
            (There::Absent, None, true, Some((Removed::Absent, None))),
            (
                There::Foreign,
                Some(&ours),
                true,
                Some((Removed::Foreign, None)),
            ),
        ] {
            assert_eq!(plan_removal(&there, held, is_listed), planned);
        }
    }
}
