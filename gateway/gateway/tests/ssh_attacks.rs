//! Known attacks on SSH servers, by a client that doesn't keep to the rules.
//!
//! | past vulnerability | here |
//! |---|---|
//! | Terrapin, CVE-2023-48795: messages dropped before the first keys | `weak_algorithms_are_not_spoken` in `ssh_requests.rs`: strict order agreed, AES-GCM only |
//! | libssh CVE-2018-10933: a client declares its own success | `success_that_the_client_declares_means_nothing` |
//! | channels before the end of sign-in (Erlang/OTP CVE-2025-32433) | `channel_before_sign_in_opens_nothing` |
//! | OpenSSH CVE-2002-0640: more answers than questions | `answers_that_don_t_match_the_question_are_wrong` |
//! | a user name changed half-way (russh GHSA, 2025) | `name_changed_half_way_begins_anew` |
//! | memory before sign-in (russh CVE-2024-43410) | `huge_packet_before_sign_in_ends_the_connection` |
//! | `sk-` keys without user verification | `security_key_is_no_biometric` |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::ssh::Terminal;
use common::{Person, Stage};
use kekkai_policy_api::SignInRefusal;
use russh::client::{self, AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::{
    Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Careless;

impl client::Handler for Careless {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

type Client = client::Handle<Careless>;

async fn connect(stage: &Stage) -> Client {
    let config = Arc::new(client::Config::default());
    client::connect(config, stage.config.ssh.listen, Careless)
        .await
        .unwrap()
}

/// A registered terminal's key.
fn terminal_key(stage: &Stage, terminal: &str) -> Arc<PrivateKey> {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    stage
        .world
        .know_key(&key.public_key().to_openssh().unwrap(), terminal);
    Arc::new(key)
}

async fn show_key(client: &mut Client, user: &str, key: &Arc<PrivateKey>) -> AuthResult {
    client
        .authenticate_publickey(user, PrivateKeyWithHashAlg::new(key.clone(), None))
        .await
        .unwrap()
}

fn is_partial(result: &AuthResult) -> bool {
    matches!(
        result,
        AuthResult::Failure {
            partial_success: true,
            ..
        }
    )
}

async fn prompt(client: &mut Client, user: &str) -> Option<String> {
    match client
        .authenticate_keyboard_interactive_start(user, None)
        .await
    {
        Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
            Some(prompts[0].prompt.clone())
        }
        _ => None,
    }
}

fn code_in(prompt: &str) -> String {
    let (_, rest) = prompt.split_once("Connection code: ").unwrap();
    rest.lines().next().unwrap().to_owned()
}

async fn ready(stage: &Stage, person: &mut Person) -> (Client, Arc<PrivateKey>) {
    let key = terminal_key(stage, "t1");
    let mut client = connect(stage).await;
    assert!(is_partial(&show_key(&mut client, &person.name, &key).await));
    let shown = prompt(&mut client, &person.name).await.unwrap();
    assert_eq!(stage.approve(person, "t1", &code_in(&shown)).await, 200);
    (client, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_don_t_match_the_question_are_wrong() {
    let stage = Stage::new().await;
    let mut count = 0;
    for name in ["visitor1", "visitor2", "visitor3"] {
        let mut visitor = stage.enrol(name).await;
        let (mut client, _) = ready(&stage, &mut visitor).await;
        let code = visitor.next_code().await;
        let answers = match count {
            0 => Vec::new(),
            1 => vec![code.clone(), code],
            _ => vec!["1".repeat(100_000)],
        };
        let result = client
            .authenticate_keyboard_interactive_respond(answers)
            .await;
        let is_in = matches!(result, Ok(KeyboardInteractiveAuthResponse::Success));
        assert!(!is_in, "{count}");
        count += 1;
        let refusals = stage.refusals();
        assert_eq!(refusals.len(), count, "{refusals:?}");
        assert_eq!(refusals[count - 1].1, SignInRefusal::TokenWrong);
    }
    // The control: one answer, and it is right.
    let mut visitor = stage.enrol("visitor4").await;
    let (mut client, _) = ready(&stage, &mut visitor).await;
    let code = visitor.next_code().await;
    let result = client
        .authenticate_keyboard_interactive_respond(vec![code])
        .await;
    assert!(matches!(
        result,
        Ok(KeyboardInteractiveAuthResponse::Success)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn question_comes_after_the_terminals_key_only() {
    let stage = Stage::new().await;
    let sato = stage.enrol("sato").await;
    let mut client = connect(&stage).await;
    assert_eq!(prompt(&mut client, &sato.name).await, None);
    // An unregistered key is no help.
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let mut client = connect(&stage).await;
    assert!(!is_partial(
        &show_key(&mut client, "sato", &Arc::new(key)).await
    ));
    assert_eq!(prompt(&mut client, "sato").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_changed_half_way_begins_anew() {
    let stage = Stage::new().await;
    let _sato = stage.enrol("sato").await;
    let _kato = stage.enrol("kato").await;
    let key = terminal_key(&stage, "t1");
    // Between the key and the question.
    let mut client = connect(&stage).await;
    assert!(is_partial(&show_key(&mut client, "sato", &key).await));
    assert_eq!(prompt(&mut client, "kato").await, None);
    // And back: the key was shown for the last name only.
    let mut client = connect(&stage).await;
    assert!(is_partial(&show_key(&mut client, "sato", &key).await));
    assert!(is_partial(&show_key(&mut client, "kato", &key).await));
    assert_eq!(prompt(&mut client, "sato").await, None);
    // The control.
    let mut client = connect(&stage).await;
    assert!(is_partial(&show_key(&mut client, "sato", &key).await));
    assert!(prompt(&mut client, "sato").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn second_attempt_on_one_connection_is_refused() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let (mut client, key) = ready(&stage, &mut sato).await;
    let wrong = client
        .authenticate_keyboard_interactive_respond(vec!["000000x".into()])
        .await;
    assert!(!matches!(
        wrong,
        Ok(KeyboardInteractiveAuthResponse::Success)
    ));
    assert!(!is_partial(&show_key(&mut client, "sato", &key).await));
    assert_eq!(prompt(&mut client, "sato").await, None);
    assert_eq!(stage.refusals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_before_sign_in_opens_nothing() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let client = connect(&stage).await;
    let open = tokio::time::timeout(Duration::from_secs(2), client.channel_open_session()).await;
    assert!(!matches!(open, Ok(Ok(_))));
    let (client, _) = ready(&stage, &mut sato).await;
    let open = tokio::time::timeout(Duration::from_secs(2), client.channel_open_session()).await;
    assert!(!matches!(open, Ok(Ok(_))));
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn console_channels_are_bounded() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let (mut client, _) = ready(&stage, &mut sato).await;
    let code = sato.next_code().await;
    let result = client
        .authenticate_keyboard_interactive_respond(vec![code])
        .await;
    assert!(matches!(
        result,
        Ok(KeyboardInteractiveAuthResponse::Success)
    ));
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(client.channel_open_session().await.unwrap());
    }
    assert!(client.channel_open_session().await.is_err());
    assert_eq!(stage.requests(), ["session channel over the limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_without_end_end_the_connection() {
    let stage = Stage::new().await;
    let mut sato = stage.enrol("sato").await;
    let (mut client, _) = ready(&stage, &mut sato).await;
    let code = sato.next_code().await;
    let result = client
        .authenticate_keyboard_interactive_respond(vec![code])
        .await;
    assert!(matches!(
        result,
        Ok(KeyboardInteractiveAuthResponse::Success)
    ));
    for port in 1..200 {
        if client
            .channel_open_direct_tcpip("10.0.0.1", port, "127.0.0.1", 1)
            .await
            .is_err()
            && client.is_closed()
        {
            break;
        }
    }
    common::wait_for(|| client.is_closed()).await;
    let count = stage.requests().len();
    assert!(count <= 25, "{count} entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn success_that_the_client_declares_means_nothing() {
    // Before keys are agreed: USERAUTH_SUCCESS (52) in the clear.
    let stage = Stage::new().await;
    let mut stream = TcpStream::connect(stage.config.ssh.listen).await.unwrap();
    stream.write_all(b"SSH-2.0-attack\r\n").await.unwrap();
    stream
        .write_all(&[0, 0, 0, 12, 10, 52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection ends");
    assert!(stage.world.opened().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_packet_before_sign_in_ends_the_connection() {
    let stage = Stage::new().await;
    let mut stream = TcpStream::connect(stage.config.ssh.listen).await.unwrap();
    stream.write_all(b"SSH-2.0-attack\r\n").await.unwrap();
    // A packet of 2 GiB, announced.
    stream
        .write_all(&[0x7f, 0xff, 0xff, 0xff, 4])
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection ends");
    // And others are served.
    let mut run = Terminal::new(&stage, "t1").ssh("visitor1", &[], &["help"]);
    assert!(run.prompt().await.is_some());
}

mod security_key {
    use super::*;
    use ring::digest::{SHA256, digest};
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use russh::Signer;
    use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};

    const APPLICATION: &str = "ssh:";

    /// A FIDO key that was touched, and verified nobody (flags: user present only).
    struct Touched(Ed25519KeyPair);

    fn string(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [length.as_slice(), bytes].concat()
    }

    impl Signer for Touched {
        type Error = russh::AgentAuthError;
        async fn auth_sign(
            &mut self,
            _: &russh::keys::agent::AgentIdentity,
            _: Option<russh::keys::HashAlg>,
            to_sign: Vec<u8>,
        ) -> Result<Vec<u8>, Self::Error> {
            let (flags, counter) = (1_u8, 7_u32.to_be_bytes());
            let mut message = digest(&SHA256, APPLICATION.as_bytes()).as_ref().to_vec();
            message.push(flags);
            message.extend_from_slice(&counter);
            message.extend_from_slice(digest(&SHA256, &to_sign).as_ref());
            let signature = self.0.sign(&message);
            let mut blob = string(b"sk-ssh-ed25519@openssh.com");
            blob.extend(string(signature.as_ref()));
            blob.push(flags);
            blob.extend_from_slice(&counter);
            Ok([to_sign, string(&blob)].concat())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn security_key_is_no_biometric() {
        let stage = Stage::new().await;
        let _sato = stage.enrol("sato").await;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let point: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let public = SkEd25519::new(Ed25519PublicKey(point), APPLICATION.to_owned());
        let public = PublicKey::new(KeyData::SkEd25519(public), "");
        // Even one that somebody registered as a terminal's.
        stage.world.know_key(&public.to_openssh().unwrap(), "t1");
        let mut signer = Touched(pair);
        for count in 1..=2 {
            let mut client = connect(&stage).await;
            let result = client
                .authenticate_publickey_with("sato", public.clone(), None, &mut signer)
                .await;
            assert!(!matches!(result, Ok(AuthResult::Success)));
            assert!(!result.as_ref().is_ok_and(is_partial), "{result:?}");
            assert_eq!(
                stage.refusals().pop().unwrap(),
                (
                    Some("sato".to_owned()),
                    SignInRefusal::SecurityKeyIsNotBiometric,
                    count
                )
            );
        }
        // Nobody's: refused without a signature, and nobody is charged for it.
        let mut seed = [1; 32];
        getrandom::fill(&mut seed).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let point: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let public = SkEd25519::new(Ed25519PublicKey(point), APPLICATION.to_owned());
        let public = PublicKey::new(KeyData::SkEd25519(public), "");
        let mut client = connect(&stage).await;
        let _ = client
            .authenticate_publickey_with("sato", public, None, &mut Touched(pair))
            .await;
        assert_eq!(
            stage.refusals().pop().unwrap(),
            (None, SignInRefusal::SecurityKeyIsNotBiometric, 0)
        );
    }
}
