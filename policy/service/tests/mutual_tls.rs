//! Two services on loopback with real certificates: who may call whom.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kekkai_service::tls::{SERVICE_NAME, TlsFiles};
use kekkai_service::{CallError, Client, From, Routes, serve};
use kekkai_types::{Call, PeerKind, Refusal, StreamCall};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Serialize, Deserialize)]
struct Echo {
    text: String,
}

impl Call for Echo {
    const PATH: &'static str = "/v1/echo";
    type Reply = String;
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Gateway]
    }
}

struct Authority {
    key: KeyPair,
    params: CertificateParams,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { key, params, pem }
    }

    fn issue(&self, dir: &Path, uris: &[&str]) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![SERVICE_NAME.to_owned()]).unwrap();
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let name = uris.concat().replace(['/', ':'], "_");
        let files = TlsFiles {
            certificate: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
            authority: dir.join(format!("{name}.ca")),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.authority, &self.pem).unwrap();
        files
    }
}

async fn start(files: TlsFiles, reached: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Routes::new()
        .call(move |_from: From, echo: Echo| {
            reached.store(true, Ordering::SeqCst);
            async move {
                match echo.text.as_str() {
                    "no" => Err(Refusal::new("said-no", "no")),
                    _ => Ok(echo.text),
                }
            }
        })
        .router();
    tokio::spawn(async move { serve(listener, &files, router, std::future::pending()).await });
    address
}

fn echo(text: &str) -> Echo {
    Echo {
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn only_named_callers_reach_a_handler() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let reached = Arc::new(AtomicBool::new(false));
    let server = authority.issue(dir.path(), &["kekkai://policy"]);
    let address = start(server, reached.clone()).await.to_string();

    let review = authority.issue(dir.path(), &["kekkai://review"]);
    let client = Client::new(&review, &address, PeerKind::Policy).unwrap();
    match client.call(&echo("hello")).await {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal.code, "caller-not-allowed"),
        other => panic!("{other:?}"),
    }
    assert!(!reached.load(Ordering::SeqCst));

    let gateway = authority.issue(dir.path(), &["kekkai://gateway"]);
    let client = Client::new(&gateway, &address, PeerKind::Policy).unwrap();
    assert_eq!(client.call(&echo("hello")).await.unwrap(), "hello");
    assert!(
        matches!(client.call(&echo("no")).await, Err(CallError::Refused(r)) if r.code == "said-no")
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_with_two_names_is_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let reached = Arc::new(AtomicBool::new(false));
    let server = authority.issue(dir.path(), &["kekkai://policy"]);
    let address = start(server, reached.clone()).await.to_string();

    let mut foreign = Authority::new().issue(dir.path(), &["kekkai://gateway"]);
    std::fs::write(dir.path().join("ours.ca"), &authority.pem).unwrap();
    foreign.authority = dir.path().join("ours.ca");
    let two = authority.issue(dir.path(), &["kekkai://gateway", "kekkai://review"]);
    for files in [foreign, two] {
        let client = Client::new(&files, &address, PeerKind::Policy).unwrap();
        assert!(matches!(
            client.call(&echo("x")).await,
            Err(CallError::Unavailable { .. })
        ));
    }
    assert!(!reached.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_client_does_not_talk_to_another_service_than_it_expects() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let reached = Arc::new(AtomicBool::new(false));
    let server = authority.issue(dir.path(), &["kekkai://review"]);
    let address = start(server, reached.clone()).await.to_string();
    let gateway = authority.issue(dir.path(), &["kekkai://gateway"]);
    let client = Client::new(&gateway, &address, PeerKind::Policy).unwrap();
    assert!(matches!(
        client.call(&echo("x")).await,
        Err(CallError::Protocol { .. })
    ));
    assert!(!reached.load(Ordering::SeqCst));
}

#[derive(Serialize, Deserialize)]
struct Shout {
    text: String,
}

impl Call for Shout {
    const PATH: &'static str = "/v1/shout";
    type Reply = ();
    fn callers() -> &'static [PeerKind] {
        &[PeerKind::Gateway]
    }
}

impl StreamCall for Shout {
    const PROTOCOL: &'static str = "shout/1";
}

#[tokio::test]
async fn accepted_stream_carries_bytes_both_ways_and_refused_one_says_why() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = authority.issue(dir.path(), &["kekkai://policy"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Routes::new()
        .stream(|_: From, shout: Shout| async move {
            if shout.text == "no" {
                return Err(Refusal::new("said-no", "no"));
            }
            Ok(move |mut stream: kekkai_service::Stream| async move {
                stream.write_all(shout.text.as_bytes()).await.unwrap();
                let mut bytes = [0; 3];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes.to_ascii_uppercase()).await.unwrap();
                stream.shutdown().await.unwrap();
            })
        })
        .router();
    tokio::spawn(async move { serve(listener, &files, router, std::future::pending()).await });

    let gateway = authority.issue(dir.path(), &["kekkai://gateway"]);
    let client = Client::new(&gateway, &address, PeerKind::Policy).unwrap();
    let shout = |text: &str| Shout {
        text: text.to_owned(),
    };
    let mut stream = client.stream(&shout("hello")).await.unwrap();
    stream.write_all(b"abc").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "helloABC");
    match client.stream(&shout("no")).await {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal.code, "said-no"),
        other => panic!("{other:?}"),
    }
    // Asked as a plain call, it is no stream.
    assert!(client.call(&shout("hello")).await.is_err());

    let review = authority.issue(dir.path(), &["kekkai://review"]);
    let client = Client::new(&review, &address, PeerKind::Policy).unwrap();
    match client.stream(&shout("hello")).await {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal.code, "caller-not-allowed"),
        other => panic!("{other:?}"),
    }
}
