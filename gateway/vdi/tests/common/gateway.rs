//! The gateway's side of the line, by russh's server: the terminal's key, one question with both factors,
//! the subsystem. It checks assertions as a relying party does, and shows what a test tells it to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kekkai_frames::{
    Compressor, Deframer, INPUT_BYTES_MAX, Input, Output, decode_input, encode_output, prefix,
};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use russh::server::{
    self, Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session,
    VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Checker, ORIGIN, Person};

pub const CODE: &str = "246813";

pub struct Gateway {
    pub address: SocketAddr,
    pub fingerprint: String,
    pub terminal_key: PrivateKey,
    pub shared: Arc<Shared>,
}

pub struct Shared {
    checker: Checker,
    terminal: PublicKey,
    /// What it claims to be when it asks for a signature.
    pub origin: Mutex<String>,
    /// What came, in order: users, submethods, outcomes.
    pub heard: Mutex<Vec<String>>,
    pub inputs: Mutex<Vec<Input>>,
    screen: Mutex<Option<Screen>>,
    tasks: Mutex<Vec<tokio::task::AbortHandle>>,
}

struct Screen {
    handle: server::Handle,
    channel: ChannelId,
    compressor: Compressor,
}

impl Gateway {
    pub async fn start(person: &Person) -> Self {
        let random = || PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        let (host_key, terminal_key) = (random().unwrap(), random().unwrap());
        let fingerprint = host_key
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string();
        let shared = Arc::new(Shared {
            checker: person.checker(),
            terminal: terminal_key.public_key().clone(),
            origin: Mutex::new(ORIGIN.to_owned()),
            heard: Mutex::default(),
            inputs: Mutex::default(),
            screen: Mutex::default(),
            tasks: Mutex::default(),
        });
        let config = Arc::new(server::Config {
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            auth_rejection_time: Duration::from_millis(10),
            keys: vec![host_key],
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let for_doors = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let door = Door {
                    shared: for_doors.clone(),
                    user: String::new(),
                    question: None,
                    deframer: Deframer::new(INPUT_BYTES_MAX),
                };
                let config = config.clone();
                // Between them a wire that can be cut.
                let (mut far, near) = tokio::io::duplex(64 * 1024);
                let mut stream = stream;
                let task = tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
                });
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, near, door).await {
                        let _ = session.await;
                    }
                });
                for_doors.tasks.lock().unwrap().push(task.abort_handle());
            }
        });
        Self {
            address,
            fingerprint,
            terminal_key,
            shared,
        }
    }

    pub fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().unwrap().clone()
    }

    pub fn inputs(&self) -> Vec<Input> {
        self.shared.inputs.lock().unwrap().clone()
    }

    /// Waits until an input has come.
    pub async fn input(&self, what: &str, is_it: impl Fn(&Input) -> bool) -> Input {
        let found = || self.inputs().into_iter().rev().find(&is_it);
        until(what, || found().is_some()).await;
        found().unwrap()
    }

    /// Waits until a client is attached.
    pub async fn attached(&self) {
        until("no client attached", || {
            self.shared.screen.lock().unwrap().is_some()
        })
        .await;
    }

    fn screen<T>(&self, with: impl FnOnce(&mut Screen) -> T) -> T {
        with(
            self.shared
                .screen
                .lock()
                .unwrap()
                .as_mut()
                .expect("a client"),
        )
    }

    pub async fn show(&self, outputs: &[Output]) {
        for output in outputs {
            let (handle, channel, chunk) = self.screen(|screen| {
                let chunk = screen.compressor.chunk(&encode_output(output)).unwrap();
                (screen.handle.clone(), screen.channel, chunk)
            });
            handle.data(channel, prefix(&chunk)).await.unwrap();
        }
    }

    /// Sends bytes that no gateway sends.
    pub async fn send_raw(&self, bytes: &[u8]) {
        let (handle, channel) = self.screen(|screen| (screen.handle.clone(), screen.channel));
        handle
            .data(channel, Bytes::copy_from_slice(bytes))
            .await
            .unwrap();
    }

    /// The subsystem ends.
    pub async fn exit(&self, status: u32, stderr: &str) {
        let screen = self.shared.screen.lock().unwrap().take().expect("a client");
        let (handle, channel) = (screen.handle, screen.channel);
        let stderr = Bytes::copy_from_slice(stderr.as_bytes());
        handle.extended_data(channel, 1, stderr).await.unwrap();
        handle.exit_status_request(channel, status).await.unwrap();
        handle.eof(channel).await.unwrap();
        handle.close(channel).await.unwrap();
    }

    /// All lines are cut, without a word.
    pub fn cut(&self) {
        *self.shared.screen.lock().unwrap() = None;
        for task in self.shared.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

pub async fn until(what: &str, is_it: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_it() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Door {
    shared: Arc<Shared>,
    user: String,
    question: Option<Value>,
    deframer: Deframer,
}

impl Door {
    fn hear(&self, what: impl Into<String>) {
        self.shared.heard.lock().unwrap().push(what.into());
    }
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        _: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        self.hear(format!("user {user}"));
        Ok(Auth::Accept)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        if key.public_key.key_data() != self.shared.terminal.key_data() {
            self.hear("another terminal");
            return Ok(Auth::reject());
        }
        self.user = user.to_owned();
        Ok(Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(
                [MethodKind::KeyboardInteractive].as_slice(),
            )),
            partial_success: true,
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        assert_eq!(user, self.user);
        let Some(response) = response else {
            self.hear(format!("submethods {submethods}"));
            let origin = self.shared.origin.lock().unwrap().clone();
            let question = self.shared.checker.question(&origin);
            let instructions = question.to_string();
            self.question = Some(question);
            return Ok(Auth::Partial {
                name: "kekkai-vdi/1".into(),
                instructions: instructions.into(),
                prompts: vec![("assertion".into(), false), ("token".into(), false)].into(),
            });
        };
        let answers: Vec<Bytes> = response.collect();
        let question = self.question.take().expect("a question");
        let [assertion, code] = answers.as_slice() else {
            panic!("two answers");
        };
        let assertion = String::from_utf8(assertion.to_vec()).unwrap();
        let is_right =
            self.shared.checker.accepts(&question, &assertion) && code == CODE.as_bytes();
        self.hear(if is_right { "signed in" } else { "refused" });
        Ok(if is_right {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        assert_eq!(name, "kekkai-vdi");
        session.channel_success(channel)?;
        *self.shared.screen.lock().unwrap() = Some(Screen {
            handle: session.handle(),
            channel,
            compressor: Compressor::new(),
        });
        Ok(())
    }

    async fn data(
        &mut self,
        _: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.deframer.feed(data);
        while let Some(message) = self.deframer.next().expect("an input") {
            let input = decode_input(&message).expect("an input");
            self.shared.inputs.lock().unwrap().push(input);
        }
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.hear("closed");
        Ok(())
    }
}
