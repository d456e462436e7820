//! Who a certificate is for: mesh, region, name and tiers, in one URI among its subject names.
//!
//! The form is `shoal://MESH/REGION/NAME?tiers=edge,regional`. Every certificate also carries one
//! DNS name common to all, so that TLS asks "one of us?" and this file answers "who?".
//! Parsing is bounded and total: a certificate is a stranger's bytes until its chain is verified.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use model::limits::IDENTITY_BYTES_MAX;
use model::{Instance, Invalid, NodeName, Region, Tiers};
use wire::hello::Mesh;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The DNS name that every certificate carries and every dialler asks for.
pub(crate) const COMMON_NAME: &str = "mesh.shoal";

const SCHEME: &str = "shoal://";
const FORM: &str = "shoal://MESH/REGION/NAME?tiers=edge,regional,shield";

/// What a certificate says about a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The mesh that it belongs to.
    pub mesh: Mesh,
    /// What it is called.
    pub name: NodeName,
    /// Where it stands.
    pub region: Region,
    /// What it may serve.
    pub tiers: Tiers,
}

impl Identity {
    /// Reads the identity in a leaf certificate. Says nothing about whether to believe it.
    pub fn from_certificate(der: &[u8]) -> Result<Identity, Invalid> {
        let refuse = |expected| Invalid::new("certificate", "", expected);
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| refuse("X.509 in DER"))?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.ok_or_else(|| refuse("subject alternative names"))?;
        let mut ours = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
            _ => None,
        });
        match (ours.next(), ours.next()) {
            (Some(uri), None) => uri.parse(),
            (None, _) | (Some(_), Some(_)) => Err(refuse(FORM)),
        }
    }
}

impl FromStr for Identity {
    type Err = Invalid;
    fn from_str(given: &str) -> Result<Self, Invalid> {
        let refuse = || Invalid::new("node identity", given, FORM);
        if given.len() > IDENTITY_BYTES_MAX {
            return Err(refuse());
        }
        let rest = given.strip_prefix(SCHEME).ok_or_else(refuse)?;
        let (place, tiers) = rest.split_once("?tiers=").ok_or_else(refuse)?;
        let mut labels = place.split('/');
        let (Some(mesh), Some(region), Some(name), None) =
            (labels.next(), labels.next(), labels.next(), labels.next())
        else {
            return Err(refuse());
        };
        Ok(Identity {
            mesh: mesh.parse()?,
            name: name.parse()?,
            region: region.parse()?,
            tiers: tiers.parse()?,
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { mesh, name, region, tiers } = self;
        write!(f, "{SCHEME}{mesh}/{region}/{name}?tiers={tiers}")
    }
}

/// A peer, as its certificate and its hello agree that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The mesh that it belongs to: always ours.
    pub mesh: Mesh,
    /// What it is called.
    pub name: NodeName,
    /// Where it stands.
    pub region: Region,
    /// What it may serve.
    pub tiers: Tiers,
    /// Its data directory.
    pub instance: Instance,
    /// Where it speaks from; nodes dial from the port they listen on.
    pub address: SocketAddr,
    /// What is spoken on the connection: the highest protocol that both ends know. Whatever is
    /// encoded for this peer is encoded so.
    pub protocol: u16,
}

impl PeerIdentity {
    pub(crate) fn new(
        identity: Identity,
        instance: Instance,
        address: SocketAddr,
        protocol: u16,
    ) -> Self {
        let Identity { mesh, name, region, tiers } = identity;
        PeerIdentity { mesh, name, region, tiers, instance, address, protocol }
    }
}

/// An address as the directory would have it: a socket for both families shows IPv4 as IPv6.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_as_it_prints() {
        let text = "shoal://m/eu-west/edge-1?tiers=edge,shield";
        let identity: Identity = text.parse().unwrap();
        assert_eq!(identity.to_string(), text);
        assert_eq!((identity.name.as_str(), identity.region.as_str()), ("edge-1", "eu-west"));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("shoal://m/r/n?tiers={}", "edge,".repeat(200));
        for bad in [
            "",
            "https://m/r/n?tiers=edge",
            "shoal://m/r/n",
            "shoal://m/n?tiers=edge",
            "shoal://m/r/n/x?tiers=edge",
            "shoal://m/r/N?tiers=edge",
            "shoal:///r/n?tiers=edge",
            "shoal://m/r/n?tiers=",
            "shoal://m/r/n?tiers=edge&x=1",
            &long,
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        for bad in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0xff; 4096]] {
            assert!(Identity::from_certificate(bad).is_err());
        }
    }
}
