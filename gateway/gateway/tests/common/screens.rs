//! Desktops at the analysis server: real streams, frames of one grey tile, and a memory of what came.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kekkai_analysis_api::{AttachScreen, ScreenWish, Viewer, WaitScreen};
use kekkai_frames::{
    Codec, Deframer, INPUT_BYTES_MAX, Input, Output, Rect, Tile, decode_input, encode_lossless,
    encode_output, prefix,
};
use kekkai_policy_api::DesktopTimes;
use kekkai_service::{Routes, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::services::World;

/// What the analysis server does with a screen.
#[derive(Clone, Default)]
pub enum Behaviour {
    /// A first frame, and one for each text.
    #[default]
    Draws,
    /// A first frame, then these bytes as they are.
    Sends(Vec<u8>),
    /// Frames without end, each when the last was acknowledged.
    Races,
    /// Frames that wait for no acknowledgement.
    Overruns,
    /// A first frame, then the end of the stream.
    HangsUp,
}

pub struct Screens {
    pub times: DesktopTimes,
    pub behaviour: Behaviour,
    pub attached: Vec<AttachScreen>,
    pub inputs: Vec<(Viewer, Input)>,
    /// Frames that were written.
    pub frames: u32,
    wish: watch::Sender<ScreenWish>,
}

impl Default for Screens {
    fn default() -> Self {
        let wish = ScreenWish {
            number: 0,
            lock: false,
            leave: false,
        };
        Self {
            times: DesktopTimes {
                lock_after_s: 600,
                reconnect_limit_s: 600,
            },
            behaviour: Behaviour::default(),
            attached: Vec::new(),
            inputs: Vec::new(),
            frames: 0,
            wish: watch::Sender::new(wish),
        }
    }
}

impl Screens {
    /// The person presses a button of their desktop.
    pub fn wish(&mut self, lock: bool, leave: bool) {
        self.wish.send_modify(|wish| {
            *wish = ScreenWish {
                number: wish.number + 1,
                lock,
                leave,
            };
        });
    }

    /// What the researcher typed, as it arrived.
    pub fn typed(&self) -> Vec<String> {
        self.inputs
            .iter()
            .filter_map(|(_, input)| match input {
                Input::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }
}

/// The shade of a frame's tile.
pub fn shade(frame: u32) -> u8 {
    u8::try_from(frame % 200).unwrap() + 30
}

/// A frame of one tile in one shade.
pub fn frame(number: u32) -> Output {
    let grey = vec![shade(number); 64 * 64 * 4];
    Output::Tiles {
        frame: number,
        ends_frame: true,
        tiles: vec![Tile {
            at: Rect {
                x: 0,
                y: 0,
                width: 64,
                height: 64,
            },
            codec: Codec::Lossless,
            data: encode_lossless(&grey, 64, 64).unwrap(),
        }],
    }
}

pub fn bytes(output: &Output) -> Bytes {
    prefix(&encode_output(output))
}

pub fn routes(world: &Arc<World>, routes: Routes) -> Routes {
    let (attach, wait) = (world.clone(), world.clone());
    routes
        .stream::<AttachScreen, _, _, _, _>(move |_, call| {
            let world = attach.clone();
            async move {
                world.screens(|screens| screens.attached.push(call.clone()));
                Ok(move |stream| async move { serve(&world, call, stream).await })
            }
        })
        .call::<WaitScreen, _, _>(move |_, call| {
            let world = wait.clone();
            async move {
                let mut wishes = world.screens(|screens| screens.wish.subscribe());
                let limit = Duration::from_secs(20);
                let news = wishes.wait_for(|wish| wish.number > call.seen);
                let wish = tokio::time::timeout(limit, news).await;
                let wish = wish.ok().and_then(Result::ok).map(|wish| *wish);
                Ok(wish.unwrap_or_else(|| world.screens(|screens| *screens.wish.borrow())))
            }
        })
}

async fn serve(world: &World, call: AttachScreen, mut stream: Stream) {
    let (width, height, _) = call.size;
    let behaviour = world.screens(|screens| screens.behaviour.clone());
    let (mut number, mut under_way) = (1, 1_u32);
    let first = [bytes(&Output::Size { width, height }), bytes(&frame(1))].concat();
    if stream.write_all(&first).await.is_err() {
        return;
    }
    match &behaviour {
        Behaviour::Sends(raw) => {
            let _ = stream.write_all(raw).await;
        }
        Behaviour::HangsUp => return,
        Behaviour::Overruns => {
            for number in 2..50 {
                let _ = stream.write_all(&bytes(&frame(number))).await;
            }
        }
        Behaviour::Draws | Behaviour::Races => {}
    }
    let mut deframer = Deframer::new(INPUT_BYTES_MAX);
    let mut buffer = [0; 4096];
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        deframer.feed(&buffer[..read]);
        while let Some(message) = deframer.next().unwrap() {
            let input = decode_input(&message).unwrap();
            let is_text = matches!(input, Input::Text(_));
            let is_ack = matches!(input, Input::Ack { .. });
            world.screens(|screens| screens.inputs.push((call.viewer.clone(), input)));
            under_way -= u32::from(is_ack);
            let goes_on = match behaviour {
                Behaviour::Races => is_ack,
                // What changes meanwhile is not drawn at all here.
                _ => is_text && under_way < 4,
            };
            if goes_on {
                number += 1;
                under_way += 1;
                if stream.write_all(&bytes(&frame(number))).await.is_err() {
                    return;
                }
                world.screens(|screens| screens.frames = number);
            }
        }
    }
}
