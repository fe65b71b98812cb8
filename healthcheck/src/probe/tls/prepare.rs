//! Settings made into what the TLS library wants.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::verifier::Verifier;
use super::{Pem, Settings, TlsVersion, Trust, Verify};
use crate::error::Invalid;

/// How many sessions are kept for resumption by all who share a configuration.
const SESSIONS: usize = 256;

/// The largest file of certificates: the system's are about 250 KB.
const MAX_PEM: u64 = 4 << 20;

/// Makes the configuration that all connections with these settings share.
pub(super) fn config(settings: &Settings) -> Result<ClientConfig, Invalid> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(verifier(settings, &provider)?);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(settings)?)
        .map_err(|error| Invalid::new("versions", error.to_string(), "must be usable"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("client_certificate", certificate)?;
            let key = private_key(key)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                let limit = "must be a certificate and its own key";
                Invalid::new("client_certificate", error.to_string(), limit)
            })?
        }
    };
    for name in settings.alpn.iter().flatten() {
        if name.is_empty() || name.len() > 255 {
            let value = String::from_utf8_lossy(name);
            return Err(Invalid::new(
                "alpn",
                format!("{value:?}"),
                "must be 1 to 255 bytes",
            ));
        }
    }
    config.resumption = if settings.resumption {
        Resumption::in_memory_sessions(SESSIONS)
    } else {
        Resumption::disabled()
    };
    Ok(config)
}

/// A host name or an IP address.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, Invalid> {
    let limit = "must be a host name or an IP address";
    ServerName::try_from(name.to_owned())
        .map_err(|_| Invalid::new("name", format!("{name:?}"), limit))
}

fn versions(settings: &Settings) -> Result<Vec<&'static SupportedProtocolVersion>, Invalid> {
    let (min, max) = settings.versions;
    if min > max {
        let value = format!("{min} to {max}");
        return Err(Invalid::new("versions", value, "must not go backwards"));
    }
    let known = [(TlsVersion::V1_3, &TLS13), (TlsVersion::V1_2, &TLS12)];
    let within = known
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version));
    Ok(within.map(|(_, version)| version).collect())
}

fn verifier(settings: &Settings, provider: &CryptoProvider) -> Result<Verifier, Invalid> {
    let roots = match &settings.verify {
        Verify::None => RootCertStore::empty(),
        Verify::Pin(pins) if pins.is_empty() => {
            return Err(Invalid::new(
                "verify",
                "Pin of nothing",
                "must name at least one public key",
            ));
        }
        Verify::Pin(_) => RootCertStore::empty(),
        Verify::Chain | Verify::ChainAndName => roots(&settings.trust)?,
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Verifier::new(settings.verify.clone(), roots, algorithms))
}

fn roots(trust: &Trust) -> Result<RootCertStore, Invalid> {
    let mut store = RootCertStore::empty();
    if !matches!(trust, Trust::Only(_)) {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = store.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map(ToString::to_string);
            let value = why.unwrap_or_else(|| "the system's, of which there are none".to_owned());
            let limit =
                "must have a certificate (Debian package ca-certificates), or be Trust::Only";
            return Err(Invalid::new("trust", value, limit));
        }
    }
    if let Trust::Only(pem) | Trust::SystemAnd(pem) = trust {
        for certificate in certificates("trust", pem)? {
            store.add(certificate).map_err(|error| {
                let value = format!("{}: {error}", source(pem));
                Invalid::new("trust", value, "must consist of X.509 certificates")
            })?;
        }
    }
    Ok(store)
}

fn certificates(field: &'static str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let bytes = bytes(field, pem)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| {
        let value = format!("{}: {error}", source(pem));
        Invalid::new(field, value, "must be PEM")
    })?;
    if found.is_empty() {
        let limit = "must contain a certificate in PEM (BEGIN CERTIFICATE)";
        return Err(Invalid::new(field, source(pem), limit));
    }
    Ok(found)
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Invalid> {
    let bytes = bytes("client_certificate", pem)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let limit = "must contain a private key in PEM that is not encrypted (BEGIN PRIVATE KEY)";
        Invalid::new("client_certificate", source(pem), limit)
    })
}

fn bytes(field: &'static str, pem: &Pem) -> Result<Vec<u8>, Invalid> {
    let path = match pem {
        Pem::Bytes(bytes) => return Ok(bytes.clone()),
        Pem::File(path) => path,
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_PEM + 1).read_to_end(&mut bytes));
    match read {
        Ok(count) if u64::try_from(count).is_ok_and(|count| count <= MAX_PEM) => Ok(bytes),
        Ok(_) => Err(Invalid::new(
            field,
            source(pem),
            "must be a file of at most 4 MiB",
        )),
        Err(error) => {
            let value = format!("{}: {error}", source(pem));
            Err(Invalid::new(
                field,
                value,
                "must be a file that can be read",
            ))
        }
    }
}

/// Where it is from, for people.
fn source(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => path.display().to_string(),
        Pem::Bytes(bytes) => format!("{} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pin, Tls};
    use super::*;

    fn refused(tls: Tls) -> String {
        tls.validate().unwrap_err().to_string()
    }

    #[test]
    fn refuses_what_cannot_work_and_names_it() {
        let plain = || Tls::new().with_verify(Verify::None);
        let backwards = plain().with_versions(TlsVersion::V1_3, TlsVersion::V1_2);
        assert_eq!(
            refused(backwards),
            "versions is TLS 1.3 to TLS 1.2: must not go backwards"
        );
        assert!(refused(plain().with_alpn([""])).starts_with("alpn is \"\""));
        assert!(refused(plain().with_alpn(["x".repeat(256)])).ends_with("1 to 255 bytes"));
        assert!(refused(plain().with_name("a b")).starts_with("name is \"a b\""));
        assert!(refused(plain().with_verify(Verify::Pin(Vec::new()))).starts_with("verify is"));
        let missing = Trust::Only(Pem::file("/no/such/file"));
        let said = refused(Tls::new().with_trust(missing));
        assert!(
            said.starts_with("trust is /no/such/file: No such file"),
            "{said}"
        );
        let endless = Trust::Only(Pem::file("/dev/zero"));
        assert!(refused(Tls::new().with_trust(endless)).ends_with("at most 4 MiB"));
        let empty = Trust::Only(Pem::Bytes(b"no PEM".to_vec()));
        assert!(refused(Tls::new().with_trust(empty)).contains("BEGIN CERTIFICATE"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let broken = Trust::Only(Pem::Bytes(broken.into()));
        assert!(refused(Tls::new().with_trust(broken)).contains("X.509"));
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let client = plain()
            .with_client_certificate(Pem::Bytes(certificate.into()), Pem::Bytes(encrypted.into()));
        assert!(refused(client).contains("not encrypted"));
    }

    #[test]
    fn names_addresses_and_pins_are_accepted() {
        let pin = Verify::Pin(vec![Pin::new([7; 32])]);
        for name in ["a.example", "192.0.2.7", "2001:db8::7", "localhost"] {
            let tls = Tls::new().with_verify(pin.clone()).with_name(name);
            assert_eq!(tls.validate(), Ok(()), "{name}");
        }
    }
}
