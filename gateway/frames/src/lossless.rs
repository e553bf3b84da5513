//! Tiles without loss: a form that the deflate stream behind it shrinks well, and that a page of JavaScript
//! reads. Byte by byte: `PROTOCOL.md`, "Pixels".
//!
//! Text on flat ground has few colours: a palette. The invisible mark moves only blue, by cells: it multiplies
//! the colours of a tile, but as planes (green, red less green, blue less green) the text stays in the first
//! and the mark alone is in the third. Photographs go as planes with PNG's filters.

use bytes::Bytes;

use crate::filter;
use crate::{Codec, TILE, TILE_DATA_MAX, TileError, Wiped};

/// The first byte of a tile's data.
pub(crate) mod form {
    pub(crate) const SOLID: u8 = 0;
    pub(crate) const PALETTE: u8 = 1;
    pub(crate) const PLANES: u8 = 2;
    pub(crate) const FILTERED: u8 = 3;
}

const PIXEL_BYTES: usize = 4;
const COLOURS_MAX: usize = 256;
/// What a colour of a palette costs once it is deflated: neighbouring tiles have much the same ones.
const COLOUR_BITS: usize = 12;
/// Values of a plane that stand in a palette; more are written themselves.
const PLANE_PALETTE_MAX: usize = 16;

/// Bytes of a tile's pixels.
pub(crate) fn pixel_bytes(width: u16, height: u16) -> usize {
    usize::from(width) * usize::from(height) * PIXEL_BYTES
}

pub(crate) fn check_side(width: u16, height: u16) -> Result<(), TileError> {
    let sides = 1..=TILE;
    (sides.contains(&width) && sides.contains(&height))
        .then_some(())
        .ok_or(TileError::Size { width, height })
}

/// A tile's data. `rgba`: rows of `width * 4` bytes; alpha is not written.
///
/// # Errors
/// Pixels of another size.
pub fn encode_lossless(rgba: &[u8], width: u16, height: u16) -> Result<Bytes, TileError> {
    check_pixels(rgba, width, height)?;
    let (_, plan) = Plan::cheapest(rgba, usize::from(width));
    Ok(Bytes::from(plan.write()))
}

/// A tile's data by itself, or as a difference from the pixels that are `there`: whichever is shorter once
/// it is deflated, as far as that can be told beforehand. Both in rows of `width * 4` bytes.
///
/// # Errors
/// Pixels of another size.
pub fn encode_over(
    rgba: &[u8],
    there: &[u8],
    width: u16,
    height: u16,
) -> Result<(Codec, Bytes), TileError> {
    check_pixels(rgba, width, height)?;
    check_pixels(there, width, height)?;
    let change: Wiped = Wiped::new(
        rgba.iter()
            .zip(there)
            .map(|(new, old)| new.wrapping_sub(*old))
            .collect(),
    );
    let (change_cost, over) = Plan::cheapest(&change, usize::from(width));
    let difference = |over: Plan| (Codec::Difference, Bytes::from(over.write()));
    // Under half a bit a pixel there is little to win by looking further.
    if change_cost * 2 < usize::from(width) * usize::from(height) {
        return Ok(difference(over));
    }
    let (plain_cost, plain) = Plan::cheapest(rgba, usize::from(width));
    Ok(match change_cost < plain_cost {
        true => difference(over),
        false => (Codec::Lossless, Bytes::from(plain.write())),
    })
}

fn check_pixels(rgba: &[u8], width: u16, height: u16) -> Result<(), TileError> {
    check_side(width, height)?;
    (rgba.len() == pixel_bytes(width, height))
        .then_some(())
        .ok_or(TileError::Size { width, height })
}

/// How a tile is going to be written.
enum Plan {
    Solid(Palette),
    Palette(Palette),
    Planes(Planes),
    Filtered(Planes),
}

impl Plan {
    /// The form that deflate is thought to make shortest, and how many bits that is.
    fn cheapest(rgba: &[u8], width: usize) -> (usize, Self) {
        let planes = |rgba| {
            let planes = Planes::of(rgba, width);
            (planes.cost(), planes)
        };
        match Palette::of(rgba, width) {
            Some(palette) if palette.colours.len() == 1 => (24, Self::Solid(palette)),
            Some(palette) => match (palette.cost(), planes(rgba)) {
                (cost, (planes_cost, _)) if cost <= planes_cost => (cost, Self::Palette(palette)),
                (_, (cost, planes)) => (cost, Self::Planes(planes)),
            },
            None => {
                let (cost, planes) = planes(rgba);
                match planes.filtered_cost() {
                    filtered if filtered < cost => (filtered, Self::Filtered(planes)),
                    _ => (cost, Self::Planes(planes)),
                }
            }
        }
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::Solid(palette) => palette.write_solid(),
            Self::Palette(palette) => palette.write(),
            Self::Planes(planes) => planes.write(),
            Self::Filtered(planes) => planes.write_filtered(),
        }
    }
}

/// A tile's pixels: rows of `width * 4` bytes, alpha 255.
///
/// # Errors
/// Anything that is not exactly the data of a tile of this size.
pub fn decode_lossless(data: &[u8], width: u16, height: u16) -> Result<Vec<u8>, TileError> {
    check_side(width, height)?;
    if data.len() > TILE_DATA_MAX {
        return Err(TileError::Trailing);
    }
    let (wide, high) = (usize::from(width), usize::from(height));
    let mut data = Data(data);
    let rgba = match data.byte()? {
        form::SOLID => {
            let [red, green, blue] = data.colour()?;
            [red, green, blue, u8::MAX].repeat(wide * high)
        }
        form::PALETTE => {
            let colours = usize::from(data.byte()?) + 1;
            let palette = (0..colours)
                .map(|_| data.colour())
                .collect::<Result<Vec<_>, _>>()?;
            let bits = bits_for(colours);
            if bits == 0 {
                return Err(TileError::Field("colours"));
            }
            let indices = data.packed(bits, wide, high)?;
            let mut rgba = Vec::with_capacity(pixel_bytes(width, height));
            for index in indices.iter() {
                let [red, green, blue] = *palette
                    .get(usize::from(*index))
                    .ok_or(TileError::Field("index"))?;
                rgba.extend([red, green, blue, u8::MAX]);
            }
            rgba
        }
        form::PLANES => {
            let mut plane = || data.plane(wide, high);
            join(&plane()?, &plane()?, &plane()?)
        }
        form::FILTERED => {
            let mut plane = || data.filtered(wide, high);
            join(&plane()?, &plane()?, &plane()?)
        }
        _ => return Err(TileError::Field("form")),
    };
    match data.0 {
        [] => Ok(rgba),
        _ => Err(TileError::Trailing),
    }
}

/// Bits of an index into so many entries: 0, 1, 2, 4 or 8.
fn bits_for(entries: usize) -> u8 {
    match entries {
        0..=1 => 0,
        2 => 1,
        3..=4 => 2,
        5..=16 => 4,
        _ => 8,
    }
}

/// Packs indices: the first in the highest bits; a row begins with a byte.
fn pack(data: &mut Vec<u8>, indices: &[u8], width: usize, bits: u8) {
    let in_byte = usize::from(8 / bits.max(1));
    for row in indices.chunks(width) {
        data.extend(row.chunks(in_byte).map(|group| {
            let packed = group
                .iter()
                .fold(0, |byte, index| (byte << bits) | u16::from(*index));
            // A row's last byte is filled up with zeros.
            let missing = in_byte - group.len();
            let [_, byte] = (packed << (missing * usize::from(bits))).to_be_bytes();
            byte
        }));
    }
}

/// Colours as differences from green, which grey text doesn't have.
fn join(green: &[u8], red: &[u8], blue: &[u8]) -> Vec<u8> {
    let mut rgba = Vec::with_capacity(green.len() * PIXEL_BYTES);
    for ((green, red), blue) in green.iter().zip(red).zip(blue) {
        rgba.extend([
            red.wrapping_add(*green),
            *green,
            blue.wrapping_add(*green),
            u8::MAX,
        ]);
    }
    rgba
}

/// How much deflate makes of rows of values, in bits, roughly: what is as its left or upper neighbour is
/// nearly free.
fn cost_of(values: &[u8], width: usize, bits: u8) -> usize {
    let mut new = 0;
    let mut above: &[u8] = &[];
    for row in values.chunks_exact(width) {
        let is_new = |pair: &[u8], above: u8| match pair {
            [left, value] => usize::from((value != left) & (*value != above)),
            _ => 0,
        };
        let pairs = row.windows(2);
        new += match above.split_first() {
            Some((_, above)) => pairs
                .zip(above)
                .map(|(pair, above)| is_new(pair, *above))
                .sum(),
            None => pairs.map(|pair| is_new(pair, 0)).sum::<usize>(),
        };
        new += usize::from(row.first() != above.first());
        above = row;
    }
    new * usize::from(bits)
}

/// A tile of at most 256 colours.
struct Palette {
    colours: Vec<[u8; 3]>,
    indices: Wiped,
    width: usize,
}

impl Palette {
    /// `None`: too many colours.
    fn of(rgba: &[u8], width: usize) -> Option<Self> {
        let mut colours: Vec<[u8; 3]> = Vec::new();
        // Open addressing, twice as large as it can get full; 0 is empty.
        let mut places = [0_u16; 2 * COLOURS_MAX];
        let mut indices = Wiped::new(Vec::with_capacity(rgba.len() / PIXEL_BYTES));
        let mut last = ([0_u8; 3], None);
        for pixel in rgba.chunks_exact(PIXEL_BYTES) {
            let [red, green, blue, _] = *pixel else {
                return None;
            };
            let colour = [red, green, blue];
            let index = match last {
                (same, Some(index)) if same == colour => index,
                _ => find(&mut places, &mut colours, colour)?,
            };
            last = (colour, Some(index));
            indices.push(index);
        }
        Some(Self {
            colours,
            indices,
            width,
        })
    }

    fn bits(&self) -> u8 {
        bits_for(self.colours.len())
    }

    fn cost(&self) -> usize {
        self.colours.len() * COLOUR_BITS + cost_of(&self.indices, self.width, self.bits())
    }

    fn write_solid(&self) -> Vec<u8> {
        let mut data = vec![form::SOLID];
        data.extend(self.colours.iter().flatten());
        data
    }

    fn write(&self) -> Vec<u8> {
        let last = self.colours.len().saturating_sub(1);
        let mut data = vec![form::PALETTE, u8::try_from(last).unwrap_or(u8::MAX)];
        data.extend(self.colours.iter().flatten());
        pack(&mut data, &self.indices, self.width, self.bits());
        data
    }
}

/// A colour's index, a new one if need be; `None`: there are too many.
fn find(
    places: &mut [u16; 2 * COLOURS_MAX],
    colours: &mut Vec<[u8; 3]>,
    colour: [u8; 3],
) -> Option<u8> {
    let [red, green, blue] = colour.map(u32::from);
    let hash = ((red << 16) | (green << 8) | blue).wrapping_mul(0x9e37_79b1) >> 23;
    let mut place = hash as usize;
    loop {
        let entry = places.get_mut(place)?;
        match usize::from(*entry).checked_sub(1) {
            None => {
                let index = u8::try_from(colours.len()).ok()?;
                *entry = u16::from(index) + 1;
                colours.push(colour);
                return Some(index);
            }
            Some(index) if colours.get(index) == Some(&colour) => return u8::try_from(index).ok(),
            Some(_) => place = (place + 1) % places.len(),
        }
    }
}

/// A tile as green, red less green, blue less green.
struct Planes {
    planes: [Plane; 3],
    width: usize,
}

impl Planes {
    fn of(rgba: &[u8], width: usize) -> Self {
        let pixels = rgba.len() / PIXEL_BYTES;
        let mut planes = [(); 3].map(|()| Wiped::new(Vec::with_capacity(pixels)));
        let [greens, reds, blues] = &mut planes;
        for pixel in rgba.chunks_exact(PIXEL_BYTES) {
            if let [red, green, blue, _] = pixel {
                greens.push(*green);
                reds.push(red.wrapping_sub(*green));
                blues.push(blue.wrapping_sub(*green));
            }
        }
        Self {
            planes: planes.map(Plane::of),
            width,
        }
    }

    fn cost(&self) -> usize {
        self.planes.iter().map(|plane| plane.cost(self.width)).sum()
    }

    fn write(&self) -> Vec<u8> {
        let mut data = vec![form::PLANES];
        for plane in &self.planes {
            plane.write(&mut data, self.width);
        }
        data
    }

    fn filtered_cost(&self) -> usize {
        self.planes
            .iter()
            .flat_map(|plane| filter::rows(&plane.values, self.width))
            .map(|(_, row)| filter::cost(&row))
            .sum()
    }

    fn write_filtered(&self) -> Vec<u8> {
        let mut data = vec![form::FILTERED];
        for (kind, row) in self
            .planes
            .iter()
            .flat_map(|plane| filter::rows(&plane.values, self.width))
        {
            data.push(kind);
            data.extend(row);
        }
        data
    }
}

/// One of them.
struct Plane {
    values: Wiped,
    /// The distinct values, ascending.
    entries: Vec<u8>,
}

impl Plane {
    fn of(values: Wiped) -> Self {
        let mut is_there = [false; 256];
        for value in values.iter() {
            if let Some(seen) = is_there.get_mut(usize::from(*value)) {
                *seen = true;
            }
        }
        let entries = (0..=u8::MAX)
            .zip(is_there)
            .filter_map(|(value, is_there)| is_there.then_some(value))
            .collect();
        Self { values, entries }
    }

    fn cost(&self, width: usize) -> usize {
        match self.entries.len() {
            1 => 8,
            entries @ 0..=PLANE_PALETTE_MAX => {
                entries * 8 + cost_of(&self.values, width, bits_for(entries))
            }
            _ => cost_of(&self.values, width, 8),
        }
    }

    fn write(&self, data: &mut Vec<u8>, width: usize) {
        let entries = self.entries.len();
        let Some(count) = u8::try_from(entries)
            .ok()
            .filter(|_| entries <= PLANE_PALETTE_MAX)
        else {
            data.push(0);
            data.extend_from_slice(&self.values);
            return;
        };
        data.push(count);
        data.extend(&self.entries);
        let bits = bits_for(entries);
        if bits == 0 {
            return;
        }
        let mut index_of = [0; 256];
        for (index, entry) in (0_u8..).zip(&self.entries) {
            if let Some(place) = index_of.get_mut(usize::from(*entry)) {
                *place = index;
            }
        }
        let index = |value: &u8| index_of.get(usize::from(*value)).copied().unwrap_or(0);
        let indices: Wiped = Wiped::new(self.values.iter().map(index).collect());
        pack(data, &indices, width, bits);
    }
}

/// What is left of a tile's data.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], TileError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TileError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, TileError> {
        let (first, rest) = self.0.split_first().ok_or(TileError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn colour(&mut self) -> Result<[u8; 3], TileError> {
        let (colour, rest) = self.0.split_first_chunk().ok_or(TileError::Truncated)?;
        self.0 = rest;
        Ok(*colour)
    }

    fn packed(&mut self, bits: u8, width: usize, height: usize) -> Result<Wiped, TileError> {
        let in_byte = usize::from(8 / bits.max(1));
        let row_bytes = width.div_ceil(in_byte);
        let filled = row_bytes * in_byte;
        let mask = u8::MAX >> (8 - bits);
        let mut indices = Wiped::new(Vec::with_capacity(filled * height));
        for row in self.take(row_bytes * height)?.chunks_exact(row_bytes) {
            for byte in row {
                indices.extend((1..=8 / bits).map(|place| (byte >> (8 - place * bits)) & mask));
            }
            let missing = filled - width;
            let end = indices.len() - missing;
            if indices
                .get(end..)
                .is_some_and(|rest| rest.iter().any(|index| *index != 0))
            {
                return Err(TileError::Field("padding"));
            }
            indices.truncate(end);
        }
        Ok(indices)
    }

    fn plane(&mut self, width: usize, height: usize) -> Result<Wiped, TileError> {
        let entries = usize::from(self.byte()?);
        if entries == 0 {
            return Ok(Wiped::new(self.take(width * height)?.to_vec()));
        }
        if entries > PLANE_PALETTE_MAX {
            return Err(TileError::Field("values"));
        }
        let values = self.take(entries)?;
        let mut plane = match bits_for(entries) {
            0 => Wiped::new(vec![0; width * height]),
            bits => self.packed(bits, width, height)?,
        };
        for index in plane.iter_mut() {
            *index = *values
                .get(usize::from(*index))
                .ok_or(TileError::Field("index"))?;
        }
        Ok(plane)
    }

    fn filtered(&mut self, width: usize, height: usize) -> Result<Wiped, TileError> {
        let mut plane = Wiped::new(Vec::with_capacity(width * height));
        let mut above = Wiped::new(vec![0; width]);
        for _ in 0..height {
            let kind = self.byte()?;
            let mut row = Wiped::new(self.take(width)?.to_vec());
            filter::undo(kind, &mut row, &above).ok_or(TileError::Field("filter"))?;
            plane.extend_from_slice(&row);
            above = row;
        }
        Ok(plane)
    }
}
