// Reads an Arrow IPC stream: a schema, then record batches.
//
// Kekkai sends uncompressed streams without dictionaries, views or nesting; anything else is refused. A
// DataView and `subarray` check every offset against the buffer that it points into.
//
// Sources: Apache Arrow, "Arrow Columnar Format" with Message.fbs and Schema.fbs; FlatBuffers, "Internals".

const SCHEMA = 1;
const RECORD_BATCH = 3;
// Schema.fbs: Type
const [NULL, INT, FLOAT, UTF8, BOOL] = [1, 2, 3, 5, 6];
// Types that are passed over: decimal, date, timestamp.
const PASSED_OVER = [7, 8, 10];
const METADATA_MAX = 1 << 20;
const BODY_MAX = 64 << 20;

export class StreamError extends Error {}

// A FlatBuffers table: fields are found through its vtable.
class Table {
  constructor(view, at) {
    this.view = view;
    this.at = at;
    this.vtable = at - view.getInt32(at, true);
    this.size = view.getUint16(this.vtable, true);
  }

  // Where a field is; 0 if it is absent.
  field(number) {
    const slot = 4 + 2 * number;
    const offset = slot + 2 > this.size ? 0 : this.view.getUint16(this.vtable + slot, true);
    return offset && this.at + offset;
  }

  number(number, read, absent = 0) {
    const at = this.field(number);
    return at ? this.view[read](at, true) : absent;
  }

  table(number) {
    const at = this.field(number);
    return at ? new Table(this.view, at + this.view.getUint32(at, true)) : null;
  }

  // The first element's place and how many there are.
  vector(number) {
    const field = this.field(number);
    if (!field) return [0, 0];
    const at = field + this.view.getUint32(field, true);
    return [at + 4, this.view.getUint32(at, true)];
  }
}

function bytes(view, at, length) {
  if (at < 0 || length < 0 || at + length > view.byteLength) throw new StreamError("a buffer beyond its message");
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

function readField(table) {
  const [at, length] = table.vector(0);
  const name = new TextDecoder().decode(bytes(table.view, at, length));
  if (table.field(4)) throw new StreamError(`column "${name}": dictionaries are not read`);
  const kind = table.number(2, "getUint8");
  const type = table.table(3);
  if (kind === NULL) return { name, kind: "null" };
  if (kind === BOOL) return { name, kind: "boolean" };
  if (kind === UTF8) return { name, kind: "text" };
  if (kind === INT && type?.number(0, "getInt32") === 64 && type.number(1, "getUint8")) return { name, kind: "integer" };
  if (kind === FLOAT && type?.number(0, "getInt16") === 2) return { name, kind: "real" };
  if (PASSED_OVER.includes(kind)) return { name, kind: "other" };
  throw new StreamError(`column "${name}": its type is not read`);
}

function readBatch(header, body, fields) {
  if (header.field(3)) throw new StreamError("compressed data is not read");
  const rows = Number(header.number(0, "getBigInt64", 0n));
  let [node, nodes] = header.vector(1);
  let [buffer, buffers] = header.vector(2);
  const long = (at) => Number(header.view.getBigInt64(at, true));
  const take = (needed) => {
    if (buffers-- <= 0) throw new StreamError("a batch without all its buffers");
    const [offset, length] = [long(buffer), long(buffer + 8)];
    buffer += 16;
    if (length < needed) throw new StreamError("a buffer that is too short");
    return new DataView(body.buffer, body.byteOffset + offset, length);
  };
  const bit = (view, row) => (view.getUint8(row >> 3) >> (row & 7)) & 1;
  return fields.map(({ kind }) => {
    if (nodes-- <= 0 || long(node) !== rows) throw new StreamError("a column that is not as long as its batch");
    const missing = long(node + 8);
    node += 16;
    const column = new Array(rows).fill(null);
    if (kind === "null") return column;
    const present = take(0);
    const first = take(0);
    const data = kind === "text" ? take(0) : first;
    if (kind === "other") return column;
    for (let row = 0; row < rows; row++) {
      if (missing && !bit(present, row)) continue;
      if (kind === "boolean") column[row] = bit(data, row) === 1;
      else if (kind === "integer") column[row] = Number(data.getBigInt64(8 * row, true));
      else if (kind === "real") column[row] = data.getFloat64(8 * row, true);
      else {
        const [start, end] = [first.getInt32(4 * row, true), first.getInt32(4 * row + 4, true)];
        column[row] = new TextDecoder().decode(bytes(data, start, end - start));
      }
    }
    return column;
  });
}

// Yields `{ fields, columns }` for each batch; `pieces` are Uint8Arrays of any length.
export function* batches(pieces) {
  let rest = new Uint8Array();
  let fields = null;
  for (const piece of pieces) {
    const joined = new Uint8Array(rest.length + piece.length);
    joined.set(rest);
    joined.set(piece, rest.length);
    rest = joined;
    while (rest.length >= 8) {
      const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
      const size = view.getUint32(4, true);
      if (view.getUint32(0, true) !== 0xffffffff || size > METADATA_MAX) throw new StreamError("no Arrow IPC stream");
      if (size === 0) return;
      if (rest.length < 8 + size) break;
      try {
        const metadata = new DataView(rest.buffer, rest.byteOffset + 8, size);
        const message = new Table(metadata, metadata.getUint32(0, true));
        const length = Number(message.number(3, "getBigInt64", 0n));
        if (length < 0 || length > BODY_MAX) throw new StreamError("a batch of an impossible size");
        if (rest.length < 8 + size + length) break;
        const kind = message.number(1, "getUint8");
        const header = message.table(2);
        if (kind === SCHEMA && !fields) {
          const [first, count] = header.vector(1);
          fields = Array.from({ length: count }, (_, index) => {
            const at = first + 4 * index;
            return readField(new Table(metadata, at + metadata.getUint32(at, true)));
          });
        } else if (kind === RECORD_BATCH && fields) {
          const body = new DataView(rest.buffer, rest.byteOffset + 8 + size, length);
          yield { fields, columns: readBatch(header, body, fields) };
        } else {
          throw new StreamError("a message of an unexpected kind");
        }
        rest = rest.subarray(8 + size + length);
      } catch (error) {
        // A DataView says only that an offset is out of bounds.
        throw error instanceof RangeError || error instanceof TypeError ? new StreamError("a damaged message") : error;
      }
    }
  }
  throw new StreamError("the rows stop in the middle");
}
