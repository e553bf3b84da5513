//! Pictures of a recording: one, or a film (animated PNG) with the true times.

use std::io::{Error, Write};

use kekkai_frames::{Canvas, Rect};
use kekkai_types::Timestamp;
use png::{BitDepth, ColorType, Compression};
use zeroize::Zeroizing;

use crate::error::Fault;
use crate::player::Player;

/// Changes that follow each other faster are one picture of a film, in milliseconds.
pub const FRAME_MS_MIN: i64 = 40;
/// Red, green, blue.
const CHANNELS: usize = 3;

/// A film that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filmed {
    /// Pictures.
    pub pictures: u32,
    /// In pixels: the widest and the highest that the screen was.
    pub size: (u16, u16),
}

/// Writes what a canvas shows as a PNG.
///
/// # Errors
/// What the writer says.
pub fn png(canvas: &Canvas, out: impl Write) -> Result<(), Fault> {
    let mut encoder = png::Encoder::new(out, u32::from(canvas.width()), u32::from(canvas.height()));
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let all = Rect::of_size(canvas.width(), canvas.height());
    let mut writer = encoder.write_header().map_err(picture)?;
    writer
        .write_image_data(&pixels(canvas, all))
        .map_err(picture)?;
    writer.finish().map_err(picture)
}

/// Writes what was shown from one time to another as an animated PNG, in which each picture stays as long
/// as it stayed. `progress` hears how many of how many milliseconds are done.
///
/// # Errors
/// Nothing was shown yet at `from`; a chunk that was changed; what the writer says.
pub fn film(
    player: &mut Player,
    from: Timestamp,
    to: Timestamp,
    out: impl Write,
    mut progress: impl FnMut(i64, i64),
) -> Result<Filmed, Fault> {
    // Once to learn how many pictures there are and how large, once to write them.
    let plan = plan(player, from, to)?;
    let pictures = u32::try_from(plan.times.len()).map_err(|_| too_long())?;
    let (width, height) = plan.size;
    let mut encoder = png::Encoder::new(out, u32::from(width), u32::from(height));
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_animated(pictures, 1).map_err(picture)?;
    let mut writer = encoder.write_header().map_err(picture)?;
    let all = Rect::of_size(width, height);
    let mut before: Option<Zeroizing<Vec<u8>>> = None;
    let ends = plan.times.iter().skip(1).copied().chain([to]);
    for (at, until) in plan.times.iter().copied().zip(ends) {
        let now = pixels(player.seek(at)?, all);
        let changed = before.as_ref().map_or(all, |b| difference(b, &now, all));
        let (numerator, denominator) = delay(until.ms_since(at));
        writer
            .set_frame_delay(numerator, denominator)
            .map_err(picture)?;
        // In this order: what is set is checked against what was.
        writer.reset_frame_position().map_err(picture)?;
        writer
            .set_frame_dimension(u32::from(changed.width), u32::from(changed.height))
            .map_err(picture)?;
        writer
            .set_frame_position(u32::from(changed.x), u32::from(changed.y))
            .map_err(picture)?;
        writer
            .write_image_data(&cut(&now, all, changed))
            .map_err(picture)?;
        before = Some(now);
        progress(at.ms_since(from), to.ms_since(from));
    }
    writer.finish().map_err(picture)?;
    Ok(Filmed {
        pictures,
        size: plan.size,
    })
}

struct Plan {
    times: Vec<Timestamp>,
    size: (u16, u16),
}

fn plan(player: &mut Player, from: Timestamp, to: Timestamp) -> Result<Plan, Fault> {
    let canvas = player.seek(from)?;
    let mut size = (canvas.width(), canvas.height());
    let mut times = vec![from];
    let mut last = from;
    while let Some(change) = player.next_change().filter(|change| *change <= to) {
        // All that changes within a picture's time is in it.
        let at = change.max(last.plus_ms(FRAME_MS_MIN)).min(to);
        let canvas = player.seek(at)?;
        size = (size.0.max(canvas.width()), size.1.max(canvas.height()));
        if at > last {
            times.push(at);
        }
        last = at;
    }
    Ok(Plan { times, size })
}

/// A canvas on a sheet that may be larger: red, green, blue; black where it is not.
fn pixels(canvas: &Canvas, sheet: Rect) -> Zeroizing<Vec<u8>> {
    let row_bytes = usize::from(sheet.width) * CHANNELS;
    let mut drawn = Zeroizing::new(vec![0; row_bytes * usize::from(sheet.height)]);
    let rows = canvas.rgba().chunks_exact(usize::from(canvas.width()) * 4);
    for (to, from) in drawn.chunks_exact_mut(row_bytes).zip(rows) {
        for (to, from) in to.chunks_exact_mut(CHANNELS).zip(from.chunks_exact(4)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
    }
    drawn
}

/// The smallest rectangle outside which two sheets are the same; a pixel where they are the same everywhere.
fn difference(before: &[u8], now: &[u8], sheet: Rect) -> Rect {
    let row_bytes = usize::from(sheet.width) * CHANNELS;
    let rows = before
        .chunks_exact(row_bytes)
        .zip(now.chunks_exact(row_bytes));
    let mut top_bottom: Option<(u16, u16)> = None;
    let mut left_right = (sheet.width, 0);
    for (y, (before, now)) in (0_u16..).zip(rows) {
        if before == now {
            continue;
        }
        top_bottom = Some((top_bottom.map_or(y, |(top, _)| top), y));
        let pairs = before
            .chunks_exact(CHANNELS)
            .zip(now.chunks_exact(CHANNELS));
        for (x, _) in (0_u16..).zip(pairs).filter(|(_, (b, n))| b != n) {
            left_right = (left_right.0.min(x), left_right.1.max(x));
        }
    }
    let Some((top, bottom)) = top_bottom else {
        return Rect::of_size(1, 1);
    };
    let (left, right) = left_right;
    Rect {
        x: left,
        y: top,
        width: right.saturating_sub(left).saturating_add(1),
        height: bottom.saturating_sub(top).saturating_add(1),
    }
}

/// A rectangle of a sheet.
fn cut(drawn: &[u8], sheet: Rect, part: Rect) -> Zeroizing<Vec<u8>> {
    let row_bytes = usize::from(sheet.width) * CHANNELS;
    let left = usize::from(part.x) * CHANNELS;
    let right = left + usize::from(part.width) * CHANNELS;
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        (right - left) * usize::from(part.height),
    ));
    let rows = drawn.chunks_exact(row_bytes);
    for row in rows.skip(part.y.into()).take(part.height.into()) {
        bytes.extend_from_slice(row.get(left..right).unwrap_or_default());
    }
    bytes
}

/// A time as a fraction of seconds, as exactly as 16 bits say it.
fn delay(ms: i64) -> (u16, u16) {
    for (denominator, divisor) in [(1000, 1), (100, 10), (10, 100), (1, 1000)] {
        if let Ok(numerator) = u16::try_from((ms + divisor / 2) / divisor) {
            return (numerator, denominator);
        }
    }
    (u16::MAX, 1)
}

fn picture(error: png::EncodingError) -> Fault {
    Fault::Picture(match error {
        png::EncodingError::IoError(error) => error,
        other => Error::other(other),
    })
}

fn too_long() -> Fault {
    Fault::Picture(Error::other("the film has too many pictures"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_exact_to_a_millisecond_up_to_a_minute_and_to_a_second_up_to_18_hours() {
        assert_eq!(delay(0), (0, 1000));
        assert_eq!(delay(65_535), (65_535, 1000));
        assert_eq!(delay(65_536), (6_554, 100));
        assert_eq!(delay(3_600_000), (36_000, 10));
        assert_eq!(delay(14_400_000), (14_400, 1));
        assert_eq!(delay(i64::MAX / 2), (u16::MAX, 1));
    }

    #[test]
    fn difference_of_two_sheets_is_the_smallest_rectangle() {
        let sheet = Rect::of_size(8, 6);
        let before = vec![0; 8 * 6 * CHANNELS];
        assert_eq!(difference(&before, &before, sheet), Rect::of_size(1, 1));
        let mut now = before.clone();
        now[(2 * 8 + 3) * CHANNELS] = 1;
        now[(4 * 8 + 1) * CHANNELS + 2] = 1;
        let rect = difference(&before, &now, sheet);
        assert_eq!((rect.x, rect.y, rect.width, rect.height), (1, 2, 3, 3));
        assert_eq!(cut(&now, sheet, rect).len(), 9 * CHANNELS);
    }
}
