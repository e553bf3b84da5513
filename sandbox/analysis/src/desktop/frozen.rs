//! What a screen shows while it can't be recorded: a notice of the broker's own, in both languages, and not a
//! pixel of the workspace's.

use kekkai_frames::TILE;
use kekkai_screen::{Marker, Screen, ScreenError};
use kekkai_types::Timestamp;
use kekkai_worker_api::TILE_BYTES;

use super::turn::tiles_of;

/// The notice as a portable bitmap (P4), drawn once with IPAex Gothic at 18 px without smoothing: the broker
/// draws no text, and what it shows must not depend on a workspace.
const NOTICE: &[u8] = include_bytes!("frozen.pbm");
const GROUND: [u8; 4] = [0xf5, 0xf5, 0xf2, 0xff];
const INK: [u8; 4] = [0x20, 0x20, 0x20, 0xff];

/// A bitmap of one bit a pixel.
struct Bitmap {
    width: usize,
    height: usize,
    bits: &'static [u8],
}

impl Bitmap {
    fn parse(bytes: &'static [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"P4\n")?;
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, bits) = (rest.get(..end)?, rest.get(end + 1..)?);
        let mut sides = std::str::from_utf8(line).ok()?.split(' ');
        let mut side = || sides.next()?.parse::<usize>().ok();
        let (width, height) = (side()?, side()?);
        (bits.len() == width.div_ceil(8) * height).then_some(Self {
            width,
            height,
            bits,
        })
    }

    fn is_ink(&self, x: usize, y: usize) -> bool {
        if x >= self.width || y >= self.height {
            return false;
        }
        let byte = self.bits.get(y * self.width.div_ceil(8) + x / 8);
        byte.is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }
}

/// A screen with the notice in its middle.
pub(super) fn screen<M: Marker>(
    marker: M,
    (width, height): (u16, u16),
    now: Timestamp,
) -> Result<Screen<M>, ScreenError> {
    let mut screen = Screen::new(marker, width, height)?;
    let notice = Bitmap::parse(NOTICE);
    let (across, down) = (usize::from(width), usize::from(height));
    // Twice as large where there is room.
    let fits_twice = |bitmap: &Bitmap| bitmap.width * 2 <= across && bitmap.height * 2 <= down;
    let scale = notice
        .as_ref()
        .map_or(1, |n| if fits_twice(n) { 2 } else { 1 });
    let is_ink = |x: usize, y: usize| {
        notice.as_ref().is_some_and(|notice| {
            let left = across.saturating_sub(notice.width * scale) / 2;
            let top = down.saturating_sub(notice.height * scale) / 2;
            let place = x.checked_sub(left).zip(y.checked_sub(top));
            place.is_some_and(|(x, y)| notice.is_ink(x / scale, y / scale))
        })
    };
    let (columns, rows) = tiles_of(width, height);
    let side = usize::from(TILE);
    for row in 0..rows {
        for column in 0..columns {
            let (left, top) = (usize::from(column) * side, usize::from(row) * side);
            let mut tile = Vec::with_capacity(TILE_BYTES);
            for y in top..top + side {
                for x in left..left + side {
                    tile.extend(if is_ink(x, y) { INK } else { GROUND });
                }
            }
            screen.put_tile(column, row, &tile)?;
        }
    }
    screen.present(now);
    Ok(screen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_frames::{HEIGHT_MAX, SIDE_MIN, WIDTH_MAX};
    use kekkai_watermark::{Mark, Watermark};

    #[test]
    fn notice_fits_every_screen() {
        let notice = Bitmap::parse(NOTICE).unwrap();
        assert!(notice.width <= usize::from(SIDE_MIN) && notice.height <= usize::from(SIDE_MIN));
        let ink = (0..notice.height)
            .flat_map(|y| (0..notice.width).map(move |x| (x, y)))
            .filter(|(x, y)| notice.is_ink(*x, *y))
            .count();
        assert!(ink > 2_000, "{ink} pixels of ink");
        for size in [
            (SIDE_MIN, SIDE_MIN),
            (1280, 800),
            (1281, 799),
            (WIDTH_MAX, HEIGHT_MAX),
        ] {
            let marker = Watermark::new(Mark::new(1), "sato", "s1");
            assert!(screen(marker, size, Timestamp(0)).is_ok(), "{size:?}");
        }
    }
}
