//! A scripted researcher at a screen, seen from the analysis server: it takes the gateway's place behind the
//! door, so that a bench can have fifty of them. Sign-in is not in what it measures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kekkai_analysis_api::{AttachScreen, End, Launch, Viewer};
use kekkai_frames::{
    Canvas, Compressor, Deframer, Input, Key, Modifiers, OUTPUT_BYTES_MAX, Output, decode_output,
    encode_input, prefix,
};
use kekkai_policy_api::{EndReason, Factor, OpenSession, RenewLeases, View};
use kekkai_service::Client;
use kekkai_service::tls::TlsFiles;
use kekkai_types::{AgreementId, PeerKind, PersonId, SessionId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use crate::TestWorld;

/// The gateway's clients, by the gateway's own certificate.
#[derive(Clone)]
pub struct Door {
    policy: Client,
    analysis: Client,
    sessions: Arc<Mutex<Vec<SessionId>>>,
}

impl Door {
    /// In place of the world's gateway. Keeps the leases of its sessions.
    pub fn of(world: &TestWorld) -> Self {
        let info = world.facts();
        let folder = world.dir().join("gateway");
        let files = TlsFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            authority: folder.join("services.crt"),
        };
        let client = |name: &str, kind: PeerKind| {
            let address = info.services.get(name).expect("a service").address;
            Client::new(&files, address.to_string(), kind).expect("a client")
        };
        let door = Self {
            policy: client("policy", PeerKind::Policy),
            analysis: client("analysis", PeerKind::Analysis),
            sessions: Arc::default(),
        };
        let kept = door.clone();
        tokio::spawn(async move {
            loop {
                let sessions = kept.sessions.lock().expect("a lock").clone();
                let renewed = kept.policy.call(&RenewLeases { sessions }).await;
                let renewed: Result<BTreeMap<_, _>, _> = renewed;
                if renewed.is_err() {
                    // The world is over, and its sessions with it.
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        door
    }

    /// Opens and launches a session with a desktop, and sits down at it.
    pub async fn sit(
        &self,
        world: &TestWorld,
        who: &str,
        agreement: &str,
        size: (u16, u16),
    ) -> Seat {
        let info = world.facts();
        let person = info.person(who).expect("a person");
        let opened = self
            .policy
            .call(&OpenSession {
                person: PersonId::new(who).expect("a name"),
                terminal: person.terminal.terminal.clone(),
                agreement: Some(AgreementId::new(agreement).expect("a name")),
                address: "127.0.0.1".to_owned(),
                view: View::Desktop,
                factors: vec![Factor::Biometric, Factor::Token, Factor::Terminal],
            })
            .await
            .expect("a session");
        let session = opened.session;
        self.sessions.lock().expect("a lock").push(session.clone());
        let launch = Launch {
            session: session.clone(),
        };
        self.analysis.call(&launch).await.expect("a launch");
        let stream = self
            .analysis
            .stream(&AttachScreen {
                session: session.clone(),
                viewer: Viewer::Researcher,
                size: (size.0, size.1, 100),
            })
            .await
            .expect("a screen");
        let (mut from, mut to) = tokio::io::split(stream);
        let (sender, mut receiver) = mpsc::unbounded_channel::<Input>();
        let (frames, seen) = watch::channel(Shown::default());
        let canvas = Arc::new(Mutex::new(
            Canvas::new(size.0, size.1).expect("a screen's size"),
        ));
        tokio::spawn(async move {
            while let Some(input) = receiver.recv().await {
                if to.write_all(&prefix(&encode_input(&input))).await.is_err() {
                    return;
                }
            }
        });
        let outputs = Arc::new(Mutex::new(None));
        let (acks, drawn, kept) = (sender.clone(), canvas.clone(), Arc::clone(&outputs));
        tokio::spawn(async move {
            let mut deframer = Deframer::new(OUTPUT_BYTES_MAX);
            let mut deflate = Compressor::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let Ok(count @ 1..) = from.read(&mut buffer).await else {
                    return;
                };
                deframer.feed(buffer.get(..count).expect("read bytes"));
                while let Some(message) = deframer.next().expect("a frame's message") {
                    // What the gateway would put on the line.
                    let deflated = deflate.chunk(&message).expect("a chunk").len();
                    let output = decode_output(&message).expect("a message");
                    drawn
                        .lock()
                        .expect("a lock")
                        .apply(&output)
                        .expect("pixels");
                    let ended = match output {
                        Output::Tiles {
                            frame, ends_frame, ..
                        } => ends_frame.then_some((frame, false)),
                        Output::Ping { number } => Some((number, true)),
                        _ => None,
                    };
                    frames.send_modify(|shown| {
                        shown.bytes += u64::try_from(deflated).unwrap_or(u64::MAX);
                        if let Some((_, false)) = ended {
                            shown.frames += 1;
                            shown.last = Some(Instant::now());
                        }
                    });
                    if let Some(outputs) = kept.lock().expect("a lock").as_mut() {
                        let outputs: &mut Vec<Output> = outputs;
                        outputs.push(output);
                    }
                    if let Some((number, is_ping)) = ended {
                        let _ = acks.send(Input::Ack { number, is_ping });
                    }
                }
            }
        });
        Seat {
            session,
            door: self.clone(),
            sender,
            shown: seen,
            canvas,
            outputs,
        }
    }
}

/// What a seat was shown until now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// Frames.
    pub frames: u64,
    /// Bytes, deflated as on the line.
    pub bytes: u64,
    /// When the last frame was whole.
    pub last: Option<Instant>,
}

/// A scripted researcher at a screen.
pub struct Seat {
    /// Their session.
    pub session: SessionId,
    door: Door,
    sender: mpsc::UnboundedSender<Input>,
    shown: watch::Receiver<Shown>,
    /// What they see.
    pub canvas: Arc<Mutex<Canvas>>,
    outputs: Arc<Mutex<Option<Vec<Output>>>>,
}

impl Seat {
    /// Does something.
    pub fn send(&self, input: Input) {
        self.sender.send(input).expect("a screen");
    }

    /// Presses a key and lets it go.
    pub fn press(&self, key: Key, modifiers: Modifiers) {
        for is_down in [true, false] {
            self.send(Input::Key {
                key,
                is_down,
                modifiers,
            });
        }
    }

    /// Keeps all messages from now on, for [`take`](Self::take).
    pub fn keep(&self) {
        *self.outputs.lock().expect("a lock") = Some(Vec::new());
    }

    /// The messages since [`keep`](Self::keep), or since the last call.
    pub fn take(&self) -> Vec<Output> {
        let mut outputs = self.outputs.lock().expect("a lock");
        outputs.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was shown until now.
    pub fn shown(&self) -> Shown {
        *self.shown.borrow()
    }

    /// Does something, and waits for the next frame: how long that took. `None`: nothing changed in time.
    pub async fn act(&mut self, inputs: &[Input], limit: Duration) -> Option<Duration> {
        let before = self.shown.borrow_and_update().frames;
        let start = Instant::now();
        for input in inputs {
            self.send(input.clone());
        }
        loop {
            let changed = tokio::time::timeout(limit.saturating_sub(start.elapsed()), async {
                self.shown.changed().await.expect("a screen");
            });
            changed.await.ok()?;
            let shown = *self.shown.borrow_and_update();
            if shown.frames > before {
                return shown.last.map(|last| last.duration_since(start));
            }
        }
    }

    /// Waits until nothing has changed for `rest`.
    pub async fn settle(&mut self, rest: Duration) {
        while tokio::time::timeout(rest, self.shown.changed())
            .await
            .is_ok()
        {
            self.shown.borrow_and_update();
        }
    }

    /// What is seen, as a PNG picture.
    pub fn picture(&self) -> Vec<u8> {
        let canvas = self.canvas.lock().expect("a lock");
        let (width, height) = (u32::from(canvas.width()), u32::from(canvas.height()));
        let pixels = image::RgbaImage::from_raw(width, height, canvas.rgba().to_vec());
        let mut bytes = std::io::Cursor::new(Vec::new());
        pixels
            .expect("a picture")
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("a picture");
        bytes.into_inner()
    }

    /// Ends the session.
    pub async fn leave(self) {
        let mine = |session: &SessionId| *session != self.session;
        self.door.sessions.lock().expect("a lock").retain(mine);
        let reason = EndReason::ClosedByUser;
        let end = End {
            session: self.session,
            reason,
        };
        self.door.analysis.call(&end).await.expect("an end");
    }
}
