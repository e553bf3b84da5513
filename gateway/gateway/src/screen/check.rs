//! Whether a message fits the screen that it is for. Its decoder knows fields; this knows the screen.

use kekkai_frames::{Codec, Output, Rect, Tile, decode_lossless, decode_lossy};

/// What the analysis server sent is no valid frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// Pixels before a size.
    #[error("pixels came before the screen's size")]
    NoSize,
    /// A rectangle leaves the screen.
    #[error("a rectangle leaves the screen")]
    Outside,
    /// A tile's bytes are no pixels.
    #[error("a tile's bytes are no pixels")]
    Tile,
}

/// One connection's screen, as its client draws it: a client draws what passes here without an error.
#[derive(Default)]
pub(super) struct Checker {
    size: Option<(u16, u16)>,
}

impl Checker {
    pub(super) fn check(&mut self, output: &Output) -> Result<(), Invalid> {
        match output {
            Output::Size { width, height } => self.size = Some((*width, *height)),
            Output::Tiles { tiles, .. } => {
                for tile in tiles {
                    self.on_screen(&tile.at)?;
                    check_pixels(tile)?;
                }
            }
            Output::Scroll { from, dx, dy, .. } => {
                self.on_screen(from)?;
                let to = from.moved(*dx, *dy).ok_or(Invalid::Outside)?;
                self.on_screen(&to)?;
            }
            // A caret is a hint for input methods; it may be of the size before.
            Output::Cursor(_) | Output::Ping { .. } => {}
        }
        Ok(())
    }

    fn on_screen(&self, at: &Rect) -> Result<(), Invalid> {
        let (width, height) = self.size.ok_or(Invalid::NoSize)?;
        match at.lies_on(width, height) {
            true => Ok(()),
            false => Err(Invalid::Outside),
        }
    }
}

/// Decoded here and thrown away, so that no client's decoder is the first to see it.
fn check_pixels(tile: &Tile) -> Result<(), Invalid> {
    let (width, height) = (tile.at.width, tile.at.height);
    let pixels = match tile.codec {
        Codec::Lossless | Codec::Difference => decode_lossless(&tile.data, width, height),
        Codec::Lossy => decode_lossy(&tile.data, width, height),
    };
    pixels.map(drop).map_err(|_| Invalid::Tile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_frames::{encode_lossless, encode_lossy};

    fn rect(x: u16, y: u16, side: u16) -> Rect {
        Rect {
            x,
            y,
            width: side,
            height: side,
        }
    }

    fn tiles(at: Rect, codec: Codec, data: bytes::Bytes) -> Output {
        Output::Tiles {
            frame: 1,
            ends_frame: true,
            tiles: vec![Tile { at, codec, data }],
        }
    }

    fn sized() -> Checker {
        let mut checker = Checker::default();
        let size = Output::Size {
            width: 640,
            height: 400,
        };
        checker.check(&size).unwrap();
        checker
    }

    #[test]
    fn pixels_pass_on_the_screen_only() {
        let shades: Vec<u8> = (0..=255).collect();
        let lossless = encode_lossless(&shades, 8, 8).unwrap();
        let lossy = encode_lossy(&shades, 8, 8, 60).unwrap();
        let good = tiles(rect(632, 392, 8), Codec::Lossless, lossless.clone());
        assert_eq!(Checker::default().check(&good), Err(Invalid::NoSize));
        assert_eq!(sized().check(&good), Ok(()));
        let good = tiles(rect(0, 0, 8), Codec::Lossy, lossy.clone());
        assert_eq!(sized().check(&good), Ok(()));

        let outside = tiles(rect(633, 0, 8), Codec::Lossless, lossless.clone());
        assert_eq!(sized().check(&outside), Err(Invalid::Outside));
        for (codec, data) in [
            (Codec::Lossless, lossy),
            (Codec::Lossy, lossless.clone()),
            (Codec::Lossless, bytes::Bytes::from_static(b"name,age")),
            (Codec::Lossy, bytes::Bytes::from_static(b"name,age")),
            (Codec::Lossless, bytes::Bytes::new()),
        ] {
            let bad = tiles(rect(0, 0, 8), codec, data);
            assert_eq!(sized().check(&bad), Err(Invalid::Tile));
        }
        let larger = tiles(rect(0, 0, 9), Codec::Lossless, lossless);
        assert_eq!(sized().check(&larger), Err(Invalid::Tile));
    }

    #[test]
    fn scroll_stays_on_the_screen() {
        let scroll = |dy| Output::Scroll {
            frame: 1,
            from: rect(0, 0, 64),
            dx: 0,
            dy,
        };
        assert_eq!(sized().check(&scroll(336)), Ok(()));
        assert_eq!(sized().check(&scroll(337)), Err(Invalid::Outside));
        assert_eq!(sized().check(&scroll(-1)), Err(Invalid::Outside));
    }
}
