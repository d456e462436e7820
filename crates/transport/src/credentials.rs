//! What a node proves itself with: its certificate, the key to it, and the authority it trusts.
//!
//! Made by an authority or read from three files. What is read is checked at once, key against
//! certificate against authority against the clock, so that a node with bad files does not start.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use model::Invalid;
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::authority::AUTHORITY_FILE;
use crate::error::TransportError;
use crate::files::{self, NewFile, Readers};
use crate::identity::Identity;
use crate::tls;

/// A node's certificate, key and trust.
pub struct Credentials {
    identity: Identity,
    pem: Pem,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) authorities: Vec<CertificateDer<'static>>,
}

struct Pem {
    chain: String,
    key: String,
    authorities: String,
}

impl Credentials {
    /// Reads a node's three files and checks that they fit each other and the wall clock.
    pub fn load(
        certificate: &Path,
        key: &Path,
        authority: &Path,
        now: SystemTime,
    ) -> Result<Credentials, TransportError> {
        let pem = Pem {
            chain: files::read(certificate)?,
            key: files::read(key)?,
            authorities: files::read(authority)?,
        };
        let chain = certificates(certificate, &pem.chain)?;
        let authorities = certificates(authority, &pem.authorities)?;
        let private_key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).map_err(|_| {
            TransportError::Content { file: key.into(), expected: "a private key in PEM" }
        })?;
        check_dates(certificate, &chain[0], now)?;
        CertifiedKey::from_der(chain.clone(), private_key.clone_key(), &tls::provider()).map_err(
            |_| TransportError::KeyMismatch { key: key.into(), certificate: certificate.into() },
        )?;
        tls::verify(&chain, &authorities, now).map_err(|source| TransportError::Issuer {
            certificate: certificate.into(),
            authority: authority.into(),
            source,
        })?;
        let identity = Identity::from_certificate(&chain[0])
            .map_err(|source| TransportError::Identity { file: certificate.into(), source })?;
        Ok(Credentials { identity, pem, chain, key: private_key, authorities })
    }

    /// Writes `NAME.pem`, `NAME.key` (mode 0600) and `ca.pem`, unless that is there already.
    pub fn save(&self, directory: &Path) -> Result<(), TransportError> {
        let name = &self.identity.name;
        let in_directory = |file: &str| directory.join(file);
        let mut new = vec![
            NewFile::new(in_directory(&format!("{name}.key")), &self.pem.key, Readers::Owner),
            NewFile::new(in_directory(&format!("{name}.pem")), &self.pem.chain, Readers::All),
        ];
        let authority = in_directory(AUTHORITY_FILE);
        if !authority.exists() || files::read(&authority)? != self.pem.authorities {
            new.push(NewFile::new(authority, &self.pem.authorities, Readers::All));
        }
        files::create(&new)
    }

    /// Who the certificate is for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn issued(
        identity: Identity,
        certificate: rcgen::Certificate,
        key: &KeyPair,
        authority_pem: &str,
    ) -> Credentials {
        let authority = CertificateDer::from_pem_slice(authority_pem.as_bytes());
        let pem = Pem {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            authorities: authority_pem.to_owned(),
        };
        Credentials {
            identity,
            pem,
            chain: vec![certificate.into()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            authorities: vec![authority.expect("an authority checked or wrote its own PEM")],
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.identity).finish()
    }
}

/// At least one certificate.
fn certificates(file: &Path, pem: &str) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| TransportError::Content {
        file: file.into(),
        expected: "certificates in PEM",
    })
}

fn check_dates(file: &Path, leaf: &[u8], now: SystemTime) -> Result<(), TransportError> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| {
        let source = Invalid::new("certificate", "", "X.509 in DER");
        TransportError::Identity { file: file.into(), source }
    })?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = ASN1Time::from_timestamp(i64::try_from(now).unwrap_or(i64::MAX));
    let validity = certificate.validity();
    if now.is_ok_and(|now| validity.is_valid_at(now)) {
        return Ok(());
    }
    let (from, until) = (validity.not_before.to_string(), validity.not_after.to_string());
    Err(TransportError::Expired { file: file.into(), from, until })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::Tiers;
    use tempfile::TempDir;

    use super::*;
    use crate::authority::{Authority, Validity};

    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn node(directory: &TempDir, name: &str) {
        let validity = Validity::of_authority(now());
        let authority = Authority::create(&"m".parse().unwrap(), validity).unwrap();
        let (name, region) = (name.parse().unwrap(), "eu".parse().unwrap());
        let validity = Validity::of_node(now());
        let credentials = authority.issue(&name, &region, Tiers::ALL, validity).unwrap();
        credentials.save(directory.path()).unwrap();
    }

    fn load(
        [certificate, key, authority]: [(&TempDir, &str); 3],
        now: SystemTime,
    ) -> Result<Credentials, TransportError> {
        let path = |(directory, file): (&TempDir, &str)| directory.path().join(file);
        Credentials::load(&path(certificate), &path(key), &path(authority), now)
    }

    #[test]
    fn files_that_do_not_fit_are_refused_by_name() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        node(&a, "one");
        node(&b, "two");
        let ours = [(&a, "one.pem"), (&a, "one.key"), (&a, "ca.pem")];
        assert_eq!(load(ours, now()).unwrap().identity().name.as_str(), "one");

        let early = now() - Duration::from_secs(3600);
        for moment in [early, now() + YEAR + Duration::from_secs(1), SystemTime::UNIX_EPOCH] {
            let refusal = load(ours, moment).unwrap_err();
            assert!(matches!(refusal, TransportError::Expired { .. }), "{refusal}");
            assert!(refusal.to_string().contains("one.pem"), "{refusal}");
        }
        let refusal = load([ours[0], (&b, "two.key"), ours[2]], now()).unwrap_err();
        assert!(matches!(refusal, TransportError::KeyMismatch { .. }), "{refusal}");
        let refusal = load([ours[0], ours[1], (&b, "ca.pem")], now()).unwrap_err();
        assert!(matches!(refusal, TransportError::Issuer { .. }), "{refusal}");
        let refusal = load([ours[0], ours[0], ours[2]], now()).unwrap_err();
        assert!(matches!(refusal, TransportError::Content { .. }), "{refusal}");
        let refusal = load([ours[0], (&a, "none.key"), ours[2]], now()).unwrap_err();
        assert!(refusal.to_string().ends_with("none.key"), "{refusal}");
    }

    #[test]
    fn a_key_is_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        node(&directory, "one");
        let files = [(&directory, "one.pem"), (&directory, "one.key"), (&directory, "ca.pem")];
        let printed = format!("{:?}", load(files, now()).unwrap());
        assert!(printed.contains("one") && !printed.contains("KEY"), "{printed}");
    }
}
