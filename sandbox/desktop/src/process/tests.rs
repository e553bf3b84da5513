//! The conversation, over a socket pair and without a jail (that is `tests/security`).

use super::*;
use crate::samples;
use kekkai_frames::{Key, Modifiers};
use kekkai_worker_api::{Ask, Message};
use std::os::fd::AsFd;
use std::thread::JoinHandle;

/// A broker, as far as the workspace needs one.
struct Broker {
    socket: OwnedFd,
    /// What the workspace says, from a thread that reads it.
    told: Receiver<FromDesktop>,
    peeked: Option<FromDesktop>,
    pixels: File,
    thread: JoinHandle<Result<(), ServeError>>,
}

/// The same frames as `kekkai-worker-api` writes, with descriptors.
fn send(socket: &OwnedFd, message: &ToDesktop, fds: &[&OwnedFd]) {
    assert!(fds.len() <= ToDesktop::FDS_MAX);
    let json = serde_json::to_vec(message).unwrap();
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(json.len()).unwrap().to_be_bytes());
    bytes.extend(u32::try_from(fds.len()).unwrap().to_be_bytes());
    kekkai_sys::scm::send(socket.as_fd(), &bytes, &[]).unwrap();
    if !fds.is_empty() {
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        kekkai_sys::scm::send(socket.as_fd(), &[0], &fds).unwrap();
    }
    let mut rest = json.as_slice();
    while !rest.is_empty() {
        let sent = kekkai_sys::scm::send(socket.as_fd(), rest, &[]).unwrap();
        rest = &rest[sent..];
    }
}

impl Broker {
    fn start(begin: Begin) -> Self {
        let (ours, theirs) = kekkai_sys::scm::stream_pair().unwrap();
        let thread = std::thread::spawn(move || serve(theirs, BTreeMap::new()));
        let dup = ours.try_clone().unwrap();
        let (_, mut receiver) = worker_channel::<FromDesktop, FromDesktop>(dup);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(Some((message, _))) = receiver.receive() {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let pixels = tempfile::tempfile().unwrap();
        let fonts: Vec<OwnedFd> = begin
            .fonts
            .iter()
            .map(|_| OwnedFd::from(samples::font()))
            .collect();
        let mut broker = Self {
            socket: ours,
            told,
            peeked: None,
            pixels,
            thread,
        };
        assert!(matches!(broker.receive(), FromDesktop::Jailed { .. }));
        let given: OwnedFd = broker.pixels.try_clone().unwrap().into();
        let fds: Vec<&OwnedFd> = std::iter::once(&given).chain(&fonts).collect();
        send(&broker.socket, &ToDesktop::Begin(Box::new(begin)), &fds);
        broker
    }

    fn receive(&mut self) -> FromDesktop {
        let next = self.peeked.take().or_else(|| self.told.recv().ok());
        next.expect("the workspace ended")
    }

    fn send(&self, message: &ToDesktop) {
        send(&self.socket, message, &[]);
    }

    /// The next frame; what is asked before it is collected.
    fn frame(&mut self, asks: &mut Vec<(u32, Ask)>) -> Frame {
        loop {
            match self.receive() {
                FromDesktop::Frame(frame) => {
                    self.send(&ToDesktop::Taken {
                        frame: frame.number,
                    });
                    return frame;
                }
                FromDesktop::Ask { request, ask } => asks.push((request, ask)),
                FromDesktop::Ready => {}
                FromDesktop::Jailed { .. } => panic!("jailed twice"),
            }
        }
    }

    /// True when nothing comes for so long.
    fn is_silent(&mut self, seconds: u64) -> bool {
        if self.peeked.is_none() {
            self.peeked = match self.told.recv_timeout(Duration::from_secs(seconds)) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                // Whoever is dead is silent, too.
                Err(RecvTimeoutError::Disconnected) => panic!("the workspace ended"),
            };
        }
        self.peeked.is_none()
    }

    fn end(self) -> Result<(), ServeError> {
        let stream = std::os::unix::net::UnixStream::from(self.socket);
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        self.thread.join().unwrap()
    }
}

/// Frames and questions until nothing follows: at least one frame.
fn settle(broker: &mut Broker) -> (Vec<Frame>, Vec<(u32, Ask)>) {
    let mut asks = Vec::new();
    let mut frames = vec![broker.frame(&mut asks)];
    while !broker.is_silent(1) {
        match broker.receive() {
            FromDesktop::Ask { request, ask } => asks.push((request, ask)),
            other => {
                broker.peeked = Some(other);
                frames.push(broker.frame(&mut asks));
            }
        }
    }
    (frames, asks)
}

fn key(key: Key) -> ToDesktop {
    let press = |is_down| Input::Key {
        key,
        is_down,
        modifiers: Modifiers {
            ctrl: true,
            ..Modifiers::default()
        },
    };
    ToDesktop::Input(vec![press(true), press(false)])
}

#[test]
fn first_frame_names_every_tile_and_its_pixels_are_in_the_file() {
    let mut broker = Broker::start(samples::begin());
    let frame = broker.frame(&mut Vec::new());
    assert_eq!((frame.number, frame.width, frame.height), (1, 1280, 800));
    assert_eq!(frame.tiles.len(), 20 * 13);
    let mut tile = vec![0; TILE_BYTES];
    broker
        .pixels
        .read_exact_at(&mut tile, place(0, 1, 20))
        .unwrap();
    // The side bar's colour.
    let bar = crate::theme::Contrast::Normal.palette().bar.to_array();
    assert_eq!(tile[..3], bar[..3]);
    broker.end().unwrap();
}

#[test]
fn idle_workspace_draws_no_frame_for_two_seconds() {
    let mut broker = Broker::start(samples::begin());
    settle(&mut broker);
    assert!(broker.is_silent(2));
    broker.end().unwrap();
}

#[test]
fn idle_editor_with_a_caret_draws_no_frame_either() {
    let mut broker = Broker::start(samples::begin());
    settle(&mut broker);
    broker.send(&key(Key::Num2));
    let (frames, _) = settle(&mut broker);
    // The input method opens where the caret is.
    assert!(frames.last().unwrap().cursor.caret.is_some());
    broker.send(&ToDesktop::Input(vec![Input::Text(
        "SELECT 東京".to_owned(),
    )]));
    let (frames, _) = settle(&mut broker);
    let tiles: usize = frames.iter().map(|frame| frame.tiles.len()).sum();
    assert!((1..80).contains(&tiles), "{tiles}");
    assert!(broker.is_silent(2));
    broker.end().unwrap();
}

#[test]
fn resize_names_every_tile_of_the_new_size() {
    let mut broker = Broker::start(samples::begin());
    settle(&mut broker);
    broker.send(&ToDesktop::Input(vec![Input::Resize {
        width: 640,
        height: 480,
        scale: 100,
    }]));
    let frame = broker.frame(&mut Vec::new());
    assert_eq!(
        (frame.width, frame.height, frame.tiles.len()),
        (640, 480, 80)
    );
    broker.end().unwrap();
}

#[test]
fn one_frame_is_under_way_at_a_time() {
    let mut broker = Broker::start(samples::begin());
    let mut asks = Vec::new();
    loop {
        match broker.receive() {
            FromDesktop::Frame(_) => break,
            other => drop(other),
        }
    }
    for _ in 0..5 {
        broker.send(&key(Key::Equal));
    }
    assert!(broker.is_silent(1));
    broker.send(&ToDesktop::Taken { frame: 1 });
    assert_eq!(broker.frame(&mut asks).number, 2);
    broker.end().unwrap();
}

#[test]
fn broker_that_speaks_out_of_turn_ends_the_workspace() {
    let odd: [fn() -> ToDesktop; 4] = [
        || ToDesktop::Begin(Box::new(samples::begin())),
        || ToDesktop::Taken { frame: 9 },
        || ToDesktop::Answer {
            request: 77,
            answer: Answer::Done,
        },
        || {
            ToDesktop::Input(vec![Input::Resize {
                width: 1,
                height: 1,
                scale: 100,
            }])
        },
    ];
    for message in odd {
        let broker = Broker::start(samples::begin());
        broker.send(&message());
        let Broker { thread, .. } = broker;
        assert!(thread.join().unwrap().is_err(), "{:?}", message());
    }
}

#[test]
fn broker_that_goes_away_ends_the_workspace() {
    let mut broker = Broker::start(samples::begin());
    settle(&mut broker);
    broker.end().unwrap();
}

#[test]
fn size_outside_the_protocol_is_refused() {
    for (width, height) in [(319, 800), (2561, 800), (1280, 1601), (0, 0)] {
        assert!(check_size(width, height).is_err(), "{width} {height}");
    }
    assert!(check_size(2560, 1600).is_ok());
}

#[test]
fn rows_come_through_their_pipe_while_the_interface_goes_on() {
    let mut broker = Broker::start(samples::begin());
    settle(&mut broker);
    broker.send(&key(Key::Num2));
    settle(&mut broker);
    broker.send(&ToDesktop::Input(vec![Input::Text(
        "SELECT * FROM visit ".to_owned(),
    )]));
    let modifiers = Modifiers {
        ctrl: true,
        shift: true,
        alt: false,
    };
    broker.send(&ToDesktop::Input(vec![Input::Key {
        key: Key::Enter,
        is_down: true,
        modifiers,
    }]));
    let (_, mut asks) = settle(&mut broker);
    while asks.is_empty() {
        broker.frame(&mut asks);
    }
    let (request, Ask::Rows { sql }) = asks.last().unwrap() else {
        panic!("{asks:?}");
    };
    assert_eq!(sql, "SELECT * FROM visit ");
    let (reading, writing) = std::io::pipe().unwrap();
    let reading: OwnedFd = reading.into();
    let answer = ToDesktop::Answer {
        request: *request,
        answer: Answer::Rows(samples::job_id(1)),
    };
    send(&broker.socket, &answer, &[&reading]);
    drop(reading);
    // Nothing is written yet: the workspace waits for it on a thread of its own.
    broker.send(&key(Key::Num3));
    broker.frame(&mut Vec::new());
    let writer = std::thread::spawn(move || samples::write_stream(writing, 5_000));
    writer.join().unwrap();
    let outcome = Ok(5_000);
    let job = samples::job_id(1);
    broker.send(&ToDesktop::RowsEnd { job, outcome });
    let (frames, _) = settle(&mut broker);
    // The table fills a good part of the screen.
    let tiles: usize = frames.iter().map(|frame| frame.tiles.len()).sum();
    assert!(tiles > 60, "{tiles}");
    broker.end().unwrap();
}

#[test]
fn rows_without_their_pipe_end_the_workspace() {
    let broker = Broker::start(samples::begin());
    broker.send(&ToDesktop::Answer {
        request: 1,
        answer: Answer::Rows(samples::job_id(1)),
    });
    let Broker { thread, .. } = broker;
    let ended = thread.join().unwrap();
    assert!(matches!(ended, Err(ServeError::Descriptors)), "{ended:?}");
}
