//! Attributes of a newer kernel that this crate has no field for.

use core::fmt;

/// Attributes kept as raw bytes.
///
/// The kernel replaces all settings of a service or destination at once, so attributes this
/// crate does not know are sent back as they came. Usually there are none, and nothing is
/// allocated.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct UnknownAttributes {
    // Almost always none, and in every service and destination: one word is enough for that.
    some: Option<Box<Attributes>>,
}

/// At least one attribute.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
struct Attributes {
    // Whole attributes with header and padding, ready to be appended to a nest.
    bytes: Vec<u8>,
}

impl UnknownAttributes {
    /// No attributes.
    #[must_use]
    pub const fn none() -> Self {
        Self { some: None }
    }

    /// Whether there are any.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.some.is_none()
    }

    /// The attributes with their headers, each padded to a multiple of four bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let some = self.some.as_deref();
        some.map_or(&[], |some| some.bytes.as_slice())
    }

    /// Adds one attribute as read, header included; the padding is added here.
    pub(crate) fn push(&mut self, attribute: &[u8]) {
        let bytes = &mut self.some.get_or_insert_default().bytes;
        bytes.extend_from_slice(attribute);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
}

impl fmt::Debug for UnknownAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_bytes()).finish()
    }
}
