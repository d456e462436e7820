//! How connections are made: TLS 1.3 with certificates on both sides, and QUIC's limits.
//!
//! One provider, named each time, never the process default. Sessions are not resumed: every
//! connection shows its certificate anew, so that an expired one ends with its connections.

use std::sync::Arc;
use std::time::SystemTime;

use model::limits::{
    CASTS_MAX, KEEP_ALIVE, LINK_WINDOW_BYTES, PULSE_BYTES_MAX, SILENCE, STREAM_WINDOW_BYTES,
    STREAMS_MAX,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use wire::protocol::{Form, Protocols};

use crate::credentials::Credentials;
use crate::error::TransportError;
use crate::identity::COMMON_NAME;

/// Before the first measurement; QUIC's own 333 ms would make a dead peer take 3 s to give up on.
const FIRST_RTT: std::time::Duration = std::time::Duration::from_millis(100);

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Whether `chain` leads to one of `authorities` at the moment `now`.
pub(crate) fn verify(
    chain: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
    now: SystemTime,
) -> Result<(), rustls::Error> {
    let (leaf, between) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    let roots = roots(authorities)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(now);
    verifier.verify_server_cert(leaf, between, &common_name(), &[], now).map(|_| ())
}

/// How we are dialled.
pub(crate) fn accepting(
    credentials: &Credentials,
    protocols: Protocols,
) -> Result<ServerConfig, TransportError> {
    let roots = roots(&credentials.authorities).map_err(refused)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(refused)?
        .with_client_cert_verifier(verifier.build().map_err(refused)?)
        .with_single_cert(credentials.chain.clone(), credentials.key.clone_key())
        .map_err(refused)?;
    tls.alpn_protocols = forms(protocols);
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    let quic = QuicServerConfig::try_from(tls).map_err(refused)?;
    let mut config = ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport(STREAMS_MAX, CASTS_MAX)));
    Ok(config)
}

/// How we dial. Whoever dials opens the streams.
pub(crate) fn dialling(
    credentials: &Credentials,
    protocols: Protocols,
) -> Result<ClientConfig, TransportError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(refused)?
        .with_root_certificates(roots(&credentials.authorities).map_err(refused)?)
        .with_client_auth_cert(credentials.chain.clone(), credentials.key.clone_key())
        .map_err(refused)?;
    tls.alpn_protocols = forms(protocols);
    tls.resumption = rustls::client::Resumption::disabled();
    let quic = QuicClientConfig::try_from(tls).map_err(refused)?;
    let mut config = ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport(0, 0)));
    Ok(config)
}

fn transport(streams: usize, casts: usize) -> TransportConfig {
    let count = |count: usize| VarInt::from_u32(count as u32);
    let silence = IdleTimeout::try_from(SILENCE).expect("a second and a half fits 62 bits of ms");
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(count(streams))
        .max_concurrent_uni_streams(count(casts))
        .max_idle_timeout(Some(silence))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(FIRST_RTT)
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(LINK_WINDOW_BYTES.into())
        .send_window(LINK_WINDOW_BYTES.into())
        .datagram_receive_buffer_size(Some(PULSE_BYTES_MAX));
    transport
}

/// The forms of the hello, as TLS knows them; the side that is dialled chooses its first.
fn forms(protocols: Protocols) -> Vec<Vec<u8>> {
    Form::known_to(protocols).iter().map(|form| form.alpn().to_vec()).collect()
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(roots)
}

fn common_name() -> ServerName<'static> {
    ServerName::try_from(COMMON_NAME).expect("a constant host name")
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> TransportError {
    TransportError::Tls(Box::new(error))
}
