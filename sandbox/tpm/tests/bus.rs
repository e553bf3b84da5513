//! What a probe between the server and its TPM sees. Needs `swtpm`, `swtpm_localca` and `setpriv`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kekkai_attest::{ComponentKind, Measurement, PolicyKey, ReferenceValues};
use kekkai_tpm::emulated::Emulated;
use kekkai_tpm::{Connection, Tpm, TpmError};
use kekkai_types::{Digest, Recipient, ServerId, WrappedKey};

/// What went in both directions over the command port.
type Recording = Arc<Mutex<Vec<u8>>>;

/// Two ports that follow each other, passed on to those of the TPM.
fn probe(to: u16) -> (u16, Recording) {
    let (command, control) = loop {
        let command = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let next = command.local_addr().unwrap().port() + 1;
        if let Ok(control) = TcpListener::bind((Ipv4Addr::LOCALHOST, next)) {
            break (command, control);
        }
    };
    let port = command.local_addr().unwrap().port();
    let recording = Recording::default();
    pass_on(command, to, Arc::clone(&recording));
    pass_on(control, to + 1, Recording::default());
    (port, recording)
}

fn pass_on(from: TcpListener, to: u16, recording: Recording) {
    std::thread::spawn(move || {
        for client in from.incoming() {
            let client = client.unwrap();
            let tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).unwrap();
            copy(
                client.try_clone().unwrap(),
                tpm.try_clone().unwrap(),
                Arc::clone(&recording),
            );
            copy(tpm, client, Arc::clone(&recording));
        }
    });
}

fn copy(mut from: TcpStream, mut to: TcpStream, recording: Recording) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            recording.lock().unwrap().extend(&buffer[..length]);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _closed = to.shutdown(std::net::Shutdown::Both);
    });
}

fn holds(recording: &Recording, bytes: &[u8]) -> bool {
    recording
        .lock()
        .unwrap()
        .windows(bytes.len())
        .any(|window| window == bytes)
}

#[tokio::test]
async fn shared_secret_does_not_cross_the_bus_in_clear() {
    let state = tempfile::tempdir().unwrap();
    let emulated = Emulated::start(state.path()).unwrap();
    let Connection::Emulated(port) = emulated.connection() else {
        panic!("emulated")
    };
    let (port, recording) = probe(port);
    let policy_key = PolicyKey::generate().unwrap();
    let tpm = Tpm::open(&Connection::Emulated(port), &policy_key.public()).unwrap();

    let server = ServerId::new("a1").unwrap();
    let request = tpm.enrolment_request(&server).await.unwrap();
    let area = BASE64_STANDARD.decode(&request.unwrap_public).unwrap();
    // The public area ends with x and y, each with its length before it.
    let (x, y) = (
        &area[area.len() - 66..area.len() - 34],
        &area[area.len() - 32..],
    );
    let unwrap = p256::PublicKey::from_sec1_bytes(&[&[4], x, y].concat()).unwrap();

    let ephemeral = p256::SecretKey::from_slice(&[0x42; 32]).unwrap();
    let enc = ephemeral.public_key().to_sec1_bytes();
    let shared = ephemeral.diffie_hellman(&unwrap);
    let log = [
        (ComponentKind::Binary, "kekkai-analysis"),
        (ComponentKind::Configuration, "analysis.toml"),
        (ComponentKind::SessionImage, "kekkai-sql-worker"),
    ]
    .map(|(kind, name)| Measurement {
        kind,
        name: name.to_owned(),
        digest: Digest::of(name.as_bytes()),
    });
    for measurement in &log {
        tpm.extend(measurement).await.unwrap();
    }
    let reference = ReferenceValues::compute("test", log.to_vec())
        .sign(&policy_key)
        .unwrap();
    let wrapped = WrappedKey {
        dataset: "hospital".parse().unwrap(),
        version: 1,
        recipient: Recipient::Server(server),
        enc: BASE64_STANDARD.encode(&enc),
        // Not a sealed key: the exchange happens all the same.
        ciphertext: BASE64_STANDARD.encode([0; 48]),
    };
    let opened = tpm.unwrap(&wrapped, &reference).await;
    assert!(matches!(opened, Err(TpmError::Unopened)), "{opened:?}");

    // The control: the probe records, and what is not secret is there.
    assert!(holds(&recording, &enc[1..33]), "the probe recorded nothing");
    assert!(
        !holds(&recording, shared.raw_secret_bytes()),
        "the secret crossed in clear"
    );
}
