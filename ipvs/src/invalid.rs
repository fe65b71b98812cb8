//! Arguments that cannot be right.

use core::fmt;
use core::net::IpAddr;

use crate::forwarding::Forwarding;

/// An argument that cannot be right: which field, which value, what would be allowed.
///
/// ```
/// use lvs_ipvs::VirtualService;
/// let error = VirtualService::tcp("192.0.2.10:0".parse()?).validate().unwrap_err();
/// assert_eq!(error.to_string(), "port 0: a port of 0 means every port and needs persistence");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ValidationError {
    field: &'static str,
    value: InvalidValue,
    limit: &'static str,
}

/// The refused value of a [`ValidationError`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum InvalidValue {
    /// A number.
    Number(u64),
    /// An address, a netmask or a group.
    Address(IpAddr),
    /// The name of a scheduler.
    Scheduler(&'static str),
    /// A forwarding method.
    Forwarding(Forwarding),
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Scheduler(name) => name.fmt(f),
            Self::Forwarding(method) => method.fmt(f),
        }
    }
}

impl ValidationError {
    pub(crate) const fn new(field: &'static str, value: InvalidValue, limit: &'static str) -> Self {
        Self {
            field,
            value,
            limit,
        }
    }

    pub(crate) const fn number(field: &'static str, value: u64, limit: &'static str) -> Self {
        Self::new(field, InvalidValue::Number(value), limit)
    }

    /// The field, in the words of the documentation.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The refused value.
    #[must_use]
    pub const fn value(&self) -> InvalidValue {
        self.value
    }

    /// What would be allowed.
    #[must_use]
    pub const fn limit(&self) -> &'static str {
        self.limit
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.field, self.value, self.limit)
    }
}

impl core::error::Error for ValidationError {}
