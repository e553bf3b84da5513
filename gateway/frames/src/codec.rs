//! Messages as bytes. A table of them: `table.rs`; in words: `PROTOCOL.md`.
//!
//! Every message has one encoding. An encoder writes what it is given: what no peer may say, the peer refuses.

use bytes::Bytes;

use crate::wire::{Fields, put_varint};
use crate::{
    Codec, Cursor, CursorShape, HEIGHT_MAX, INPUT_BYTES_MAX, Input, Key, Modifiers,
    OUTPUT_BYTES_MAX, Output, Rect, SIDE_MIN, TEXT_BYTES_MAX, TILE, TILE_DATA_MAX, TILES_MAX, Tile,
    WHEEL_MAX, WIDTH_MAX, WireError,
};

/// The numbers of messages. Those of inputs have the highest bit, so that neither is taken for the other.
pub(crate) mod number {
    pub(crate) const TILES: u8 = 0x01;
    pub(crate) const SCROLL: u8 = 0x02;
    pub(crate) const CURSOR: u8 = 0x03;
    pub(crate) const SIZE: u8 = 0x04;
    pub(crate) const PING: u8 = 0x05;
    pub(crate) const KEY: u8 = 0x81;
    pub(crate) const TEXT: u8 = 0x82;
    pub(crate) const POINTER: u8 = 0x83;
    pub(crate) const RESIZE: u8 = 0x84;
    pub(crate) const ACK: u8 = 0x85;
}

const SHIFT: u8 = 1;
const CTRL: u8 = 2;
const ALT: u8 = 4;
/// Primary, secondary, middle.
const BUTTONS: u8 = 0b111;
/// The fewest bytes that a tile takes, so that a count can't make us set memory aside.
const TILE_BYTES_MIN: usize = 9;
/// Device pixels per point, in percent.
const SCALE: std::ops::RangeInclusive<u16> = 100..=400;

/// The bytes of a message to a client.
pub fn encode_output(output: &Output) -> Bytes {
    let mut bytes = Vec::with_capacity(64);
    match output {
        Output::Tiles {
            frame,
            ends_frame,
            tiles,
        } => {
            bytes.push(number::TILES);
            bytes.extend(frame.to_be_bytes());
            bytes.push(u8::from(*ends_frame));
            put_varint(&mut bytes, tiles.len());
            for tile in tiles {
                bytes.extend(tile.at.x.to_be_bytes());
                bytes.extend(tile.at.y.to_be_bytes());
                put_varint(&mut bytes, usize::from(tile.at.width));
                put_varint(&mut bytes, usize::from(tile.at.height));
                bytes.push(tile.codec.number());
                put_varint(&mut bytes, tile.data.len());
                bytes.extend_from_slice(&tile.data);
            }
        }
        Output::Scroll {
            frame,
            from,
            dx,
            dy,
        } => {
            bytes.push(number::SCROLL);
            bytes.extend(frame.to_be_bytes());
            put_rect(&mut bytes, from);
            bytes.extend(dx.to_be_bytes());
            bytes.extend(dy.to_be_bytes());
        }
        Output::Cursor(Cursor { shape, caret }) => {
            bytes.push(number::CURSOR);
            bytes.push(shape.number());
            bytes.push(u8::from(caret.is_some()));
            if let Some(caret) = caret {
                put_rect(&mut bytes, caret);
            }
        }
        Output::Size { width, height } => {
            bytes.push(number::SIZE);
            bytes.extend(width.to_be_bytes());
            bytes.extend(height.to_be_bytes());
        }
        Output::Ping { number } => {
            bytes.push(number::PING);
            bytes.extend(number.to_be_bytes());
        }
    }
    Bytes::from(bytes)
}

/// The message of bytes that came from a screen.
///
/// # Errors
/// Whatever is not exactly what [`encode_output`] writes for a message within the bounds. A tile's data is
/// only measured here; [`Canvas`](crate::Canvas) reads it.
pub fn decode_output(bytes: &[u8]) -> Result<Output, WireError> {
    let mut fields = begin(bytes, OUTPUT_BYTES_MAX)?;
    let output = match fields.u8()? {
        number::TILES => {
            let frame = fields.u32()?;
            let ends_frame = fields.bool("ends_frame")?;
            let count = fields.varint("tiles")? as usize;
            // A frame may end without tiles, after a scroll; a message that says nothing is none.
            if count > TILES_MAX || (count == 0 && !ends_frame) {
                return Err(WireError::Field("tiles"));
            }
            let mut tiles = Vec::with_capacity(count.min(fields.left() / TILE_BYTES_MIN));
            for _ in 0..count {
                tiles.push(take_tile(&mut fields)?);
            }
            Output::Tiles {
                frame,
                ends_frame,
                tiles,
            }
        }
        number::SCROLL => {
            let frame = fields.u32()?;
            let from = take_rect(&mut fields, "from")?;
            let (dx, dy) = (fields.i16()?, fields.i16()?);
            let to = from.moved(dx, dy).filter(lies_on_largest);
            if to.is_none() || (dx, dy) == (0, 0) {
                return Err(WireError::Field("dx, dy"));
            }
            Output::Scroll {
                frame,
                from,
                dx,
                dy,
            }
        }
        number::CURSOR => {
            let shape = CursorShape::from_number(fields.u8()?).ok_or(WireError::Field("shape"))?;
            let caret = match fields.bool("has_caret")? {
                true => Some(take_rect(&mut fields, "caret")?),
                false => None,
            };
            Output::Cursor(Cursor { shape, caret })
        }
        number::SIZE => {
            let (width, height) = take_size(&mut fields)?;
            Output::Size { width, height }
        }
        number::PING => Output::Ping {
            number: fields.u32()?,
        },
        unknown => return Err(WireError::UnknownMessage(unknown)),
    };
    fields.end()?;
    Ok(output)
}

/// The bytes of a message from a client.
pub fn encode_input(input: &Input) -> Bytes {
    let mut bytes = Vec::with_capacity(16);
    match input {
        Input::Key {
            key,
            is_down,
            modifiers,
        } => {
            bytes.extend([
                number::KEY,
                key.number(),
                u8::from(*is_down),
                held(modifiers),
            ]);
        }
        Input::Text(text) => {
            bytes.push(number::TEXT);
            put_varint(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
        Input::Pointer {
            x,
            y,
            buttons,
            wheel_x,
            wheel_y,
            modifiers,
        } => {
            bytes.push(number::POINTER);
            bytes.extend(x.to_be_bytes());
            bytes.extend(y.to_be_bytes());
            bytes.push(*buttons);
            bytes.extend(wheel_x.to_be_bytes());
            bytes.extend(wheel_y.to_be_bytes());
            bytes.push(held(modifiers));
        }
        Input::Resize {
            width,
            height,
            scale,
        } => {
            bytes.push(number::RESIZE);
            for value in [width, height, scale] {
                bytes.extend(value.to_be_bytes());
            }
        }
        Input::Ack { number, is_ping } => {
            bytes.push(number::ACK);
            bytes.extend(number.to_be_bytes());
            bytes.push(u8::from(*is_ping));
        }
    }
    Bytes::from(bytes)
}

/// The message of bytes that came from a client.
///
/// # Errors
/// Whatever is not exactly what [`encode_input`] writes for a message within the bounds.
pub fn decode_input(bytes: &[u8]) -> Result<Input, WireError> {
    let mut fields = begin(bytes, INPUT_BYTES_MAX)?;
    let input = match fields.u8()? {
        number::KEY => Input::Key {
            key: Key::from_number(fields.u8()?).ok_or(WireError::Field("key"))?,
            is_down: fields.bool("is_down")?,
            modifiers: take_modifiers(&mut fields)?,
        },
        number::TEXT => {
            let length = fields.varint("text")? as usize;
            if length == 0 || length > TEXT_BYTES_MAX {
                return Err(WireError::Field("text"));
            }
            let text = std::str::from_utf8(fields.bytes(length)?)
                .ok()
                .filter(|text| !text.chars().any(char::is_control))
                .ok_or(WireError::Field("text"))?;
            Input::Text(text.to_owned())
        }
        number::POINTER => {
            let (x, y) = (fields.u16()?, fields.u16()?);
            if x >= WIDTH_MAX || y >= HEIGHT_MAX {
                return Err(WireError::Field("x, y"));
            }
            let buttons = fields.u8()?;
            if buttons & !BUTTONS != 0 {
                return Err(WireError::Field("buttons"));
            }
            let (wheel_x, wheel_y) = (fields.i16()?, fields.i16()?);
            if [wheel_x, wheel_y]
                .iter()
                .any(|turned| turned.unsigned_abs() > WHEEL_MAX.unsigned_abs())
            {
                return Err(WireError::Field("wheel"));
            }
            Input::Pointer {
                x,
                y,
                buttons,
                wheel_x,
                wheel_y,
                modifiers: take_modifiers(&mut fields)?,
            }
        }
        number::RESIZE => {
            let (width, height) = take_size(&mut fields)?;
            let scale = fields.u16()?;
            if !SCALE.contains(&scale) {
                return Err(WireError::Field("scale"));
            }
            Input::Resize {
                width,
                height,
                scale,
            }
        }
        number::ACK => Input::Ack {
            number: fields.u32()?,
            is_ping: fields.bool("is_ping")?,
        },
        unknown => return Err(WireError::UnknownMessage(unknown)),
    };
    fields.end()?;
    Ok(input)
}

fn begin(bytes: &[u8], max: usize) -> Result<Fields<'_>, WireError> {
    match bytes.len() {
        length if length > max => Err(WireError::TooLong { bytes: length, max }),
        _ => Ok(Fields::new(bytes)),
    }
}

fn lies_on_largest(rect: &Rect) -> bool {
    rect.lies_on(WIDTH_MAX, HEIGHT_MAX)
}

fn put_rect(bytes: &mut Vec<u8>, rect: &Rect) {
    for value in [rect.x, rect.y, rect.width, rect.height] {
        bytes.extend(value.to_be_bytes());
    }
}

fn take_rect(fields: &mut Fields<'_>, name: &'static str) -> Result<Rect, WireError> {
    let rect = Rect {
        x: fields.u16()?,
        y: fields.u16()?,
        width: fields.u16()?,
        height: fields.u16()?,
    };
    lies_on_largest(&rect)
        .then_some(rect)
        .ok_or(WireError::Field(name))
}

fn take_size(fields: &mut Fields<'_>) -> Result<(u16, u16), WireError> {
    let (width, height) = (fields.u16()?, fields.u16()?);
    let is_allowed =
        (SIDE_MIN..=WIDTH_MAX).contains(&width) && (SIDE_MIN..=HEIGHT_MAX).contains(&height);
    is_allowed
        .then_some((width, height))
        .ok_or(WireError::Field("width, height"))
}

fn take_tile(fields: &mut Fields<'_>) -> Result<Tile, WireError> {
    let (x, y) = (fields.u16()?, fields.u16()?);
    let mut side = || -> Result<u16, WireError> {
        u16::try_from(fields.varint("at")?).map_err(|_| WireError::Field("at"))
    };
    let at = Rect {
        x,
        y,
        width: side()?,
        height: side()?,
    };
    let is_within_tile =
        |from: u16, length: u16| u32::from(from % TILE) + u32::from(length) <= u32::from(TILE);
    if !lies_on_largest(&at) || !is_within_tile(x, at.width) || !is_within_tile(y, at.height) {
        return Err(WireError::Field("at"));
    }
    let codec = Codec::from_number(fields.u8()?).ok_or(WireError::Field("codec"))?;
    let length = fields.varint("data")? as usize;
    if length == 0 || length > TILE_DATA_MAX {
        return Err(WireError::Field("data"));
    }
    Ok(Tile {
        at,
        codec,
        data: Bytes::copy_from_slice(fields.bytes(length)?),
    })
}

fn held(modifiers: &Modifiers) -> u8 {
    [
        (modifiers.shift, SHIFT),
        (modifiers.ctrl, CTRL),
        (modifiers.alt, ALT),
    ]
    .into_iter()
    .filter_map(|(is_held, bit)| is_held.then_some(bit))
    .sum()
}

fn take_modifiers(fields: &mut Fields<'_>) -> Result<Modifiers, WireError> {
    let bits = fields.u8()?;
    if bits & !(SHIFT | CTRL | ALT) != 0 {
        return Err(WireError::Field("modifiers"));
    }
    Ok(Modifiers {
        shift: bits & SHIFT != 0,
        ctrl: bits & CTRL != 0,
        alt: bits & ALT != 0,
    })
}
