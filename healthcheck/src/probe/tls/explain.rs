//! What the TLS library's errors mean for whoever has to mend it.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::certificate::date;
use super::{Settings, Tls, TlsKind, TlsVersion};

/// What kind of failure an error is, and what to tell people.
pub(crate) fn explain(error: &Error, tls: &Tls, handshaking: bool) -> (TlsKind, String) {
    let settings = tls.settings();
    let (kind, text) = match error {
        Error::InvalidCertificate(error) => {
            return (
                TlsKind::Verify,
                format!("the server's certificate: {}", certificate(error)),
            );
        }
        Error::NoCertificatesPresented => {
            return (
                TlsKind::Verify,
                "the server showed no certificate".to_owned(),
            );
        }
        Error::AlertReceived(alert) => received(*alert, tls),
        Error::PeerIncompatible(what) => incompatible(what, settings),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) if handshaking => {
            let text = "what the server answers is not TLS; does it speak plain text on this port?";
            (TlsKind::Handshake, text.to_owned())
        }
        Error::NoApplicationProtocol => (TlsKind::Handshake, no_protocol(tls)),
        other => (TlsKind::Handshake, other.to_string()),
    };
    match kind {
        TlsKind::Handshake if !handshaking && !matches!(error, Error::AlertReceived(_)) => {
            (TlsKind::Proto, text)
        }
        kind => (kind, text),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "expired on {}; this host's clock says {}",
            date(core::time::Duration::from_secs(not_after.as_secs())),
            date(core::time::Duration::from_secs(time.as_secs())),
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "not valid before {}; this host's clock says {}",
            date(core::time::Duration::from_secs(not_before.as_secs())),
            date(core::time::Duration::from_secs(time.as_secs())),
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let presented = if presented.is_empty() {
                "no name at all (the common name does not count)".to_owned()
            } else {
                let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
                names.join(", ")
            };
            format!("not for {} but for {presented}", expected.to_str())
        }
        CertificateError::BadEncoding => "cannot be read".to_owned(),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "not one for servers (extended key usage)".to_owned()
        }
        CertificateError::Other(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// A name without the library's word for its kind, as in `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// The server's alert, RFC 8446 §6.2.
fn received(alert: AlertDescription, tls: &Tls) -> (TlsKind, String) {
    let settings = tls.settings();
    let said = format!("the server refuses with the alert {alert:?}");
    let asks_for_certificate = match settings.client {
        None => "it wants a client certificate, and none is set",
        Some(_) => "it does not accept the client certificate",
    };
    match alert {
        AlertDescription::ProtocolVersion => no_version(settings),
        AlertDescription::HandshakeFailure => (
            TlsKind::Handshake,
            format!(
                "{said}: no cipher suite, curve or signature in common, or a client certificate is wanted"
            ),
        ),
        AlertDescription::InsufficientSecurity => (
            TlsKind::Unsupported,
            format!("{said}: it wants cipher suites this library does not have"),
        ),
        AlertDescription::NoApplicationProtocol => (TlsKind::Handshake, no_protocol(tls)),
        AlertDescription::UnrecognisedName => (
            TlsKind::Handshake,
            format!("{said}: it does not know the name asked for"),
        ),
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => (
            TlsKind::Handshake,
            format!("{said}: {asks_for_certificate}"),
        ),
        _ => (TlsKind::Handshake, format!("{said}; its log may say why")),
    }
}

fn incompatible(what: &PeerIncompatible, settings: &Settings) -> (TlsKind, String) {
    match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => no_version(settings),
        other => (
            TlsKind::Unsupported,
            format!("the server wants what this library does not have: {other:?}"),
        ),
    }
}

/// No version in common: the library's fault if it offered all it has.
fn no_version(settings: &Settings) -> (TlsKind, String) {
    let (min, max) = settings.versions;
    if (min, max) == (TlsVersion::V1_2, TlsVersion::V1_3) {
        let text = "the server speaks neither TLS 1.2 nor 1.3, and this library nothing older";
        return (TlsKind::Unsupported, text.to_owned());
    }
    let offered = if min == max {
        format!("{min} only")
    } else {
        format!("{min} to {max}")
    };
    (
        TlsKind::Handshake,
        format!("no version in common: the settings allow {offered}"),
    )
}

fn no_protocol(tls: &Tls) -> String {
    let offered: Vec<_> = tls
        .alpn()
        .into_iter()
        .map(String::from_utf8_lossy)
        .collect();
    if offered.is_empty() {
        return "the server wants a protocol offered by ALPN, and none was".to_owned();
    }
    format!(
        "the server wants none of the protocols offered by ALPN: {}",
        offered.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::Tls;
    use super::*;

    #[test]
    fn names_lose_what_only_the_library_says() {
        for (name, expected) in [
            ("DnsName(\"a.example\")", "a.example"),
            ("IpAddress(192.0.2.7)", "192.0.2.7"),
            ("a.example", "a.example"),
            ("(", "("),
        ] {
            assert_eq!(bare(name), expected);
        }
    }

    #[test]
    fn same_error_means_another_thing_after_the_handshake() {
        let tls = Tls::new();
        let kind = |error: &Error, handshaking| explain(error, &tls, handshaking).0;
        assert_eq!(kind(&Error::DecryptError, true), TlsKind::Handshake);
        assert_eq!(kind(&Error::DecryptError, false), TlsKind::Proto);
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(kind(&alert, false), TlsKind::Handshake);
        let weak = Error::AlertReceived(AlertDescription::InsufficientSecurity);
        assert_eq!(kind(&weak, true), TlsKind::Unsupported);
        let lacking = PeerIncompatible::NoKxGroupsInCommon.into();
        assert_eq!(kind(&lacking, true), TlsKind::Unsupported);
    }
}
