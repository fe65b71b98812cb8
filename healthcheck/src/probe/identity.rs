//! When two probes are the same one, so that one attempt can serve both.

use core::any::Any;
use core::fmt;
use core::hash::{Hash, Hasher};

/// Everything that decides what an attempt does and what it makes of the answer.
///
/// Of checks whose probes have equal identities (and whose policies give an attempt the same time)
/// a driver runs one probe, and tells all of them what it found. So an identity covers all settings:
/// target, source, mark, device, namespace, names in TLS and Host fields, expectations. A probe
/// whose attempts differ by anything else, such as the health of its check, has none.
///
/// ```
/// use lvs_healthcheck::probe::Identity;
///
/// let (seven, eight) = (("192.0.2.7", 80), ("192.0.2.8", 80));
/// assert_eq!(Identity::of(&seven), Identity::of(&("192.0.2.7", 80)));
/// assert_ne!(Identity::of(&seven), Identity::of(&eight));
/// assert_ne!(Identity::of(&80_u16), Identity::of(&80_u32), "types count");
/// ```
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    settings: &'a dyn Settings,
    /// What it is said over, for a [`Protocol`](super::Protocol).
    connection: Option<&'a dyn Settings>,
    /// How the target is found.
    way: Option<&'a dyn Settings>,
}

impl<'a> Identity<'a> {
    /// That of a probe or protocol with these settings. Their type is part of it.
    #[must_use]
    pub fn of<T: Any + Eq + Hash>(settings: &'a T) -> Self {
        Self {
            settings,
            connection: None,
            way: None,
        }
    }

    /// Adds how the target is found.
    pub(super) fn by_way_of<T: Any + Eq + Hash>(self, way: &'a T) -> Self {
        Self {
            way: Some(way),
            ..self
        }
    }

    /// Adds the settings of the connection.
    pub(super) fn over<T: Any + Eq + Hash>(self, connection: &'a T) -> Self {
        Self {
            connection: Some(connection),
            ..self
        }
    }
}

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        let same = |this: Option<&dyn Settings>, that: Option<&dyn Settings>| match (this, that) {
            (Some(this), Some(that)) => this.equals(that),
            (this, that) => this.is_none() && that.is_none(),
        };
        self.settings.equals(other.settings)
            && same(self.connection, other.connection)
            && same(self.way, other.way)
    }
}

impl Eq for Identity<'_> {}

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.settings.feed(state);
        for more in [self.connection, self.way].into_iter().flatten() {
            more.feed(state);
        }
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// Settings of whatever type.
trait Settings: Any {
    fn equals(&self, other: &dyn Settings) -> bool;
    fn feed(&self, state: &mut dyn Hasher);
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Eq + Hash> Settings for T {
    fn equals(&self, other: &dyn Settings) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }

    fn feed(&self, mut state: &mut dyn Hasher) {
        self.type_id().hash(&mut state);
        self.hash(&mut state);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
