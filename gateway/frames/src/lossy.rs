//! A tile as JPEG (baseline, 4:2:0), while a region changes faster than the way to the viewer allows.

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::lossless::{check_side, pixel_bytes};
use crate::{TILE_DATA_MAX, TileError};

/// A tile's JPEG. `rgba`: rows of `width * 4` bytes; alpha is not written. `quality`: 1 to 100.
///
/// # Errors
/// Pixels of another size; a JPEG that is longer than [`TILE_DATA_MAX`].
pub fn encode_lossy(rgba: &[u8], width: u16, height: u16, quality: u8) -> Result<Bytes, TileError> {
    check_side(width, height)?;
    if rgba.len() != pixel_bytes(width, height) {
        return Err(TileError::Size { width, height });
    }
    let mut jpeg = Vec::with_capacity(2048);
    let mut encoder = Encoder::new(&mut jpeg, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(rgba, width, height, ColorType::Rgba)
        .map_err(|_| TileError::Jpeg)?;
    match jpeg.len() {
        0..=TILE_DATA_MAX => Ok(Bytes::from(jpeg)),
        _ => Err(TileError::Jpeg),
    }
}

/// A JPEG's pixels: rows of `width * 4` bytes, alpha 255.
///
/// # Errors
/// Anything but a JPEG of exactly this size.
pub fn decode_lossy(data: &[u8], width: u16, height: u16) -> Result<Vec<u8>, TileError> {
    check_side(width, height)?;
    if data.len() > TILE_DATA_MAX {
        return Err(TileError::Jpeg);
    }
    let (wide, high) = (usize::from(width), usize::from(height));
    let options = DecoderOptions::default()
        .set_max_width(wide)
        .set_max_height(high)
        .set_strict_mode(true)
        .jpeg_set_max_scans(1)
        .jpeg_set_out_colorspace(ColorSpace::RGBA);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(|_| TileError::Jpeg)?;
    // Before its pixels are: a header of another size allocates nothing.
    if decoder.dimensions() != Some((wide, high)) {
        return Err(TileError::Jpeg);
    }
    let rgba = decoder.decode().map_err(|_| TileError::Jpeg)?;
    if rgba.len() != pixel_bytes(width, height) {
        return Err(TileError::Jpeg);
    }
    Ok(rgba)
}
