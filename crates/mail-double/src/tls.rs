//! The certificate for STARTTLS: self-signed, generated at each start, and published for clients that verify it.

use std::sync::Arc;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// The names for which it is valid.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "mail-double"];

pub struct Identity {
    /// PEM.
    pub certificate: String,
    pub acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    pub fn generate() -> anyhow::Result<Self> {
        let pair = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)?;
        Ok(Self { certificate: pair.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
