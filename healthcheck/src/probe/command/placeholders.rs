//! One command line for many destinations: `{rip}`, `{rport}` and the like.

use core::net::IpAddr;

use crate::error::Invalid;

/// Values for the placeholders of a command; the same go into `HC_…` variables.
///
/// | Placeholder | Variable | |
/// |---|---|---|
/// | `{rip}` `{rport}` | `HC_RIP` `HC_RPORT` | the destination's address and port |
/// | `{vip}` `{vport}` | `HC_VIP` `HC_VPORT` | the virtual service's address and port |
/// | `{proto}` | `HC_PROTO` | its protocol |
/// | `{fwmark}` | `HC_FWMARK` | its firewall mark |
/// | `{vs}` `{rs}` | `HC_VS` `HC_RS` | names of the virtual service and the destination |
/// | `{weight}` | `HC_WEIGHT` | the configured weight |
/// | `{state}` | `HC_STATE` | `unknown`, `up` or `down`, as the check was when the attempt began |
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Placeholders {
    /// `{rip}`
    pub rip: Option<IpAddr>,
    /// `{rport}`
    pub rport: Option<u16>,
    /// `{vip}`
    pub vip: Option<IpAddr>,
    /// `{vport}`
    pub vport: Option<u16>,
    /// `{proto}`, such as `tcp`
    pub proto: Option<String>,
    /// `{fwmark}`
    pub fwmark: Option<u32>,
    /// `{vs}`
    pub vs: Option<String>,
    /// `{rs}`
    pub rs: Option<String>,
    /// `{weight}`
    pub weight: Option<u32>,
}

impl Placeholders {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Name, variable and value of each.
    fn all(&self) -> [(&'static str, &'static str, Option<String>); 9] {
        [
            ("rip", "HC_RIP", self.rip.map(|value| value.to_string())),
            (
                "rport",
                "HC_RPORT",
                self.rport.map(|value| value.to_string()),
            ),
            ("vip", "HC_VIP", self.vip.map(|value| value.to_string())),
            (
                "vport",
                "HC_VPORT",
                self.vport.map(|value| value.to_string()),
            ),
            ("proto", "HC_PROTO", self.proto.clone()),
            (
                "fwmark",
                "HC_FWMARK",
                self.fwmark.map(|value| value.to_string()),
            ),
            ("vs", "HC_VS", self.vs.clone()),
            ("rs", "HC_RS", self.rs.clone()),
            (
                "weight",
                "HC_WEIGHT",
                self.weight.map(|value| value.to_string()),
            ),
        ]
    }

    /// The variables that have a value.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.all()
            .into_iter()
            .filter_map(|(_, variable, value)| Some((variable, value?)))
    }

    /// Replaces all placeholders but `{state}`, whose value is known only at each attempt. It and
    /// literal braces are left in the form [`set_state`] understands.
    pub(super) fn expand(&self, text: &str) -> Result<String, Invalid> {
        let values = self.all();
        let refuse = |value: &str, limit| Err(Invalid::new("placeholder", value, limit));
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (plain, tail) = rest.split_at(start);
            expanded.push_str(plain);
            if let Some(tail) = tail.strip_prefix("{{") {
                expanded.push_str("{{");
                rest = tail;
            } else if let Some(tail) = tail.strip_prefix("}}") {
                expanded.push_str("}}");
                rest = tail;
            } else if let Some((name, tail)) =
                tail.strip_prefix('{').and_then(|tail| tail.split_once('}'))
            {
                if name == "state" {
                    expanded.push_str("{state}");
                } else {
                    match values.iter().find(|(known, ..)| *known == name) {
                        Some((_, _, Some(value))) => {
                            expanded.push_str(&value.replace('{', "{{").replace('}', "}}"));
                        }
                        Some((_, _, None)) => {
                            return refuse(name, "has no value for this destination");
                        }
                        None => {
                            return refuse(
                                name,
                                "must be rip, rport, vip, vport, proto, fwmark, vs, rs, weight or \
                                 state (write {{ for a brace)",
                            );
                        }
                    }
                }
                rest = tail;
            } else {
                return refuse(
                    text,
                    "must have balanced braces (write {{ and }} for braces)",
                );
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// Replaces `{state}`, and doubled braces by single ones.
pub(super) fn set_state(text: &str, state: &str) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let (plain, tail) = rest.split_at(start);
        expanded.push_str(plain);
        if let Some(tail) = tail.strip_prefix("{state}") {
            expanded.push_str(state);
            rest = tail;
        } else {
            let mut letters = tail.chars();
            expanded.extend(letters.next());
            // The second of a doubled brace.
            letters.next();
            rest = letters.as_str();
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> Placeholders {
        Placeholders {
            rip: Some("2001:db8::1".parse().unwrap()),
            rport: Some(80),
            vip: Some("192.0.2.1".parse().unwrap()),
            vport: Some(8080),
            proto: Some("tcp".into()),
            fwmark: Some(7),
            vs: Some("web".into()),
            rs: Some("a{state}b".into()),
            weight: Some(3),
        }
    }

    fn expand(text: &str) -> String {
        set_state(&values().expand(text).unwrap(), "up")
    }

    #[test]
    fn every_placeholder_has_its_value() {
        let text = "{rip}|{rport}|{vip}|{vport}|{proto}|{fwmark}|{vs}|{rs}|{weight}|{state}";
        assert_eq!(
            expand(text),
            "2001:db8::1|80|192.0.2.1|8080|tcp|7|web|a{state}b|3|up",
            "and values are not expanded again"
        );
        assert_eq!(values().variables().count(), 9);
        assert_eq!(Placeholders::new().variables().count(), 0);
    }

    #[test]
    fn doubled_braces_are_literal() {
        assert_eq!(
            expand("awk '{{print}}' {{rip}} {{{rip}}}"),
            "awk '{print}' {rip} {2001:db8::1}"
        );
    }

    #[test]
    fn unknown_and_missing_ones_are_named() {
        let error = values().expand("{color}").unwrap_err();
        assert_eq!(
            (error.field, error.value.as_str()),
            ("placeholder", "color")
        );
        let error = Placeholders::new().expand("{vs}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "placeholder is vs: has no value for this destination"
        );
        for text in ["{", "}", "a{rip", "rip}"] {
            assert!(values().expand(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_expands_or_is_refused(text in "[{}a-z]{0,30}") {
            if let Ok(expanded) = values().expand(&text) {
                set_state(&expanded, "down");
            }
        }
    }
}
