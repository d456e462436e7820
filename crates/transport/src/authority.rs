//! The mesh's own authority: makes the certificates by which nodes know each other.
//!
//! Ed25519 throughout. Its key is needed to add nodes and to renew their certificates, never to
//! run one: it can stay on the operator's machine. No file is ever overwritten.

use std::path::Path;
use std::time::{Duration, SystemTime};

use model::limits::CLOCK_SKEW_MAX;
use model::{NodeName, Region, Tiers};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wire::hello::Mesh;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::credentials::Credentials;
use crate::error::TransportError;
use crate::files::{self, NewFile, Readers};
use crate::identity::{COMMON_NAME, Identity};

/// The authority's certificate, beside its own key and beside every node's.
pub(crate) const AUTHORITY_FILE: &str = "ca.pem";

const KEY_FILE: &str = "ca.key";
const TITLE: &str = "shoal authority of ";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// When a certificate counts.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The start; certificates are dated a little earlier, for clocks that are behind.
    pub from: SystemTime,
    /// How long it lasts.
    pub lasts: Duration,
}

impl Validity {
    /// A node's certificate made now: a year.
    pub fn of_node(now: SystemTime) -> Validity {
        Validity { from: now, lasts: 365 * DAY }
    }

    /// An authority made now: ten years.
    pub fn of_authority(now: SystemTime) -> Validity {
        Validity { from: now, lasts: 3652 * DAY }
    }
}

/// The key that makes a node one of us.
#[derive(Debug)]
pub struct Authority {
    mesh: Mesh,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes the authority of a new mesh.
    pub fn create(mesh: &Mesh, validity: Validity) -> Result<Authority, TransportError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = dated(validity);
        params.distinguished_name.push(DnType::CommonName, format!("{TITLE}{mesh}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Authority { mesh: mesh.clone(), certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// Writes `ca.pem` and `ca.key` (mode 0600) into `directory`, which is made when missing.
    pub fn save(&self, directory: &Path) -> Result<(), TransportError> {
        let key_pem = self.issuer.key().serialize_pem();
        files::create(&[
            NewFile::new(directory.join(KEY_FILE), &key_pem, Readers::Owner),
            NewFile::new(directory.join(AUTHORITY_FILE), &self.certificate_pem, Readers::All),
        ])
    }

    /// Reads `ca.pem` and `ca.key` from `directory`.
    pub fn load(directory: &Path) -> Result<Authority, TransportError> {
        let (file, key_file) = (directory.join(AUTHORITY_FILE), directory.join(KEY_FILE));
        let certificate_pem = files::read(&file)?;
        let key = KeyPair::from_pem(&files::read(&key_file)?).map_err(|_| {
            let expected = "a private key in PEM";
            TransportError::Content { file: key_file.clone(), expected }
        })?;
        let refuse = || {
            let expected = "the certificate of a mesh's authority in PEM";
            TransportError::Content { file: file.clone(), expected }
        };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
        let der = der.map_err(|_| refuse())?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| refuse())?;
        let mesh = mesh_of(&certificate).ok_or_else(refuse)?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(TransportError::KeyMismatch { key: key_file, certificate: file });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Authority { mesh, certificate_pem, issuer })
    }

    /// The mesh whose authority this is.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Makes a node's certificate and key.
    pub fn issue(
        &self,
        name: &NodeName,
        region: &Region,
        tiers: Tiers,
        validity: Validity,
    ) -> Result<Credentials, TransportError> {
        let (name, region, mesh) = (name.clone(), region.clone(), self.mesh.clone());
        self.certify(Identity { mesh, name, region, tiers }, validity)
    }

    pub(crate) fn certify(
        &self,
        identity: Identity,
        validity: Validity,
    ) -> Result<Credentials, TransportError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = dated(validity);
        params.distinguished_name.push(DnType::CommonName, identity.name.as_str());
        params.subject_alt_names = vec![
            SanType::DnsName(COMMON_NAME.try_into()?),
            SanType::URI(identity.to_string().try_into()?),
        ];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Credentials::issued(identity, certificate, &key, &self.certificate_pem))
    }
}

fn mesh_of(certificate: &X509Certificate<'_>) -> Option<Mesh> {
    let title = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    title.strip_prefix(TITLE)?.parse().ok().filter(|_| certificate.is_ca())
}

fn dated(validity: Validity) -> CertificateParams {
    let from = validity.from.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let from = date_time_ymd(1970, 1, 1) + from.min(2 * CENTURY);
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.not_before = from - CLOCK_SKEW_MAX;
    params.not_after = from + validity.lasts.min(CENTURY);
    params
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn made() -> Authority {
        Authority::create(&"m".parse().unwrap(), Validity::of_authority(now())).unwrap()
    }

    fn issue(authority: &Authority) -> Credentials {
        let (name, region) = ("edge-1".parse().unwrap(), "eu".parse().unwrap());
        authority.issue(&name, &region, Tiers::ALL, Validity::of_node(now())).unwrap()
    }

    #[test]
    fn an_authority_survives_its_files_and_issues_the_same_mesh() {
        let directory = tempfile::tempdir().unwrap();
        made().save(directory.path()).unwrap();
        let loaded = Authority::load(directory.path()).unwrap();
        let credentials = issue(&loaded);
        credentials.save(directory.path()).unwrap();
        let [certificate, key, authority] =
            ["edge-1.pem", "edge-1.key", "ca.pem"].map(|file| directory.path().join(file));
        let read = Credentials::load(&certificate, &key, &authority, now()).unwrap();
        assert_eq!(read.identity().to_string(), "shoal://m/eu/edge-1?tiers=edge,regional,shield");
    }

    #[test]
    fn keys_are_for_their_owner_only_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let authority = made();
        authority.save(directory.path()).unwrap();
        issue(&authority).save(directory.path()).unwrap();
        for key in ["ca.key", "edge-1.key"] {
            let mode = fs::metadata(directory.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        for again in [authority.save(directory.path()), issue(&authority).save(directory.path())] {
            let refusal = again.unwrap_err();
            assert!(matches!(refusal, TransportError::Exists { .. }), "{refusal}");
            assert!(refusal.to_string().contains(directory.path().to_str().unwrap()));
        }
    }

    #[test]
    fn a_key_from_elsewhere_is_refused_by_file_name() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        made().save(ours.path()).unwrap();
        made().save(theirs.path()).unwrap();
        fs::copy(theirs.path().join("ca.key"), ours.path().join("ca.key")).unwrap();
        let refusal = Authority::load(ours.path()).unwrap_err().to_string();
        assert!(refusal.contains("ca.key") && refusal.contains("ca.pem"), "{refusal}");
    }
}
