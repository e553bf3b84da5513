// The frame protocol as a browser reads it: `gateway/frames/PROTOCOL.md` has every byte. What comes is
// pixels; nothing of it becomes text, an element or an address.

const TILE = 64;
const MESSAGE_BYTES_MAX = 256 * 1024;

/** More bytes are needed: not an error. */
class Short extends Error {}

/** The peer said something that is no message. */
export class ProtocolError extends Error {}

const check = (holds, what) => {
  if (!holds) throw new ProtocolError(what);
};

class Fields {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  take(count) {
    if (this.at + count > this.bytes.length) throw new Short();
    this.at += count;
    return this.at - count;
  }

  u8() { return this.bytes[this.take(1)]; }
  u16() { return this.view.getUint16(this.take(2)); }
  i16() { return this.view.getInt16(this.take(2)); }
  u32() { return this.view.getUint32(this.take(4)); }

  varint() {
    let value = 0;
    for (let place = 0; place < 3; place += 1) {
      const byte = this.u8();
      value |= (byte & 0x7f) << (7 * place);
      if ((byte & 0x80) === 0) return value;
    }
    throw new ProtocolError("varint");
  }

  slice(count) {
    const from = this.take(count);
    return this.bytes.subarray(from, from + count);
  }

  rect() {
    return { x: this.u16(), y: this.u16(), width: this.u16(), height: this.u16() };
  }
}

function output(fields) {
  const type = fields.u8();
  switch (type) {
    case 0x01: {
      const frame = fields.u32();
      const endsFrame = fields.u8() === 1;
      const count = fields.varint();
      check(count <= 1000, "tiles");
      const tiles = [];
      for (let i = 0; i < count; i += 1) {
        const at = {
          x: fields.u16(), y: fields.u16(), width: fields.varint(), height: fields.varint(),
        };
        const codec = fields.u8();
        check(at.width >= 1 && at.width <= TILE && at.height >= 1 && at.height <= TILE, "tile");
        // A copy: the buffer behind it is used again.
        tiles.push({ at, codec, data: fields.slice(fields.varint()).slice() });
      }
      return { type: "tiles", frame, endsFrame, tiles };
    }
    case 0x02:
      return {
        type: "scroll", frame: fields.u32(), from: fields.rect(), dx: fields.i16(), dy: fields.i16(),
      };
    case 0x03: {
      const shape = fields.u8();
      return { type: "cursor", shape, caret: fields.u8() === 1 ? fields.rect() : null };
    }
    case 0x04:
      return { type: "size", width: fields.u16(), height: fields.u16() };
    case 0x05:
      return { type: "ping", number: fields.u32() };
    default:
      throw new ProtocolError("message");
  }
}

/** Makes messages of the bytes of one deflate stream, in whatever pieces they come. */
export class Messages {
  #rest = new Uint8Array(0);

  push(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const messages = [];
    let at = 0;
    while (at < all.length) {
      const fields = new Fields(all, at);
      try {
        messages.push(output(fields));
      } catch (error) {
        if (error instanceof Short && all.length - at <= MESSAGE_BYTES_MAX) break;
        throw error;
      }
      at = fields.at;
    }
    this.#rest = all.slice(at);
    all.fill(0);
    return messages;
  }
}

const bitsFor = (entries) => {
  if (entries <= 1) return 0;
  if (entries === 2) return 1;
  if (entries <= 4) return 2;
  return entries <= 16 ? 4 : 8;
};

function packed(fields, bits, width, height) {
  const indices = new Uint8Array(width * height);
  const inByte = 8 / bits;
  const rowBytes = Math.ceil(width / inByte);
  const mask = (1 << bits) - 1;
  const data = fields.slice(rowBytes * height);
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, to += 1) {
      const byte = data[y * rowBytes + Math.floor(x / inByte)];
      indices[to] = (byte >> (8 - bits * ((x % inByte) + 1))) & mask;
    }
  }
  return indices;
}

function plane(fields, width, height) {
  const entries = fields.u8();
  if (entries === 0) return fields.slice(width * height);
  check(entries <= 16, "values");
  const values = fields.slice(entries);
  const bits = bitsFor(entries);
  if (bits === 0) return new Uint8Array(width * height).fill(values[0]);
  return packed(fields, bits, width, height).map((index) => values[index]);
}

const paeth = (left, above, corner) => {
  const estimate = left + above - corner;
  const [a, b, c] = [left, above, corner].map((value) => Math.abs(estimate - value));
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
};

function filtered(fields, width, height) {
  const values = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const kind = fields.u8();
    check(kind <= 4, "filter");
    const row = fields.slice(width);
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      const left = x > 0 ? values[at - 1] : 0;
      const above = y > 0 ? values[at - width] : 0;
      const corner = x > 0 && y > 0 ? values[at - width - 1] : 0;
      const guess = [0, left, above, (left + above) >> 1, 0][kind];
      values[at] = row[x] + (kind === 4 ? paeth(left, above, corner) : guess);
    }
  }
  return values;
}

function joined(green, red, blue) {
  const rgba = new Uint8Array(green.length * 4);
  for (let i = 0; i < green.length; i += 1) {
    rgba[4 * i] = red[i] + green[i];
    rgba[4 * i + 1] = green[i];
    rgba[4 * i + 2] = blue[i] + green[i];
    rgba[4 * i + 3] = 255;
  }
  return rgba;
}

/** A tile's pixels. */
export function lossless(data, width, height) {
  const fields = new Fields(data);
  const form = fields.u8();
  const pixels = width * height;
  let rgba;
  if (form === 0) {
    rgba = new Uint8Array(pixels * 4);
    const colour = fields.slice(3);
    for (let i = 0; i < pixels; i += 1) rgba.set([colour[0], colour[1], colour[2], 255], 4 * i);
  } else if (form === 1) {
    const entries = fields.u8() + 1;
    const palette = fields.slice(entries * 3);
    const bits = bitsFor(entries);
    check(bits > 0, "colours");
    const indices = packed(fields, bits, width, height);
    rgba = new Uint8Array(pixels * 4);
    for (let i = 0; i < pixels; i += 1) {
      const from = indices[i] * 3;
      check(from < palette.length, "index");
      rgba[4 * i] = palette[from];
      rgba[4 * i + 1] = palette[from + 1];
      rgba[4 * i + 2] = palette[from + 2];
      rgba[4 * i + 3] = 255;
    }
  } else {
    check(form === 2 || form === 3, "form");
    const one = form === 2 ? plane : filtered;
    const [green, red, blue] = [0, 1, 2].map(() => one(fields, width, height));
    rgba = joined(green, red, blue);
  }
  check(fields.at === data.length, "trailing");
  return rgba;
}

async function lossy(data, width, height) {
  const picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
  check(picture.width === width && picture.height === height, "picture");
  const scratch = new OffscreenCanvas(width, height).getContext("2d");
  scratch.drawImage(picture, 0, 0);
  picture.close();
  return scratch.getImageData(0, 0, width, height).data;
}

/** What is shown: pixels in memory, and the canvas that they are put on. */
export class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.size(canvas.width, canvas.height);
  }

  size(width, height) {
    check(width <= 2560 && height <= 1600, "size");
    this.image?.data.fill(0);
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = this.context.createImageData(width, height);
    this.#blacken();
  }

  /** Nothing of the session stays: neither in memory nor on the screen. */
  wipe() {
    this.#blacken();
  }

  #blacken() {
    const { data } = this.image;
    data.fill(0);
    for (let i = 3; i < data.length; i += 4) data[i] = 255;
    this.context.putImageData(this.image, 0, 0);
  }

  #within({ x, y, width, height }) {
    const fits = x >= 0 && y >= 0 && x + width <= this.image.width && y + height <= this.image.height;
    check(fits && width > 0 && height > 0, "place");
  }

  #put({ x, y, width, height }, rgba, adds) {
    const { data, width: stride } = this.image;
    for (let row = 0; row < height; row += 1) {
      const to = ((y + row) * stride + x) * 4;
      const from = rgba.subarray(row * width * 4, (row + 1) * width * 4);
      if (!adds) {
        data.set(from, to);
        continue;
      }
      for (let i = 0; i < from.length; i += 1) {
        // The fourth is opaque and stays.
        if (i % 4 !== 3) data[to + i] = (data[to + i] + from[i]) & 255;
      }
    }
  }

  #show({ x, y, width, height }) {
    this.context.putImageData(this.image, 0, 0, x, y, width, height);
  }

  async tiles(tiles) {
    for (const { at, codec, data } of tiles) {
      this.#within(at);
      check(codec <= 2, "codec");
      const rgba = codec === 2
        ? await lossy(data, at.width, at.height)
        : lossless(data, at.width, at.height);
      this.#put(at, rgba, codec === 1);
      this.#show(at);
    }
  }

  scroll(from, dx, dy) {
    const to = { ...from, x: from.x + dx, y: from.y + dy };
    this.#within(from);
    this.#within(to);
    const { data, width: stride } = this.image;
    for (let i = 0; i < from.height; i += 1) {
      // In the order in which no row is overwritten before it was read.
      const row = dy > 0 ? from.height - 1 - i : i;
      const start = ((from.y + row) * stride + from.x) * 4;
      const target = ((to.y + row) * stride + to.x) * 4;
      data.copyWithin(target, start, start + from.width * 4);
    }
    this.#show(to);
  }
}

const held = (modifiers) =>
  (modifiers.shift ? 1 : 0) | (modifiers.ctrl ? 2 : 0) | (modifiers.alt ? 4 : 0);

const message = (length, write) => {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer), bytes);
  return bytes;
};

/** What is sent. */
export const inputs = {
  key: (key, isDown, modifiers) => Uint8Array.of(0x81, key, isDown ? 1 : 0, held(modifiers)),

  text(text) {
    const utf8 = new TextEncoder().encode(text);
    const length = utf8.length < 128
      ? [utf8.length]
      : [(utf8.length & 0x7f) | 0x80, utf8.length >> 7];
    return Uint8Array.of(0x82, ...length, ...utf8);
  },

  pointer: (x, y, buttons, wheelX, wheelY, modifiers) => message(11, (view) => {
    view.setUint8(0, 0x83);
    view.setUint16(1, x);
    view.setUint16(3, y);
    view.setUint8(5, buttons);
    view.setInt16(6, wheelX);
    view.setInt16(8, wheelY);
    view.setUint8(10, held(modifiers));
  }),

  resize: (width, height, scale) => message(7, (view) => {
    view.setUint8(0, 0x84);
    view.setUint16(1, width);
    view.setUint16(3, height);
    view.setUint16(5, scale);
  }),

  ack: (number, isPing) => message(6, (view) => {
    view.setUint8(0, 0x85);
    view.setUint32(1, number);
    view.setUint8(5, isPing ? 1 : 0);
  }),
};
