//! Somebody who looks at a screen: decodes and draws every message, and reads off the pixels what the test's
//! workspace was told.

use std::ops::RangeInclusive;
use std::time::Duration;

use kekkai_frames::{Canvas, Deframer, Input, Key, Modifiers, OUTPUT_BYTES_MAX, Output, TILE};
use kekkai_service::Stream;
use kekkai_worker_api::Ask;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::LONG;

pub(crate) struct Screen {
    stream: Stream,
    deframer: Deframer,
    canvas: Option<Canvas>,
    bytes: u64,
    is_closed: bool,
}

impl Screen {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            deframer: Deframer::new(OUTPUT_BYTES_MAX),
            canvas: None,
            bytes: 0,
            is_closed: false,
        }
    }

    /// To the end of the next frame. `None`: closed.
    pub(crate) async fn frame(&mut self) -> Option<()> {
        loop {
            while let Some(message) = self.deframer.next().unwrap() {
                let output = kekkai_frames::decode_output(&message).unwrap();
                if let Output::Size { width, height } = output {
                    self.canvas = Some(Canvas::new(width, height).unwrap());
                }
                // A screen has a size before it has anything else.
                self.canvas.as_mut().unwrap().apply(&output).unwrap();
                match output {
                    Output::Tiles {
                        frame,
                        ends_frame: true,
                        ..
                    } => {
                        self.acknowledge(frame, false).await;
                        return Some(());
                    }
                    Output::Ping { number } => self.acknowledge(number, true).await,
                    _ => {}
                }
            }
            let mut piece = vec![0; 64 * 1024];
            match self.stream.read(&mut piece).await {
                Ok(n) if n > 0 => {
                    self.bytes += u64::try_from(n).unwrap();
                    self.deframer.feed(&piece[..n]);
                }
                _ => {
                    self.is_closed = true;
                    return None;
                }
            }
        }
    }

    async fn acknowledge(&mut self, number: u32, is_ping: bool) {
        self.input(&Input::Ack { number, is_ping }).await;
    }

    /// Frames until what is read off them holds a text.
    pub(crate) async fn until(&mut self, what: &str) -> String {
        self.until_all(&[what]).await
    }

    pub(crate) async fn until_all(&mut self, what: &[&str]) -> String {
        let holds = |text: &str| what.iter().all(|what| text.contains(what));
        match self.until_that(holds).await {
            Some(text) => text,
            None => panic!("never {what:?}: {:?}", self.read()),
        }
    }

    /// `None`: closed, or not in time.
    pub(crate) async fn until_that(&mut self, holds: impl Fn(&str) -> bool) -> Option<String> {
        let look = async {
            loop {
                if let Some(text) = self.read()
                    && holds(&text)
                {
                    return Some(text);
                }
                self.frame().await?;
            }
        };
        tokio::time::timeout(LONG, look).await.ok().flatten()
    }

    /// Frames for a while.
    pub(crate) async fn rest(&mut self, time: Duration) {
        let deadline = tokio::time::Instant::now() + time;
        while !self.is_closed
            && tokio::time::timeout_at(deadline, self.frame())
                .await
                .is_ok()
        {}
    }

    pub(crate) async fn until_closed(&mut self) {
        let look = async { while self.frame().await.is_some() {} };
        tokio::time::timeout(LONG, look).await.unwrap();
    }

    pub(crate) async fn input(&mut self, input: &Input) {
        let bytes = kekkai_frames::prefix(&kekkai_frames::encode_input(input));
        self.raw(&bytes).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.input(&Input::Text(text.to_owned())).await;
    }

    pub(crate) async fn key(&mut self, key: Key) {
        self.input(&Input::Key {
            key,
            is_down: true,
            modifiers: Modifiers::default(),
        })
        .await;
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) {
        self.text(&serde_json::to_string(ask).unwrap()).await;
    }

    /// Whatever comes of it: a stream may be cut any time.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn size(&self) -> (u16, u16) {
        let canvas = self.canvas.as_ref().unwrap();
        (canvas.width(), canvas.height())
    }

    pub(crate) fn pixels(&self) -> &[u8] {
        self.canvas.as_ref().unwrap().rgba()
    }

    /// Whether nine of ten pixels have such a red.
    pub(crate) fn is_mostly(&self, levels: RangeInclusive<u8>) -> bool {
        let pixels = self.pixels().chunks_exact(4);
        let all = pixels.len();
        pixels.filter(|pixel| levels.contains(&pixel[0])).count() * 10 > all * 9
    }

    /// What the test's workspace drew, through both watermarks; `None` where that is nothing of its own.
    pub(crate) fn read(&self) -> Option<String> {
        let canvas = self.canvas.as_ref()?;
        let (width, height) = (usize::from(canvas.width()), usize::from(canvas.height()));
        let side = usize::from(TILE);
        let mut bytes = Vec::new();
        for row in 0..height / side {
            for column in 0..width / side {
                for y in row * side..(row + 1) * side {
                    let line = &canvas.rgba()[(y * width + column * side) * 4..][..side * 4];
                    let bits: Vec<bool> = line.chunks_exact(4).map(|p| p[0] >= 0x80).collect();
                    bytes.extend(bits.chunks_exact(8).map(|bits| {
                        bits.iter()
                            .fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit))
                    }));
                }
            }
        }
        let (length, text) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let text = text.get(..length).filter(|text| !text.is_empty())?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}
