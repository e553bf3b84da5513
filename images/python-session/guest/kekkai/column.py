"""A column: values of one type, some of which may be missing."""

import enum
from array import array
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Context, Decimal

from . import descriptive

_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# 128 bits are at most 39 digits: Python's own default of 28 would round.
_DECIMALS = Context(prec=39)


class Type(enum.Enum):
    """What a column holds."""

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"
    DECIMAL = "decimal"


def _same(raw):
    return raw


class Column(Sequence):
    """Values of one type; a missing one is None.

    Numbers from a statement stay in the buffer that they came in: `raw` is a `memoryview` or an `array`,
    and no object is made for a value before it is asked for.
    """

    __slots__ = ("name", "type", "raw", "_present", "_scale")

    def __init__(self, name, type, raw, present=None, scale=None):
        self.name = name
        self.type = type
        #: As they came: days of a date, units of a time stamp, missing values as anything.
        self.raw = raw
        self._present = present
        self._scale = scale

    @classmethod
    def of_values(cls, name, values):
        """Of Python values; the type is that of the values."""
        values = list(values)
        return cls(name, _type_of(name, values), values)

    @classmethod
    def of_chunks(cls, name, type, chunks, scale=None):
        """Of the chunks of a stream, each raw values and their mask."""
        chunks = list(chunks)
        if len(chunks) == 1:
            (raw, present), = chunks
            return cls(name, type, raw, present, scale)
        present = None
        if any(mask is not None for _, mask in chunks):
            present = b"".join([b"\1" * len(raw) if mask is None else mask for raw, mask in chunks])
        if chunks and isinstance(chunks[0][0], memoryview):
            joined = array(chunks[0][0].format)
            for raw, _ in chunks:
                joined.frombytes(raw.cast("B"))
        elif type is Type.BOOLEAN:
            joined = b"".join([raw for raw, _ in chunks])
        else:
            joined = [value for raw, _ in chunks for value in raw]
        return cls(name, type, joined, present, scale)

    def _convert(self):
        """What makes a value of a raw one."""
        if self.type is Type.BOOLEAN:
            return bool
        if self._scale is None:
            return _same
        scale = self._scale
        if self.type is Type.DATE:
            return lambda raw: date.fromordinal(_EPOCH_DAY + raw // scale)
        if self.type is Type.TIMESTAMP:
            # Exact down to a microsecond, which is as fine as Python's times are.
            return lambda raw: _EPOCH + timedelta(microseconds=raw * 1_000_000 // scale)
        return lambda raw: _DECIMALS.scaleb(Decimal(raw), -scale)

    def __len__(self):
        return len(self.raw)

    def __iter__(self):
        convert = self._convert()
        if self._present is None:
            if convert is _same:
                return iter(self.raw)
            return (None if raw is None else convert(raw) for raw in self.raw)
        return (convert(raw) if there else None for raw, there in zip(self.raw, self._present))

    def __getitem__(self, index):
        if isinstance(index, slice):
            present = None if self._present is None else self._present[index]
            return Column(self.name, self.type, self.raw[index], present, self._scale)
        raw = self.raw[index]
        if raw is None or (self._present is not None and not self._present[index]):
            return None
        return self._convert()(raw)

    def __eq__(self, other):
        if isinstance(other, Column):
            return self.type is other.type and list(self) == list(other)
        return NotImplemented

    __hash__ = None

    def __repr__(self):
        shown = ", ".join(repr(value) for value in self[:6])
        return f'<{self.type.value} column "{self.name}" of {len(self)}: {shown}{", …" if len(self) > 6 else ""}>'

    def take(self, places):
        """The values at these places, in their order; None gives a missing value."""
        places = list(places)
        if None in places or not isinstance(self.raw, (memoryview, array)):
            return Column(self.name, self.type, [None if at is None else self[at] for at in places])
        raw = self.raw
        code = raw.format if isinstance(raw, memoryview) else raw.typecode
        picked = array(code, [raw[at] for at in places])
        present = self._present
        if present is not None:
            present = bytes([present[at] for at in places])
        return Column(self.name, self.type, picked, present, self._scale)

    def renamed(self, name):
        """The same values under another name."""
        return Column(name, self.type, self.raw, self._present, self._scale)

    @property
    def missing(self):
        """How many values are missing."""
        if self._present is not None:
            return self._present.count(0)
        if isinstance(self.raw, list):
            return self.raw.count(None)
        return 0

    def present(self):
        """The values that are there, as a list."""
        if self._present is None and isinstance(self.raw, (memoryview, array)) and self._convert() is _same:
            return self.raw.tolist()
        return [value for value in self if value is not None]

    def count(self):
        """How many values are there."""
        return len(self) - self.missing

    def sum(self):
        """The sum of what is there; of real numbers, rounded once."""
        return descriptive.total(self.present())

    def mean(self):
        """The arithmetic mean of what is there."""
        return descriptive.mean(self.present())

    def sd(self):
        """The sample standard deviation (n - 1)."""
        return descriptive.sd(self.present())

    def median(self):
        """The median."""
        return descriptive.median(self.present())

    def quantile(self, share):
        """A quantile: see `kekkai.quantile`."""
        return descriptive.quantile(self.present(), share)

    def min(self):
        """The smallest value, or None."""
        return min(self.present(), default=None)

    def max(self):
        """The largest value, or None."""
        return max(self.present(), default=None)

    def distinct(self):
        """How many different values are there."""
        return len(set(self.present()))


_TYPES = {
    bool: Type.BOOLEAN, int: Type.INTEGER, float: Type.REAL, str: Type.TEXT,
    date: Type.DATE, datetime: Type.TIMESTAMP, Decimal: Type.DECIMAL, type(None): Type.NULL,
}  # fmt: skip


def _type_of(name, values):
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float}:
        return Type.REAL
    if not kinds:
        return Type.NULL
    if len(kinds) == 1 and (found := _TYPES.get(next(iter(kinds)))):
        return found
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise TypeError(f'column "{name}" mixes or holds what a column doesn\'t: {names}')
