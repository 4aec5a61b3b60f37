//! A certificate authority of its own, and what it signs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a server's certificate is for unless it is to be wrong. Clients do not accept `*.test`, which has one dot, as
/// a wildcard, hence the names below it.
const NAMES: [&str; 13] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "*.test",
    "a.test",
    "b.test",
    "api.test",
    "cdn.test",
    "www.test",
    "*.sortie.test",
    "example.com",
    "*.example.com",
    "example.org",
];

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flaw {
    #[default]
    None,
    SelfSigned,
    Expired,
    WrongName,
}

/// A certificate authority. Servers have one each unless told to share.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    ca_pem: PathBuf,
    client_cert_pem: PathBuf,
    client_key_pem: PathBuf,
}

/// A server's side of TLS.
pub(crate) struct Identity {
    pub config: Arc<ServerConfig>,
    pub public_key_pin: String,
}

impl Authority {
    /// A new authority, and a client certificate signed by it. Its files live until it is dropped.
    ///
    /// # Panics
    /// If the keys or the temporary files cannot be made.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::try_new().expect("a certificate authority"))
    }

    fn try_new() -> io::Result<Self> {
        let mut params = params("Sortie test authority", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;

        let mut params = self::params("Sortie test client", &[])?;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client_key = KeyPair::generate().map_err(io::Error::other)?;
        let client = params.signed_by(&client_key, &issuer).map_err(io::Error::other)?;

        let folder = new_folder()?;
        let file = |name: &str, text: String| -> io::Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Self {
            ca_pem: file("ca.pem", issuer.pem())?,
            client_cert_pem: file("client.pem", client.pem())?,
            client_key_pem: file("client.key", client_key.serialize_pem())?,
            issuer,
            folder,
        })
    }

    /// A file with the authority's certificate.
    pub fn ca_pem(&self) -> &Path {
        &self.ca_pem
    }

    /// A file with a client certificate.
    pub fn client_cert_pem(&self) -> &Path {
        &self.client_cert_pem
    }

    /// A file with the client certificate's key, in PKCS #8.
    pub fn client_key_pem(&self) -> &Path {
        &self.client_key_pem
    }

    pub(crate) fn identity(&self, more: &[String], flaw: Flaw, client_auth: bool) -> io::Result<Identity> {
        let mut names: Vec<String> = NAMES.iter().map(ToString::to_string).chain(more.iter().cloned()).collect();
        if flaw == Flaw::WrongName {
            names = vec!["wrong.invalid".into()];
        }
        let mut params = params("Sortie test server", &names)?;
        params.use_authority_key_identifier_extension = flaw != Flaw::SelfSigned;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if flaw == Flaw::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 12, 31);
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let certificate = certificate.map_err(io::Error::other)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
        let public_key_pin = format!("sha256//{}", STANDARD.encode(digest));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let config = if client_auth {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
        } else {
            config.with_no_client_auth()
        };
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = config.with_single_cert(vec![certificate.der().clone()], private).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Identity { config: Arc::new(config), public_key_pin })
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Valid from yesterday for a year: some platforms refuse certificates that live longer than 825 days.
fn params(common_name: &str, names: &[String]) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + now + DAY * 365;
    Ok(params)
}

fn new_folder() -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("sortie-test-server-{}-{number}", process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            // Left behind by an earlier process of the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
