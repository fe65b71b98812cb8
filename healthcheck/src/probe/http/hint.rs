//! What a server says about itself in the fields of a reply.

use super::reply::Head;
use crate::outcome::WeightHint;

/// Envoy's way of saying that a server is to get no traffic from now on.
pub(super) const IMMEDIATE_FAIL: &str = "X-Envoy-Immediate-Health-Check-Fail";
/// The field that carries a weight.
pub(super) const WEIGHT: &str = "X-Server-Weight";

/// The weight a reply asks for: `N`, `N%`, `+N` or `-N`. Otherwise what is wrong with it.
pub(super) fn weight(head: &Head) -> Result<Option<WeightHint>, String> {
    let Some(value) = head.values(WEIGHT).next() else {
        return Ok(None);
    };
    let text = core::str::from_utf8(value).unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hint = if let Some(percent) = text.strip_suffix('%').filter(|text| digits(text)) {
        percent.parse().ok().map(WeightHint::Percent)
    } else if let Some(more) = text.strip_prefix('+').filter(|text| digits(text)) {
        more.parse::<u32>()
            .ok()
            .map(|more| WeightHint::Delta(more.into()))
    } else if let Some(less) = text.strip_prefix('-').filter(|text| digits(text)) {
        less.parse::<u32>()
            .ok()
            .map(|less| WeightHint::Delta(i64::from(less).saturating_neg()))
    } else if digits(text) {
        text.parse().ok().map(WeightHint::Absolute)
    } else {
        None
    };
    hint.map(Some).ok_or_else(|| {
        let shown = value.get(..32).unwrap_or(value).escape_ascii();
        format!("{WEIGHT} is \"{shown}\"")
    })
}
