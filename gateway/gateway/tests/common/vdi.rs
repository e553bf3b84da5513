//! The native client's side of a connection: russh's client, in-band sign-in, framed chunks.

use std::sync::Arc;
use std::time::Duration;

use kekkai_frames::{
    CHUNK_BYTES_MAX, Canvas, Decompressor, Deframer, Input, Output, decode_output, encode_input,
    prefix,
};
use russh::client::{self, AuthResult, KeyboardInteractiveAuthResponse, Msg};
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};
use serde_json::Value;

use super::{Person, Stage};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(30);
pub const SUBMETHOD: &str = "kekkai-vdi/1";

pub struct Careless;

impl client::Handler for Careless {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

pub type Client = client::Handle<Careless>;

/// Shows the key of a terminal.
pub async fn at(stage: &Stage, terminal: &str, user: &str) -> Client {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    stage
        .world
        .know_key(&key.public_key().to_openssh().unwrap(), terminal);
    let config = Arc::new(client::Config::default());
    let mut client = client::connect(config, stage.config.ssh.listen, Careless)
        .await
        .unwrap();
    let shown = client
        .authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::new(key), None))
        .await
        .unwrap();
    assert!(matches!(
        shown,
        AuthResult::Failure {
            partial_success: true,
            ..
        }
    ));
    client
}

/// Asks to be asked in band; gives the instructions. `None`: refused.
pub async fn question(client: &mut Client, user: &str) -> Option<Value> {
    let answer = client
        .authenticate_keyboard_interactive_start(user, Some(SUBMETHOD.to_owned()))
        .await;
    match answer {
        Ok(KeyboardInteractiveAuthResponse::InfoRequest {
            name,
            instructions,
            prompts,
        }) => {
            let shown: Vec<_> = prompts
                .iter()
                .map(|p| (p.prompt.as_str(), p.echo))
                .collect();
            assert_eq!(name, SUBMETHOD);
            assert_eq!(shown, [("assertion", false), ("token", false)]);
            Some(serde_json::from_str(&instructions).unwrap())
        }
        _ => None,
    }
}

/// Answers it; true when that lets the person in.
pub async fn answer(client: &mut Client, answers: Vec<String>) -> bool {
    let answer = client
        .authenticate_keyboard_interactive_respond(answers)
        .await;
    matches!(answer, Ok(KeyboardInteractiveAuthResponse::Success))
}

/// The assertion for a question, as an authenticator makes it.
pub fn assertion(person: &mut Person, question: &Value) -> String {
    let origin = question["origin"].as_str().unwrap().to_owned();
    let options = serde_json::json!({"publicKey": question["publicKey"]});
    let credential = person.authenticator.get(&options, &origin).unwrap();
    serde_json::to_string(&credential).unwrap()
}

/// The whole sign-in.
pub async fn sign_in(stage: &Stage, terminal: &str, person: &mut Person) -> Client {
    // First: the wait for a fresh code may be longer than a connection's grace.
    let code = person.next_code().await;
    let mut client = at(stage, terminal, &person.name).await;
    let question = question(&mut client, &person.name).await.unwrap();
    let answers = vec![assertion(person, &question), code];
    assert!(answer(&mut client, answers).await);
    client
}

pub struct Screen {
    channel: Channel<Msg>,
    deframer: Deframer,
    decompressor: Decompressor,
    pub canvas: Canvas,
}

#[derive(Debug)]
pub enum Got {
    Output(Output),
    /// Exit status and what stands on standard error.
    End(Option<u32>, String),
}

impl Screen {
    pub async fn open(client: &Client) -> Self {
        let channel = client.channel_open_session().await.unwrap();
        channel.request_subsystem(true, "kekkai-vdi").await.unwrap();
        Self {
            channel,
            deframer: Deframer::new(CHUNK_BYTES_MAX),
            decompressor: Decompressor::new(),
            canvas: Canvas::new(640, 400).unwrap(),
        }
    }

    pub async fn send(&self, input: &Input) {
        self.raw(&prefix(&encode_input(input))).await;
    }

    pub async fn raw(&self, bytes: &[u8]) {
        let _ = self.channel.data_bytes(bytes.to_vec()).await;
    }

    pub async fn hello(&self) {
        self.send(&Input::Resize {
            width: 640,
            height: 400,
            scale: 100,
        })
        .await;
    }

    pub async fn eof(&self) {
        self.channel.eof().await.unwrap();
    }

    pub async fn next(&mut self) -> Got {
        tokio::time::timeout(LIMIT, self.next_soon())
            .await
            .expect("nothing came")
    }

    async fn next_soon(&mut self) -> Got {
        let (mut status, mut said) = (None, String::new());
        loop {
            if let Some(chunk) = self.deframer.next().unwrap() {
                let message = self.decompressor.next(&chunk).unwrap();
                let output = decode_output(&message).unwrap();
                self.canvas.apply(&output).unwrap();
                return Got::Output(output);
            }
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => self.deframer.feed(&data),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    said.push_str(&String::from_utf8_lossy(&data));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
                Some(ChannelMsg::Close) | None => return Got::End(status, said),
                Some(_) => {}
            }
        }
    }

    /// Draws a whole frame and acknowledges it.
    pub async fn draw(&mut self) -> u32 {
        loop {
            match self.next().await {
                Got::Output(Output::Tiles {
                    frame,
                    ends_frame: true,
                    ..
                }) => {
                    self.send(&Input::Ack {
                        number: frame,
                        is_ping: false,
                    })
                    .await;
                    return frame;
                }
                Got::Output(_) => {}
                other @ Got::End(..) => panic!("no frame: {other:?}"),
            }
        }
    }

    pub async fn ended(&mut self) -> (Option<u32>, String) {
        loop {
            if let Got::End(status, said) = self.next().await {
                return (status, said);
            }
        }
    }
}
