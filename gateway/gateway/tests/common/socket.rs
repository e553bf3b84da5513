//! A WebSocket client, written out so that it can misbehave; and a canvas that draws what comes.

use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kekkai_frames::{Canvas, Decompressor, Input, Output, decode_output, encode_input};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(30);
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;

pub struct Socket {
    io: TokioIo<Upgraded>,
    decompressor: Decompressor,
    pub canvas: Canvas,
    /// Bytes of messages that came, unpacked.
    pub bytes: Vec<u8>,
}

#[derive(Debug, PartialEq)]
pub enum Got {
    Output(Output),
    Close(u16, String),
    /// The connection ended without a word.
    End,
}

impl Socket {
    pub fn new(upgraded: Upgraded) -> Self {
        Self {
            io: TokioIo::new(upgraded),
            decompressor: Decompressor::new(),
            canvas: Canvas::new(640, 400).unwrap(),
            bytes: Vec::new(),
        }
    }

    /// A frame with the mask that clients use (RFC 6455 §5.3).
    pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match u16::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        let mask = [0x11, 0x22, 0x33, 0x44];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        frame
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    pub async fn send(&mut self, input: &Input) {
        let frame = Self::frame(BINARY, &encode_input(input));
        self.send_raw(&frame).await.unwrap();
    }

    pub async fn text(&mut self, text: &str) {
        self.send(&Input::Text(text.to_owned())).await;
    }

    pub async fn ack(&mut self, number: u32) {
        self.send(&Input::Ack {
            number,
            is_ping: false,
        })
        .await;
    }

    async fn read_frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.io.read_exact(&mut head).await?;
        assert_eq!(head[1] & 0x80, 0, "servers mask nothing");
        assert_eq!(head[0] & 0x80, 0x80, "in one piece");
        let length = match head[1] {
            126 => usize::from(self.io.read_u16().await?),
            127 => usize::try_from(self.io.read_u64().await?).unwrap(),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await?;
        Ok((head[0] & 0xf, payload))
    }

    pub async fn next(&mut self) -> Got {
        tokio::time::timeout(LIMIT, self.next_soon())
            .await
            .expect("nothing came")
    }

    async fn next_soon(&mut self) -> Got {
        loop {
            let Ok((opcode, payload)) = self.read_frame().await else {
                return Got::End;
            };
            match opcode {
                BINARY => {
                    let message = self.decompressor.next(&payload).unwrap();
                    self.bytes.extend_from_slice(&message);
                    let output = decode_output(&message).unwrap();
                    self.canvas.apply(&output).unwrap();
                    return Got::Output(output);
                }
                CLOSE => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    let reason = String::from_utf8(payload[2..].to_vec()).unwrap();
                    return Got::Close(code, reason);
                }
                // A pong, perhaps.
                _ => {}
            }
        }
    }

    /// Draws a whole frame and acknowledges it; gives its number.
    pub async fn draw(&mut self) -> u32 {
        let number = self.draw_unanswered().await;
        self.ack(number).await;
        number
    }

    pub async fn draw_unanswered(&mut self) -> u32 {
        loop {
            match self.next().await {
                Got::Output(Output::Tiles {
                    frame,
                    ends_frame: true,
                    ..
                }) => return frame,
                Got::Output(_) => {}
                other => panic!("no frame: {other:?}"),
            }
        }
    }

    /// The screen's first pixel.
    pub fn shade(&self) -> u8 {
        self.canvas.rgba()[0]
    }

    /// Reads until the end: its code and reason. Frames that come before are drawn.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Got::Output(_) => {}
                Got::Close(code, reason) => return (code, reason),
                Got::End => panic!("cut off without a word"),
            }
        }
    }

    /// Nothing comes within this time.
    pub async fn is_quiet(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.next_soon()).await.is_err()
    }

    /// Ends this side only.
    pub async fn half_close(&mut self) {
        self.io.shutdown().await.unwrap();
    }
}
