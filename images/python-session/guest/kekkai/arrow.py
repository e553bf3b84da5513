"""Reads an Arrow IPC stream: a schema, then record batches.

Kekkai sends uncompressed streams without dictionaries, views or nesting; anything else is refused by
name. Every offset is checked against the buffer that it points into, so that a damaged stream gives
`StreamError` and never a wrong number.

Sources: Apache Arrow, "Arrow Columnar Format" (IPC streaming format) with `Message.fbs` and
`Schema.fbs`; FlatBuffers, "Internals".
"""

from struct import Struct, error as struct_error

from .column import Column, Type
from .errors import StreamError

# Message.fbs: MessageHeader
_SCHEMA, _DICTIONARY_BATCH, _RECORD_BATCH = 1, 2, 3
# Schema.fbs: Type
_NULL, _INT, _FLOAT, _UTF8, _BOOL, _DECIMAL, _DATE, _TIMESTAMP, _LARGE_UTF8 = 1, 2, 3, 5, 6, 7, 8, 10, 20
_UNREAD = {
    2: "Int of that width", 3: "half-precision FloatingPoint", 4: "Binary", 7: "Decimal of that width",
    9: "Time", 10: "Timestamp", 11: "Interval", 12: "List", 13: "Struct", 14: "Union", 15: "FixedSizeBinary",
    16: "FixedSizeList", 17: "Map", 18: "Duration", 19: "LargeBinary", 21: "LargeList", 22: "RunEndEncoded",
    23: "BinaryView", 24: "Utf8View", 25: "ListView", 26: "LargeListView",
}  # fmt: skip
_CONTINUATION = b"\xff\xff\xff\xff"
# A schema of some thousand columns fits; more is a damaged length.
_METADATA_MAX = 16 * 1024 * 1024
# A batch of 4 MiB has fewer, even of booleans.
_BATCH_ROWS_MAX = 64 * 1024 * 1024

_U8, _I16, _U16 = Struct("<B"), Struct("<h"), Struct("<H")
_I32, _U32, _I64 = Struct("<i"), Struct("<I"), Struct("<q")

_INTEGER_FORMATS = {
    (8, True): "b", (16, True): "h", (32, True): "i", (64, True): "q",
    (8, False): "B", (16, False): "H", (32, False): "I", (64, False): "Q",
}  # fmt: skip
# Halves (0) have no format in a memoryview.
_FLOAT_FORMATS = {1: "f", 2: "d"}
# Parts of a second in a time stamp's unit.
_TIME_UNITS = {0: 1, 1: 1_000, 2: 1_000_000, 3: 1_000_000_000}
_MILLISECONDS_A_DAY = 86_400_000

# The eight flags of each byte of a bitmap, lowest bit first.
_BITS = [bytes(byte >> bit & 1 for bit in range(8)) for byte in range(256)]


class _Table:
    """A FlatBuffers table: fields are found through its vtable; an absent one has its default."""

    __slots__ = ("data", "at", "vtable", "vtable_size")

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - self._get(_I32, at)
        self.vtable_size = self._get(_U16, self.vtable)

    @classmethod
    def root(cls, data):
        return cls(data, _read(_U32, data, 0))

    def _get(self, kind, at):
        return _read(kind, self.data, at)

    def _field(self, number):
        """Where a field is, or None."""
        slot = 4 + 2 * number
        if slot + 2 > self.vtable_size:
            return None
        offset = self._get(_U16, self.vtable + slot)
        return self.at + offset if offset else None

    def number(self, number, kind, default=0):
        at = self._field(number)
        return default if at is None else self._get(kind, at)

    def table(self, number):
        at = self._field(number)
        return None if at is None else _Table(self.data, at + self._get(_U32, at))

    def vector(self, number):
        """The place of the first element and how many there are."""
        at = self._field(number)
        if at is None:
            return 0, 0
        at += self._get(_U32, at)
        return at + 4, self._get(_U32, at)

    def tables(self, number):
        first, count = self.vector(number)
        places = (first + 4 * index for index in range(count))
        return [_Table(self.data, place + self._get(_U32, place)) for place in places]

    def text(self, number):
        first, length = self.vector(number)
        if first + length > len(self.data):
            raise StreamError("a name reaches beyond its message")
        return str(self.data[first : first + length], "utf-8")

    def structs(self, number, form):
        """A vector of structs of two 64-bit integers."""
        first, count = self.vector(number)
        end = first + form.size * count
        if end > len(self.data):
            raise StreamError("a list reaches beyond its message")
        return list(form.iter_unpack(self.data[first:end]))


_PAIR = Struct("<qq")


def _read(kind, data, at):
    if at < 0:
        raise StreamError("an offset before its message")
    try:
        return kind.unpack_from(data, at)[0]
    except struct_error:
        raise StreamError("an offset beyond its message") from None


class Field:
    """A column of the schema."""

    __slots__ = ("name", "type", "format", "scale", "offsets")

    def __init__(self, table):
        self.name = table.text(0)
        kind = table.number(2, _U8)
        # A type without parameters may be an empty table.
        of = table.table(3)
        self.format = None
        self.scale = None
        self.offsets = None
        if table.table(4) is not None:
            raise StreamError(f'column "{self.name}": dictionaries are not read')
        if kind == _NULL:
            self.type = Type.NULL
        elif kind == _BOOL:
            self.type = Type.BOOLEAN
        elif kind == _UTF8:
            self.type, self.offsets = Type.TEXT, "i"
        elif kind == _LARGE_UTF8:
            self.type, self.offsets = Type.TEXT, "q"
        elif of is None:
            self._refuse(kind)
        elif kind == _INT:
            self.type = Type.INTEGER
            self.format = _INTEGER_FORMATS.get((of.number(0, _I32), bool(of.number(1, _U8))))
        elif kind == _FLOAT:
            self.type = Type.REAL
            self.format = _FLOAT_FORMATS.get(of.number(0, _I16))
        elif kind == _DATE:
            # DAY is 0, and MILLISECOND the default.
            is_days = of.number(0, _I16, 1) == 0
            self.type, self.format = Type.DATE, "i" if is_days else "q"
            self.scale = 1 if is_days else _MILLISECONDS_A_DAY
        elif kind == _TIMESTAMP:
            self.type, self.format = Type.TIMESTAMP, "q"
            self.scale = _TIME_UNITS.get(of.number(0, _I16))
            if self.scale is None:
                self._refuse(kind)
        elif kind == _DECIMAL and of.number(2, _I32, 128) == 128:
            self.type, self.scale = Type.DECIMAL, of.number(1, _I32)
            if not 0 <= self.scale <= 38:
                self._refuse(kind)
        else:
            self._refuse(kind)
        if self.type in (Type.INTEGER, Type.REAL) and self.format is None:
            self._refuse(kind)

    def _refuse(self, kind):
        raise StreamError(f'column "{self.name}": type {_UNREAD.get(kind, kind)} is not read')

    def column(self, chunks=()):
        """A column that the batches fill."""
        return Column.of_chunks(self.name, self.type, chunks, scale=self.scale)


class _Pieces:
    """Bytes that come in pieces, taken in lengths of our own."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def _more(self):
        """Loads the next piece that is not empty; False after the last."""
        while not len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._piece = memoryview(piece)
        return True

    def take(self, length):
        """`length` bytes, without a copy where one piece holds them; None at the stream's end."""
        if not length:
            return memoryview(b"")
        if not self._more():
            return None
        if length <= len(self._piece):
            taken, self._piece = self._piece[:length], self._piece[length:]
            return taken
        taken = bytearray()
        while len(taken) < length:
            if not self._more():
                raise StreamError("the stream stops in the middle of a message")
            part = min(length - len(taken), len(self._piece))
            taken += self._piece[:part]
            self._piece = self._piece[part:]
        return memoryview(taken)


def _message(pieces):
    """The next message's kind, its header and its body; None at the end of the stream."""
    mark = pieces.take(4)
    if mark is None:
        # An end without its mark is one too: "Arrow Columnar Format", IPC streaming format.
        return None
    if mark != _CONTINUATION:
        raise StreamError("no Arrow IPC stream, or one from before Arrow 0.15")
    size = pieces.take(4)
    if size is None:
        raise StreamError("the stream stops in the middle of a message")
    size = _read(_I32, size, 0)
    if size == 0:
        return None
    if not 0 < size <= _METADATA_MAX:
        raise StreamError("a message of an impossible size")
    metadata = pieces.take(size)
    if metadata is None:
        raise StreamError("the stream stops in the middle of a message")
    message = _Table.root(metadata)
    header = message.table(2)
    length = message.number(3, _I64)
    if header is None or length < 0:
        raise StreamError("a message without a header")
    body = pieces.take(length)
    if body is None:
        raise StreamError("the stream stops in the middle of a message")
    return message.number(1, _U8), header, body


class Stream:
    """The schema of a stream, and its batches as they come.

    `pieces` gives `bytes` of any length; put together they are the stream.
    """

    def __init__(self, pieces):
        self._pieces = _Pieces(pieces)
        message = _message(self._pieces)
        if message is None or message[0] != _SCHEMA:
            raise StreamError("the stream doesn't begin with a schema")
        schema = message[1]
        if schema.number(0, _I16) != 0:
            raise StreamError("big-endian data is not read")
        self.fields = [Field(table) for table in schema.tables(1)]

    def batches(self):
        """Yields, for each record batch, its length and one chunk for each field."""
        while (message := _message(self._pieces)) is not None:
            kind, header, body = message
            if kind == _DICTIONARY_BATCH:
                raise StreamError("dictionaries are not read")
            if kind != _RECORD_BATCH:
                raise StreamError("a message of an unknown kind")
            yield _Batch(header, body).chunks(self.fields)


class _Batch:
    """A record batch: its buffers are taken in the order of the schema's fields."""

    def __init__(self, header, body):
        if header.table(3) is not None:
            raise StreamError("compressed data is not read")
        self.length = header.number(0, _I64)
        if not 0 <= self.length <= _BATCH_ROWS_MAX:
            raise StreamError("a batch of an impossible length")
        self.body = body
        self.nodes = iter(header.structs(1, _PAIR))
        self.buffers = iter(header.structs(2, _PAIR))

    def _buffer(self, bytes_needed):
        """The next buffer, cut to what is needed: what follows is padding."""
        offset, length = next(self.buffers, (0, -1))
        if offset < 0 or length < bytes_needed or offset + length > len(self.body):
            raise StreamError("a buffer reaches beyond its batch")
        return self.body[offset : offset + bytes_needed]

    def _flags(self, bitmap):
        return b"".join([_BITS[byte] for byte in bitmap])[: self.length]

    def chunks(self, fields):
        """The length, and for each field its raw values with a mask of those that are there."""
        return self.length, [self._chunk(field) for field in fields]

    def _chunk(self, field):
        length, nulls = next(self.nodes, (-1, 0))
        if length != self.length:
            raise StreamError(f'column "{field.name}": not as long as its batch')
        if field.type is Type.NULL:
            # A null column has no buffers.
            return [None] * length, None
        if nulls:
            present = self._flags(self._buffer((length + 7) // 8))
        else:
            # The bitmap may be absent, or there and of no interest.
            self._buffer(0)
            present = None
        if field.type is Type.TEXT:
            return self._text(field), present
        if field.type is Type.BOOLEAN:
            return self._flags(self._buffer((length + 7) // 8)), present
        if field.type is Type.DECIMAL:
            data = self._buffer(16 * length)
            return [
                int.from_bytes(data[at : at + 16], "little", signed=True) for at in range(0, 16 * length, 16)
            ], present
        width = Struct(field.format).size
        return self._buffer(width * length).cast(field.format), present

    def _text(self, field):
        """Texts; those of a null are empty or whatever the sender left there."""
        width = 4 if field.offsets == "i" else 8
        offset, length = next(self.buffers, (0, -1))
        if offset < 0 or length < 0 or offset + length > len(self.body):
            raise StreamError("a buffer reaches beyond its batch")
        needed = width * (self.length + 1)
        if not self.length:
            # An empty column may have no offsets at all.
            self._buffer(0)
            return []
        if length < needed:
            raise StreamError("a buffer reaches beyond its batch")
        offsets = self.body[offset : offset + needed].cast(field.offsets).tolist()
        first, last = offsets[0], offsets[-1]
        if first < 0 or any(a > b for a, b in zip(offsets, offsets[1:])):
            raise StreamError(f'column "{field.name}": texts overlap')
        data = self._buffer(last)
        try:
            whole = str(data, "utf-8")
            if len(whole) == last:
                # ASCII: places in bytes are places in characters.
                return [whole[a:b] for a, b in zip(offsets, offsets[1:])]
            data = bytes(data)
            return [data[a:b].decode() for a, b in zip(offsets, offsets[1:])]
        except UnicodeDecodeError:
            raise StreamError(f'column "{field.name}": not UTF-8') from None
