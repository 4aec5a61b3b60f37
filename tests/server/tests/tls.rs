//! Certificates, good and bad, as a client sees them.

mod client;

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use client::Client;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sortie_test_server::{Authority, Server, pattern_vec};

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(server: &Server, name: &str, identity: Option<(&Path, &Path)>) -> Result<Client<Tls>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.ca_pem()).expect("a certificate")).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(certificate).expect("a certificate")],
                PrivateKeyDer::from_pem_file(key).expect("a key"),
            )
            .expect("an identity"),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a session");
    let socket = TcpStream::connect(server.addr()).expect("connects");
    socket.set_read_timeout(Some(client::DEADLINE)).expect("a timeout");
    let mut stream = StreamOwned::new(tls, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
    }
    Ok(Client { stream: std::io::BufReader::new(stream) })
}

fn refusal(server: &Server, name: &str) -> String {
    connect(server, name, None).err().expect("a failed handshake")
}

#[test]
fn good_certificate_serves_http() {
    let server = Server::builder().tls(true).names(["extra.invalid"]).start();
    assert!(server.url("/x").starts_with("https://127.0.0.1:"));
    for name in ["localhost", "127.0.0.1", "::1", "a.test", "b.sortie.test", "extra.invalid"] {
        let mut client = connect(&server, name, None).expect("a handshake");
        assert_eq!(client.stream.get_ref().conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(client.get("/bytes/200000").body, pattern_vec(200_000));
        assert_eq!(client.get("/gzip").status, 200);
    }
}

#[test]
fn close_notify_is_sent_unless_cut() {
    let server = Server::builder().tls(true).start();
    let mut client = connect(&server, "localhost", None).expect("a handshake");
    assert!(client.send("GET /no-length HTTP/1.1\r\n\r\n").rest().1.is_ok());
    let mut client = connect(&server, "localhost", None).expect("a handshake");
    let ended = client.send("GET /no-length?cut=1 HTTP/1.1\r\n\r\n").rest().1;
    assert_eq!(ended.expect_err("no close_notify").kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn bad_certificates_are_bad_as_described() {
    let expired = refusal(&Server::builder().expired().start(), "localhost");
    assert!(expired.contains("expired"), "{expired}");
    let wrong = refusal(&Server::builder().wrong_name().start(), "localhost");
    assert!(wrong.contains("not valid for name"), "{wrong}");
    let unknown = refusal(&Server::builder().self_signed().start(), "localhost");
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
}

#[test]
fn client_certificate_is_required_and_checked() {
    let server = Server::builder().tls(true).client_auth(true).start();
    let identity = (server.client_cert_pem(), server.client_key_pem());
    assert_eq!(connect(&server, "localhost", Some(identity)).expect("a handshake").get("/method").text(), "GET");

    let fails = |identity| match connect(&server, "localhost", identity) {
        // In TLS 1.3 the client is done before the server has seen its certificate.
        Ok(mut client) => client.rest().1.is_err(),
        Err(_) => true,
    };
    assert!(fails(None));
    let stranger = Authority::new();
    assert!(fails(Some((stranger.client_cert_pem(), stranger.client_key_pem()))));
    assert!(server.requests().len() == 1);
}

#[test]
fn pin_is_the_hash_of_the_public_key() {
    let server = Server::builder().tls(true).start();
    let client = connect(&server, "localhost", None).expect("a handshake");
    let certificates = client.stream.get_ref().conn.peer_certificates().expect("certificates").to_vec();
    let pin = server.public_key_pin();
    assert_eq!((pin.len(), &pin[..8]), (8 + 44, "sha256//"));
    // An ECDSA P-256 key's SubjectPublicKeyInfo is 91 bytes with this beginning.
    let spki_start = [0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let at = certificates[0].windows(spki_start.len()).position(|window| window == spki_start).expect("a key");
    let digest = ring::digest::digest(&ring::digest::SHA256, &certificates[0][at..at + 91]);
    use base64::Engine;
    assert_eq!(pin[8..], base64::engine::general_purpose::STANDARD.encode(digest));
}

#[test]
fn servers_can_share_an_authority() {
    let first = Server::builder().tls(true).start();
    let second = Server::builder().tls(true).authority(first.authority()).start();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_ne!(first.public_key_pin(), second.public_key_pin());
    let folder = first.ca_pem().parent().expect("a folder").to_owned();
    drop(first);
    assert!(connect(&second, "localhost", None).is_ok());
    drop(second);
    assert!(!folder.exists());
}
