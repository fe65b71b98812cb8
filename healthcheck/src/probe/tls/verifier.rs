//! Which certificates are good enough.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::certificate::Names;
use super::{Pin, Verify};

#[derive(Debug)]
pub(super) struct Verifier {
    verify: Verify,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a certificate is not good enough, where the library's own error says too little.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(String);

impl Verifier {
    pub(super) const fn new(
        verify: Verify,
        roots: RootCertStore,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self {
            verify,
            roots,
            algorithms,
        }
    }

    fn verify_chain(
        &self,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let (roots, algorithms) = (&self.roots, self.algorithms.all);
        verify_server_cert_signed_by_trust_anchor(parsed, roots, intermediates, now, algorithms)
            .map_err(|error| match &error {
                Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    refusal(stranger(certificate, parsed, intermediates))
                }
                Error::InvalidCertificate(CertificateError::Other(other))
                    if is_authority(other) =>
                {
                    refusal(format!(
                        "it is an authority's own (CA:TRUE), which is not accepted of a server; \
                         use one without CA:TRUE, or pin its public key {}",
                        pin_of(parsed)
                    ))
                }
                _ => error,
            })
    }
}

/// Whether the library complains that a certificate may sign others. It has no error of its own
/// for that, only this text.
fn is_authority(error: &OtherError) -> bool {
    error.to_string().contains("CaUsedAsEndEntity")
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.verify {
            Verify::None => {}
            Verify::Pin(pins) => {
                let pin = pin_of(&ParsedCertificate::try_from(end_entity)?);
                if !pins.contains(&pin) {
                    return Err(refusal(format!(
                        "its public key {pin} is not one of those pinned"
                    )));
                }
            }
            Verify::Chain | Verify::ChainAndName => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                self.verify_chain(end_entity, &parsed, intermediates, now)?;
                if self.verify == Verify::ChainAndName {
                    verify_server_name(&parsed, server_name)?;
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.verify == Verify::None {
            // Anybody's key would do, and the library cannot read every old certificate.
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.verify == Verify::None {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn pin_of(certificate: &ParsedCertificate<'_>) -> Pin {
    Pin::new(Sha256::digest(certificate.subject_public_key_info()).into())
}

fn refusal(text: String) -> Error {
    CertificateError::Other(OtherError(Arc::new(Refusal(text)))).into()
}

/// What to know of a certificate that leads to nobody trusted.
fn stranger(
    certificate: &CertificateDer<'_>,
    parsed: &ParsedCertificate<'_>,
    intermediates: &[CertificateDer<'_>],
) -> String {
    let pin = pin_of(parsed);
    let Some(Names { subject, issuer }) = Names::of(certificate) else {
        return format!("it was signed by nobody trusted; its public key is {pin}");
    };
    if subject == issuer {
        return format!(
            "it is self-signed ({subject}); to accept it, trust it or pin its public key {pin}"
        );
    }
    let shown = match intermediates.len() {
        0 => "no intermediate certificate was sent".to_owned(),
        count => format!("{count} intermediate certificates were sent"),
    };
    format!("it was signed by {issuer}, who is not trusted ({shown})")
}
